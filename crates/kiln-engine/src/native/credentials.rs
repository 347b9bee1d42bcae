//! What the first process may do: ids, capabilities, resource limits.

use rustix::{
    process::{Resource, Rlimit},
    thread::{CapabilitySet, CapabilitySets},
};

use crate::error::{Context as _, EngineError};

/// Docker's 14 default capabilities.
pub(crate) const DEFAULT_CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::AUDIT_WRITE);

/// Most open files of a process; 65,536 of them from the start (Docker starts with all, which some programs then close
/// one by one at each fork).
pub(crate) const OPEN_FILES: (u64, u64) = (65_536, 1_048_576);

/// Makes this process root of its user namespace. `set_groups`: the namespace allows it (it does not where an ordinary
/// user mapped only itself).
pub(crate) fn become_root(set_groups: bool) -> Result<(), EngineError> {
    use rustix::process::{Gid, Uid};
    if set_groups {
        rustix::thread::set_thread_groups(&[]).context(|| "leave the host's groups")?;
    }
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).context(|| "become root's group")?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).context(|| "become root of the sandbox")?;
    Ok(())
}

/// Resource limits; a hard limit that is lower already stays.
pub(crate) fn limit_resources() -> Result<(), EngineError> {
    let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
    let hard = hard.map_or(OPEN_FILES.1, |hard| hard.min(OPEN_FILES.1));
    let files = Rlimit { current: Some(OPEN_FILES.0.min(hard)), maximum: Some(hard) };
    rustix::process::setrlimit(Resource::Nofile, files).context(|| "limit open files")?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none).context(|| "forbid core dumps")
}

/// The capabilities of a sandbox.
pub(crate) fn capabilities(privileged: bool) -> CapabilitySet {
    if privileged { CapabilitySet::all() } else { DEFAULT_CAPABILITIES }
}

/// Removes all other capabilities from the bounding set: no program inside can ever have them.
pub(crate) fn bound(keep: CapabilitySet) -> Result<(), EngineError> {
    for number in 0..64 {
        let Some(one) = 1_u64.checked_shl(number).map(CapabilitySet::from_bits_retain) else { continue };
        if keep.intersects(one) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            // The first number that this kernel does not know.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(error).context(|| format!("give up capability {number}")),
        }
    }
    Ok(())
}

/// Gives up all other capabilities now. Ambient ones there are none: a new user namespace starts without.
pub(crate) fn restrict(keep: CapabilitySet) -> Result<(), EngineError> {
    let now = rustix::thread::capabilities(None).context(|| "read the capabilities")?;
    let keep = now.permitted & keep;
    let sets = CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).context(|| "give up capabilities")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_dockers() {
        assert_eq!(DEFAULT_CAPABILITIES.bits(), 0xa804_25fb);
    }
}
