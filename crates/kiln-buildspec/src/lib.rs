//! buildspec.yml: text to typed buildspec with diagnostics, linting, JSON Schema.

mod diagnostic;
mod model;
mod source;

pub use diagnostic::{Code, Diagnostic, Position, Severity};
pub use model::{
    ArtifactSet, Artifacts, Batch, BatchKind, BatchTask, Buildspec, Cache, CacheAction, Command, Env, Fanout,
    FileFormat, Matrix, MatrixDynamic, MatrixStatic, OnFailure, OnFailureError, Phase, Phases, Proxy, Report,
    SecretReference, SecretReferenceError, TaskEnvironment, Version,
};
pub use source::{MAX_BYTES, SourceText};
