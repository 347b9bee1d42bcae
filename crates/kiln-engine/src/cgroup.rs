//! Control groups: limits, accounting and the one call that kills a whole tree. On hosts with cgroup v2, v1, or both
//! (v1 controllers and a v2 hierarchy without any, as systemd's hybrid layout has).

mod usage;

use std::{
    fs::File,
    io::Write as _,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use self::usage::UsageFiles;
use crate::{
    error::{Context as _, EngineError},
    native::rootfs::CgroupMounts,
    spec::{Limits, Usage},
};

/// Name of the cgroup below which all sandboxes live, at the root of each hierarchy, as `docker` is Docker's.
const PARENT: &str = "kiln";
/// What Kiln limits or counts.
const CONTROLLERS: [&str; 5] = ["cpu", "memory", "pids", "io", "cpuacct"];

/// All that cgroup v1 knows: what of a hierarchy's mount options names controllers.
const V1_CONTROLLERS: [&str; 14] = [
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "debug",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "misc",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
];

/// A mounted cgroup hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hierarchy {
    /// Where it is mounted.
    mount: PathBuf,
    /// Those of its controllers that Kiln uses, by their v2 names where they have one (`blkio` is `io`).
    controllers: Vec<String>,
    /// v1: the mount options that name it, e.g. `cpu,cpuacct` or `name=systemd`.
    options: String,
}

/// The hierarchies of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Host {
    v2: Option<Hierarchy>,
    v1: Vec<Hierarchy>,
}

impl Host {
    /// Reads them from `/proc/self/mountinfo`.
    pub(crate) fn detect() -> Result<Host, EngineError> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").context(|| "read /proc/self/mountinfo")?;
        let mut host = Host::parse(&mounts);
        let root = rustix::process::geteuid().is_root();
        if let Some(v2) = &mut host.v2 {
            if !root {
                // Only what the user's service manager delegates can be used.
                v2.mount = delegated_v2_cgroup(&v2.mount);
            }
            let list = std::fs::read_to_string(v2.mount.join("cgroup.controllers")).unwrap_or_default();
            v2.controllers = list.split_whitespace().map(str::to_owned).collect();
        }
        if !root {
            host.v1.clear();
        }
        Ok(host)
    }

    fn parse(mounts: &str) -> Host {
        let mut host = Host::default();
        for line in mounts.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let Some(mount) = left.split(' ').nth(4).map(unescape) else { continue };
            let mut right = right.split(' ');
            let (kind, options) = (right.next(), right.nth(1).unwrap_or_default());
            match kind {
                Some("cgroup2") if host.v2.is_none() => {
                    host.v2 = Some(Hierarchy { mount, controllers: Vec::new(), options: String::new() });
                }
                Some("cgroup") => {
                    let named = |option: &&str| V1_CONTROLLERS.contains(option) || option.starts_with("name=");
                    let options: Vec<&str> = options.split(',').filter(named).collect();
                    let name = |option: &&str| if *option == "blkio" { "io".into() } else { (*option).to_owned() };
                    let controllers: Vec<String> =
                        options.iter().map(name).filter(|option| CONTROLLERS.contains(&option.as_str())).collect();
                    let options = options.join(",");
                    let known = host.v1.iter().any(|hierarchy| hierarchy.options == options);
                    if !options.is_empty() && !known {
                        host.v1.push(Hierarchy { mount, controllers, options });
                    }
                }
                _ => {}
            }
        }
        host
    }

    /// Which versions there are, for people.
    pub(crate) fn describe(&self) -> &'static str {
        match (&self.v2, self.v1.iter().all(|hierarchy| hierarchy.controllers.is_empty())) {
            (Some(_), true) => "cgroup v2",
            (Some(_), false) => "cgroup v1 and v2 (hybrid)",
            (None, false) => "cgroup v1",
            (None, true) => "no cgroups",
        }
    }

    /// Every cgroup directory that the sandbox `id` has or would have.
    pub(crate) fn paths(&self, id: &str) -> Vec<PathBuf> {
        let v2 = self.v2.iter().map(|hierarchy| &hierarchy.mount);
        v2.chain(self.v1.iter().map(|hierarchy| &hierarchy.mount)).map(|mount| mount.join(PARENT).join(id)).collect()
    }

    /// Ids and directories of all sandboxes' cgroups, whoever made them.
    pub(crate) fn all(&self) -> Vec<(String, PathBuf)> {
        let mounts = self.v2.iter().chain(&self.v1).map(|hierarchy| hierarchy.mount.join(PARENT));
        let dirs = mounts.flat_map(|parent| children(&parent));
        dirs.filter_map(|dir| Some((dir.file_name()?.to_str()?.to_owned(), dir))).collect()
    }

    /// What a sandbox sees below `/sys/fs/cgroup`: its own limits, where that is one mount (Java and others size
    /// themselves by them); with `privileged` everything, to make cgroups of its own.
    pub(crate) fn view(&self, privileged: bool) -> CgroupMounts {
        match &self.v2 {
            Some(v2) if self.v1.is_empty() && v2.controllers.iter().any(|name| name == "memory") => {
                CgroupMounts::Unified
            }
            _ if privileged && !self.v1.is_empty() => {
                CgroupMounts::V1(self.v1.iter().map(|hierarchy| hierarchy.options.clone()).collect())
            }
            _ => CgroupMounts::None,
        }
    }

    /// The cgroup of the sandbox `id` as `config.json` names it, the same in every hierarchy.
    pub(crate) fn oci_path(id: &str) -> String {
        format!("/{PARENT}/{id}")
    }
}

/// The topmost cgroup above this process's own that belongs to this user: what systemd delegates to a user's manager.
fn delegated_v2_cgroup(mount: &Path) -> PathBuf {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = mount.join(own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default());
    let user = rustix::process::geteuid().as_raw();
    let ours = |dir: &&Path| rustix::fs::stat(dir.join("cgroup.procs")).is_ok_and(|stat| stat.st_uid == user);
    own.ancestors().take_while(|dir| dir.starts_with(mount)).filter(ours).last().unwrap_or(&own).to_path_buf()
}

/// Undoes the octal escapes of `/proc/self/mountinfo`.
pub(crate) fn unescape(field: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let octal = (*first == b'\\').then(|| tail.get(..3)).flatten();
        let code =
            octal.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|d| u8::from_str_radix(d, 8).ok());
        if let Some(code) = code {
            bytes.push(code);
            rest = tail.get(3..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// The cgroups of one sandbox.
#[derive(Debug)]
pub(crate) struct Cgroup {
    /// Directories, v2's first.
    paths: Vec<PathBuf>,
    v2: Option<OwnedFd>,
    /// `cgroup.procs` of each v1 directory.
    v1: Vec<OwnedFd>,
    usage: UsageFiles,
}

impl Cgroup {
    /// Makes the cgroups of sandbox `id` and writes its limits. What cannot be enforced is added to `notices`. `all`:
    /// also in hierarchies that Kiln does not use itself.
    ///
    /// # Errors
    /// For root, when a hierarchy that exists cannot be used. Without root whatever is not delegated is a notice.
    pub(crate) fn create(
        host: &Host,
        id: &str,
        limits: &Limits,
        all: bool,
        notices: &mut Vec<String>,
    ) -> Result<Cgroup, EngineError> {
        let root = rustix::process::geteuid().is_root();
        let mut cgroup = Cgroup { paths: Vec::new(), v2: None, v1: Vec::new(), usage: UsageFiles::default() };
        let mut controllers: Vec<&str> = Vec::new();
        match cgroup.create_all(host, id, limits, all, &mut controllers) {
            Ok(()) => {}
            Err(error) => {
                // What exists by now is of no use to anyone.
                let _best_effort = cgroup.remove();
                if root {
                    return Err(error);
                }
                controllers.clear();
            }
        }
        let missing = [
            (limits.memory_bytes.is_some(), "memory", "memory limit not enforced"),
            (limits.pids.is_some(), "pids", "process limit not enforced"),
            (limits.vcpus.is_some(), "cpu", "CPU weight not applied"),
        ];
        for (_, controller, message) in
            missing.into_iter().filter(|(asked, controller, _)| *asked && !controllers.contains(controller))
        {
            notices.push(if root {
                format!("{message}: this kernel has no cgroup controller `{controller}` mounted")
            } else {
                format!("{message}: the cgroup controller `{controller}` is not delegated to this user")
            });
        }
        Ok(cgroup)
    }

    fn create_all<'h>(
        &mut self,
        host: &'h Host,
        id: &str,
        limits: &Limits,
        all: bool,
        controllers: &mut Vec<&'h str>,
    ) -> Result<(), EngineError> {
        if let Some(hierarchy) = &host.v2 {
            let dir = self.add(hierarchy, id, |parent| {
                // Each that is refused (a cgroup outside of the root that holds processes) is missing below.
                for controller in hierarchy.controllers.iter().filter(|c| CONTROLLERS.contains(&c.as_str())) {
                    let enable = format!("+{controller}");
                    let _refused = std::fs::write(hierarchy.mount.join("cgroup.subtree_control"), &enable);
                    let _refused = std::fs::write(parent.join("cgroup.subtree_control"), &enable);
                }
            })?;
            let enabled = std::fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
            let enabled: Vec<&str> = enabled.split_whitespace().collect();
            controllers.extend(hierarchy.controllers.iter().map(String::as_str).filter(|c| enabled.contains(c)));
            limits_v2(&dir, limits, controllers)?;
            self.usage.add_v2(&dir);
            let fd = rustix::fs::open(&dir, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            self.v2 = Some(fd.context(|| format!("open {}", dir.display()))?);
        }
        for hierarchy in host.v1.iter().filter(|hierarchy| all || !hierarchy.controllers.is_empty()) {
            let dir = self.add(hierarchy, id, |_| ())?;
            if hierarchy.options.split(',').any(|option| option == "cpuset") {
                inherit_cpuset(&hierarchy.mount, &dir)?;
            }
            limits_v1(&dir, limits, &hierarchy.controllers)?;
            controllers.extend(hierarchy.controllers.iter().map(String::as_str));
            self.usage.add_v1(&dir);
            let procs = dir.join("cgroup.procs");
            let fd = rustix::fs::open(&procs, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
            self.v1.push(fd.context(|| format!("open {}", procs.display()))?);
        }
        Ok(())
    }

    fn add(&mut self, hierarchy: &Hierarchy, id: &str, prepare: impl FnOnce(&Path)) -> Result<PathBuf, EngineError> {
        let parent = hierarchy.mount.join(PARENT);
        make_dir(&parent)?;
        prepare(&parent);
        let dir = parent.join(id);
        make_dir(&dir)?;
        self.paths.push(dir.clone());
        Ok(dir)
    }

    /// Gives up the v2 cgroup: this process may not start another one in it.
    pub(crate) fn without_v2(&mut self) {
        self.v2 = None;
    }

    /// The directory of the v2 cgroup, in which a process can be born.
    pub(crate) fn v2(&self) -> Option<BorrowedFd<'_>> {
        self.v2.as_ref().map(OwnedFd::as_fd)
    }

    /// Moves the calling process into the v1 cgroups. The first move waits for an RCU grace period.
    pub(crate) fn join_v1(&self) -> std::io::Result<()> {
        for procs in &self.v1 {
            rustix::io::write(procs, b"0")?;
        }
        Ok(())
    }

    /// Resource use so far.
    pub(crate) fn usage(&self) -> Usage {
        self.usage.read()
    }

    /// Gives the directories, and in them what cgroup namespaces let their owner change, to `uid`: a privileged
    /// sandbox's own container engine makes cgroups below them. Limits stay root's.
    pub(crate) fn delegate(&self, uid: u32, gid: u32) -> Result<(), EngineError> {
        let owner = (Some(rustix::fs::Uid::from_raw(uid)), Some(rustix::fs::Gid::from_raw(gid)));
        for dir in &self.paths {
            rustix::fs::chown(dir, owner.0, owner.1).context(|| format!("give {} away", dir.display()))?;
            for file in ["cgroup.procs", "tasks", "cgroup.threads", "cgroup.subtree_control"] {
                match rustix::fs::chown(dir.join(file), owner.0, owner.1) {
                    Ok(()) | Err(rustix::io::Errno::NOENT) => {}
                    Err(error) => return Err(error).context(|| format!("give {}/{file} away", dir.display())),
                }
            }
        }
        Ok(())
    }

    /// Kills every process in the cgroups.
    pub(crate) fn kill(&self) {
        kill(&self.paths);
    }

    /// Removes the directories, and those that the sandbox made in them. Answers those that are still in use.
    pub(crate) fn remove(&mut self) -> Vec<PathBuf> {
        self.v1.clear();
        self.v2 = None;
        self.usage = UsageFiles::default();
        remove(&std::mem::take(&mut self.paths))
    }
}

/// Allows the processors and memory nodes of the root to a v1 cpuset and its parent, which begin without any.
fn inherit_cpuset(mount: &Path, dir: &Path) -> Result<(), EngineError> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let of_root = std::fs::read(mount.join(file)).context(|| format!("read {}/{file}", mount.display()))?;
        for dir in dir.ancestors().take(2).collect::<Vec<_>>().into_iter().rev() {
            let path = dir.join(file);
            if std::fs::read_to_string(&path).is_ok_and(|now| now.trim().is_empty()) {
                std::fs::write(&path, &of_root).context(|| format!("set {}", path.display()))?;
            }
        }
    }
    Ok(())
}

fn make_dir(path: &Path) -> Result<(), EngineError> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).context(|| format!("create the cgroup {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Kills every process in cgroups: at once where there is `cgroup.kill` (v2, Linux 5.14), else one by one, as often as
/// new ones appear.
pub(crate) fn kill(dirs: &[PathBuf]) {
    for dir in dirs {
        if std::fs::write(dir.join("cgroup.kill"), "1").is_ok() {
            continue;
        }
        for _ in 0..100 {
            let pids = processes(dir);
            if pids.is_empty() {
                break;
            }
            for pid in pids {
                // Gone already is as good.
                let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

/// Processes in a cgroup and those below it.
pub(crate) fn processes(dir: &Path) -> Vec<rustix::process::Pid> {
    let list = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    let mut pids: Vec<_> =
        list.lines().filter_map(|line| line.parse().ok().and_then(rustix::process::Pid::from_raw)).collect();
    for child in children(dir) {
        pids.extend(processes(&child));
    }
    pids
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Removes cgroup directories and what is below them; answers those that could not be removed.
pub(crate) fn remove(dirs: &[PathBuf]) -> Vec<PathBuf> {
    let mut left = Vec::new();
    for dir in dirs {
        match std::fs::remove_dir(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Ok(()) => {}
            // Cgroups that the sandbox made in its own.
            Err(_) => {
                left.extend(remove(&children(dir)));
                if std::fs::remove_dir(dir).is_err() {
                    left.push(dir.clone());
                }
            }
        }
    }
    left
}

/// Writes the limits into a v2 cgroup.
fn limits_v2(dir: &Path, limits: &Limits, controllers: &[&str]) -> Result<(), EngineError> {
    let has = |name| controllers.contains(&name);
    if let (Some(vcpus), true) = (limits.vcpus, has("cpu")) {
        set(dir, "cpu.weight", u64::from(vcpus).saturating_mul(100).clamp(1, 10_000))?;
    }
    if let (Some(bytes), true) = (limits.memory_bytes, has("memory")) {
        set(dir, "memory.max", bytes)?;
        // Absent without swap accounting, and then there is nothing to limit.
        let _absent = std::fs::write(dir.join("memory.swap.max"), "0");
    }
    if let (Some(pids), true) = (limits.pids, has("pids")) {
        set(dir, "pids.max", pids)?;
    }
    Ok(())
}

/// Writes those limits into a v1 cgroup that its controllers know.
fn limits_v1(dir: &Path, limits: &Limits, controllers: &[String]) -> Result<(), EngineError> {
    let has = |name: &str| controllers.iter().any(|controller| controller == name);
    if let (Some(vcpus), true) = (limits.vcpus, has("cpu")) {
        set(dir, "cpu.shares", u64::from(vcpus).saturating_mul(1024).clamp(2, 262_144))?;
    }
    if let (Some(bytes), true) = (limits.memory_bytes, has("memory")) {
        // A directory that is used again may have a lower limit for both together than the new one for memory alone.
        let _absent = std::fs::write(dir.join("memory.memsw.limit_in_bytes"), "-1");
        set(dir, "memory.limit_in_bytes", bytes)?;
        let _absent = std::fs::write(dir.join("memory.memsw.limit_in_bytes"), bytes.to_string());
    }
    if let (Some(pids), true) = (limits.pids, has("pids")) {
        set(dir, "pids.max", pids)?;
    }
    Ok(())
}

fn set(dir: &Path, file: &str, value: u64) -> Result<(), EngineError> {
    let path = dir.join(file);
    let write =
        File::options().write(true).open(&path).and_then(|mut open| open.write_all(value.to_string().as_bytes()));
    write.context(|| format!("set the limit {} to {value}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hierarchy(mount: &str, controllers: &[&str], options: &str) -> Hierarchy {
        let controllers = controllers.iter().map(|name| (*name).to_owned()).collect();
        Hierarchy { mount: mount.into(), controllers, options: options.into() }
    }

    #[test]
    fn finds_hierarchies_in_mountinfo() {
        let host = Host::parse(
            "25 30 0:22 / /sys rw,nosuid - sysfs sysfs rw\n\
             31 25 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n\
             32 31 0:27 / /sys/fs/cgroup/uni\\040fied rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
             33 31 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
             36 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 master:2 - cgroup cgroup rw,cpu,cpuacct\n\
             37 31 0:32 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n\
             38 31 0:32 / /elsewhere/blkio rw - cgroup cgroup rw,blkio\n\
             39 31 0:33 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n\
             broken line\n",
        );
        assert_eq!(host.v2, Some(hierarchy("/sys/fs/cgroup/uni fied", &[], "")));
        let v1 = [
            hierarchy("/sys/fs/cgroup/systemd", &[], "name=systemd"),
            hierarchy("/sys/fs/cgroup/cpu,cpuacct", &["cpu", "cpuacct"], "cpu,cpuacct"),
            hierarchy("/sys/fs/cgroup/blkio", &["io"], "blkio"),
            hierarchy("/sys/fs/cgroup/freezer", &[], "freezer"),
        ];
        assert_eq!(host.v1, v1);
        assert_eq!(host.paths("x")[0], Path::new("/sys/fs/cgroup/uni fied/kiln/x"));
    }
}
