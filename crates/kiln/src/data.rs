//! Where the data directory is.

use std::{
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use crate::{environment::Environment, exit::usage};

/// The data directory: `--data`, else `KILN_DATA`, else `/var/lib/kiln` for root, else the XDG data directory
/// (DESIGN section 5). Absolute; not created yet.
pub(crate) fn directory(flag: Option<&Path>, environment: &Environment) -> anyhow::Result<PathBuf> {
    let chosen = match (flag, &environment.data) {
        (Some(dir), _) => dir.to_owned(),
        (None, Some(dir)) => dir.clone(),
        (None, None) if rustix::process::geteuid().is_root() => PathBuf::from("/var/lib/kiln"),
        // A relative XDG path is to be ignored, says the specification.
        (None, None) => match (environment.xdg_data_home.as_ref().filter(|d| d.is_absolute()), &environment.home) {
            (Some(dir), _) => dir.join("kiln"),
            (None, Some(home)) => home.join(".local/share/kiln"),
            (None, None) => usage!("no data directory: HOME is not set; use --data DIR or KILN_DATA"),
        },
    };
    if chosen.as_os_str().is_empty() {
        usage!("the data directory cannot be empty: give --data a path");
    }
    Ok(std::path::absolute(chosen)?)
}

/// Creates a directory and what is missing above it, with the given mode; one that exists is left as it is.
pub(crate) fn ensure(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_over_the_variable() {
        let environment = Environment { data: Some("/from/env".into()), ..Environment::default() };
        assert_eq!(directory(Some(Path::new("/flag")), &environment).unwrap(), Path::new("/flag"));
        assert_eq!(directory(None, &environment).unwrap(), Path::new("/from/env"));
    }

    #[test]
    fn a_relative_directory_becomes_absolute() {
        let environment = Environment::default();
        assert!(directory(Some(Path::new("here")), &environment).unwrap().is_absolute());
        assert!(directory(Some(Path::new("")), &environment).is_err());
    }
}
