//! Every key of the configuration, in one table; `docs/configuration.md` describes each.

/// A key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Its path in `kiln.toml`: `listen`, `capacity.max_builds`.
    pub(crate) path: &'static str,
    /// Whether it is a list; in a variable its items stand between commas.
    pub(crate) list: bool,
}

const fn value(path: &'static str) -> Key {
    Key { path, list: false }
}

const fn list(path: &'static str) -> Key {
    Key { path, list: true }
}

/// All of them.
pub(crate) const KEYS: [Key; 44] = [
    value("account"),
    value("region"),
    value("listen"),
    list("domains"),
    value("public_url"),
    value("log.level"),
    value("log.format"),
    value("log.requests"),
    value("tls.cert"),
    value("tls.key"),
    value("capacity.max_builds"),
    value("capacity.memory"),
    value("capacity.memory_overcommit"),
    value("capacity.queue_limit"),
    value("limits.reads_per_second"),
    value("limits.changes_per_second"),
    value("limits.strangers_per_second"),
    value("limits.deliveries_per_second"),
    value("network.mode"),
    list("network.allow"),
    value("engine"),
    value("runtime"),
    value("keep_budget"),
    value("retention.audit_days"),
    value("retention.build_days"),
    value("retention.source_days"),
    value("retention.upload_days"),
    value("max_log_bytes"),
    value("metrics.token"),
    value("metrics.public"),
    value("telemetry.otlp_endpoint"),
    list("telemetry.otlp_headers"),
    value("registry.host"),
    value("providers.github_url"),
    value("providers.gitlab_url"),
    value("providers.bitbucket_url"),
    list("providers.allow"),
    value("allow_host_image"),
    value("storage.blobs"),
    value("storage.endpoint"),
    value("storage.region"),
    value("storage.access_key_id"),
    value("storage.secret_access_key"),
    value("storage.path_style"),
];

/// Name of the tables that say where builds find buckets of another S3.
pub(crate) const EXTERNAL: &str = "external_s3";

/// Keys of such a table. They have no variables.
pub(crate) const EXTERNAL_KEYS: [Key; 6] = [
    list("external_s3.buckets"),
    value("external_s3.endpoint"),
    value("external_s3.region"),
    value("external_s3.access_key_id"),
    value("external_s3.secret_access_key"),
    value("external_s3.path_style"),
];

impl Key {
    /// Its variable: `KILN_CAPACITY_MAX_BUILDS`.
    pub(crate) fn variable(&self) -> String {
        format!("KILN_{}", self.path.replace('.', "_").to_ascii_uppercase())
    }
}

/// Variables `KILN_*` of every command.
const COMMON: [&str; 4] = ["KILN_DATA", "KILN_RUNNER", "KILN_CONFIG", "KILN_CRASH_POINT"];
/// What the scripts and tests of Kiln's repository read begins with one of these; no key ever does.
const OF_THE_REPOSITORY: [&str; 4] = ["KILN_TEST_", "KILN_SOAK", "KILN_BENCH_", "KILN_CI_"];

/// Whether a variable `KILN_*` is none of the configuration's.
pub(crate) fn is_for_others(variable: &str) -> bool {
    COMMON.contains(&variable) || OF_THE_REPOSITORY.iter().any(|prefix| variable.starts_with(prefix))
}

/// The path that somebody may have meant, for one that does not exist.
pub(crate) fn nearest(path: &str) -> Option<&'static str> {
    fn last(path: &str) -> &str {
        path.rsplit('.').next().unwrap_or(path)
    }
    let far =
        |key: &Key| strsim::osa_distance(path, key.path).min(strsim::osa_distance(last(path), last(key.path)) + 1);
    KEYS.iter()
        .chain(&EXTERNAL_KEYS)
        .map(|key| (far(key), key.path))
        .min()
        .filter(|(far, _)| *far <= 3)
        .map(|(_, path)| path)
}
