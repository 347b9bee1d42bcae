//! buildspec.yml: text to typed buildspec with diagnostics, linting, JSON Schema.

mod decode;
mod diagnostic;
mod display;
mod excerpt;
mod keys;
mod lint;
mod model;
mod parse;
mod render;
mod schema;
mod source;
mod yaml;

pub use diagnostic::{Code, Diagnostic, Position, Severity};
pub use model::{
    ArtifactSet, Artifacts, Batch, BatchKind, BatchTask, Buildspec, Cache, CacheAction, Command, Env, Fanout,
    FileFormat, Matrix, MatrixDynamic, MatrixStatic, OnFailure, OnFailureError, Phase, Phases, Proxy, Report,
    SecretReference, SecretReferenceError, TaskEnvironment, Version,
};
pub use source::{MAX_BYTES, SourceText};
pub use {
    decode::UnknownKeys,
    excerpt::render_excerpt,
    lint::lint,
    parse::{BuildspecError, ParseOptions, Parsed, parse},
    render::{Checked, Format, UnknownFormat, render, render_diagnostic},
    schema::{schema, schema_text},
};
