//! Every environment variable that `kiln` reads, in one place. Read once at start; no other part asks for them.

use std::{env, ffi::OsString, path::PathBuf};

/// Names and meanings, shown by `kiln --help`.
pub(crate) const VARIABLES: [(&str, &str); 9] = [
    ("KILN_DATA", "data directory, where --data is not given"),
    ("KILN_KEEP_BUDGET", "disk space for kept file systems of failed builds, e.g. 20GiB; 0 keeps none (10GiB)"),
    ("KILN_RUNNER", "program that is started as the runner in place of kiln itself (tests, tracing)"),
    ("DOCKER_CONFIG", "directory of docker's config.json, for registry credentials (~/.docker)"),
    ("XDG_DATA_HOME", "base of the data directory, where not root"),
    ("NO_COLOR", "when not empty: no colours"),
    ("TERM", "`dumb`: no colours and no status line"),
    ("CI", "when not empty: no status line"),
    ("SOURCE_DATE_EPOCH", "time stamp of all files in artifacts, seconds since 1970"),
];

/// Their values, and the few common ones beside them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    pub(crate) data: Option<PathBuf>,
    pub(crate) keep_budget: Option<OsString>,
    pub(crate) runner: Option<PathBuf>,
    pub(crate) docker_config: Option<PathBuf>,
    pub(crate) xdg_data_home: Option<PathBuf>,
    pub(crate) home: Option<PathBuf>,
    pub(crate) user: Option<String>,
    pub(crate) no_color: bool,
    pub(crate) dumb: bool,
    pub(crate) ci: bool,
    /// The locale's characters are UTF-8 (`LC_ALL`, `LC_CTYPE`, `LANG`; the first that is set decides).
    pub(crate) utf8: bool,
    pub(crate) source_date_epoch: Option<OsString>,
}

impl Environment {
    /// Reads them. An empty variable counts as not set.
    pub(crate) fn read() -> Self {
        let get = |name: &str| env::var_os(name).filter(|v| !v.is_empty());
        Self {
            data: get("KILN_DATA").map(PathBuf::from),
            keep_budget: get("KILN_KEEP_BUDGET"),
            runner: get("KILN_RUNNER").map(PathBuf::from),
            docker_config: get("DOCKER_CONFIG").map(PathBuf::from),
            xdg_data_home: get("XDG_DATA_HOME").map(PathBuf::from),
            home: get("HOME").map(PathBuf::from),
            user: get("USER").and_then(|v| v.into_string().ok()),
            no_color: get("NO_COLOR").is_some(),
            dumb: get("TERM").is_none_or(|t| t == "dumb"),
            ci: get("CI").is_some(),
            utf8: ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(get).is_some_and(|locale| {
                let locale = locale.to_string_lossy().to_ascii_lowercase();
                locale.contains("utf-8") || locale.contains("utf8")
            }),
            source_date_epoch: get("SOURCE_DATE_EPOCH"),
        }
    }
}
