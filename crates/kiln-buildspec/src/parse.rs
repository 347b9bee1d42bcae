//! Reading a buildspec for a build.

use std::fmt;

use crate::{
    decode::{Decoder, Purpose, UnknownKeys},
    diagnostic::{Diagnostic, Findings, Severity},
    model::Buildspec,
    source::SourceText,
    yaml,
};

/// What a buildspec is read for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParseOptions {
    /// For a batch build: `batch` must be there and right, `phases` may be absent. Otherwise for a single build: `phases`
    /// must be there, and what is wrong in `batch` is only a warning.
    pub batch: bool,
}

/// A buildspec that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// What to run.
    pub buildspec: Buildspec,
    /// Warnings, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// Keys that are ignored, by section.
    pub unknown_keys: Vec<UnknownKeys>,
}

impl Parsed {
    /// The lines with which the service's log warns of unknown keys (`buildspecs-in-the-wild.md` 3.1); empty when there
    /// are none.
    ///
    /// What the service writes for keys at the top level was not seen; they are listed as a section `buildspec`.
    #[must_use]
    pub fn warning_lines(&self) -> Vec<String> {
        if self.unknown_keys.is_empty() {
            return Vec::new();
        }
        let mut lines = vec!["Found possible syntax errors in buildspec:".to_owned()];
        for UnknownKeys { section, keys } in &self.unknown_keys {
            lines.push(format!("In the section {section}"));
            lines.push("    The following keys cannot be identified:".to_owned());
            lines.extend(keys.iter().map(|key| format!("        {key}")));
        }
        lines
    }
}

/// A buildspec that cannot be run. Displayed as the service words it: the message of `YAML_FILE_ERROR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildspecError {
    first: Box<Diagnostic>,
    diagnostics: Vec<Diagnostic>,
}

impl BuildspecError {
    /// The first error: the one that the build fails with.
    #[must_use]
    pub fn first(&self) -> &Diagnostic {
        &self.first
    }

    /// Everything that was found, the first error and warnings included, in the order of the file.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    fn new(first: Diagnostic, diagnostics: Vec<Diagnostic>) -> Self {
        Self { first: Box::new(first), diagnostics }
    }
}

impl fmt::Display for BuildspecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.first.service_message())
    }
}

impl std::error::Error for BuildspecError {}

/// Reads the text of a buildspec.
///
/// # Errors
/// When the text is no YAML, no buildspec, or has an error of shape that fails a build on AWS; every such error of the
/// file is in the result, except that nothing is found behind an error of the YAML itself.
pub fn parse(text: &[u8], options: ParseOptions) -> Result<Parsed, BuildspecError> {
    let purpose = if options.batch { Purpose::Batch } else { Purpose::Build };
    let reading = read(text, purpose);
    let diagnostics = reading.findings.sorted();
    match (diagnostics.iter().find(|d| d.severity == Severity::Error), reading.buildspec) {
        (None, Some(buildspec)) => Ok(Parsed { buildspec, diagnostics, unknown_keys: reading.unknown_keys }),
        (Some(first), _) => Err(BuildspecError::new(first.clone(), diagnostics)),
        (None, None) => {
            // The decoder gives no buildspec only together with an error.
            let first = crate::decode::unusable();
            Err(BuildspecError::new(first.clone(), vec![first]))
        }
    }
}

/// What came of reading a text.
pub(crate) struct Reading {
    pub(crate) buildspec: Option<Buildspec>,
    pub(crate) findings: Findings,
    pub(crate) unknown_keys: Vec<UnknownKeys>,
    /// `None` when the text is no YAML.
    pub(crate) document: Option<(SourceText, yaml::Document)>,
}

pub(crate) fn read(text: &[u8], purpose: Purpose) -> Reading {
    let refused = |findings| Reading { buildspec: None, findings, unknown_keys: Vec::new(), document: None };
    let source = match SourceText::decode(text) {
        Ok(source) => source,
        Err(error) => {
            let mut findings = Findings::default();
            findings.push(*error);
            return refused(findings);
        }
    };
    let mut remarks = Findings::default();
    let document = match yaml::parse(&source, &mut remarks) {
        Ok(document) => document,
        Err(error) => {
            remarks.push(*error);
            return refused(remarks);
        }
    };
    let mut decoder = Decoder::new(&source, &document, purpose);
    let buildspec = decoder.buildspec();
    let (mut findings, unknown_keys) = (decoder.findings, decoder.unknown_keys);
    findings.extend(remarks.into_list());
    Reading { buildspec, findings, unknown_keys, document: Some((source, document)) }
}
