//! Reading mappings by the key table, lists and scalars.

use super::{Decoder, UnknownKeys};
use crate::{
    diagnostic::{Code, Diagnostic, Severity},
    display::quote,
    keys::{self, Section},
    source::Span,
    yaml::{Kind, NodeId},
};

/// Most entries of the log's warning on unknown keys.
const MAX_UNKNOWN: usize = 1000;

/// Most unknown keys that suggestions are sought for.
const MAX_ADVISED: usize = 100;

/// The known keys of one mapping.
pub(super) struct Fields {
    section: &'static Section,
    entries: Vec<(&'static str, NodeId, NodeId)>,
    /// The mapping, or what stands in its place.
    pub(super) node: NodeId,
    /// Path for messages, such as `phases/build`.
    pub(super) path: String,
}

impl Fields {
    /// Key and value, also when the value is null.
    pub(super) fn get(&self, name: &str) -> Option<(NodeId, NodeId)> {
        debug_assert!(self.section.key(name).is_some(), "the table of {} has no {name}", self.section.name);
        self.entries.iter().find(|(known, ..)| *known == name).map(|(_, key, value)| (*key, *value))
    }

    /// Path of one of its keys.
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }
}

/// The value of a switch; the words of YAML 1.1.
pub(crate) fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "y" => Some(true),
        "no" | "false" | "off" | "n" => Some(false),
        _ => None,
    }
}

impl Decoder<'_> {
    /// Reads a mapping and reports its unknown keys. Anything but a mapping has no keys, and is reported.
    pub(super) fn section(&mut self, id: NodeId, section: &'static Section, path: &str) -> Fields {
        let mut fields = Fields { section, entries: Vec::new(), node: id, path: path.to_owned() };
        let document = self.document;
        let Kind::Mapping(entries) = &document.node(id).kind else {
            if !document.is_null(id) {
                self.wrong_type(id, path, "a mapping");
            }
            return fields;
        };
        let mut unknown = Vec::new();
        for (key, value) in entries {
            let text = document.text(*key).unwrap_or_default();
            match section.key(text) {
                Some(known) => fields.entries.push((known.name, *key, *value)),
                // CloudFormation templates and editors' schemas use such keys for anchors and comments.
                None => unknown.push((text, *key)),
            }
        }
        let anchors_only = section.name == keys::ROOT.name;
        unknown.retain(|(text, _)| !(anchors_only && (text.starts_with("x-") || text.starts_with('.'))));
        if section.name == keys::PHASE_LIST.name {
            for (text, key) in unknown {
                self.unknown_phase(text, key);
            }
            return fields;
        }
        let listed: Vec<String> = unknown.iter().take(MAX_UNKNOWN).map(|(text, _)| quote(text)).collect();
        for (text, key) in unknown {
            self.unknown_key(section, text, key);
        }
        if !listed.is_empty() && self.unknown_keys.len() < MAX_UNKNOWN {
            let last = path.rsplit('/').next().unwrap_or_default();
            let name = if keys::PHASES.contains(&last) && path.starts_with("phases/") {
                last.to_ascii_uppercase()
            } else {
                section.name.to_owned()
            };
            self.unknown_keys.push(UnknownKeys { section: name, keys: listed });
        }
        fields
    }

    /// False for what should have been a mapping and was reported.
    pub(super) fn has_keys(&self, fields: &Fields) -> bool {
        matches!(self.document.node(fields.node).kind, Kind::Mapping(_)) || self.document.is_null(fields.node)
    }

    fn unknown_key(&mut self, section: &Section, text: &str, key: NodeId) {
        let span = self.document.span(key);
        let message = format!("the key '{}' means nothing {} and is ignored", quote(text), section.place);
        let mut diagnostic = Diagnostic::new(Severity::Warning, Code::UnknownKey, span, message);
        if self.advised < MAX_ADVISED {
            self.advised += 1;
            diagnostic.hint = keys::advice(section, text);
        }
        self.push(diagnostic);
    }

    fn unknown_phase(&mut self, text: &str, key: NodeId) {
        let mut names = keys::PHASES;
        names.sort_unstable();
        let expected = names.join(",");
        let text = quote(text);
        let message = format!("there is no phase '{text}': the phases are install, pre_build, build and post_build");
        let mut diagnostic = Diagnostic::new(Severity::Error, Code::UnknownPhase, self.document.span(key), message)
            .with_aws(format!("Invalid buildspec phase name: {text}. Expecting: {expected}"));
        if self.advised < MAX_ADVISED {
            self.advised += 1;
            diagnostic.hint = keys::advice(&keys::PHASE_LIST, &text);
        }
        self.push(diagnostic);
    }

    /// A section below this one; `None` when the key is absent. A null section is reported and has no keys.
    pub(super) fn subsection(&mut self, fields: &Fields, name: &str, section: &'static Section) -> Option<Fields> {
        let (key, value) = fields.get(name)?;
        let path = fields.path_of(name);
        if self.document.is_null(value) {
            let message = format!("`{path}` is empty");
            self.warn(Code::EmptySection, self.document.span(key), message, "fill it in or remove it");
        }
        Some(self.section(value, section, &path))
    }

    /// Reports a value of the wrong shape. `expected`: "a list".
    pub(super) fn wrong_type(&mut self, id: NodeId, path: &str, expected: &str) {
        if self.is_tagged(id) {
            return;
        }
        let found = match &self.document.node(id).kind {
            Kind::Scalar { .. } => "text",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
        };
        let message = format!("`{path}` must be {expected}, but is {found}");
        let diagnostic = Diagnostic::new(Severity::Error, Code::WrongType, self.first_line(id), message);
        self.push(match self.document.node(id).kind {
            Kind::Mapping(_) if expected.contains("text") => {
                diagnostic.with_hint("a colon followed by a blank makes a mapping of a text: put the text into quotes")
            }
            _ => diagnostic,
        });
    }

    /// The part of a node that is on its first line: enough to point at.
    pub(super) fn first_line(&self, id: NodeId) -> Span {
        let span = self.document.span(id);
        if span.end.line == span.start.line {
            return span;
        }
        let line = self.source.line(span.start.line).unwrap_or_default();
        let length = line.chars().count();
        let mut end = span.start;
        let rest = length.saturating_sub(usize::try_from(span.start.column).unwrap_or(usize::MAX).saturating_sub(1));
        end.column = end.column.saturating_add(u32::try_from(rest).unwrap_or(0));
        end.offset = end.offset.saturating_add(rest);
        Span { start: span.start, end }
    }

    /// Text of a scalar; `None` for null and for anything else, which is reported.
    pub(super) fn text_value(&mut self, id: NodeId, path: &str) -> Option<String> {
        if self.document.is_null(id) {
            return None;
        }
        match self.document.text(id) {
            Some(text) => Some(text.to_owned()),
            None => {
                self.wrong_type(id, path, "text");
                None
            }
        }
    }

    pub(super) fn text_field(&mut self, fields: &Fields, name: &str) -> Option<String> {
        let (_, value) = fields.get(name)?;
        self.text_value(value, &fields.path_of(name))
    }

    /// A switch; null and absent count as `no`, so does what is reported.
    pub(super) fn switch_field(&mut self, fields: &Fields, name: &str) -> bool {
        self.optional_switch(fields, name).unwrap_or(false)
    }

    pub(super) fn optional_switch(&mut self, fields: &Fields, name: &str) -> Option<bool> {
        let (_, value) = fields.get(name)?;
        let path = fields.path_of(name);
        let text = self.text_value(value, &path)?;
        let read = switch(&text);
        if read.is_none() {
            let message = format!("`{path}` must be yes or no, but is '{}'", quote(&text));
            self.push(Diagnostic::new(Severity::Error, Code::YesNo, self.document.span(value), message));
        }
        read
    }

    /// A list of texts; a single text counts as a list of one, empty items are left out.
    pub(super) fn texts(&mut self, id: NodeId, path: &str) -> Vec<(String, NodeId)> {
        let document = self.document;
        if document.is_null(id) {
            return Vec::new();
        }
        match &document.node(id).kind {
            Kind::Scalar { text, .. } => vec![(text.clone(), id)],
            Kind::Sequence(items) => items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| Some((self.text_value(*item, &format!("{path}[{index}]"))?, *item)))
                .collect(),
            Kind::Mapping(_) => {
                self.wrong_type(id, path, "a list of texts");
                Vec::new()
            }
        }
    }

    pub(super) fn texts_field(&mut self, fields: &Fields, name: &str) -> Vec<String> {
        let Some((_, value)) = fields.get(name) else { return Vec::new() };
        self.texts(value, &fields.path_of(name)).into_iter().map(|(text, _)| text).collect()
    }

    /// A mapping of names to values, in the order of the file; null has none.
    pub(super) fn entries(&mut self, id: NodeId, path: &str) -> Vec<(String, NodeId, NodeId)> {
        let document = self.document;
        match &document.node(id).kind {
            Kind::Mapping(entries) => entries
                .iter()
                .map(|(key, value)| (document.text(*key).unwrap_or_default().to_owned(), *key, *value))
                .collect(),
            _ => {
                if !document.is_null(id) {
                    self.wrong_type(id, path, "a mapping of names to values");
                }
                Vec::new()
            }
        }
    }
}
