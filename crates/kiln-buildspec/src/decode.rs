//! From the YAML tree to the typed buildspec, with everything that is wrong on the way.
//!
//! What public buildspecs show the service to accept is accepted (`buildspecs-in-the-wild.md` 3.2: a single string for a
//! list, empty sections, empty commands). Where its behaviour is not known, a shape that has one sensible reading is
//! accepted with a warning and any other is an error: a buildspec that AWS runs must run here.

mod batch;
mod env;
mod fields;
mod files;
mod phases;

use crate::{
    diagnostic::{Code, Diagnostic, Findings, Severity},
    display::quote,
    keys,
    model::{Buildspec, Version},
    source::{SourceText, Span},
    yaml::{Document, Kind, NodeId, Style},
};

/// Keys that a section does not know: the service goes on and names them in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKeys {
    /// The section as the service names it: `artifacts`, `env`, …, a phase in capitals (`PRE_BUILD`).
    pub section: String,
    /// The keys, in the order of the file.
    pub keys: Vec<String>,
}

/// What the buildspec is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A single build: `phases` is needed, `batch` is ignored.
    Build,
    /// A batch build: `batch` is needed.
    Batch,
    /// Neither yet.
    Lint,
}

/// What is shown for a file that is no buildspec: "reads as if it fell back to the 0.0 schema"
/// (`buildspecs-in-the-wild.md` 3.1).
const AWS_NOT_A_BUILDSPEC: &str = "wrong number of container tags, expected 1";

/// The error for a buildspec of which nothing can be used.
pub(crate) fn unusable() -> Diagnostic {
    Diagnostic::new(Severity::Error, Code::NotABuildspec, Span::START, "the buildspec cannot be used")
        .with_aws(AWS_NOT_A_BUILDSPEC)
}

pub(crate) struct Decoder<'a> {
    source: &'a SourceText,
    document: &'a Document,
    purpose: Purpose,
    pub(crate) findings: Findings,
    /// Unknown keys for which a suggestion was sought; that is not free.
    advised: usize,
    pub(crate) unknown_keys: Vec<UnknownKeys>,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(source: &'a SourceText, document: &'a Document, purpose: Purpose) -> Self {
        Self { source, document, purpose, findings: Findings::default(), advised: 0, unknown_keys: Vec::new() }
    }

    /// Reads the document. The result can be used only when no error was found.
    pub(crate) fn buildspec(&mut self) -> Option<Buildspec> {
        let root = self.document.root().filter(|root| !self.document.is_null(*root));
        let Some(root) = root else {
            self.not_a_buildspec(Span::START, "the buildspec is empty");
            return None;
        };
        if !matches!(self.document.node(root).kind, Kind::Mapping(_)) {
            let span = self.document.span(root);
            self.not_a_buildspec(span, "the buildspec is not a mapping of `version`, `phases` and so on");
            return None;
        }
        self.tags();
        let fields = self.section(root, &keys::ROOT, "");
        let version = self.version(&fields, root);
        let env = self.env(&fields, version);
        let spec = Buildspec {
            version: version.unwrap_or(Version::V0_2),
            run_as: self.text_field(&fields, "run-as"),
            env,
            proxy: self.proxy(&fields),
            batch: self.batch(&fields),
            phases: self.phases(&fields, root),
            reports: self.reports(&fields),
            artifacts: self.artifacts(&fields),
            cache: self.cache(&fields),
        };
        version.is_some().then_some(spec)
    }

    fn not_a_buildspec(&mut self, span: Span, message: &str) {
        self.push(
            Diagnostic::new(Severity::Error, Code::NotABuildspec, span, message)
                .with_aws(AWS_NOT_A_BUILDSPEC)
                .with_hint("a buildspec begins with `version: 0.2` and has `phases`"),
        );
    }

    fn version(&mut self, fields: &fields::Fields, root: NodeId) -> Option<Version> {
        let Some((key, value)) = fields.get("version") else {
            self.push(
                Diagnostic::new(
                    Severity::Error,
                    Code::NotABuildspec,
                    Span::point(self.document.span(root).start),
                    "the buildspec has no `version`",
                )
                .with_aws(AWS_NOT_A_BUILDSPEC)
                .with_hint("begin the file with `version: 0.2`"),
            );
            return None;
        };
        let Kind::Scalar { text, style } = &self.document.node(value).kind else {
            self.wrong_type(value, "version", "0.2");
            return None;
        };
        let span = if self.document.is_null(value) { self.document.span(key) } else { self.document.span(value) };
        if *style != Style::Plain && fields.get("batch").is_some() && self.purpose != Purpose::Build {
            self.push(
                Diagnostic::new(
                    Severity::Warning,
                    Code::QuotedVersion,
                    span,
                    "AWS refuses a batch build whose version is a quoted string",
                )
                .with_aws(format!("cannot unmarshal !!str `{}` into float64", quote(text)))
                .with_hint("write version: 0.2 without quotes"),
            );
        }
        // A number, as YAML would read it: 0.20 is 0.2.
        match text.trim().parse::<f64>() {
            Ok(0.1) => Some(Version::V0_1),
            Ok(0.2) => Some(Version::V0_2),
            number => {
                let message = format!("version '{}' does not exist: there are 0.1 and 0.2", quote(text));
                let mut diagnostic = Diagnostic::new(Severity::Error, Code::UnsupportedVersion, span, message)
                    .with_hint("write version: 0.2");
                if self.document.is_null(value) || number == Ok(0.0) {
                    diagnostic = diagnostic.with_aws(AWS_NOT_A_BUILDSPEC);
                }
                self.push(diagnostic);
                None
            }
        }
    }

    fn tags(&mut self) {
        for (tag, span) in self.document.tags() {
            if is_core_tag(tag) {
                continue;
            }
            let function = CLOUDFORMATION_FUNCTIONS.iter().find(|function| tag.strip_prefix('!') == Some(**function));
            let shown = quote(tag);
            let diagnostic = match function {
                Some(_) => {
                    // The file may be meant to pass through CloudFormation first; for a build it is too late for that.
                    let severity = if self.purpose == Purpose::Lint { Severity::Hint } else { Severity::Error };
                    let message = format!("the CloudFormation function {shown} means nothing in a buildspec");
                    Diagnostic::new(severity, Code::CloudFormationTag, span, message).with_hint(
                        "it works only in the template, outside of the buildspec's text (Fn::Sub around the whole text)",
                    )
                }
                None => {
                    let message = format!("the tag {shown} means nothing in a buildspec");
                    Diagnostic::new(Severity::Error, Code::YamlTag, span, message)
                        .with_hint("a text that begins with ! needs quotes")
                }
            };
            self.push(diagnostic);
        }
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.findings.push(diagnostic);
    }

    fn warn(&mut self, code: Code, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Diagnostic::new(Severity::Warning, code, span, message).with_hint(hint));
    }

    /// True for a node whose tag is reported already, so that its shape is of no interest.
    fn is_tagged(&self, id: NodeId) -> bool {
        self.document.node(id).tag.as_deref().is_some_and(|tag| !is_core_tag(tag))
    }
}

/// CloudFormation's short forms.
const CLOUDFORMATION_FUNCTIONS: &[&str] = &[
    "And",
    "Base64",
    "Cidr",
    "Condition",
    "Equals",
    "FindInMap",
    "GetAtt",
    "GetAZs",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "Ref",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
];

/// Tags that say what a plain value would be read as anyway. (Binary is not among them: it would need decoding.)
fn is_core_tag(tag: &str) -> bool {
    let core = ["str", "int", "float", "bool", "null", "seq", "map", "timestamp", "merge"];
    tag == "!" || tag.strip_prefix("tag:yaml.org,2002:").is_some_and(|name| core.contains(&name))
}
