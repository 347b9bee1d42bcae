//! What there is to say about a buildspec, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::source::Span;

/// How much a diagnostic matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The buildspec cannot be run.
    Error,
    /// It runs, but part of it is ignored or does not do what it says.
    Warning,
    /// It runs; something about it is likely to surprise.
    Hint,
}

impl Severity {
    /// The word that is shown: `error`, `warning` or `hint`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Hint => "hint",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A place in a buildspec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in characters (Unicode scalar values).
    pub column: u32,
}

/// One remark on a buildspec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// Stable name of the kind of remark.
    pub code: Code,
    /// What is wrong, as a sentence without a full stop. Quotations of the file in it are cut, and their control characters
    /// are escaped, here as in the hint and in AWS's text.
    pub message: String,
    /// Line where it begins, from 1.
    pub line: u32,
    /// Column where it begins, from 1, in characters.
    pub column: u32,
    /// First place after it; `None` when it is a point.
    pub end: Option<Position>,
    /// What to do.
    pub hint: Option<String>,
    /// The text with which AWS fails such a build, where it is known (`buildspecs-in-the-wild.md` 3.1).
    pub aws_message: Option<String>,
}

impl Diagnostic {
    pub(crate) fn new(severity: Severity, code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            message: message.into(),
            line: span.start.line,
            column: span.start.column,
            end: (span.end.offset > span.start.offset).then_some(span.end.position()),
            hint: None,
            aws_message: None,
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_aws(mut self, message: impl Into<String>) -> Self {
        self.aws_message = Some(message.into());
        self
    }

    /// Where it begins.
    #[must_use]
    pub fn start(&self) -> Position {
        Position { line: self.line, column: self.column }
    }

    /// AWS's text where it is known, else the message: what a build's phase context says (`YAML_FILE_ERROR`).
    #[must_use]
    pub fn service_message(&self) -> &str {
        self.aws_message.as_deref().unwrap_or(&self.message)
    }
}

/// Most diagnostics of one severity; a hostile file has no right to more.
const MAX_FINDINGS: usize = 1000;

/// Diagnostics being collected, bounded.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Diagnostic>,
    counts: [usize; 3],
}

impl Findings {
    fn count(&mut self, severity: Severity) -> &mut usize {
        let [errors, warnings, hints] = &mut self.counts;
        match severity {
            Severity::Error => errors,
            Severity::Warning => warnings,
            Severity::Hint => hints,
        }
    }

    /// Keeps it, unless there are too many of its severity already.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        let count = self.count(diagnostic.severity);
        if *count < MAX_FINDINGS {
            *count += 1;
            self.list.push(diagnostic);
        }
    }

    pub(crate) fn extend(&mut self, others: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in others {
            self.push(diagnostic);
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// All of them, as they were found.
    pub(crate) fn into_list(self) -> Vec<Diagnostic> {
        self.list
    }

    /// In the order of the file; in one place errors first, otherwise as they were found.
    pub(crate) fn sorted(self) -> Vec<Diagnostic> {
        let mut list = self.list;
        list.sort_by_key(|d| (d.line, d.column, d.severity));
        list
    }
}

macro_rules! codes {
    ($($variant:ident $name:literal $summary:literal,)+) => {
        /// The kinds of diagnostics. Names and meanings are stable: they are part of `kiln lint`'s JSON and SARIF.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $summary] #[serde(rename = $name)] $variant,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stable name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// One sentence on what this kind of diagnostic reports.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary),+ }
            }
        }
    };
}

codes! {
    // The text and its YAML.
    TooLarge "too-large" "The buildspec is larger than 1 MiB.",
    Encoding "encoding" "The buildspec is not text in UTF-8 or UTF-16, or holds a control character.",
    YamlSyntax "yaml-syntax" "The text is not YAML.",
    YamlTooDeep "yaml-too-deep" "Lists and mappings are nested too deeply.",
    YamlTooBig "yaml-too-big" "The document has too many values, or its aliases expand to too much.",
    YamlAlias "yaml-alias" "An alias names no anchor, or an anchor that contains it.",
    YamlTag "yaml-tag" "A value has a tag that means nothing in a buildspec.",
    CloudFormationTag "cloudformation-tag" "A CloudFormation function is left in the buildspec.",
    YamlKey "yaml-key" "The key of a mapping is not text, or a merge key has no mapping to merge.",
    MultipleDocuments "multiple-documents" "Only the first YAML document of the file is read.",
    DuplicateKey "duplicate-key" "A key is written twice in one mapping; the last one counts.",
    // Structure.
    NotABuildspec "not-a-buildspec" "The file has no version or no phases.",
    UnsupportedVersion "unsupported-version" "The version is neither 0.1 nor 0.2.",
    UnknownPhase "unknown-phase" "There is no phase of that name.",
    UnknownKey "unknown-key" "A key means nothing where it stands and is ignored.",
    CommandNotText "command-not-text" "A command is read as a mapping or a list.",
    WrongType "wrong-type" "A value has the wrong shape.",
    EmptySection "empty-section" "A section has no content.",
    YesNo "yes-no" "A switch is neither yes nor no.",
    OnFailure "on-failure" "The value of on-failure cannot be used.",
    SecretReference "secret-reference" "A reference to a secret cannot be used.",
    ReportFormat "report-format" "There is no report format of that name.",
    MissingFiles "missing-files" "A section that selects files has no files.",
    CacheKeys "cache-keys" "Fallback keys that are ignored.",
    CacheAction "cache-action" "The cache action is neither restore nor save.",
    // Environment variables.
    VariableName "variable-name" "A shell cannot use a variable of that name.",
    ReservedVariable "reserved-variable" "Names that begin with CODEBUILD_ belong to the service.",
    VariableTwice "variable-twice" "A variable is defined in several places.",
    NotExpanded "not-expanded" "Values under env/variables are literal: nothing is expanded in them.",
    NotExported "not-exported" "A variable of that name or kind cannot be exported.",
    PlainTextSecret "plain-text-secret" "A credential stands in the buildspec.",
    // Batch builds.
    Batch "batch" "The batch section has the wrong shape.",
    BatchIdentifier "batch-identifier" "An identifier of the batch is missing, malformed or used twice.",
    BatchDependency "batch-dependency" "A dependency of the build graph is unknown, circular or defined later.",
    QuotedVersion "quoted-version" "Batch builds on AWS refuse a version that is a string.",
    // Commands.
    UnknownShell "unknown-shell" "The shell is none of those that the service documents.",
    BashSyntax "bash-syntax" "A command needs bash, but the shell is the image's sh.",
    StateNotKept "state-not-kept" "Functions, aliases and shell options end with their command.",
    BlockStatus "block-status" "In a block of several lines only the last one decides whether the command failed.",
    FoldedBlock "folded-block" "A block written with > is joined to one line, which breaks the shell code in it.",
    CutByComment "cut-by-comment" "A # after a blank begins a comment, also inside the quotes of an unquoted command.",
    BackgroundProcess "background-process" "A background process keeps the command's output open.",
    NoCommands "no-commands" "A phase has no commands.",
    Version01 "version-0.1" "Version 0.1 keeps no directory and no variable between commands.",
    LegacyRuntime "legacy-runtime" "The runtime is not one any more.",
    ArtifactName "artifact-name" "The name is used only when the project lets the buildspec name its artifact.",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
