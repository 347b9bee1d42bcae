//! What no registry has: archives that a program's own maker serves, which a recipe pins by their hash.

use std::{path::Path, process::Command};

use super::run;
use crate::{error::Error, packages::PackageCache, recipe::Unpack, recipes::Environment};

const PROGRAM: &str = "curl";
const OF: &str = "of vendors";
/// Largest archive that is fetched, in bytes.
const MAX_SIZE: &str = "4294967296";

/// Downloads the archive of a recipe's item into the cache.
///
/// # Errors
/// If it cannot be had, with where else it may come from; [`Error::Hash`] if it is another file.
pub(super) fn download(
    environment: &Environment,
    item: &Unpack,
    cache: &PackageCache,
    scratch: &Path,
) -> Result<(), Error> {
    let (Some(package), Some(url)) = (item.vendored(), &item.url) else { return Ok(()) };
    let mut command = Command::new(PROGRAM);
    command.args(["--fail", "--location", "--silent", "--show-error", "--retry", "2", "--connect-timeout", "20"]);
    // The file's hash is checked, so this only keeps what was asked for from being read on the way.
    command.args(["--proto", "=https,http", "--proto-redir", "=https", "--max-filesize", MAX_SIZE]);
    command.arg("--output").arg(&package.file).args(["--", url]);
    let what = format!("download {} {}", item.name, item.version);
    run(PROGRAM, OF, &what, &mut command, scratch).map_err(|error| match error {
        Error::Client { program, what, said } => Error::Client {
            program,
            what,
            said: format!(
                "{said}\n{} needs the internet: no registry has {} {}, and it comes from {url}. Where that cannot be reached, \
                 fetch the file elsewhere and put it at {}.",
                environment.image(),
                item.name,
                item.version,
                cache.place(&package.sha256).display()
            ),
        },
        other => other,
    })?;
    cache.add(&package, &scratch.join(&package.file))
}
