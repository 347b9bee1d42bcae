//! The runtimes that an image offers, `/codebuild/image/config/runtimes.yml`, and which of them a buildspec's
//! `runtime-versions` choose (`buildspec.md` 1.9 and 13.2).

#[cfg(test)]
mod tests;

use std::{cmp::Ordering, fmt};

use crate::{
    diagnostic::Findings,
    display::quote,
    model::Command,
    source::SourceText,
    yaml::{self, Document, Kind, NodeId},
};

/// The key whose commands install any version, which they find in `VERSION`.
const ANY: &str = "default";

/// Longest chain of runtimes that need one another; real files have chains of one.
const MAX_CHAIN: usize = 16;

/// What the runtimes file of an image offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runtimes {
    runtimes: Vec<Runtime>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Runtime {
    name: String,
    versions: Vec<Offered>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Offered {
    version: String,
    /// Other runtimes, each with the versions that do.
    requires: Vec<(String, Vec<String>)>,
    commands: Vec<Command>,
}

/// A runtimes file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct RuntimesFileError {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong there.
    pub message: String,
}

/// A runtime that is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Its name: `python`.
    pub runtime: String,
    /// The version that the image offers; `default` when it installs any.
    pub version: String,
    /// What the commands find in the variable `VERSION`: what was asked for, where the image installs any version.
    pub version_variable: Option<String>,
    /// The runtime that needs this one, when nobody asked for it.
    pub required_by: Option<String>,
    /// How it is set up. The line of each is one of the runtimes file.
    pub commands: Vec<Command>,
}

/// Runtimes that cannot be had together, or not at all: the message of `YAML_FILE_ERROR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectionError {
    /// No such runtime.
    UnknownRuntime {
        /// What was asked for.
        runtime: String,
        /// What there is, sorted.
        offered: Vec<String>,
    },
    /// No such version.
    UnknownVersion {
        /// The runtime.
        runtime: String,
        /// What was asked for.
        version: String,
        /// What there is, sorted.
        offered: Vec<String>,
    },
    /// One runtime needs another in a version that was not chosen.
    Conflict {
        /// The runtime that needs another.
        runtime: String,
        /// Its version.
        version: String,
        /// The other.
        required: String,
        /// The versions of it that do.
        versions: Vec<String>,
        /// The version that was chosen.
        chosen: String,
    },
    /// It needs another, which needs another, and so on for too long.
    Chain {
        /// The runtime at which the chain was given up.
        runtime: String,
    },
}

impl fmt::Display for SelectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownRuntime { runtime, offered } => write!(
                f,
                "Unknown runtime named '{}'. This build image has the following runtimes: {}",
                quote(runtime),
                offered.join(", ")
            ),
            Self::UnknownVersion { runtime, version, offered } => write!(
                f,
                "Unknown runtime version named '{}' of {}. This build image has the following versions: {}",
                quote(version),
                quote(runtime),
                offered.join(", ")
            ),
            Self::Conflict { runtime, version, required, versions, chosen } => write!(
                f,
                "The runtime {runtime} {version} requires {required} {}, but {required} {chosen} was selected",
                versions.join(" or ")
            ),
            Self::Chain { runtime } => {
                write!(
                    f,
                    "The runtimes of this build image need one another in too long a chain, up to {}",
                    quote(runtime)
                )
            }
        }
    }
}

impl std::error::Error for SelectionError {}

impl Runtimes {
    /// Reads a runtimes file. Keys that are not known are passed over: newer images may have them.
    ///
    /// # Errors
    /// When it is no YAML, or not of the form that images have.
    pub fn parse(text: &[u8]) -> Result<Self, RuntimesFileError> {
        let failed = |d: Box<crate::Diagnostic>| RuntimesFileError { line: d.line, message: d.message };
        let source = SourceText::decode(text).map_err(failed)?;
        let document = yaml::parse(&source, &mut Findings::default()).map_err(failed)?;
        let file = File(&document);
        let root = document.root().ok_or(RuntimesFileError { line: 1, message: "it is empty".to_owned() })?;
        let Some(runtimes) = file.get(root, "runtimes")? else {
            return Err(file.wrong(root, "it has no `runtimes`"));
        };
        let runtime = |(name, node): (&str, NodeId)| -> Result<Runtime, RuntimesFileError> {
            let Some(versions) = file.get(node, "versions")? else {
                return Err(file.wrong(node, format!("{} has no `versions`", quote(name))));
            };
            let versions = file.entries(versions)?.into_iter().map(|(version, node)| file.offered(version, node));
            Ok(Runtime { name: name.to_owned(), versions: versions.collect::<Result<_, _>>()? })
        };
        Ok(Self { runtimes: file.entries(runtimes)?.into_iter().map(runtime).collect::<Result<_, _>>()? })
    }

    /// Chooses what `requested` asks for, pairs of a runtime and a version with its variables replaced: in that order, and
    /// before each what it needs and nobody asked for.
    ///
    /// # Errors
    /// The first one that cannot be had.
    pub fn select(&self, requested: &[(String, String)]) -> Result<Vec<Selection>, SelectionError> {
        let mut chosen = Vec::with_capacity(requested.len());
        for (name, asked) in requested {
            chosen.push(self.offer(name, asked)?);
        }
        let mut selected = Vec::with_capacity(chosen.len());
        for choice in &chosen {
            self.needed(choice, &chosen, &mut selected, MAX_CHAIN)?;
            selected.push(choice.selection(None));
        }
        Ok(selected)
    }

    /// Adds what `choice` needs and was not chosen.
    fn needed(
        &self,
        choice: &Choice<'_>,
        chosen: &[Choice<'_>],
        selected: &mut Vec<Selection>,
        chain: usize,
    ) -> Result<(), SelectionError> {
        for (required, versions) in &choice.offered.requires {
            let asked = chosen.iter().find(|other| other.runtime.name == *required);
            let taken = asked.map(|other| (other.offered.version.as_str(), other.asked)).or_else(|| {
                let there = selected.iter().find(|there| there.runtime == *required)?;
                Some((there.version.as_str(), there.version_variable.as_deref().unwrap_or_default()))
            });
            if let Some((version, asked)) = taken {
                if versions.is_empty() || versions.iter().any(|does| does == version || does == asked) {
                    continue;
                }
                return Err(SelectionError::Conflict {
                    runtime: choice.runtime.name.clone(),
                    version: choice.asked.to_owned(),
                    required: required.clone(),
                    versions: versions.clone(),
                    chosen: if version == ANY { asked } else { version }.to_owned(),
                });
            }
            let chain = chain.checked_sub(1).ok_or_else(|| SelectionError::Chain { runtime: required.clone() })?;
            let needed = self.offer(required, versions.first().map_or("latest", String::as_str))?;
            // First itself, so that whoever else needs it finds it, then what it needs in turn, which comes before it.
            let at = selected.len();
            selected.push(needed.selection(Some(choice.runtime.name.clone())));
            self.needed(&needed, chosen, selected, chain)?;
            selected[at..].rotate_left(1);
        }
        Ok(())
    }

    /// What the image has for a version that is asked for.
    fn offer<'a>(&'a self, name: &str, asked: &'a str) -> Result<Choice<'a>, SelectionError> {
        let Some(runtime) = self.runtimes.iter().find(|runtime| runtime.name == name) else {
            let mut offered: Vec<String> = self.runtimes.iter().map(|runtime| runtime.name.clone()).collect();
            offered.sort();
            return Err(SelectionError::UnknownRuntime { runtime: name.to_owned(), offered });
        };
        let exact = || runtime.versions.iter().find(|offered| offered.version == asked);
        let highest = |fits: &dyn Fn(&str) -> bool| {
            let fitting = runtime.versions.iter().filter(|o| o.version != ANY && fits(&o.version));
            fitting.max_by(|a, b| by_number(&a.version, &b.version))
        };
        let found = exact().or_else(|| match asked.strip_suffix(".x") {
            Some(major) => highest(&|version| {
                version.strip_prefix(major).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }),
            None if asked == "latest" => highest(&|_| true),
            None => None,
        });
        let found = found.or_else(|| runtime.versions.iter().find(|offered| offered.version == ANY));
        found.map(|offered| Choice { runtime, offered, asked }).ok_or_else(|| {
            let mut offered: Vec<String> = runtime.versions.iter().map(|offered| offered.version.clone()).collect();
            offered.sort_by(|a, b| by_number(a, b));
            SelectionError::UnknownVersion { runtime: name.to_owned(), version: asked.to_owned(), offered }
        })
    }
}

/// A version that is taken, and what for.
#[derive(Debug, Clone, Copy)]
struct Choice<'a> {
    runtime: &'a Runtime,
    offered: &'a Offered,
    asked: &'a str,
}

impl Choice<'_> {
    fn selection(&self, required_by: Option<String>) -> Selection {
        let any = self.offered.version == ANY && self.asked != ANY;
        Selection {
            runtime: self.runtime.name.clone(),
            version: self.offered.version.clone(),
            version_variable: any.then(|| self.asked.to_owned()),
            required_by,
            commands: self.offered.commands.clone(),
        }
    }
}

/// Orders versions by their numbers: `3.9` before `3.10`, `corretto8` before `corretto17`.
fn by_number(a: &str, b: &str) -> Ordering {
    fn numbers(version: &str) -> impl Iterator<Item = &str> {
        version.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty()).map(|n| n.trim_start_matches('0'))
    }
    let length_first = |a: &str, b: &str| a.len().cmp(&b.len()).then_with(|| a.cmp(b));
    let (mut left, mut right) = (numbers(a), numbers(b));
    loop {
        match (left.next(), right.next()) {
            (Some(a), Some(b)) if length_first(a, b) == Ordering::Equal => {}
            (Some(a), Some(b)) => return length_first(a, b),
            (None, None) => return a.cmp(b),
            (left, right) => return left.is_some().cmp(&right.is_some()),
        }
    }
}

/// Reads the tree of a runtimes file.
struct File<'a>(&'a Document);

impl<'a> File<'a> {
    fn wrong(&self, at: NodeId, message: impl Into<String>) -> RuntimesFileError {
        RuntimesFileError { line: self.0.span(at).start.line, message: message.into() }
    }

    /// Keys and values of a mapping; nothing is one without entries.
    fn entries(&self, node: NodeId) -> Result<Vec<(&'a str, NodeId)>, RuntimesFileError> {
        match &self.0.node(node).kind {
            _ if self.0.is_null(node) => Ok(Vec::new()),
            Kind::Mapping(entries) => entries
                .iter()
                .map(|(key, value)| {
                    let name = self.0.text(*key).ok_or_else(|| self.wrong(*key, "a key must be a text"))?;
                    Ok((name, *value))
                })
                .collect(),
            _ => Err(self.wrong(node, "a mapping is expected here")),
        }
    }

    fn get(&self, node: NodeId, name: &str) -> Result<Option<NodeId>, RuntimesFileError> {
        Ok(self.entries(node)?.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value))
    }

    /// Texts of a list, with their lines; a single text is a list of it.
    fn texts(&self, node: NodeId) -> Result<Vec<Command>, RuntimesFileError> {
        let one = |node: NodeId| match self.0.text(node) {
            Some(text) => Ok(Command { text: text.to_owned(), line: self.0.span(node).start.line }),
            None => Err(self.wrong(node, "a text is expected here")),
        };
        match &self.0.node(node).kind {
            _ if self.0.is_null(node) => Ok(Vec::new()),
            Kind::Sequence(items) => items.iter().map(|item| one(*item)).collect(),
            _ => Ok(vec![one(node)?]),
        }
    }

    fn offered(&self, version: &str, node: NodeId) -> Result<Offered, RuntimesFileError> {
        let mut requires = Vec::new();
        if let Some(required) = self.get(node, "requires")? {
            for (runtime, versions) in self.entries(required)? {
                let versions = self.texts(versions)?.into_iter().map(|version| version.text).collect();
                requires.push((runtime.to_owned(), versions));
            }
        }
        let commands = self.get(node, "commands")?.map_or_else(|| Ok(Vec::new()), |node| self.texts(node))?;
        Ok(Offered { version: version.to_owned(), requires, commands })
    }
}
