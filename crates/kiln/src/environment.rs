//! Every environment variable that `kiln` reads, in one place. Read once at start; no other part asks for them.

use std::{env, ffi::OsString, path::PathBuf};

/// Names and meanings, shown by `kiln --help`.
pub(crate) const VARIABLES: [(&str, &str); 19] = [
    ("KILN_DATA", "data directory, where --data is not given"),
    ("KILN_KEEP_BUDGET", "disk space for kept file systems of failed builds, e.g. 20GiB; 0 keeps none (10GiB)"),
    ("KILN_CONFIG", "configuration file of the service, where --config is not given; KILN_*: docs/configuration.md"),
    ("KILN_RUNNER", "program that is started as the runner in place of kiln itself (tests, tracing)"),
    ("DOCKER_CONFIG", "directory of docker's config.json, for registry credentials (~/.docker)"),
    ("XDG_DATA_HOME", "base of the data directory, where not root"),
    ("NO_COLOR", "when not empty: no colours"),
    ("TERM", "`dumb`: no colours and no status line"),
    ("CI", "when not empty: no status line"),
    ("SOURCE_DATE_EPOCH", "time stamp of all files in artifacts, seconds since 1970"),
    ("AWS_ENDPOINT_URL", "service that kiln's commands talk to, with the keys below, where --data is not given"),
    ("AWS_ACCESS_KEY_ID", "access key for it"),
    ("AWS_SECRET_ACCESS_KEY", "its secret"),
    ("AWS_SESSION_TOKEN", "session token of a temporary key"),
    ("AWS_REGION", "region that requests are signed for; else AWS_DEFAULT_REGION"),
    ("AWS_CA_BUNDLE", "certificates of authorities to trust, PEM"),
    ("AWS_CONFIG_FILE", "the AWS CLI's configuration (~/.aws/config)"),
    ("AWS_SHARED_CREDENTIALS_FILE", "the AWS CLI's credentials (~/.aws/credentials)"),
    ("NOTIFY_SOCKET", "where systemd wants to be told that the service is ready"),
];

/// Their values, and the few common ones beside them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    pub(crate) data: Option<PathBuf>,
    pub(crate) keep_budget: Option<OsString>,
    pub(crate) config: Option<PathBuf>,
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
    pub(crate) notify_socket: Option<OsString>,
    pub(crate) aws: Aws,
}

/// What AWS's clients read too.
#[derive(Debug, Clone, Default)]
pub(crate) struct Aws {
    pub(crate) endpoint_url: Option<String>,
    pub(crate) access_key_id: Option<String>,
    pub(crate) secret_access_key: Option<Hidden>,
    pub(crate) session_token: Option<Hidden>,
    pub(crate) region: Option<String>,
    pub(crate) ca_bundle: Option<PathBuf>,
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) credentials_file: Option<PathBuf>,
}

/// A text that nothing prints.
#[derive(Clone)]
pub(crate) struct Hidden(pub(crate) String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Environment {
    /// Reads them. An empty variable counts as not set.
    pub(crate) fn read() -> Self {
        let get = |name: &str| env::var_os(name).filter(|v| !v.is_empty());
        Self {
            data: get("KILN_DATA").map(PathBuf::from),
            keep_budget: get("KILN_KEEP_BUDGET"),
            config: get("KILN_CONFIG").map(PathBuf::from),
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
            notify_socket: get("NOTIFY_SOCKET"),
            aws: {
                let text = |name: &str| get(name).and_then(|value| value.into_string().ok());
                Aws {
                    endpoint_url: text("AWS_ENDPOINT_URL"),
                    access_key_id: text("AWS_ACCESS_KEY_ID"),
                    secret_access_key: text("AWS_SECRET_ACCESS_KEY").map(Hidden),
                    session_token: text("AWS_SESSION_TOKEN").map(Hidden),
                    region: text("AWS_REGION").or_else(|| text("AWS_DEFAULT_REGION")),
                    ca_bundle: get("AWS_CA_BUNDLE").map(PathBuf::from),
                    config_file: get("AWS_CONFIG_FILE").map(PathBuf::from),
                    credentials_file: get("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from),
                }
            },
        }
    }
}
