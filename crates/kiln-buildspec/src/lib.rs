//! buildspec.yml: text to typed buildspec with diagnostics, linting, JSON Schema.
//!
//! Pure functions over text: no files, no environment, no clock. What AWS CodeBuild accepts, refuses and only warns of is
//! taken from public buildspecs and logs (`buildspecs-in-the-wild.md`) and from its documentation (`buildspec.md`).
//!
//! # Running a build
//! [`parse()`] gives a [`Buildspec`] or a [`BuildspecError`]. The error displays as the service words it, which is the
//! message of the phase context `YAML_FILE_ERROR`; [`render_diagnostic`] shows the place with a caret and says what to do.
//!
//! ```
//! use kiln_buildspec::{ParseOptions, SourceText, parse, render_diagnostic};
//!
//! let text = b"version: 0.2\nphases:\n  build:\n    commands:\n      - echo \"a: b\"\n";
//! let error = parse(text, ParseOptions::default()).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "Expected Commands[0] to be of string type: found subkeys instead at line 5, value of the key tag on line 4 might \
//!      be empty"
//! );
//! let shown = render_diagnostic("buildspec.yml", &SourceText::lossy(text), error.first(), false);
//! assert!(shown.contains("      = hint: quote the whole command: - 'echo \"a: b\"'"));
//!
//! let parsed = parse(b"version: 0.2\nphases: {build: {commands: [make]}}\n", ParseOptions::default())?;
//! assert_eq!(parsed.buildspec.phases.build.unwrap().commands[0].text, "make");
//! # Ok::<(), kiln_buildspec::BuildspecError>(())
//! ```
//!
//! [`Parsed::warning_lines`] has the lines that the service's log shows for unknown keys.
//!
//! # Linting
//! [`lint()`] finds all problems at once and [`render()`] writes them as text, JSON or SARIF. Every kind of remark has a stable
//! [`Code`].
//!
//! # Rules that hold everywhere
//! - Scalars keep their text: `3.10` stays `3.10`, `yes` stays `yes`. Only `~`, `null` and nothing at all count as null.
//! - Order is kept. Of duplicate keys the last one counts, and a warning says so.
//! - A shape that AWS was seen to accept is accepted. Where its behaviour is unknown, a shape with one sensible reading is
//!   accepted with a warning; any other is an error.
//! - Lines and columns count from 1, columns in characters. Only in AWS's own texts of YAML errors do lines count from 0,
//!   as they do there.
//! - Texts are hostile: at most [`MAX_BYTES`], 50,000 values, 100 levels, aliases expanding to 4 MiB, 1,000 diagnostics of
//!   each severity. Messages quote the file cut and with control characters escaped, so that they can go to a terminal.
//!   Measured on 2 shared cores: the worst of 40 hostile texts (unknown keys on one line of 1 MB) takes 0.1 s, bombs under
//!   60 ms, memory stays below 20 MiB above the text.
//!
//! # How it is made
//! `source` decodes; `yaml` reads libyaml's YAML to a tree with places (and says why it is not a library's); `keys` is the
//! table of all sections and keys, from which `decode` (tree to model), the suggestions for misspelt keys and [`schema()`]
//! work; `lint` adds what is no error.

mod decode;
mod diagnostic;
mod display;
mod excerpt;
mod keys;
mod lint;
mod model;
mod parse;
mod render;
mod runtimes;
mod schema;
mod source;
mod yaml;

pub use decode::UnknownKeys;
pub use diagnostic::{Code, Diagnostic, Position, Severity};
pub use excerpt::render_excerpt;
pub use lint::lint;
pub use model::{
    ArtifactSet, Artifacts, Batch, BatchKind, BatchTask, Buildspec, Cache, CacheAction, Command, Env, Fanout,
    FileFormat, Matrix, MatrixDynamic, MatrixStatic, OnFailure, OnFailureError, Phase, Phases, Proxy, Report,
    SecretReference, SecretReferenceError, TaskEnvironment, Version,
};
pub use parse::{BuildspecError, ParseOptions, Parsed, parse};
pub use render::{Checked, Format, UnknownFormat, render, render_diagnostic};
pub use runtimes::{Runtimes, RuntimesFileError, Selection, SelectionError};
pub use schema::{schema, schema_text};
pub use source::{MAX_BYTES, SourceText};
