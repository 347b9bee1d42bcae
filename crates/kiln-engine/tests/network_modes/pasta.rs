//! A private network without the rights for one. The launcher and the build run as an ordinary user, in processes of
//! their own: this test binary again, told by its environment what to be.

use std::{
    fs,
    io::{self, BufRead, BufReader, ErrorKind, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    os::{fd::AsFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use kiln_engine::{
    NetworkMode,
    network::{NetworkConfig, NetworkPlan, attach},
};
use rustix::{process::Pid, thread::UnshareFlags};
use tempfile::TempDir;

use crate::world::{GATEWAY, HOST_PRIVATE, INTRANET, LONG, METADATA, MIRROR, PORT, SERVER, World};

const ROLE: &str = "KILN_TEST_ROLE";

fn config() -> NetworkConfig {
    NetworkConfig { allow: vec![format!("{MIRROR}/32").parse().unwrap()], ..NetworkConfig::default() }
}

/// A copy of this test binary that every user can reach, wherever it was built.
fn for_everybody() -> (TempDir, PathBuf) {
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("network_modes");
    // By another process: what is open for writing here, children of other tests hold open too, and it cannot be executed.
    assert!(Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status().unwrap().success());
    open(place.path());
    open(&program);
    (place, program)
}

/// This test binary, or a copy of it, to run [`role`] as `role`.
fn again(exe: &Path, role: &str, through: &[&str]) -> Child {
    let (program, arguments) = through.split_first().unwrap();
    Command::new(program)
        .args(arguments)
        .arg(exe)
        .args(["--exact", "pasta::role", "--ignored", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Not a test: what [`an_ordinary_users_build_reaches_the_internet_and_nothing_else`] starts.
#[test]
#[ignore = "started by another test"]
fn role() {
    match std::env::var(ROLE).as_deref() {
        Ok("launcher") => launcher(),
        Ok("build") => build(),
        Ok("planner") => {
            let plan = NetworkPlan::new(NetworkMode::Private, false, &config());
            println!("result own namespace {}, {:?}", plan.own_namespace(), plan.notices());
        }
        _ => {}
    }
}

fn launcher() {
    let config = config();
    let plan = NetworkPlan::new(NetworkMode::Private, false, &config);
    assert!(plan.own_namespace() && plan.notices().is_empty(), "{:?}", plan.notices());
    assert!(plan.resolv_conf(&config).starts_with("nameserver 169.254."));
    let mut build = again(&std::env::current_exe().unwrap(), "build", &["unshare", "--user", "--map-root-user"]);
    let mut said = BufReader::new(build.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = said.find(|line| line.contains("confined ")).expect("the build is ready");
    // Of the thread that has the namespace.
    let pid = Pid::from_raw(line.split_whitespace().next_back().unwrap().parse().unwrap()).unwrap();
    let netns = std::fs::File::open(format!("/proc/{}/ns/net", pid.as_raw_nonzero())).unwrap();
    let handle = attach(&plan, "a", netns.as_fd(), pid, &config).unwrap();
    assert_eq!((handle.mode(), handle.notices()), (NetworkMode::Private, &[][..]));
    build.stdin.take().unwrap().write_all(b"go\n").unwrap();
    for line in said {
        println!("{line}");
    }
    assert!(build.wait().unwrap().success());
    println!("result attached");
    io::stdin().read_line(&mut String::new()).unwrap();
    drop(handle);
    println!("result detached");
    io::stdin().read_line(&mut String::new()).unwrap();
}

fn build() {
    // Root of a user namespace, and still on the host's network: made before the build has one, as by a launcher.
    let plan = NetworkPlan::new(NetworkMode::Private, false, &config());
    #[expect(deprecated, reason = "safe for a namespace of the thread's own, and tests have no unsafe code")]
    rustix::thread::unshare(UnshareFlags::NEWNET).expect("unshare");
    assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
    plan.confine().unwrap_or_else(|error| panic!("{error}"));
    println!("confined {}", rustix::thread::gettid().as_raw_nonzero());
    io::stdin().read_line(&mut String::new()).unwrap();
    for address in [SERVER, MIRROR, INTRANET, GATEWAY, HOST_PRIVATE, METADATA, Ipv4Addr::LOCALHOST] {
        let result = TcpStream::connect_timeout(&SocketAddr::new(address.into(), PORT), LONG);
        println!("result {address} {:?}", result.map(drop).map_err(|error| error.kind()));
    }
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket.send_to(b"a name", (Ipv4Addr::new(169, 254, 170, 53), 53)).unwrap();
    let mut buffer = [0; 100];
    let length = socket.recv(&mut buffer).unwrap();
    println!("result name {}", String::from_utf8_lossy(&buffer[..length]));
}

/// A launcher of an ordinary user, and what it and its build said up to the point where the build has ended.
struct Launcher {
    process: Child,
    output: std::io::Lines<BufReader<std::process::ChildStdout>>,
    said: Vec<String>,
    /// What it runs lies there.
    _program: TempDir,
}

impl Launcher {
    /// `None`, with a printed reason, where there is no pasta.
    fn start(world: &World) -> Option<Self> {
        if Command::new("pasta").arg("--version").output().is_err() {
            println!("skipped: pasta is not installed (package passt)");
            return None;
        }
        // The host's resolver echoes.
        let resolver = world.host.udp((Ipv4Addr::new(127, 0, 0, 53), 53));
        resolver.set_read_timeout(None).unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 100];
            while let Ok((length, client)) = resolver.recv_from(&mut buffer) {
                resolver.send_to(&buffer[..length], client).unwrap();
            }
        });
        // The device is open to all, as usual; here on a copy.
        let script = "mount -t tmpfs none /mnt && mknod -m 666 /mnt/tun c 10 200 &&
                      mount --bind /mnt/tun /dev/net/tun && echo nameserver 127.0.0.53 > /mnt/resolv &&
                      mount --bind /mnt/resolv /etc/resolv.conf &&
                      exec setpriv --reuid 65534 --regid 65534 --clear-groups -- \"$@\"";
        let (place, program) = for_everybody();
        let mut process =
            world.host.run(|| again(&program, "launcher", &["unshare", "--mount", "sh", "-c", script, "sh"]));
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut this = Self { process, output, said: Vec::new(), _program: place };
        this.hear("result attached");
        Some(this)
    }

    fn hear(&mut self, end: &str) {
        loop {
            let line = self.output.next().unwrap_or_else(|| panic!("{end} expected after {:#?}", self.said)).unwrap();
            self.said.push(line);
            // The first line of a test has the harness's words before it.
            if self.said.last().is_some_and(|line| line.ends_with(end)) {
                return;
            }
        }
    }

    fn tell(&mut self) {
        self.process.stdin.as_mut().unwrap().write_all(b"go on\n").unwrap();
    }
}

/// The pasta processes of a world; they call themselves passt, pasta or passt.avx2.
fn pastas(world: &World) -> Vec<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let namespace = std::fs::metadata(world.host.path()).unwrap().ino();
    let in_world = |pid: &u32| {
        std::fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|metadata| metadata.ino() == namespace)
            && std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("pas"))
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok()).filter(in_world).collect()
}

#[test]
fn an_ordinary_users_build_reaches_the_internet_and_nothing_else() {
    let Some(world) = World::new() else { return };
    let Some(mut launcher) = Launcher::start(&world) else { return };
    let refused = format!("Err({:?})", ErrorKind::ConnectionRefused);
    for (what, result) in [
        (SERVER.to_string(), "Ok(())"),
        (MIRROR.to_string(), "Ok(())"),
        (INTRANET.to_string(), &refused),
        (GATEWAY.to_string(), &refused),
        (HOST_PRIVATE.to_string(), &refused),
        (METADATA.to_string(), &refused),
        (Ipv4Addr::LOCALHOST.to_string(), &refused),
        ("name".to_owned(), "a name"),
    ] {
        let line = format!("result {what} {result}");
        assert!(launcher.said.iter().any(|said| said.ends_with(&line)), "{line} expected in {:#?}", launcher.said);
    }
    assert_eq!(pastas(&world).len(), 1);
    launcher.tell();
    launcher.hear("result detached");
    assert_eq!(pastas(&world), [0; 0]);
    launcher.tell();
    assert!(launcher.process.wait().unwrap().success());
}

#[test]
fn pasta_dies_with_a_killed_launcher() {
    let Some(world) = World::new() else { return };
    let Some(mut launcher) = Launcher::start(&world) else { return };
    assert_eq!(pastas(&world).len(), 1);
    launcher.process.kill().unwrap();
    launcher.process.wait().unwrap();
    let start = std::time::Instant::now();
    while !pastas(&world).is_empty() {
        assert!(start.elapsed() < LONG, "pasta lives on");
    }
}

#[test]
fn without_pasta_the_plan_says_that_the_network_is_shared() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: hiding pasta needs root");
        return;
    }
    let script = "for dir in /usr/bin /usr/local/bin /bin; do
                    if [ -e $dir/pasta ]; then mount --bind /dev/null $dir/pasta; fi
                  done
                  exec setpriv --reuid 65534 --regid 65534 --clear-groups -- \"$@\"";
    let (_place, program) = for_everybody();
    let output =
        again(&program, "planner", &["unshare", "--mount", "sh", "-c", script, "sh"]).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("own namespace false") && text.contains("shares this machine's network"), "{text}");
}
