//! Every section and key of a buildspec, once: the parser's check for unknown keys, the suggestions and the JSON Schema
//! all read this table (`buildspec.md` 1.3, 1.4, 12.1).

mod advice;

pub(crate) use advice::advice;

/// What may stand behind a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Any scalar; its text counts.
    Text,
    /// A scalar, one of these in any case.
    Words(&'static [&'static str]),
    /// `version`.
    Version,
    /// `yes`, `no`, `true` or `false`.
    Switch,
    /// A list of scalars; a single scalar counts as a list of one.
    Texts,
    /// A list of commands; a single scalar counts as a list of one.
    Commands,
    /// Name to scalar.
    TextMap,
    /// Name to list of scalars.
    TextsMap,
    /// `on-failure`.
    OnFailure,
    /// A whole number from 1.
    Count,
    /// A section with keys of its own.
    Section(&'static Section),
    /// Name to section.
    Named(&'static Section),
    /// A list of sections.
    Items(&'static Section),
}

/// One key of a section.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// Documented as required. What is missing may be tolerated all the same.
    pub(crate) required: bool,
    /// For the JSON Schema: shown by editors.
    pub(crate) doc: &'static str,
}

/// A mapping with a fixed set of keys.
#[derive(Debug)]
pub(crate) struct Section {
    /// Name in the JSON Schema, and in the service's warning on unknown keys (phases are shown in capitals there).
    pub(crate) name: &'static str,
    /// Where its keys stand, to end the sentence "… belongs".
    pub(crate) place: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) keys: &'static [Key],
    /// Words of other tools and older schemas, and what to write instead (`buildspecs-in-the-wild.md` 3.3).
    pub(crate) foreign: &'static [(&'static str, &'static str)],
}

const fn key(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, shape, required: false, doc }
}

const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, shape, required: true, doc }
}

/// The phases that have commands, in the order in which they run.
pub(crate) const PHASES: [&str; 4] = ["install", "pre_build", "build", "post_build"];
/// Shells that the service documents, and spellings that public buildspecs use.
pub(crate) const SHELLS: &[&str] =
    &["bash", "/bin/bash", "sh", "/bin/sh", "powershell.exe", "powershell", "pwsh", "cmd.exe"];
/// Report formats, as `kiln_model::ReportFormat` names them; a test compares.
pub(crate) const REPORT_FORMATS: &[&str] = &[
    "JUNITXML",
    "CUCUMBERJSON",
    "NUNITXML",
    "NUNIT3XML",
    "TESTNGXML",
    "VISUALSTUDIOTRX",
    "CLOVERXML",
    "COBERTURAXML",
    "JACOCOXML",
    "SIMPLECOV",
];

pub(crate) static ROOT: Section = Section {
    name: "buildspec",
    place: "at the top level",
    doc: "A buildspec: the commands and settings of a build.",
    keys: &[
        required(
            "version",
            Shape::Version,
            "Version of the buildspec syntax. Use 0.2: 0.1 runs every command in a fresh shell.",
        ),
        key(
            "run-as",
            Shape::Text,
            "Linux user who runs the commands of all phases; root when absent. A phase's own run-as wins.",
        ),
        key("env", Shape::Section(&ENV), "Environment of the commands."),
        key(
            "environment_variables",
            Shape::Section(&ENVIRONMENT_VARIABLES),
            "Version 0.1 only: the environment variables. In version 0.2 this is env.",
        ),
        key("proxy", Shape::Section(&PROXY), "What the agent sends through an explicit proxy server."),
        key("batch", Shape::Section(&BATCH), "The builds of a batch build. Ignored when a single build is started."),
        required("phases", Shape::Section(&PHASE_LIST), "The commands, phase by phase."),
        key(
            "reports",
            Shape::Named(&REPORT),
            "Report groups: name or ARN, and the files to read test results or coverage from.",
        ),
        key("artifacts", Shape::Section(&ARTIFACTS), "Files that the build hands over at its end."),
        key("cache", Shape::Section(&CACHE), "Files that are kept for the next build."),
    ],
    foreign: &[
        ("variables", "write it under `env`"),
        ("containers", "the pre-release schema is not supported: use version 0.2 with `phases`"),
        ("image", "the image is a setting of the project, not of the buildspec"),
        ("secondary-artifacts", "write it under `artifacts`"),
    ],
};

pub(crate) static ENV: Section = Section {
    name: "env",
    place: "under `env`",
    doc: "Environment of the commands.",
    keys: &[
        key(
            "shell",
            Shape::Words(SHELLS),
            "Shell that runs the commands. When absent: the image's sh (Linux) or powershell.exe (Windows).",
        ),
        key("variables", Shape::TextMap, "Environment variables with literal text: nothing is expanded in the values."),
        key(
            "parameter-store",
            Shape::TextMap,
            "Environment variables read from Systems Manager Parameter Store: variable and parameter name.",
        ),
        key(
            "secrets-manager",
            Shape::TextMap,
            "Environment variables read from Secrets Manager: variable and secret-id:json-key:version-stage:version-id.",
        ),
        key(
            "exported-variables",
            Shape::Texts,
            "Names of variables whose value at the end of the build is part of the build's record.",
        ),
        key(
            "git-credential-helper",
            Shape::Switch,
            "yes: git commands of the build get the source provider's credentials.",
        ),
    ],
    foreign: &[
        ("compute-type", "the compute type is a setting of the project (or of a batch item's `env`)"),
        ("image", "the image is a setting of the project (or of a batch item's `env`)"),
        ("type", "the environment type is a setting of the project (or of a batch item's `env`)"),
        ("privileged", "privileged mode is a setting of the project (or `privileged-mode` of a batch item's `env`)"),
        ("privileged-mode", "privileged mode is a setting of the project (or of a batch item's `env`)"),
        ("plaintext", "in version 0.2 this is `variables`"),
        ("secrets", "did you mean `secrets-manager`?"),
    ],
};

pub(crate) static ENVIRONMENT_VARIABLES: Section = Section {
    name: "environment_variables",
    place: "under `environment_variables` (version 0.1)",
    doc: "Environment variables of version 0.1.",
    keys: &[
        key("plaintext", Shape::TextMap, "Environment variables with literal text."),
        key("parameter-store", Shape::TextMap, "Environment variables read from Systems Manager Parameter Store."),
    ],
    foreign: &[("variables", "in version 0.1 this is `plaintext`")],
};

pub(crate) static PROXY: Section = Section {
    name: "proxy",
    place: "under `proxy`",
    doc: "What the agent sends through an explicit proxy server.",
    keys: &[
        key("upload-artifacts", Shape::Switch, "yes: artifacts are uploaded through the proxy."),
        key("logs", Shape::Switch, "yes: logs are sent through the proxy."),
    ],
    foreign: &[],
};

pub(crate) static PHASE_LIST: Section = Section {
    name: "phases",
    place: "under `phases`",
    doc: "The phases, which run in the order install, pre_build, build, post_build. No other names are allowed.",
    keys: &[
        key("install", Shape::Section(&INSTALL), "Installs what the build needs; selects runtimes."),
        key("pre_build", Shape::Section(&PHASE), "Runs before the build: logins, dependencies."),
        key("build", Shape::Section(&PHASE), "The build itself. When it fails, post_build still runs."),
        key(
            "post_build",
            Shape::Section(&PHASE),
            "Runs after the build, also after a failed one: packages, pushes, notifies.",
        ),
    ],
    foreign: &[
        ("test", "run the tests in `build` or `post_build`"),
        ("tests", "run the tests in `build` or `post_build`"),
        ("unit_test", "run the tests in `build` or `post_build`"),
        ("deploy", "deploy in `post_build`"),
        ("configuration", "there are only install, pre_build, build and post_build"),
    ],
};

const RUN_AS: Key = key("run-as", Shape::Text, "Linux user who runs the commands of this phase.");
const ON_FAILURE: Key = key(
    "on-failure",
    Shape::OnFailure,
    "What happens when the phase fails: ABORT, CONTINUE, RETRY, RETRY-<count>, RETRY-<regex> or RETRY-<count>-<regex>.",
);
const COMMANDS: Key = key(
    "commands",
    Shape::Commands,
    "Commands, run one after the other until one fails. Directory and variables are kept from one to the next.",
);
const FINALLY: Key =
    key("finally", Shape::Commands, "Commands that run after `commands`, also when one of them failed.");
const PHASE_FOREIGN: &[(&str, &str)] = &[
    ("steps", "did you mean `commands`?"),
    ("script", "did you mean `commands`?"),
    ("scripts", "did you mean `commands`?"),
    ("run", "did you mean `commands`?"),
    ("env", "environment variables stand under `env` at the top level, or in an `export` command"),
    ("variables", "environment variables stand under `env` at the top level, or in an `export` command"),
    ("labels", "phases have no labels"),
    ("python", "runtimes stand under `runtime-versions` of the install phase"),
    ("nodejs", "runtimes stand under `runtime-versions` of the install phase"),
    ("java", "runtimes stand under `runtime-versions` of the install phase"),
];

pub(crate) static INSTALL: Section = Section {
    name: "install",
    place: "in the install phase",
    doc: "The install phase.",
    keys: &[
        RUN_AS,
        ON_FAILURE,
        key(
            "runtime-versions",
            Shape::TextMap,
            "Runtimes to select: name and version (3.12, 18.x, latest, or a variable).",
        ),
        COMMANDS,
        FINALLY,
    ],
    foreign: PHASE_FOREIGN,
};

pub(crate) static PHASE: Section = Section {
    name: "phase",
    place: "in a phase",
    doc: "A phase.",
    keys: &[RUN_AS, ON_FAILURE, COMMANDS, FINALLY],
    foreign: PHASE_FOREIGN,
};

const BASE_DIRECTORY: Key = key(
    "base-directory",
    Shape::Text,
    "Directory that `files` are relative to; may be a glob. When absent: the source directory.",
);
const DISCARD_PATHS: Key = key("discard-paths", Shape::Switch, "yes: all files are stored without their directories.");

pub(crate) static REPORT: Section = Section {
    name: "report",
    place: "in a report group under `reports`",
    doc: "A report group.",
    keys: &[
        required("files", Shape::Texts, "Files with the results: paths or globs, relative to `base-directory`."),
        key("file-format", Shape::Words(REPORT_FORMATS), "Format of the files; JUNITXML when absent."),
        BASE_DIRECTORY,
        DISCARD_PATHS,
    ],
    foreign: &[("type", "did you mean `file-format`?"), ("format", "did you mean `file-format`?")],
};

const FILES: Key = required(
    "files",
    Shape::Texts,
    "Files to take: paths or globs, relative to `base-directory`; '**/*' is everything. Required even when only secondary artifacts are wanted.",
);
const NAME: Key = key(
    "name",
    Shape::Text,
    "Name of the artifact, evaluated by the shell. Used only when the project lets the buildspec name its artifact.",
);
const EXCLUDE_PATHS: Key =
    key("exclude-paths", Shape::Texts, "Files to leave out: globs, relative to `base-directory`.");
const ENABLE_SYMLINKS: Key =
    key("enable-symlinks", Shape::Switch, "yes: symbolic links are kept as links (ZIP packaging only).");
const S3_PREFIX: Key =
    key("s3-prefix", Shape::Text, "Prefix of the object's key, when the project puts the build id into the path.");
const ARTIFACT_FOREIGN: &[(&str, &str)] = &[
    ("type", "packaging (ZIP or not) is a setting of the project"),
    ("packaging", "packaging (ZIP or not) is a setting of the project"),
    ("excludes", "did you mean `exclude-paths`?"),
    ("exclude", "did you mean `exclude-paths`?"),
    ("paths", "did you mean `files`?"),
    ("basedir", "did you mean `base-directory`?"),
    ("if", "artifacts have no condition"),
];

pub(crate) static ARTIFACTS: Section = Section {
    name: "artifacts",
    place: "under `artifacts`",
    doc: "Files that the build hands over at its end.",
    keys: &[
        FILES,
        NAME,
        DISCARD_PATHS,
        BASE_DIRECTORY,
        EXCLUDE_PATHS,
        ENABLE_SYMLINKS,
        S3_PREFIX,
        key("secondary-artifacts", Shape::Named(&SECONDARY_ARTIFACT), "Further artifacts, by identifier."),
    ],
    foreign: ARTIFACT_FOREIGN,
};

pub(crate) static SECONDARY_ARTIFACT: Section = Section {
    name: "secondary-artifacts",
    place: "in a secondary artifact",
    doc: "A secondary artifact.",
    keys: &[FILES, NAME, DISCARD_PATHS, BASE_DIRECTORY, EXCLUDE_PATHS, ENABLE_SYMLINKS, S3_PREFIX],
    foreign: ARTIFACT_FOREIGN,
};

pub(crate) static CACHE: Section = Section {
    name: "cache",
    place: "under `cache`",
    doc: "Files that are kept for the next build.",
    keys: &[
        key(
            "paths",
            Shape::Texts,
            "What to keep: globs, relative to the source directory or absolute, such as '/root/.m2/**/*'.",
        ),
        key("key", Shape::Text, "Key of the cache, evaluated by the shell; a cache is saved once for each key."),
        key(
            "fallback-keys",
            Shape::Texts,
            "At most five prefixes of keys, tried in order when there is no cache for `key`.",
        ),
        key("action", Shape::Words(&["restore", "save"]), "restore: only restore; save: only save. When absent: both."),
    ],
    foreign: &[
        ("directories", "did you mean `paths`?"),
        ("files", "did you mean `paths`?"),
        ("path", "did you mean `paths`?"),
        ("modes", "cache modes are a setting of the project"),
        ("type", "the kind of cache is a setting of the project"),
        ("restore-keys", "did you mean `fallback-keys`?"),
    ],
};

pub(crate) static BATCH: Section = Section {
    name: "batch",
    place: "under `batch`",
    doc: "The builds of a batch build: exactly one of build-list, build-graph, build-matrix and build-fanout.",
    keys: &[
        key("fast-fail", Shape::Switch, "true: all builds are stopped as soon as one fails."),
        key("build-list", Shape::Items(&LIST_ITEM), "Independent builds."),
        key("build-graph", Shape::Items(&GRAPH_ITEM), "Builds that wait for others."),
        key("build-matrix", Shape::Section(&MATRIX), "One build for every combination of the lists under `dynamic`."),
        key("build-fanout", Shape::Section(&FANOUT), "Copies of one build that share out its tests."),
    ],
    foreign: &[("static", "write it under `build-matrix`"), ("dynamic", "write it under `build-matrix`")],
};

const IDENTIFIER: Key =
    required("identifier", Shape::Text, "Name of the build: letters, digits and _, at most 127, unique in the batch.");
const BUILDSPEC: Key = key("buildspec", Shape::Text, "Path of this build's buildspec; when absent: this file.");
const DEBUG_SESSION: Key = key("debug-session", Shape::Switch, "true: the build can be paused and looked into.");
const IGNORE_FAILURE: Key =
    key("ignore-failure", Shape::Switch, "true: the batch can succeed though this build fails.");
const ITEM_ENV: Key = key("env", Shape::Section(&ITEM_ENVIRONMENT), "What differs from the project's environment.");
const ITEM_FOREIGN: &[(&str, &str)] = &[
    ("comment", "write a YAML comment: # …"),
    ("compute-type", "write it under `env`"),
    ("image", "write it under `env`"),
    ("variables", "write it under `env`"),
    ("depends-on", "did you mean `depend-on`?"),
];

pub(crate) static LIST_ITEM: Section = Section {
    name: "build-list",
    place: "in an item of `build-list`",
    doc: "A build of the list.",
    keys: &[IDENTIFIER, BUILDSPEC, DEBUG_SESSION, ITEM_ENV, IGNORE_FAILURE],
    foreign: ITEM_FOREIGN,
};

pub(crate) static GRAPH_ITEM: Section = Section {
    name: "build-graph",
    place: "in an item of `build-graph`",
    doc: "A build of the graph.",
    keys: &[
        IDENTIFIER,
        BUILDSPEC,
        DEBUG_SESSION,
        key("depend-on", Shape::Texts, "Identifiers of builds that must have completed before this one starts."),
        ITEM_ENV,
        IGNORE_FAILURE,
    ],
    foreign: ITEM_FOREIGN,
};

const COMPUTE_TYPE: Key =
    key("compute-type", Shape::Text, "Compute type, such as BUILD_GENERAL1_SMALL. Not together with `fleet`.");
const IMAGE: Key = key("image", Shape::Text, "Build image.");
const PRIVILEGED_MODE: Key = key("privileged-mode", Shape::Switch, "true: the build may run a Docker daemon.");
const TYPE: Key = key("type", Shape::Text, "Environment type, such as LINUX_CONTAINER.");

pub(crate) static ITEM_ENVIRONMENT: Section = Section {
    name: "batch-env",
    place: "in a batch item's `env`",
    doc: "Environment of one build of the batch.",
    keys: &[
        COMPUTE_TYPE,
        key("fleet", Shape::Text, "Reserved capacity fleet. Not together with `compute-type`."),
        IMAGE,
        PRIVILEGED_MODE,
        TYPE,
        key("variables", Shape::TextMap, "Environment variables of this build."),
    ],
    foreign: &[("env", "write the variables under `variables`"), ("privileged", "did you mean `privileged-mode`?")],
};

pub(crate) static MATRIX: Section = Section {
    name: "build-matrix",
    place: "under `build-matrix`",
    doc: "A matrix of builds.",
    keys: &[
        key("static", Shape::Section(&MATRIX_STATIC), "What is the same for all builds."),
        key("dynamic", Shape::Section(&MATRIX_DYNAMIC), "Lists; every combination of their values is a build."),
    ],
    foreign: &[],
};

pub(crate) static MATRIX_STATIC: Section = Section {
    name: "static",
    place: "under `static` of a build matrix",
    doc: "What is the same for all builds of a matrix.",
    keys: &[IGNORE_FAILURE, key("env", Shape::Section(&MATRIX_STATIC_ENV), "Environment of all builds.")],
    foreign: &[("fast-fail", "write it under `batch`")],
};

pub(crate) static MATRIX_STATIC_ENV: Section = Section {
    name: "static-env",
    place: "under `static/env` of a build matrix",
    doc: "Environment of all builds of a matrix.",
    keys: &[PRIVILEGED_MODE, TYPE],
    foreign: &[],
};

pub(crate) static MATRIX_DYNAMIC: Section = Section {
    name: "dynamic",
    place: "under `dynamic` of a build matrix",
    doc: "Lists; every combination of their values is a build.",
    keys: &[
        key("buildspec", Shape::Texts, "Paths of buildspecs."),
        key("env", Shape::Section(&MATRIX_DYNAMIC_ENV), "Lists of environment settings."),
    ],
    foreign: &[],
};

pub(crate) static MATRIX_DYNAMIC_ENV: Section = Section {
    name: "dynamic-env",
    place: "under `dynamic/env` of a build matrix",
    doc: "Lists of environment settings of a matrix.",
    keys: &[
        key("compute-type", Shape::Texts, "Compute types."),
        key("image", Shape::Texts, "Build images."),
        key("variables", Shape::TextsMap, "Environment variables: name and list of values."),
    ],
    foreign: &[],
};

pub(crate) static FANOUT: Section = Section {
    name: "build-fanout",
    place: "under `build-fanout`",
    doc: "Copies of one build that share out its tests.",
    keys: &[required("parallelism", Shape::Count, "Number of copies."), IGNORE_FAILURE],
    foreign: &[],
};

/// Every section, the outer ones first: where a misplaced key may belong.
pub(crate) static ALL: [&Section; 21] = [
    &ROOT,
    &ENV,
    &INSTALL,
    &PHASE,
    &ARTIFACTS,
    &CACHE,
    &BATCH,
    &REPORT,
    &PHASE_LIST,
    &SECONDARY_ARTIFACT,
    &ENVIRONMENT_VARIABLES,
    &PROXY,
    &LIST_ITEM,
    &GRAPH_ITEM,
    &ITEM_ENVIRONMENT,
    &MATRIX,
    &MATRIX_STATIC,
    &MATRIX_STATIC_ENV,
    &MATRIX_DYNAMIC,
    &MATRIX_DYNAMIC_ENV,
    &FANOUT,
];

impl Section {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_formats_are_those_of_the_model() {
        assert_eq!(REPORT_FORMATS, kiln_model::ReportFormat::ALL.map(kiln_model::ReportFormat::as_str));
    }

    #[test]
    fn every_section_is_listed() {
        fn visit(section: &'static Section, seen: &mut Vec<&'static str>) {
            if seen.contains(&section.name) {
                return;
            }
            seen.push(section.name);
            for key in section.keys {
                if let Shape::Section(inner) | Shape::Named(inner) | Shape::Items(inner) = key.shape {
                    visit(inner, seen);
                }
            }
        }
        let mut seen = Vec::new();
        visit(&ROOT, &mut seen);
        let mut listed = ALL.map(|section| section.name).to_vec();
        seen.sort_unstable();
        listed.sort_unstable();
        assert_eq!(seen, listed);
    }
}
