//! `kiln cache`: what caches there are, and removing them.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use kiln_runner::cache::{CacheInfo, DEFAULT_BUDGET, HostCaches, PruneStats};
use serde_json::json;

use crate::{
    app::App,
    exit::usage,
    runs::parse_size,
    terminal::{
        output::print,
        table::{ago, aligned},
        text::{bytes, count, fit, one_line},
    },
};

/// What `kiln cache` is told.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    /// The store to look at, as given to `kiln run --cache` [default: the data directory's]
    #[arg(long, global = true, value_name = "DIR")]
    cache: Option<PathBuf>,

    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    /// List the caches, the one used last first
    Ls {
        /// Print JSON, one cache a line
        #[arg(long)]
        json: bool,
    },
    /// Remove caches
    Rm {
        /// Ids as `kiln cache ls` shows them, or the first characters of them
        #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
        ids: Vec<String>,

        /// Remove every cache
        #[arg(long)]
        all: bool,
    },
    /// Remove the caches that were not used for longest, until the store fits a size, and what no cache uses
    Prune {
        /// Size to stay below, e.g. 500M or 20GiB [default: 20GiB]
        #[arg(long, value_name = "SIZE")]
        max_size: Option<String>,
    },
}

/// Lists or removes caches.
pub(crate) fn run(args: &CacheArgs, app: &App) -> anyhow::Result<ExitCode> {
    let directory = args.cache.clone().unwrap_or_else(|| app.data.join("cache"));
    // The others lie with the data, whichever store of caches is looked at.
    let data = args.cache.is_none().then(|| app.data.clone());
    // Looking must not make a directory where none was.
    if !directory.try_exists()? && !HostCaches::has_others(data.as_deref())? {
        match &args.command {
            CacheCommand::Rm { ids, .. } if !ids.is_empty() => {
                usage!("there is no cache store at {}", directory.display())
            }
            _ => {
                eprintln!("There are no caches in {}.", directory.display());
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    let caches = HostCaches::open(&directory, data)?;
    let now_ns = i64::try_from(app.clock.wall_ns()).unwrap_or(i64::MAX);
    match &args.command {
        CacheCommand::Ls { json: true } => {
            let lines: String = caches.list()?.iter().map(|cache| format!("{}\n", as_json(cache))).collect();
            print(lines.as_bytes())?;
        }
        CacheCommand::Ls { json: false } => {
            let caches = caches.list()?;
            if caches.is_empty() {
                eprintln!("There are no caches in {}.", directory.display());
            } else {
                print(table(&caches, now_ns).as_bytes())?;
            }
        }
        CacheCommand::Rm { all: true, .. } => print(removed(caches.prune(0, now_ns)?).as_bytes())?,
        CacheCommand::Rm { ids, .. } => {
            let ids = named(&caches.list()?, ids)?;
            let done = caches.remove(&ids)?;
            if let Some(id) = done.in_use.first() {
                usage!("a build uses {id} just now: try again when it has ended");
            }
            print(removed(done.stats).as_bytes())?;
        }
        CacheCommand::Prune { max_size } => {
            let budget = max_size.as_deref().map_or(Ok(DEFAULT_BUDGET), parse_size)?;
            print(removed(caches.prune(budget, now_ns)?).as_bytes())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The whole ids that begin with what was typed.
fn named(caches: &[CacheInfo], typed: &[String]) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    for text in typed {
        let mut found = caches.iter().filter(|c| c.id.starts_with(text.as_str()));
        match (found.next(), found.next()) {
            (Some(cache), None) => ids.push(cache.id.clone()),
            (Some(_), Some(_)) => usage!("'{text}' begins the ids of several caches: write more of it"),
            (None, _) => usage!("there is no cache '{text}': `kiln cache ls` lists them"),
        }
    }
    Ok(ids)
}

fn removed(stats: PruneStats) -> String {
    format!(
        "Removed {}, {}; {} left.\n",
        count(stats.removed, "cache"),
        bytes(stats.before.saturating_sub(stats.after)),
        bytes(stats.after)
    )
}

fn as_json(cache: &CacheInfo) -> serde_json::Value {
    json!({
        "id": cache.id,
        "namespace": cache.namespace,
        "paths": cache.paths,
        "key": cache.key,
        "createdNs": cache.created_ns,
        "usedNs": cache.used_ns,
        "entries": cache.entries,
        "bytes": cache.bytes,
        "storedBytes": cache.stored_bytes,
    })
}

/// One line for each cache, beneath a heading. Names come from builds: nothing in them reaches the terminal as more than
/// text.
fn table(caches: &[CacheInfo], now_ns: i64) -> String {
    let mut rows = vec![["ID", "PROJECT", "KEY", "FILES", "SIZE", "STORED", "USED", "PATHS"].map(str::to_owned)];
    for cache in caches {
        let text = |text: &str, columns| fit(&one_line(text), columns).into_owned();
        rows.push([
            cache.id.clone(),
            text(&cache.namespace, 30),
            text(cache.key.as_deref().unwrap_or("-"), 40),
            cache.entries.to_string(),
            bytes(cache.bytes),
            bytes(cache.stored_bytes),
            ago(now_ns.saturating_sub(cache.used_ns)),
            text(&cache.paths.join(" "), 60),
        ]);
    }
    // Figures to the right.
    aligned(&rows, &[3, 4, 5])
}

#[cfg(test)]
mod tests {
    use kiln_runner::cache::CacheKind;

    use super::*;

    fn cache(id: &str, key: Option<&str>) -> CacheInfo {
        CacheInfo {
            kind: CacheKind::Files,
            id: id.into(),
            namespace: "my\u{1b}[31m-project".into(),
            paths: vec!["node_modules/**/*".into()],
            key: key.map(str::to_owned),
            created_ns: 0,
            used_ns: 0,
            entries: 1234,
            bytes: 5 << 20,
            stored_bytes: 1 << 20,
        }
    }

    #[test]
    fn the_table_shows_text_alone() {
        let hours = 7_200_000_000_000;
        assert_eq!(
            table(&[cache("abc", None), cache("0def", Some("npm-1"))], hours),
            "ID    PROJECT          KEY    FILES   SIZE  STORED  USED     PATHS\n\
             abc   my [31m-project  -       1234  5 MiB   1 MiB  2 h ago  node_modules/**/*\n\
             0def  my [31m-project  npm-1   1234  5 MiB   1 MiB  2 h ago  node_modules/**/*\n"
        );
    }

    #[test]
    fn ids_may_be_cut_short_but_not_too_short() {
        let caches = [cache("abc", None), cache("abd", None)];
        assert_eq!(named(&caches, &["abc".into()]).unwrap(), ["abc"]);
        assert!(named(&caches, &["ab".into()]).unwrap_err().to_string().contains("several caches"));
        assert!(named(&caches, &["x".into()]).unwrap_err().to_string().contains("kiln cache ls"));
    }
}
