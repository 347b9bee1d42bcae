//! `codebuild-tests-run`: this shard's part of the test files, given to the test command (`buildspec.md` 12.1).

use std::{
    ffi::OsStr,
    io::{self, Write},
    os::unix::{ffi::OsStrExt, process::ExitStatusExt},
    process::{ExitCode, Stdio},
};

use sha2::{Digest, Sha256};

use super::{HelperError, shell, words};

const USAGE: &str = "usage: codebuild-tests-run --test-command COMMAND --files-search COMMAND \
                     [--sharding-strategy equal-distribution|stability]";
/// The shard's files, one a line, for the test command alone.
const FILES: &str = "CODEBUILD_CURRENT_SHARD_FILES";
/// Number of this shard, from 0, and how many there are; without them there is one.
const CURRENT: &str = "CODEBUILD_CURRENT_SHARD";
const TOTAL: &str = "CODEBUILD_TOTAL_SHARDS";

/// How files are spread over shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    /// In parts of the same size, by name.
    EqualDistribution,
    /// Each file by itself, so that it keeps its shard when others come and go.
    Stability,
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    test_command: String,
    files_search: String,
    strategy: Strategy,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, HelperError> {
        let (mut test_command, mut files_search, mut strategy) = (None, None, Strategy::EqualDistribution);
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), arguments.next().cloned()),
            };
            let value = value.ok_or_else(|| HelperError::usage(format!("{name} needs a value\n{USAGE}")))?;
            match name {
                "--test-command" => test_command = Some(value),
                "--files-search" => files_search = Some(value),
                "--sharding-strategy" => {
                    strategy = match value.as_str() {
                        "equal-distribution" => Strategy::EqualDistribution,
                        "stability" => Strategy::Stability,
                        other => return Err(HelperError::usage(format!("no sharding strategy '{other}'\n{USAGE}"))),
                    };
                }
                other => return Err(HelperError::usage(format!("no option '{other}'\n{USAGE}"))),
            }
        }
        match (test_command, files_search) {
            (Some(test_command), Some(files_search)) => Ok(Self { test_command, files_search, strategy }),
            _ => Err(HelperError::usage(USAGE)),
        }
    }
}

/// The files of one shard.
fn shard(mut files: Vec<Vec<u8>>, strategy: Strategy, current: usize, total: usize) -> Vec<Vec<u8>> {
    files.sort();
    files.dedup();
    match strategy {
        Strategy::EqualDistribution => {
            let count = files.len();
            let edge = |shard: usize| count.saturating_mul(shard) / total;
            files.drain(edge(current)..edge(current + 1)).collect()
        }
        Strategy::Stability => {
            files.retain(|file| preferred(file, total) == current);
            files
        }
    }
}

/// The shard for which the file's hash is highest: adding a shard moves only what goes to the new one.
fn preferred(file: &[u8], total: usize) -> usize {
    let weight = |shard: &usize| Sha256::new().chain_update(shard.to_le_bytes()).chain_update(file).finalize();
    (0..total).max_by_key(weight).unwrap_or(0)
}

fn number(name: &str, default: usize) -> Result<usize, HelperError> {
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|_| HelperError::new(format!("{name} is not a number: '{text}'"))),
        Err(_) => Ok(default),
    }
}

/// Runs the helper.
pub(super) fn run(arguments: &[String]) -> Result<ExitCode, HelperError> {
    let options = Options::parse(arguments)?;
    let (current, total) = (number(CURRENT, 0)?, number(TOTAL, 1)?);
    if current >= total || total > 10_000 {
        return Err(HelperError::new(format!("{CURRENT}={current} is not one of {total} shards")));
    }
    let found = shell(options.files_search.as_bytes()).stderr(Stdio::inherit()).output()?;
    if !found.status.success() {
        return Err(HelperError::new(format!("the search for test files ended with {}", found.status)));
    }
    let files: Vec<Vec<u8>> =
        found.stdout.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
    if files.is_empty() {
        return Err(HelperError::new(format!("no test files: `{}` printed none", options.files_search)));
    }
    let all = files.len();
    let files = shard(files, options.strategy, current, total);
    writeln!(io::stdout(), "Shard {} of {total}: {} of {all} test files", current + 1, files.len())?;
    if files.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = options.test_command.clone().into_bytes();
    // A command that takes the files from the variable gets them that way alone.
    if !options.test_command.contains(FILES) {
        text.extend_from_slice(&words(&files));
    }
    let status = shell(&text).env(FILES, OsStr::from_bytes(&files.join(&b'\n'))).status()?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|n| format!("tests/test_{n}.py").into_bytes()).collect()
    }

    #[test]
    fn every_file_is_in_one_shard() {
        for strategy in [Strategy::EqualDistribution, Strategy::Stability] {
            for (count, total) in [(10, 3), (2, 5), (1, 1), (100, 7)] {
                let mut all: Vec<_> = (0..total).flat_map(|n| shard(files(count), strategy, n, total)).collect();
                all.sort();
                let mut expected = files(count);
                expected.sort();
                assert_eq!(all, expected, "{strategy:?} {count} {total}");
            }
        }
        let sizes: Vec<_> = (0..3).map(|n| shard(files(10), Strategy::EqualDistribution, n, 3).len()).collect();
        assert!(sizes.iter().all(|size| (3..=4).contains(size)), "{sizes:?}");
    }

    #[test]
    fn stable_shards_keep_their_files() {
        let before = shard(files(100), Strategy::Stability, 1, 4);
        let after = shard(files(120), Strategy::Stability, 1, 4);
        assert!(before.iter().all(|file| after.contains(file)));
        let more = shard(files(100), Strategy::Stability, 1, 5);
        assert!(more.iter().all(|file| before.contains(file)), "a new shard only takes away");
    }

    #[test]
    fn options_are_read() {
        let parse = |arguments: &[&str]| Options::parse(&arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
        let options = parse(&["--test-command", "npx jest", "--files-search=codebuild-glob-search '**/*.js'"]).unwrap();
        assert_eq!(options.files_search, "codebuild-glob-search '**/*.js'");
        assert_eq!(options.strategy, Strategy::EqualDistribution);
        for wrong in [&["--test-command", "x"][..], &["--files-search"], &["-x", "y"], &["--sharding-strategy", "z"]] {
            assert!(parse(wrong).unwrap_err().usage, "{wrong:?}");
        }
    }

    #[test]
    fn names_are_words_for_the_shell() {
        assert_eq!(words(&[b"a/b.py".to_vec(), b"it's here".to_vec()]), b" a/b.py 'it'\\''s here'");
    }
}
