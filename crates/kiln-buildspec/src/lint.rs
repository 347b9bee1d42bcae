//! Everything that can be said about a buildspec without running it.

mod commands;
mod settings;
mod shell;

use crate::{
    decode::Purpose,
    diagnostic::{Diagnostic, Findings},
    model::Buildspec,
    parse::{self, Reading},
    source::{SourceText, Span},
    yaml::{Document, Kind, NodeId},
};

/// Reports all problems of a buildspec at once, in the order of the file: what fails a build (also a batch build, if the
/// file has a `batch` section), what the service ignores without a word, and what is likely to surprise.
///
/// CloudFormation functions, which fail a build, are only hints here: the file may still have to pass through a template.
#[must_use]
pub fn lint(text: &[u8]) -> Vec<Diagnostic> {
    let Reading { buildspec, mut findings, document, .. } = parse::read(text, Purpose::Lint);
    if let (Some((source, document)), Some(buildspec)) = (document, buildspec) {
        let mut linter =
            Linter { source: &source, document: &document, buildspec: &buildspec, found: Findings::default() };
        linter.settings();
        if !findings.has_errors() {
            // What has an error is missing in the typed buildspec.
            linter.empty_phases();
        }
        linter.commands();
        findings.extend(linter.found.into_list());
    }
    findings.sorted()
}

struct Linter<'a> {
    source: &'a SourceText,
    document: &'a Document,
    buildspec: &'a Buildspec,
    found: Findings,
}

impl<'a> Linter<'a> {
    /// Key and value at a path below the root.
    fn find(&self, path: &[&str]) -> Option<(NodeId, NodeId)> {
        let mut at = self.document.root()?;
        let mut found = None;
        for name in path {
            let (key, value) = self.child(at, name)?;
            found = Some((key, value));
            at = value;
        }
        found
    }

    fn child(&self, id: NodeId, name: &str) -> Option<(NodeId, NodeId)> {
        self.children(id).iter().find(|(key, _)| self.document.text(*key) == Some(name)).copied()
    }

    fn children(&self, id: NodeId) -> &'a [(NodeId, NodeId)] {
        match &self.document.node(id).kind {
            Kind::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// Items of a list; a scalar counts as a list of one.
    fn items(&self, id: NodeId) -> Vec<NodeId> {
        match &self.document.node(id).kind {
            Kind::Sequence(items) => items.clone(),
            Kind::Scalar { .. } => vec![id],
            Kind::Mapping(_) => Vec::new(),
        }
    }

    /// Where a key stands; the beginning of the file if it does not.
    fn key_span(&self, path: &[&str]) -> Span {
        self.find(path).map_or(Span::START, |(key, _)| self.document.span(key))
    }
}
