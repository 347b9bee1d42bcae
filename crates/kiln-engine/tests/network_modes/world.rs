//! A small world: `host`, which stands for the machine that runs builds, and `internet`, which is all that it is
//! connected to.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    process::Command,
    thread,
    time::Duration,
};

use kiln_engine::{
    NetworkMode,
    network::{NetworkConfig, NetworkHandle, NetworkPlan, attach},
};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

/// The host's address on its way out, in a network that it shares with [`GATEWAY`].
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
/// The host's neighbour and router.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// A second address of the host.
pub(crate) const HOST_PRIVATE: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 7);
/// A server of the internet.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 80);
/// A server in a private network behind the gateway.
pub(crate) const MIRROR: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 5);
/// Another.
pub(crate) const INTRANET: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 6);
/// The cloud's metadata service.
pub(crate) const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// Where services listen.
pub(crate) const PORT: u16 = 8080;

/// How long something may take that has to happen; only reached by a failure.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A network namespace.
pub(crate) struct Ns(File);

impl Ns {
    pub(crate) fn new() -> Self {
        thread::spawn(|| {
            #[expect(deprecated, reason = "safe for a namespace of the thread's own, and tests have no unsafe code")]
            rustix::thread::unshare(UnshareFlags::NEWNET).expect("unshare");
            Self(File::open("/proc/thread-self/ns/net").expect("own namespace"))
        })
        .join()
        .expect("thread")
    }

    /// By which other processes find it.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Runs `work` on a thread in the namespace.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                move_into_link_name_space(self.fd(), Some(LinkNameSpaceType::Network)).expect("setns");
                work()
            });
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs command lines in the namespace.
    pub(crate) fn sh(&self, lines: &str) -> String {
        self.run(|| {
            let output = Command::new("sh").args(["-ec", lines]).output().expect("sh");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{lines}: {errors}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
    }

    /// Connects by TCP and exchanges a byte with what [`Ns::serve`] serves.
    pub(crate) fn connect(&self, to: impl Into<IpAddr> + Send) -> io::Result<()> {
        self.run(|| {
            let mut stream = TcpStream::connect_timeout(&SocketAddr::new(to.into(), PORT), LONG)?;
            stream.set_read_timeout(Some(LONG))?;
            stream.write_all(b"?")?;
            let mut answer = [0; 1];
            stream.read_exact(&mut answer)?;
            assert_eq!(&answer, b"!");
            Ok(())
        })
    }

    /// Serves [`PORT`] by TCP on all addresses until the test process ends.
    pub(crate) fn serve(&self) {
        let listener = self.run(|| TcpListener::bind(("::", PORT)).expect("listen"));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("accept");
                thread::spawn(move || {
                    let mut question = [0; 1];
                    if stream.read_exact(&mut question).is_ok() {
                        stream.write_all(b"!").ok();
                    }
                });
            }
        });
    }

    /// A datagram socket in the namespace.
    pub(crate) fn udp(&self, address: impl Into<SocketAddr> + Send) -> UdpSocket {
        let socket = self.run(|| UdpSocket::bind(address.into()).expect("bind"));
        socket.set_read_timeout(Some(LONG)).expect("timeout");
        socket
    }
}

/// What the next datagram says.
pub(crate) fn hear(socket: &UdpSocket) -> String {
    let mut buffer = [0; 100];
    let (length, _) = socket.recv_from(&mut buffer).expect("a datagram");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

pub(crate) struct World {
    pub(crate) host: Ns,
    pub(crate) internet: Ns,
}

impl World {
    /// `None`, with a printed reason, where the right to make one is missing.
    pub(crate) fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: network namespaces of several hosts need root");
            return None;
        }
        let (host, internet) = (Ns::new(), Ns::new());
        internet.sh("ip link set lo up; sysctl -qw net.ipv4.ip_forward=0");
        host.sh(&format!(
            "ip link set lo up
             ip link add up0 type veth peer name to-host netns {}
             ip address add {HOST}/24 dev up0
             ip address add {HOST_PRIVATE}/24 dev up0
             ip address add fd00:ec2::1/64 dev up0 nodad
             ip link set up0 up",
            internet.path()
        ));
        internet.sh(&format!(
            "ip address add {GATEWAY}/24 dev to-host
             ip address add fd00:ec2::254/64 dev to-host nodad
             ip link set to-host up
             for address in {SERVER} {MIRROR} {INTRANET} {METADATA}; do ip address add $address/32 dev lo; done"
        ));
        host.sh(&format!("ip route add default via {GATEWAY}"));
        host.serve();
        internet.serve();
        for address in [SERVER, MIRROR, INTRANET, METADATA, GATEWAY, HOST, Ipv4Addr::LOCALHOST] {
            host.connect(address).expect("the world works, seen from the host");
        }
        Some(Self { host, internet })
    }

    pub(crate) fn attach(&self, mode: NetworkMode, id: &str, build: &Ns, config: &NetworkConfig) -> NetworkHandle {
        self.host.run(|| {
            attach(&NetworkPlan::new(mode, false, config), id, build.fd(), rustix::process::getpid(), config)
                .expect("attach")
        })
    }

    /// A build with a private network and nothing allowed.
    pub(crate) fn private(&self, id: &str) -> (Ns, NetworkHandle) {
        let build = Ns::new();
        let handle = self.attach(NetworkMode::Private, id, &build, &NetworkConfig::default());
        assert_eq!((handle.mode(), handle.notices()), (NetworkMode::Private, &[][..]));
        (build, handle)
    }
}
