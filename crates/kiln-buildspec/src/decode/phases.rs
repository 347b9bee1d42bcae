//! `phases`: commands, runtimes, what happens on failure.

use super::{AWS_NOT_A_BUILDSPEC, Decoder, Purpose, fields::Fields};
use crate::{
    diagnostic::{Code, Diagnostic, Severity},
    display::{escape, quote},
    keys,
    model::{Command, OnFailure, OnFailureError, Phase, Phases},
    source::{Mark, Span},
    yaml::{Kind, NodeId},
};

/// Keys of steps in other tools' files.
const STEP_KEYS: [&str; 6] = ["name", "run", "script", "command", "cmd", "commands"];
/// Longest command that a hint repeats.
const MAX_SUGGESTION: usize = 160;

impl Decoder<'_> {
    pub(super) fn phases(&mut self, root_fields: &Fields, root: NodeId) -> Phases {
        let found = root_fields.get("phases");
        if found.is_none_or(|(_, value)| self.document.is_null(value)) {
            if self.needs_phases(root_fields) {
                let span = match found {
                    Some((key, _)) => self.document.span(key),
                    None => Span::point(self.document.span(root).start),
                };
                self.push(
                    Diagnostic::new(Severity::Error, Code::NotABuildspec, span, "the buildspec has no `phases`")
                        .with_aws(AWS_NOT_A_BUILDSPEC)
                        .with_hint("commands stand under phases/build/commands"),
                );
            }
            return Phases::default();
        }
        let Some(fields) = self.subsection(root_fields, "phases", &keys::PHASE_LIST) else { return Phases::default() };
        Phases {
            install: self.phase(&fields, "install"),
            pre_build: self.phase(&fields, "pre_build"),
            build: self.phase(&fields, "build"),
            post_build: self.phase(&fields, "post_build"),
        }
    }

    /// A file that only lists the builds of a batch has no phases.
    fn needs_phases(&self, root: &Fields) -> bool {
        match self.purpose {
            Purpose::Build => true,
            Purpose::Batch => false,
            Purpose::Lint => root.get("batch").is_none(),
        }
    }

    fn phase(&mut self, phases: &Fields, name: &'static str) -> Option<Phase> {
        let section = if name == "install" { &keys::INSTALL } else { &keys::PHASE };
        let fields = self.subsection(phases, name, section)?;
        Some(Phase {
            run_as: self.text_field(&fields, "run-as"),
            on_failure: self.on_failure(&fields),
            runtime_versions: if name == "install" { self.runtime_versions(&fields) } else { Vec::new() },
            commands: self.commands(&fields, "commands"),
            finally: self.commands(&fields, "finally"),
        })
    }

    fn on_failure(&mut self, fields: &Fields) -> Option<OnFailure> {
        let (_, value) = fields.get("on-failure")?;
        let text = self.text_value(value, &fields.path_of("on-failure"))?;
        match text.parse() {
            Ok(on_failure) => Some(on_failure),
            Err(error) => {
                let message = match error {
                    OnFailureError::Unknown(text) => OnFailureError::Unknown(quote(&text)),
                    OnFailureError::Count(text) => OnFailureError::Count(quote(&text)),
                    OnFailureError::Pattern(text) => OnFailureError::Pattern(quote(&text)),
                };
                let span = self.document.span(value);
                self.push(Diagnostic::new(Severity::Error, Code::OnFailure, span, message.to_string()));
                None
            }
        }
    }

    fn runtime_versions(&mut self, fields: &Fields) -> Vec<(String, String)> {
        let Some((key, value)) = fields.get("runtime-versions") else { return Vec::new() };
        let path = fields.path_of("runtime-versions");
        let entries = self.entries(value, &path);
        let mut runtimes = Vec::with_capacity(entries.len());
        for (runtime, name, version) in entries {
            let path = format!("{path}/{}", quote(&runtime));
            match self.text_value(version, &path) {
                Some(text) => runtimes.push((runtime, text)),
                None if self.document.is_null(version) => {
                    let span = self.document.span(name);
                    let message = format!("`{path}` names no version");
                    self.warn(Code::EmptySection, span, message, "write a version, such as 3.12, 18.x or latest");
                }
                None => {}
            }
        }
        if self.document.is_null(value) {
            let message = format!("`{path}` is empty");
            self.warn(
                Code::EmptySection,
                self.document.span(key),
                message,
                "name a runtime and its version, or remove it",
            );
        }
        runtimes
    }

    fn commands(&mut self, fields: &Fields, name: &str) -> Vec<Command> {
        let document = self.document;
        let Some((_, value)) = fields.get(name) else { return Vec::new() };
        let path = fields.path_of(name);
        let line = |id: NodeId| document.span(id).start.line;
        match &document.node(value).kind {
            _ if document.is_null(value) => Vec::new(),
            Kind::Scalar { text, .. } => vec![Command { text: text.clone(), line: line(value) }],
            Kind::Mapping(_) => {
                self.wrong_type(value, &path, "a list of commands");
                Vec::new()
            }
            Kind::Sequence(items) => {
                let mut commands = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    match &document.node(*item).kind {
                        Kind::Scalar { .. } if document.is_null(*item) => {
                            commands.push(Command { text: String::new(), line: line(*item) });
                        }
                        Kind::Scalar { text, .. } => {
                            commands.push(Command { text: text.clone(), line: line(*item) });
                        }
                        Kind::Mapping(entries) => self.mapping_command(*item, entries, name, &path, index),
                        Kind::Sequence(_) => self.list_command(*item, &path, index),
                    }
                }
                commands
            }
        }
    }

    /// The classic: a colon followed by a blank in a command without quotes.
    fn mapping_command(&mut self, id: NodeId, entries: &[(NodeId, NodeId)], name: &str, path: &str, index: usize) {
        if self.is_tagged(id) {
            return;
        }
        let document = self.document;
        let span = document.span(id);
        let first_key = entries.first().map(|(key, _)| *key);
        let colon = first_key.map_or(span.start, |key| document.span(key).end);
        let after = Mark { offset: colon.offset + 1, column: colon.column.saturating_add(1), ..colon };
        let message = format!("`{path}[{index}]` is read as a mapping, not as a command, because of this colon");
        let mut diagnostic =
            Diagnostic::new(Severity::Error, Code::CommandNotText, Span { start: colon, end: after }, message);
        if name == "commands" {
            let line = span.start.line;
            diagnostic = diagnostic.with_aws(format!(
                "Expected Commands[{index}] to be of string type: found subkeys instead at line {line}, value of the key \
                 tag on line {} might be empty",
                line.saturating_sub(1)
            ));
        }
        let key = first_key.and_then(|key| document.text(key)).unwrap_or_default();
        let written = self.source.slice(span).trim();
        diagnostic = if STEP_KEYS.contains(&key) {
            diagnostic
                .with_hint(format!("a command is plain text: write what stands behind `{key}:` as the item itself"))
        } else if entries.len() == 1 && !written.contains(['\n', '\r']) && written.len() <= MAX_SUGGESTION {
            diagnostic.with_hint(format!("quote the whole command: - '{}'", escape(&written.replace('\'', "''"))))
        } else {
            diagnostic.with_hint("quote the whole command, - 'echo \"a: b\"', or write it as a block after - |")
        };
        self.push(diagnostic);
    }

    fn list_command(&mut self, id: NodeId, path: &str, index: usize) {
        if self.is_tagged(id) {
            return;
        }
        let message = format!("`{path}[{index}]` is read as a list, not as a command");
        let written = self.source.slice(self.document.span(id));
        let hint = if written.starts_with('[') {
            "a command that begins with [ needs quotes: - '[ -f x ] && y'"
        } else {
            "remove the second dash, or correct the indentation"
        };
        self.push(Diagnostic::new(Severity::Error, Code::CommandNotText, self.first_line(id), message).with_hint(hint));
    }
}
