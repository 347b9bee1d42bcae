//! From tokens to a tree: libyaml's grammar as a recursive descent, anchors, tags, merge keys, budgets.

use std::collections::{HashMap, HashSet};

use super::{
    Document, Fault, Kind, MAX_DEPTH, MAX_DIRECTIVES, MAX_EXPANDED, MAX_NODES, Node, NodeId, Style,
    scanner::{Scanner, Token, TokenKind, too_deep},
};
use crate::{
    diagnostic::{Code, Diagnostic, Findings, Severity},
    display::quote,
    source::{Mark, SourceText, Span},
};

const YAML_PREFIX: &str = "tag:yaml.org,2002:";

/// What a node with all its aliases written out would take; see [`MAX_EXPANDED`].
const NODE_WEIGHT: u64 = 32;

struct Composer<'a> {
    scanner: Scanner<'a>,
    document: Document,
    /// For every node, what it takes with all aliases written out.
    weights: Vec<u64>,
    /// `None`: the node is still open, so that an alias to it would contain itself.
    anchors: HashMap<String, Option<NodeId>>,
    tag_handles: Vec<(String, String)>,
    depth: usize,
    /// Entries that merge keys added.
    merged: usize,
    remarks: &'a mut Findings,
}

/// What is in a collection, and where it ends.
type Content = Result<(Kind, Mark), Fault>;

/// Anchor and tag in front of a node.
#[derive(Default)]
struct Properties {
    anchor: Option<String>,
    tag: Option<Box<str>>,
}

pub(super) fn compose(source: &SourceText, remarks: &mut Findings) -> Result<Document, Fault> {
    let mut composer = Composer {
        scanner: Scanner::new(source.as_str()),
        document: Document::default(),
        weights: Vec::new(),
        anchors: HashMap::new(),
        tag_handles: Vec::new(),
        depth: 0,
        merged: 0,
        remarks,
    };
    composer.stream()?;
    Ok(composer.document)
}

fn syntax<T>(problem: &'static str, at: Mark, context: &'static str, context_at: Mark) -> Result<T, Fault> {
    let context_at = (!context.is_empty()).then_some(context_at);
    Err(Fault::Syntax { problem, at, context, context_at })
}

impl Composer<'_> {
    fn peek(&mut self) -> Result<&mut Token, Fault> {
        self.scanner.peek()
    }

    /// Takes the next token if it is of this kind.
    fn accept(&mut self, kind: &TokenKind) -> Result<Option<Token>, Fault> {
        let token = self.peek()?;
        if token.kind != *kind {
            return Ok(None);
        }
        let token = token.clone();
        self.scanner.skip();
        Ok(Some(token))
    }

    /// True when the next token is one of these; for kinds without content.
    fn next_is(&mut self, kinds: &[TokenKind]) -> Result<bool, Fault> {
        let token = self.peek()?;
        Ok(kinds.contains(&token.kind))
    }

    fn stream(&mut self) -> Result<(), Fault> {
        self.accept(&TokenKind::StreamStart)?;
        let explicit = self.directives()?;
        if !explicit && self.next_is(&[TokenKind::StreamEnd])? {
            return Ok(());
        }
        let next = self.peek()?;
        let at = next.start;
        let bare = matches!(
            next.kind,
            TokenKind::DocumentStart
                | TokenKind::DocumentEnd
                | TokenKind::StreamEnd
                | TokenKind::VersionDirective(..)
                | TokenKind::TagDirective { .. }
        );
        let root = if explicit && bare { self.empty(at)? } else { self.node(true, false)? };
        self.document.root = Some(root);
        self.accept(&TokenKind::DocumentEnd)?;
        // The service reads one document and looks no further, whatever follows.
        let ignored = match self.peek() {
            Ok(more) if matches!(more.kind, TokenKind::StreamEnd | TokenKind::DocumentEnd) => None,
            Ok(more) => Some(Span { start: more.start, end: more.end }),
            Err(_) => Some(Span::point(self.scanner.mark)),
        };
        if let Some(span) = ignored {
            let message = "the buildspec ends before this; what follows is ignored";
            self.remarks.push(
                Diagnostic::new(Severity::Warning, Code::MultipleDocuments, span, message)
                    .with_hint("a buildspec is one YAML document: remove this line, or what follows"),
            );
        }
        Ok(())
    }

    /// Reads directives and `---`. Returns whether `---` was there.
    fn directives(&mut self) -> Result<bool, Fault> {
        let mut version_seen = false;
        let mut any = false;
        loop {
            let token = self.peek()?;
            let start = token.start;
            match &mut token.kind {
                TokenKind::VersionDirective(major, minor) => {
                    if version_seen {
                        return syntax("found duplicate %YAML directive", start, "", start);
                    }
                    if *major != 1 || !matches!(minor, 1 | 2) {
                        return syntax("found incompatible YAML document", start, "", start);
                    }
                    version_seen = true;
                }
                TokenKind::TagDirective { handle, prefix } => {
                    let directive = (std::mem::take(handle), std::mem::take(prefix));
                    if self.tag_handles.iter().any(|(handle, _)| *handle == directive.0) {
                        return syntax("found duplicate %TAG directive", start, "", start);
                    }
                    if self.tag_handles.len() == MAX_DIRECTIVES {
                        let message = format!("the document has more than {MAX_DIRECTIVES} %TAG directives");
                        return Err(Fault::limit(Code::YamlTooBig, start, message));
                    }
                    self.tag_handles.push(directive);
                }
                TokenKind::DocumentStart => {
                    self.scanner.skip();
                    self.default_handles();
                    return Ok(true);
                }
                _ if any => return syntax("did not find expected <document start>", start, "", start),
                _ => {
                    self.default_handles();
                    return Ok(false);
                }
            }
            any = true;
            self.scanner.skip();
        }
    }

    fn default_handles(&mut self) {
        for (handle, prefix) in [("!", "!"), ("!!", YAML_PREFIX)] {
            if !self.tag_handles.iter().any(|(h, _)| h == handle) {
                self.tag_handles.push((handle.to_owned(), prefix.to_owned()));
            }
        }
    }

    // Nodes.

    fn add(&mut self, kind: Kind, tag: Option<Box<str>>, span: Span, weight: u64) -> Result<NodeId, Fault> {
        let id = u32::try_from(self.document.nodes.len()).unwrap_or(u32::MAX);
        if self.document.nodes.len() + self.merged >= MAX_NODES {
            let message = format!("the document has more than {MAX_NODES} values");
            return Err(Fault::limit(Code::YamlTooBig, span.start, message));
        }
        let weight = weight.saturating_add(NODE_WEIGHT);
        if weight > MAX_EXPANDED {
            let message = format!("with its aliases written out, the document has more than {MAX_EXPANDED} bytes");
            return Err(Fault::limit(Code::YamlTooBig, span.start, message));
        }
        self.document.nodes.push(Node { kind, tag, span });
        self.weights.push(weight);
        Ok(NodeId(id))
    }

    fn weight(&self, id: NodeId) -> u64 {
        usize::try_from(id.0).ok().and_then(|index| self.weights.get(index)).copied().unwrap_or_default()
    }

    fn scalar(&mut self, text: String, style: Style, tag: Option<Box<str>>, span: Span) -> Result<NodeId, Fault> {
        let weight = u64::try_from(text.len()).unwrap_or(u64::MAX);
        self.add(Kind::Scalar { text, style }, tag, span, weight)
    }

    fn empty(&mut self, at: Mark) -> Result<NodeId, Fault> {
        self.scalar(String::new(), Style::Plain, None, Span::point(at))
    }

    /// Reads a node. `block`: block collections may stand here; `indentless`: also a list that is not indented deeper than
    /// its key.
    fn node(&mut self, block: bool, indentless: bool) -> Result<NodeId, Fault> {
        if let TokenKind::Alias(name) = &self.peek()?.kind {
            let name = name.clone();
            return self.alias(&name);
        }
        let first = self.peek()?.start;
        let (properties, end) = self.properties(first)?;
        let anchor = properties.anchor.clone();
        if let Some(name) = &anchor {
            self.anchors.insert(name.clone(), None);
        }
        let id = self.content(block, indentless, properties, Span { start: first, end })?;
        if let Some(name) = anchor {
            self.anchors.insert(name, Some(id));
        }
        Ok(id)
    }

    fn alias(&mut self, name: &str) -> Result<NodeId, Fault> {
        let token = self.peek()?.clone();
        self.scanner.skip();
        let span = Span { start: token.start, end: token.end };
        let refuse = |message: String| {
            let hint = "a text that begins with * needs quotes: '**/*'";
            Fault::Other(Box::new(
                Diagnostic::new(Severity::Error, Code::YamlAlias, span, message.clone())
                    .with_aws(message)
                    .with_hint(hint),
            ))
        };
        let known = self.anchors.get(name);
        let name = quote(name);
        match known {
            Some(Some(id)) => Ok(*id),
            Some(None) => Err(refuse(format!("anchor '{name}' value contains itself"))),
            None => Err(refuse(format!("unknown anchor '{name}' referenced"))),
        }
    }

    /// Returns the properties and where they end.
    fn properties(&mut self, start: Mark) -> Result<(Properties, Mark), Fault> {
        let mut properties = Properties::default();
        let mut end = start;
        let mut tag = None;
        for _ in 0..2 {
            let token = self.peek()?;
            let (token_start, token_end) = (token.start, token.end);
            match &mut token.kind {
                TokenKind::Anchor(name) if properties.anchor.is_none() => {
                    properties.anchor = Some(std::mem::take(name));
                }
                TokenKind::Tag { handle, suffix } if tag.is_none() => {
                    tag = Some((std::mem::take(handle), std::mem::take(suffix), token_start));
                }
                _ => break,
            }
            end = token_end;
            self.scanner.skip();
        }
        if let Some((handle, suffix, at)) = tag {
            let prefix = if handle.is_empty() {
                ""
            } else {
                match self.tag_handles.iter().find(|(h, _)| *h == handle) {
                    Some((_, prefix)) => prefix,
                    None => return syntax("found undefined tag handle", at, "while parsing a node", start),
                }
            };
            properties.tag = Some(format!("{prefix}{suffix}").into_boxed_str());
        }
        Ok((properties, end))
    }

    fn content(
        &mut self,
        block: bool,
        indentless: bool,
        properties: Properties,
        before: Span,
    ) -> Result<NodeId, Fault> {
        let tag = properties.tag;
        let has_properties = properties.anchor.is_some() || tag.is_some();
        let token = self.peek()?;
        let (start, end) = (token.start, token.end);
        match &mut token.kind {
            TokenKind::BlockEntry if indentless => self.collection(before.start, tag, start, Self::indentless_sequence),
            TokenKind::Scalar { text, style } => {
                let (text, style) = (std::mem::take(text), *style);
                self.scanner.skip();
                self.scalar(text, style, tag, Span { start, end })
            }
            TokenKind::FlowSequenceStart => self.collection(before.start, tag, start, Self::flow_sequence),
            TokenKind::FlowMappingStart => self.collection(before.start, tag, start, Self::flow_mapping),
            TokenKind::BlockSequenceStart if block => self.collection(before.start, tag, start, Self::block_sequence),
            TokenKind::BlockMappingStart if block => self.collection(before.start, tag, start, Self::block_mapping),
            _ if has_properties => self.scalar(String::new(), Style::Plain, tag, before),
            _ => {
                let context = if block { "while parsing a block node" } else { "while parsing a flow node" };
                syntax("did not find expected node content", start, context, before.start)
            }
        }
    }

    /// Reads a collection whose first token is next; `read` returns what is in it and where it ends.
    fn collection(
        &mut self,
        start: Mark,
        tag: Option<Box<str>>,
        first: Mark,
        read: fn(&mut Self, Mark) -> Content,
    ) -> Result<NodeId, Fault> {
        if self.depth >= MAX_DEPTH {
            return Err(too_deep(first));
        }
        self.depth += 1;
        let end_of_text = self.scanner.text.len();
        let (kind, end) = read(self, first).map_err(|fault| match fault {
            // What is missing at the end of the text is missed where the collection begins.
            Fault::Syntax { problem, at, context, context_at }
                if at.offset >= end_of_text && context_at.is_none_or(|at| at.offset >= end_of_text) =>
            {
                Fault::Syntax { problem, at, context, context_at: Some(first) }
            }
            fault => fault,
        })?;
        self.depth -= 1;
        let weight = match &kind {
            Kind::Scalar { .. } => 0,
            Kind::Sequence(items) => items.iter().fold(0u64, |sum, id| sum.saturating_add(self.weight(*id))),
            Kind::Mapping(entries) => entries
                .iter()
                .fold(0u64, |sum, (k, v)| sum.saturating_add(self.weight(*k)).saturating_add(self.weight(*v))),
        };
        self.add(kind, tag, Span { start, end }, weight)
    }

    fn indentless_sequence(&mut self, first: Mark) -> Content {
        let mut items = Vec::new();
        let mut end = first;
        while let Some(dash) = self.accept(&TokenKind::BlockEntry)? {
            let next = [TokenKind::BlockEntry, TokenKind::Key, TokenKind::Value, TokenKind::BlockEnd];
            let item = if self.next_is(&next)? { self.empty(dash.end)? } else { self.node(true, false)? };
            end = self.document.span(item).end.max(dash.end);
            items.push(item);
        }
        Ok((Kind::Sequence(items), end))
    }

    fn block_sequence(&mut self, first: Mark) -> Content {
        self.scanner.skip();
        let mut items = Vec::new();
        let mut end = first;
        loop {
            if let Some(dash) = self.accept(&TokenKind::BlockEntry)? {
                let next = [TokenKind::BlockEntry, TokenKind::BlockEnd];
                let item = if self.next_is(&next)? { self.empty(dash.end)? } else { self.node(true, false)? };
                end = self.document.span(item).end.max(dash.end);
                items.push(item);
            } else if self.accept(&TokenKind::BlockEnd)?.is_some() {
                return Ok((Kind::Sequence(items), end));
            } else {
                let at = self.peek()?.start;
                return syntax("did not find expected '-' indicator", at, "while parsing a block collection", first);
            }
        }
    }

    fn block_mapping(&mut self, first: Mark) -> Content {
        let next = [TokenKind::Key, TokenKind::Value, TokenKind::BlockEnd];
        self.scanner.skip();
        let mut entries = Vec::new();
        let mut end = first;
        loop {
            let key = if let Some(question) = self.accept(&TokenKind::Key)? {
                if self.next_is(&next)? { self.empty(question.end)? } else { self.node(true, true)? }
            } else if self.accept(&TokenKind::BlockEnd)?.is_some() {
                let entries = self.entries(entries)?;
                return Ok((Kind::Mapping(entries), end));
            } else {
                let at = self.peek()?.start;
                return syntax("did not find expected key", at, "while parsing a block mapping", first);
            };
            let value = if let Some(colon) = self.accept(&TokenKind::Value)? {
                if self.next_is(&next)? { self.empty(colon.end)? } else { self.node(true, true)? }
            } else {
                let at = self.peek()?.start;
                self.empty(at)?
            };
            end = self.document.span(value).end.max(self.document.span(key).end);
            entries.push((key, value));
        }
    }

    fn flow_sequence(&mut self, first: Mark) -> Content {
        self.scanner.skip();
        let mut items = Vec::new();
        loop {
            if let Some(bracket) = self.accept(&TokenKind::FlowSequenceEnd)? {
                return Ok((Kind::Sequence(items), bracket.end));
            }
            if !items.is_empty() {
                if self.accept(&TokenKind::FlowEntry)?.is_none() {
                    let at = self.peek()?.start;
                    return syntax("did not find expected ',' or ']'", at, "while parsing a flow sequence", first);
                }
                if let Some(bracket) = self.accept(&TokenKind::FlowSequenceEnd)? {
                    return Ok((Kind::Sequence(items), bracket.end));
                }
            }
            let item = match self.accept(&TokenKind::Key)? {
                Some(key) => self.collection(key.start, None, key.start, Self::flow_pair)?,
                None => self.node(false, false)?,
            };
            items.push(item);
        }
    }

    /// `a: b` as an item of a flow sequence: a mapping of one entry. Its key token is taken already.
    fn flow_pair(&mut self, first: Mark) -> Content {
        let end = [TokenKind::FlowEntry, TokenKind::FlowSequenceEnd];
        let key = if self.next_is(&[TokenKind::Value, TokenKind::FlowEntry, TokenKind::FlowSequenceEnd])? {
            // libyaml takes this token too, so that `[? : b]` is an error; the service's library does the same.
            self.scanner.skip();
            self.empty(first)?
        } else {
            self.node(false, false)?
        };
        let colon = self.accept(&TokenKind::Value)?;
        let value = if colon.is_some() && !self.next_is(&end)? {
            self.node(false, false)?
        } else {
            let at = self.peek()?.start;
            self.empty(at)?
        };
        let end = self.document.span(value).end;
        let entries = self.entries(vec![(key, value)])?;
        Ok((Kind::Mapping(entries), end))
    }

    fn flow_mapping(&mut self, first: Mark) -> Content {
        let next = [TokenKind::FlowEntry, TokenKind::FlowMappingEnd];
        self.scanner.skip();
        let mut entries = Vec::new();
        let end = loop {
            if let Some(brace) = self.accept(&TokenKind::FlowMappingEnd)? {
                break brace.end;
            }
            if !entries.is_empty() {
                if self.accept(&TokenKind::FlowEntry)?.is_none() {
                    let at = self.peek()?.start;
                    return syntax("did not find expected ',' or '}'", at, "while parsing a flow mapping", first);
                }
                if let Some(brace) = self.accept(&TokenKind::FlowMappingEnd)? {
                    break brace.end;
                }
            }
            let explicit = self.accept(&TokenKind::Key)?.is_some();
            let empty_key =
                explicit && self.next_is(&[TokenKind::Value, TokenKind::FlowEntry, TokenKind::FlowMappingEnd])?;
            let key = if empty_key {
                let at = self.peek()?.start;
                self.empty(at)?
            } else {
                self.node(false, false)?
            };
            let colon = explicit && self.accept(&TokenKind::Value)?.is_some();
            let value = if colon && !self.next_is(&next)? {
                self.node(false, false)?
            } else {
                let at = self.peek()?.start;
                self.empty(at)?
            };
            entries.push((key, value));
        };
        let entries = self.entries(entries)?;
        Ok((Kind::Mapping(entries), end))
    }

    // Mappings.

    /// Resolves merge keys, then keeps the last of equal keys, where the first one stood.
    fn entries(&mut self, written: Vec<(NodeId, NodeId)>) -> Result<Vec<(NodeId, NodeId)>, Fault> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut entries: Vec<(NodeId, NodeId)> = Vec::with_capacity(written.len());
        let mut merges = Vec::new();
        let mut remarks = Vec::new();
        for (key, value) in written {
            if self.is_merge_key(key) {
                merges.push((key, value));
                continue;
            }
            let Some(text) = self.document.text(key) else {
                let message = "the key of a mapping must be text, not a list or another mapping";
                let diagnostic = Diagnostic::new(Severity::Error, Code::YamlKey, self.document.span(key), message)
                    .with_hint("a text that begins with [ or { needs quotes");
                return Err(Fault::Other(Box::new(diagnostic)));
            };
            match places.get(text) {
                Some(place) => {
                    let first = entries.get(*place).map_or(0, |(k, _)| self.document.span(*k).start.line);
                    let text = quote(text);
                    let message = format!("the key '{text}' is already written on line {first}; this one replaces it");
                    let span = self.document.span(key);
                    remarks.push(
                        Diagnostic::new(Severity::Warning, Code::DuplicateKey, span, message)
                            .with_hint("keep one of the two, or put both contents under one key"),
                    );
                    if let Some(entry) = entries.get_mut(*place) {
                        *entry = (key, value);
                    }
                }
                None => {
                    places.insert(text, entries.len());
                    entries.push((key, value));
                }
            }
        }
        if merges.is_empty() {
            self.remarks.extend(remarks);
            return Ok(entries);
        }
        // What is written in the mapping itself wins over what is merged, and of several merged mappings the first.
        let mut known: HashSet<&str> = places.into_keys().collect();
        let mut merged = 0;
        for (key, value) in merges {
            for source in self.merge_sources(key, value)? {
                let Kind::Mapping(from) = &self.document.node(source).kind else { continue };
                // What is looked at counts, not what is taken: else repeated merges of one mapping cost time for nothing.
                merged += from.len();
                if self.document.nodes.len() + self.merged + merged > MAX_NODES {
                    let message =
                        format!("with its merge keys resolved, the document has more than {MAX_NODES} values");
                    return Err(Fault::limit(Code::YamlTooBig, self.document.span(key).start, message));
                }
                entries
                    .extend(from.iter().filter(|(k, _)| self.document.text(*k).is_some_and(|text| known.insert(text))));
            }
        }
        self.merged += merged;
        self.remarks.extend(remarks);
        Ok(entries)
    }

    fn is_merge_key(&self, key: NodeId) -> bool {
        let node = self.document.node(key);
        let merge_tag = node.tag.as_deref().is_none_or(|tag| tag == "tag:yaml.org,2002:merge");
        merge_tag && matches!(&node.kind, Kind::Scalar { text, style: Style::Plain } if text == "<<")
    }

    fn merge_sources(&self, key: NodeId, value: NodeId) -> Result<Vec<NodeId>, Fault> {
        let is_mapping = |id: NodeId| matches!(self.document.node(id).kind, Kind::Mapping(_));
        let sources = match &self.document.node(value).kind {
            Kind::Mapping(_) => vec![value],
            Kind::Sequence(items) => items.clone(),
            Kind::Scalar { .. } => Vec::new(),
        };
        if sources.is_empty() || !sources.iter().all(|id| is_mapping(*id)) {
            let message = "map merge requires map or sequence of maps as the value";
            let diagnostic = Diagnostic::new(Severity::Error, Code::YamlKey, self.document.span(key), message)
                .with_aws(message)
                .with_hint("the merge key << takes an alias of a mapping: <<: *name");
            return Err(Fault::Other(Box::new(diagnostic)));
        }
        Ok(sources)
    }
}
