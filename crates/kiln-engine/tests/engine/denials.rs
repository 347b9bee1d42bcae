//! The denial list (fault test 27): what a build that is root inside tries in order to get out, and the error that it
//! gets, the same on every engine.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt as _};

use kiln_engine::{Access, Volume};

use crate::{BOTH, Case, NATIVE, fixture::Fixture};

pub(crate) const CASES: &[Case] = &[
    Case { name: "attempts_to_escape_get_the_expected_errors", kinds: BOTH, run: default },
    Case { name: "privileged_sandboxes_get_what_the_kernel_confines_and_no_more", kinds: BOTH, run: privileged },
    Case { name: "privileged_sandboxes_nest_containers", kinds: BOTH, run: nested },
    Case { name: "privileged_sandboxes_run_docker", kinds: NATIVE, run: docker },
];

/// Attempts by name. Each is a Python expression that must raise OSError.
const SCRIPT: &str = include_str!("denials.py");

/// Name, answer by default, answer when privileged. `ok`: it is allowed. `a|b`: kernels differ.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("read the kernel log device", "ENOENT", "ENOENT"),
    ("read the kernel log", "EPERM", "EPERM"),
    ("make a block device", "EPERM", "EPERM"),
    ("make a character device", "EPERM", "EPERM"),
    ("open a raw disk", "ENOENT", "ENOENT"),
    ("open kernel memory", "ENOENT", "ENOENT"),
    ("open loop control", "ENOENT", "ENOENT"),
    ("mount a tmpfs", "EPERM", "ok"),
    ("mount a disk", "EPERM", "EPERM|EACCES|ENOENT|ENOTBLK"),
    ("remount the root writable", "EPERM", "ok"),
    ("unmount a mask", "EPERM", "EINVAL|ENOENT"),
    ("fsopen", "EPERM", "ok"),
    ("open_tree", "EPERM", "ok|EINVAL"),
    ("pivot_root", "EPERM", "EINVAL|EBUSY"),
    ("new user namespace", "EPERM", "ok"),
    ("clone into a user namespace", "EPERM", "ok"),
    ("clone3", "ENOSYS", "EFAULT|EINVAL"),
    ("setns into the first process", "EPERM", "ok"),
    ("sethostname", "EPERM", "ok"),
    ("keyctl", "EPERM", "ok"),
    ("add_key", "EPERM", "ok"),
    ("bpf", "EPERM", "EPERM"),
    ("perf_event_open", "EPERM", "EPERM"),
    ("userfaultfd", "EPERM", "EPERM"),
    ("io_uring_setup", "EPERM", "EPERM"),
    ("kexec_load", "EPERM", "EPERM"),
    ("init_module", "EPERM", "EPERM"),
    ("delete_module", "EPERM", "EPERM"),
    ("open_by_handle_at", "EPERM", "EPERM"),
    ("reboot", "EPERM", "EPERM"),
    ("swapon", "EPERM", "EPERM"),
    ("settimeofday", "EPERM", "EPERM"),
    ("clock_settime", "EPERM", "EPERM"),
    ("acct", "EPERM", "EPERM"),
    ("quotactl", "EPERM", "EPERM|ENOSYS|ENOENT|ENOTBLK|EINVAL|EFAULT"),
    ("iopl", "EPERM", "EPERM"),
    ("AF_ALG socket", "ENOSYS", "ENOSYS"),
    ("AF_VSOCK socket", "ENOSYS", "ENOSYS"),
    ("write core_pattern", "EROFS|EACCES", "EACCES|EPERM"),
    ("write a sysctl of the host", "EROFS|EACCES", "EACCES|EPERM"),
    ("write sysrq-trigger", "EROFS|EACCES|ENOENT", "EACCES|EPERM|ENOENT"),
    ("write an interrupt's affinity", "EROFS|EACCES|ENOENT", "EACCES|EPERM|ENOENT"),
    ("write to sysfs", "EROFS|EACCES|ENOENT", "EACCES|EPERM|ENOENT"),
    ("write a release agent", "ENOENT", "ENOENT|EACCES|EPERM"),
    ("write a memory limit", "ENOENT|EROFS", "ENOENT|EACCES|EPERM"),
    ("read kcore", "empty|ENOENT", "EPERM|EACCES|ENOENT"),
    ("read kernel keys", "empty", "ok"),
    ("read timer_list", "empty|ENOENT", "EPERM|EACCES|ENOENT|ok"),
    ("list firmware", "empty|ENOENT", "ok"),
    ("trace a process of the host", "ESRCH", "ESRCH"),
    ("kill a process of the host", "ESRCH", "ESRCH"),
    ("see a process of the host", "ENOENT", "ENOENT"),
    ("read the host's shadow file", "ENOENT", "ENOENT"),
    ("read this machine's disk of the build", "ENOENT", "ENOENT"),
    ("read another directory of the host", "ENOENT", "ENOENT"),
    ("open the registry of sandboxes", "ENOENT", "ENOENT"),
    ("open a container engine's socket", "ENOENT", "ENOENT"),
    ("leave a chroot", "inside", "inside"),
    ("leave through a descriptor", "inside", "inside"),
    ("use an id that is not mapped", "EINVAL", "EINVAL"),
    ("raise a hard limit", "EPERM", "EPERM"),
    ("raise the priority", "EACCES|EPERM", "EACCES|EPERM"),
    ("lower the oom score", "EACCES|EPERM", "EACCES|EPERM"),
    ("write through a read-only volume", "EROFS", "EROFS"),
    ("find a leaked descriptor", "none", "none"),
    ("reach the host's loopback", "ECONNREFUSED", "ECONNREFUSED"),
    ("reach the metadata address", "ENETUNREACH", "ENETUNREACH"),
];

fn attempt(fixture: &Fixture, privileged: bool) -> BTreeMap<String, String> {
    if !std::path::Path::new("/usr/bin/python3").exists() {
        crate::skip("python3 is not installed");
    }
    let script = fixture.path().join("denials.py");
    std::fs::write(&script, SCRIPT).unwrap();
    // Something of the host's to reach for.
    let victim = std::process::Command::new("sleep").arg("600").spawn();
    let mut victim = victim.unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let leaked = std::fs::File::open("/").unwrap();
    let _inherited = rustix::io::dup(&leaked).unwrap();
    let mut spec = fixture.spec("");
    let facts = [
        format!("HOST_PID={}", victim.id()),
        format!("HOST_PORT={}", listener.local_addr().unwrap().port()),
        format!("DISK={}", spec.disk.dir.display()),
        format!("HOST_DIR={}", fixture.path().display()),
        format!("ROOT_DEVICE={}", std::fs::metadata("/").unwrap().dev()),
    ];
    spec.process.argv = ["/usr/bin/python3", "/denials.py"].map(crate::fixture::cstring).into();
    spec.process.env = facts.iter().map(|fact| crate::fixture::cstring(fact)).collect();
    spec.privileged = privileged;
    spec.volumes.push(Volume { source: script, target: "/denials.py".into(), access: Access::ReadOnly });
    let outcome = fixture.run(spec);
    victim.kill().unwrap();
    victim.wait().unwrap();
    let stderr = outcome.stderr.clone();
    let output = outcome.ok();
    let answers: BTreeMap<String, String> =
        output.lines().filter_map(|line| line.split_once(" = ")).map(|(a, b)| (a.into(), b.into())).collect();
    assert_eq!(answers.len(), EXPECTED.len(), "{output}\n{stderr}");
    answers
}

fn check(fixture: &Fixture, privileged: bool) {
    let answers = attempt(fixture, privileged);
    let mut wrong = Vec::new();
    for (name, default, with_privilege) in EXPECTED {
        let expected = if privileged { with_privilege } else { default };
        let answer = answers.get(*name).map_or("not tried", String::as_str);
        if !expected.split('|').any(|expected| expected == answer) {
            wrong.push(format!("{name}: {answer}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn default(fixture: &Fixture) {
    check(fixture, false);
}

fn privileged(fixture: &Fixture) {
    check(fixture, true);
}

fn nested(fixture: &Fixture) {
    let mut spec = fixture.spec(
        "set -e; mkdir -p /tmp/n/l /tmp/n/u /tmp/n/w /tmp/n/m; echo low > /tmp/n/l/f; \
         mount -t overlay -o lowerdir=/tmp/n/l,upperdir=/tmp/n/u,workdir=/tmp/n/w o /tmp/n/m; echo up > /tmp/n/m/f; \
         cat /tmp/n/u/f /tmp/n/l/f; unshare --pid --fork --mount --mount-proc --uts --ipc --net sh -c 'echo $$; hostname x; \
         mount -t tmpfs t /mnt; ls /proc > /tmp/list; grep -c \"^[0-9]\" /tmp/list'; test -c /dev/null && echo device",
    );
    spec.privileged = true;
    let outcome = fixture.run(spec);
    assert_eq!(outcome.stdout, "up\nlow\n1\n2\ndevice\n", "{}", outcome.stderr);
}

fn docker(fixture: &Fixture) {
    for program in ["/usr/sbin/dockerd", "/usr/bin/docker"] {
        if !std::path::Path::new(program).exists() {
            crate::skip(&format!("{program} is not installed (Debian: docker.io)"));
        }
    }
    let mut spec = fixture.spec(
        "set -e; dockerd --bridge=none --iptables=false > /tmp/log 2>&1 & \
         i=0; while ! docker info > /dev/null 2>&1; do i=$((i+1)); test $i -lt 300 || { cat /tmp/log; exit 1; }; sleep 0.2; done; \
         mkdir /tmp/image; cd /tmp/image; for f in $(ldd /bin/sh | grep -o '/[^ ]*') /bin/sh; do \
         mkdir -p .$(dirname $f); cp $f .$f; done; tar -c . | docker import - image > /dev/null; \
         docker run --rm --network none --memory 50m image /bin/sh -c 'echo nested $$'; docker ps -aq | wc -l",
    );
    spec.privileged = true;
    let outcome = fixture.run(spec);
    assert_eq!(outcome.stdout, "nested 1\n0\n", "{}", outcome.stderr);
}
