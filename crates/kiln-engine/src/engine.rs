//! The closed set of engines.

use crate::{error::EngineError, native::NativeEngine, sandbox::Sandbox, spec::SandboxSpec};

/// Something that starts sandboxes.
#[derive(Debug, Clone)]
pub enum Engine {
    /// Kiln's own launcher.
    Native(NativeEngine),
}

impl Engine {
    /// Kiln's own launcher.
    #[must_use]
    pub fn native() -> Engine {
        Engine::Native(NativeEngine::default())
    }

    /// Starts a sandbox; its first process runs when this returns. The calling process must have one thread, and moves
    /// into a mount namespace of its own. The sandbox dies with it.
    ///
    /// # Errors
    /// Says what the machine, the image or the request did not allow. Nothing is left over then, except a disk that
    /// existed before.
    pub fn start(&self, spec: SandboxSpec) -> Result<Sandbox, EngineError> {
        match self {
            Engine::Native(native) => native.start(spec),
        }
    }
}
