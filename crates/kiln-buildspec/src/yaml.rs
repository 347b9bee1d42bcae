//! YAML as the service reads it: libyaml's grammar and error texts, composed to a tree with places.
//!
//! # Why a parser of our own
//! The service uses a port of libyaml, and its error texts are shown to users, so what is accepted (tabs between the
//! tokens of a JSON buildspec), what is refused and in which words has to be libyaml's. Three crates were tried:
//!
//! - `libyaml-safer` 0.3.0, a port: same words, same grammar, but it panics on four short texts, among them every
//!   document that ends inside a block scalar without a line break (`a: |\n  b`), which many buildspecs do; 80,000
//!   `%TAG` lines (1.2 MB) took it 11.7 s.
//! - `saphyr-parser` 0.3.3: YAML 1.2. It refuses `"version"<TAB>: 0.2`, accepts `- && x` (libyaml: an anchor without a
//!   name) and has words of its own; a list of 524,288 items took 353 ms (libyaml-safer: 80 ms).
//! - `serde-saphyr`: built on the former.
//!
//! A buildspec needs one document, no streaming and no emitter. So [`scanner`] has libyaml's token rules over a `&str`,
//! and [`compose`] its grammar as a recursive descent with a bounded depth; neither can index out of bounds, and both
//! stop at the budgets below. The tests compare with `libyaml-safer` on generated documents.

mod compose;
mod properties;
mod scalar;
mod scanner;
#[cfg(test)]
mod tests;

use crate::{
    diagnostic::{Code, Diagnostic, Findings, Severity},
    source::{Mark, SourceText, Span},
};

/// Deepest nesting of lists and mappings. A buildspec has less than ten levels.
pub(crate) const MAX_DEPTH: usize = 100;
/// Most nodes: scalars, lists and mappings, and entries that merge keys add. The largest public buildspec has 4,000.
pub(crate) const MAX_NODES: usize = 50_000;
/// Bound on the document with all aliases written out: bytes of text plus 32 for each node. No document without aliases
/// reaches it (1 MiB of text in 50,000 nodes).
pub(crate) const MAX_EXPANDED: u64 = 4 << 20;
/// Most `%TAG` directives; each is compared with all others.
pub(crate) const MAX_DIRECTIVES: usize = 32;

/// A node of a [`Document`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(u32);

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
    Folded,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// The text is what libyaml delivers: escapes and folding done, nothing resolved to a number or a truth value.
    Scalar {
        text: String,
        style: Style,
    },
    Sequence(Vec<NodeId>),
    /// Merge keys are resolved and of equal keys only the last is left.
    Mapping(Vec<(NodeId, NodeId)>),
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Resolved tag, e.g. `!Ref` or `tag:yaml.org,2002:str`.
    pub(crate) tag: Option<Box<str>>,
    pub(crate) span: Span,
}

/// The first document of a stream, as a tree (with aliases, a graph without cycles).
#[derive(Debug, Default)]
pub(crate) struct Document {
    nodes: Vec<Node>,
    root: Option<NodeId>,
}

impl Document {
    /// `None`: the stream has no document.
    pub(crate) fn root(&self) -> Option<NodeId> {
        self.root
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        // Ids are only made by the composer of the same document, from positions in this list.
        static NOTHING: Node =
            Node { kind: Kind::Sequence(Vec::new()), tag: None, span: Span { start: Mark::START, end: Mark::START } };
        usize::try_from(id.0).ok().and_then(|index| self.nodes.get(index)).unwrap_or(&NOTHING)
    }

    /// Every tag that is written, in the order of the text.
    pub(crate) fn tags(&self) -> Vec<(&str, Span)> {
        let mut tags: Vec<(&str, Span)> =
            self.nodes.iter().filter_map(|node| Some((node.tag.as_deref()?, node.span))).collect();
        tags.sort_by_key(|(_, span)| span.start);
        tags
    }

    /// Text of a scalar.
    pub(crate) fn text(&self, id: NodeId) -> Option<&str> {
        match &self.node(id).kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    pub(crate) fn span(&self, id: NodeId) -> Span {
        self.node(id).span
    }

    /// True for a value that is not there: nothing, `~` or `null`, written plainly and without tag.
    pub(crate) fn is_null(&self, id: NodeId) -> bool {
        let node = self.node(id);
        node.tag.is_none()
            && matches!(&node.kind, Kind::Scalar { text, style: Style::Plain }
                if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// Reads the first document. What is remarkable but no error (duplicate keys, more documents) goes into `remarks`.
///
/// # Errors
/// The first thing that is not YAML, or exceeds a budget.
pub(crate) fn parse(source: &SourceText, remarks: &mut Findings) -> Result<Document, Box<Diagnostic>> {
    compose::compose(source, remarks).map_err(|fault| Box::new(fault.into_diagnostic(source)))
}

/// Why a text could not be composed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// libyaml's own error.
    Syntax { problem: &'static str, at: Mark, context: &'static str, context_at: Option<Mark> },
    /// Not an error of the grammar.
    Other(Box<Diagnostic>),
}

impl Fault {
    pub(crate) fn limit(code: Code, at: Mark, message: impl Into<String>) -> Self {
        Self::Other(Box::new(Diagnostic::new(Severity::Error, code, Span::point(at), message)))
    }

    fn into_diagnostic(self, source: &SourceText) -> Diagnostic {
        let (problem, at, context, context_at) = match self {
            Self::Other(diagnostic) => return *diagnostic,
            Self::Syntax { problem, at, context, context_at } => (problem, at, context, context_at),
        };
        // The service counts lines from 0 here: a tab on line 4 is "at line 3" (awsdocs/aws-codebuild-user-guide
        // pull request 25), likewise aws-samples/bedrock-chat issue 441 and boundless-xyz/boundless pull request 667.
        let aws = format!("{problem} at line {}", at.line.saturating_sub(1));
        // What is wrong with an unclosed quote and with a key without colon is where it begins.
        let from_start = matches!(context, "while scanning a quoted scalar" | "while scanning a simple key");
        let place = if from_start || at.offset >= source.as_str().len() { context_at.unwrap_or(at) } else { at };
        // At the end of the text libyaml moves to a line that does not exist.
        let place = if place.offset >= source.as_str().len() { source.mark_at(source.as_str().len()) } else { place };
        let message = if context.is_empty() { problem.to_owned() } else { format!("{problem} {context}") };
        let mut diagnostic =
            Diagnostic::new(Severity::Error, Code::YamlSyntax, Span::point(place), message).with_aws(aws);
        diagnostic.hint = syntax_hint(problem, context, source, place).map(str::to_owned);
        diagnostic
    }
}

/// What usually is behind an error of the grammar (`buildspec.md` 1.12, `buildspecs-in-the-wild.md` 3.2).
fn syntax_hint(problem: &str, context: &str, source: &SourceText, at: Mark) -> Option<&'static str> {
    let line = source.line(at.line).unwrap_or_default();
    let here = source.as_str().get(at.offset..).and_then(|rest| rest.chars().next());
    let item = line.trim_start().starts_with("- ");
    let jinja = line.contains("{{") || line.contains("{%");
    Some(match problem {
        "mapping values are not allowed in this context" if item => {
            "a colon followed by a blank makes a mapping of the command: quote the whole command, - 'echo \"a: b\"'"
        }
        "mapping values are not allowed in this context" => {
            "check the indentation of this line and the one before; a command of several lines begins with - |, a text with a \
             colon and a blank in it needs quotes"
        }
        "found character that cannot start any token" => match here {
            Some('\t') => "indent with spaces: YAML allows no tabs there",
            _ => "a text that begins with this character needs quotes",
        },
        "found a tab character that violates indentation"
        | "found a tab character where an indentation space is expected" => {
            "indent with spaces: YAML allows no tabs there"
        }
        "did not find expected alphabetic or numeric character" if context == "while scanning an alias" => {
            "a text that begins with * needs quotes: '**/*'"
        }
        "did not find expected alphabetic or numeric character" => "a text that begins with & needs quotes",
        "did not find expected ',' or ']'" | "did not find expected ',' or '}'" if jinja => {
            "a template's placeholder is left in the file; a text that begins with [ or { needs quotes"
        }
        "did not find expected ',' or ']'" | "did not find expected ',' or '}'" => {
            "close the bracket that is opened before; a text that begins with [ or { needs quotes"
        }
        "did not find expected key" if line.contains('"') || line.contains('\'') => {
            "a text that begins with a quote ends at the next one: quote the whole text, or check the indentation"
        }
        "did not find expected key" | "did not find expected '-' indicator" => {
            "check the indentation: entries of one list or mapping begin in the same column"
        }
        "could not find expected ':'" => {
            "this line stands outside of the block above it: indent it; if it is a key, a colon is missing"
        }
        "found unexpected end of stream" => "the quote that opens here is never closed",
        "found unknown escape character" => {
            "in double quotes a backslash begins an escape: double it, or use single quotes"
        }
        "did not find expected node content" => {
            "check the commas and brackets; a text that begins with one needs quotes"
        }
        "block sequence entries are not allowed in this context" => "begin a list on a line of its own, below its key",
        "found undefined tag handle" | "did not find expected whitespace or line break" => {
            "a text that begins with ! needs quotes"
        }
        _ => return None,
    })
}
