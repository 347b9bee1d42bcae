//! The bundle's `config.json` (OCI runtime specification 1.0.2).

use std::{ffi::CString, path::Path};

use serde_json::{Value, json};

use crate::{
    cgroup,
    error::EngineError,
    ids::IDS,
    native::{credentials, rootfs},
    prepare::FirstProcess,
    seccomp,
};

/// What the configuration depends on.
pub(super) struct Facts<'a> {
    pub(super) id: &'a str,
    pub(super) hostname: &'a str,
    pub(super) privileged: bool,
    pub(super) own_network: bool,
    /// The host's id of the container's root.
    pub(super) base: u32,
    pub(super) process: &'a FirstProcess,
}

/// The whole file.
pub(super) fn config(facts: &Facts<'_>) -> Result<Value, EngineError> {
    let mut namespaces = vec!["pid", "ipc", "uts", "mount", "user", "cgroup"];
    if facts.own_network {
        namespaces.push("network");
    }
    let namespaces: Vec<Value> = namespaces.into_iter().map(|kind| json!({ "type": kind })).collect();
    let map = json!([{ "containerID": 0, "hostID": facts.base, "size": IDS }]);
    let capabilities = capability_names(facts.privileged);
    let (masked, read_only) =
        if facts.privileged { (json!([]), json!([])) } else { (json!(rootfs::MASKED), json!(rootfs::READ_ONLY)) };
    let seccomp: Value = serde_json::from_str(seccomp::oci(facts.privileged))
        .map_err(|error| EngineError::Spec(format!("the system call profile is damaged: {error}")))?;
    let (soft, hard) = credentials::OPEN_FILES;
    let now = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let hard = now.map_or(hard, |now| now.min(hard));
    Ok(json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0, "umask": 0o022 },
            "args": strings(&facts.process.argv)?,
            "env": strings(&facts.process.env)?,
            "cwd": path(&facts.process.cwd)?,
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            },
            "rlimits": [
                { "type": "RLIMIT_NOFILE", "soft": soft.min(hard), "hard": hard },
                { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 },
            ],
            "noNewPrivileges": false,
            "oomScoreAdj": 500,
        },
        "root": { "path": "rootfs", "readonly": false },
        "hostname": facts.hostname,
        "mounts": mounts(facts),
        "linux": {
            "uidMappings": map, "gidMappings": map,
            "namespaces": namespaces,
            "cgroupsPath": cgroup::Host::oci_path(facts.id),
            "maskedPaths": masked,
            "readonlyPaths": read_only,
            "seccomp": seccomp,
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
        },
    }))
}

fn mounts(facts: &Facts<'_>) -> Value {
    let sys_access = if facts.privileged { "rw" } else { "ro" };
    let sys = if facts.own_network {
        json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs",
                "options": ["nosuid", "noexec", "nodev", sys_access] })
    } else {
        json!({ "destination": "/sys", "type": "none", "source": "/sys",
                "options": ["bind", "nosuid", "noexec", "nodev", "ro"] })
    };
    let shm = format!("size={}", rootfs::SHM_BYTES);
    json!([
        { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] },
        { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
          "options": ["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"] },
        { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
          "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
        { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
          "options": ["nosuid", "noexec", "nodev", "mode=1777", shm] },
        { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
          "options": ["nosuid", "noexec", "nodev"] },
        sys,
    ])
}

/// JSON has text only, so nothing else can be passed this way.
fn strings(values: &[CString]) -> Result<Vec<&str>, EngineError> {
    let text = |value| {
        let value: &CString = value;
        value.to_str().map_err(|_| EngineError::Spec(format!("{value:?} is not UTF-8, which an OCI runtime needs")))
    };
    values.iter().map(text).collect()
}

fn path(path: &Path) -> Result<&str, EngineError> {
    path.to_str()
        .ok_or_else(|| EngineError::Spec(format!("{} is not UTF-8, which an OCI runtime needs", path.display())))
}

/// Names by bit number (`linux/capability.h`).
const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

fn capability_names(privileged: bool) -> Vec<&'static str> {
    let set = credentials::capabilities(privileged).bits();
    CAPABILITIES.iter().enumerate().filter(|(bit, _)| set & (1_u64 << bit) != 0).map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_default_capabilities_have_dockers_names() {
        let names = super::capability_names(false);
        assert_eq!(names.len(), 14);
        assert!(names.contains(&"CAP_AUDIT_WRITE") && names.contains(&"CAP_SETFCAP"));
        assert!(!names.contains(&"CAP_SYS_ADMIN"));
        assert_eq!(super::capability_names(true).len(), 41);
    }
}
