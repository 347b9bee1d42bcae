//! Namespaces, system call filter, and a whole sandbox.

use std::{ffi::CString, fs, path::Path, time::Duration};

use super::{
    Check, Status,
    child::{Ids, in_child},
};
use crate::{
    Disk, Engine, Exit, Limits, NetworkMode, Process, RootFs, SandboxSpec,
    ids::IdRange,
    registry::Registry,
    sys::process::{flag, load_seccomp},
};

/// Every namespace that a sandbox has.
const NAMESPACES: u64 =
    flag::NEWUSER | flag::NEWNS | flag::NEWPID | flag::NEWIPC | flag::NEWUTS | flag::NEWNET | flag::NEWCGROUP;

/// A range of ids that no sandbox uses now. For as long as the second value lives it stays so.
pub(super) fn free_range(root: bool) -> Result<(Ids, Option<IdRange>), String> {
    if !root {
        return Ok((Ids::Single, None));
    }
    let range = Registry::create().and_then(|registry| IdRange::any(&registry.ids(), "doctor"));
    range.map(|range| (Ids::Range(range.base), Some(range))).map_err(|error| error.to_string())
}

/// Starts a process in namespaces of its own, as root there and as nobody in particular outside.
pub(super) fn user_namespace(root: bool) -> Check {
    let check = |status, found: String| Check::new("user-namespaces", "namespaces", status, found);
    let tried = free_range(root).and_then(|(ids, _range)| {
        in_child(NAMESPACES, &ids, || {
            let uid = rustix::process::geteuid();
            if uid.is_root() { Ok(String::new()) } else { Err(format!("the process is {uid}, not root, inside")) }
        })
    });
    match tried {
        Ok(_) if root => check(Status::Ok, "user, mount, pid, ipc, uts, net and cgroup; 65,536 ids a build".to_owned()),
        Ok(_) => check(Status::Ok, "user, mount, pid, ipc, uts, net and cgroup; builds' root is this user".to_owned()),
        Err(why) => check(Status::Problem, why).fix(namespace_fix()),
    }
}

/// What forbids user namespaces here, as far as the kernel says.
fn namespace_fix() -> String {
    let setting = |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default().trim().to_owned();
    let set = |name: &str, value: &str| {
        format!("`sysctl -w {name}={value}` as root, and the same in /etc/sysctl.d/60-kiln.conf to keep it")
    };
    if setting("user/max_user_namespaces") == "0" {
        set("user.max_user_namespaces", "65536")
    } else if setting("kernel/unprivileged_userns_clone") == "0" {
        set("kernel.unprivileged_userns_clone", "1")
    } else if setting("kernel/apparmor_restrict_unprivileged_userns") == "1" {
        format!(
            "let AppArmor allow user namespaces to kiln by a profile for {} with `userns,`, or to all: {}",
            std::env::current_exe().unwrap_or_default().display(),
            set("kernel.apparmor_restrict_unprivileged_userns", "0")
        )
    } else {
        "in a container: run it with --privileged or with a seccomp profile that allows clone3 and unshare with namespace \
         flags; on a machine: a kernel with CONFIG_USER_NS, CONFIG_PID_NS and CONFIG_NET_NS"
            .to_owned()
    }
}

/// Maps a range of subordinate ids, as an ordinary user may who has one.
pub(super) fn subordinate_ids() -> Check {
    let check = |status, found: String| Check::new("subordinate-ids", "ranges of ids for users", status, found);
    match super::tools::map_subordinate_ids() {
        Ok(found) => check(Status::Ok, found),
        Err(why) => check(
            Status::Warning,
            format!("builds have one id, so `su`, packages that create users, and files of other owners fail: {why}"),
        )
        .fix(
            "install newuidmap and newgidmap (package uidmap), and as root: `usermod --add-subuids 100000-165535 \
             --add-subgids 100000-165535 USER`",
        ),
    }
}

/// Loads a filter and sees whether it filters.
pub(super) fn seccomp(root: bool) -> Check {
    let check = |status, found: String| Check::new("seccomp", "system call filter", status, found);
    let tried = free_range(root).and_then(|(ids, _range)| {
        in_child(flag::NEWUSER, &ids, || {
            load_seccomp(&without_openat()).map_err(|error| format!("a filter was refused: {error}"))?;
            rustix::thread::set_no_new_privs(true).ok();
            match rustix::fs::openat(rustix::fs::CWD, "/", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()) {
                Err(rustix::io::Errno::NOSYS) => Ok(String::new()),
                _ => Err("a filter was loaded and does not filter".to_owned()),
            }
        })
    });
    match tried {
        Ok(_) => check(Status::Ok, "works".to_owned()),
        Err(why) => check(Status::Problem, why).fix("a kernel with CONFIG_SECCOMP_FILTER"),
    }
}

/// A filter that answers `openat` with ENOSYS and allows all else.
fn without_openat() -> Vec<u8> {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const ERRNO: u32 = 0x0005_0000;
    const ALLOW: u32 = 0x7fff_0000;
    let instruction = |code: u16, if_true: u8, if_false: u8, value: u32| {
        let ([c0, c1], [v0, v1, v2, v3]) = (code.to_ne_bytes(), value.to_ne_bytes());
        [c0, c1, if_true, if_false, v0, v1, v2, v3]
    };
    [
        instruction(LOAD_WORD, 0, 0, 0), // the number of the call
        instruction(JUMP_IF_EQUAL, 0, 1, libc::SYS_openat as u32),
        instruction(RETURN, 0, 0, ERRNO | libc::ENOSYS as u32),
        instruction(RETURN, 0, 0, ALLOW),
    ]
    .concat()
}

/// Starts a sandbox with the machine's own tools and runs a command in it: what a build does.
pub(super) fn sandbox(scratch: &Path, data: &Path) -> Check {
    let check = |status, found: String| Check::new("sandbox", "a whole sandbox", status, found);
    let id = format!("doctor-{}", std::process::id());
    let tried = in_child(0, &Ids::Own, || {
        let spec = SandboxSpec {
            id,
            root: RootFs::Host,
            disk: Disk { dir: scratch.join("sandbox"), templates: data.join("images").join("disks"), bytes: 256 << 20 },
            container_store: None,
            volumes: Vec::new(),
            process: Process {
                argv: ["/bin/sh", "-c", "echo kept > /tmp/file && exit $(($(cat /tmp/file | wc -c) + 37))"]
                    .iter()
                    .filter_map(|word| CString::new(*word).ok())
                    .collect(),
                env: Vec::new(),
                cwd: "/".into(),
                stdio: [None, None, None],
                fds: Vec::new(),
            },
            limits: Limits { vcpus: Some(1), memory_bytes: Some(512 << 20), pids: Some(256) },
            network: NetworkMode::None,
            privileged: false,
            hostname: "doctor".to_owned(),
        };
        let mut sandbox = Engine::native().start(spec).map_err(|error| error.to_string())?;
        let exit = sandbox.wait(Some(Duration::from_secs(20))).map_err(|error| error.to_string())?;
        let notices = sandbox.notices().to_vec();
        let left = sandbox.destroy(false).map_err(|error| error.to_string())?;
        match exit {
            Some(Exit::Code(42)) if left.is_empty() => Ok(notices.join("\n")),
            Some(Exit::Code(42)) => Err(format!("it could not be removed: {}", left.join(", "))),
            other => Err(format!("a shell command in it ended wrongly ({other:?})")),
        }
    });
    match tried {
        Ok(notices) if notices.is_empty() => {
            check(Status::Ok, "a command ran in one, and nothing of it is left".to_owned())
        }
        // What is not enforced is a warning of the check that tried it.
        Ok(notices) => check(
            Status::Ok,
            format!(
                "a command ran in one, and nothing of it is left; {}",
                notices.lines().collect::<Vec<_>>().join("; ")
            ),
        ),
        Err(why) => check(Status::Problem, why).fix("see the problems above; without any, please report this"),
    }
}
