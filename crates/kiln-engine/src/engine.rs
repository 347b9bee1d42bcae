//! The closed set of engines.

use crate::{
    error::EngineError, native::NativeEngine, network::NetworkConfig, oci::OciEngine, sandbox::Sandbox,
    spec::SandboxSpec,
};

/// Something that starts sandboxes.
#[derive(Debug, Clone)]
pub enum Engine {
    /// Kiln's own launcher.
    Native(NativeEngine),
    /// An OCI runtime binary such as `runc`.
    Oci(OciEngine),
}

impl Engine {
    /// Kiln's own launcher.
    #[must_use]
    pub fn native() -> Engine {
        Engine::Native(NativeEngine::default())
    }

    /// The OCI runtime at `runtime`, an absolute path.
    #[must_use]
    pub fn oci(runtime: impl Into<std::path::PathBuf>) -> Engine {
        Engine::Oci(OciEngine { runtime: runtime.into(), network: NetworkConfig::default() })
    }

    /// The same engine with what the operator says about builds' networks.
    #[must_use]
    pub fn with_network(mut self, network: NetworkConfig) -> Engine {
        match &mut self {
            Engine::Native(native) => native.network = network,
            Engine::Oci(oci) => oci.network = network,
        }
        self
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
            Engine::Oci(oci) => oci.start(spec),
        }
    }
}
