//! A throw-away container (namespaces, a tmpfs as root with the machine's `/usr`) with the real agent as process 1.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
};

use kiln_wire::{
    PathBytes,
    agent::{self, CommandExit, Entry, FromAgent, Holder, Run, Setup, ToAgent, decode, decode_output, encode, kind},
    frame::{FrameBuffer, header},
};

/// The source directory of the containers.
pub(crate) const SOURCE: &str = "/codebuild/output/src1/src";

const MAKE_ROOT: &str = r#"
set -e
root=$1
mount -t tmpfs -o size=2g,mode=755 tmpfs "$root"
cd "$root"
mkdir -p usr etc dev proc tmp root opt/busybox opt/hostile codebuild/readonly codebuild/output/src1/src
chmod 1777 tmp
for name in bin sbin lib lib32 lib64 libx32; do
  [ ! -L "/$name" ] || ln -s "usr/$name" "$name"
done
mount --rbind /usr usr
mount --rbind /dev dev
mount -t proc proc proc
cp /etc/passwd /etc/group etc/
[ ! -e /etc/alternatives ] || cp -a /etc/alternatives etc/
ln -s /usr/bin/busybox opt/busybox/sh
cp "$2" codebuild/readonly/kiln-agent
exec 3<&0 4<&1 0</dev/null 1>&2
exec chroot . /codebuild/readonly/kiln-agent
"#;

/// What a command did.
#[derive(Debug, PartialEq)]
pub(crate) struct Ran {
    /// What it printed.
    pub(crate) output: Vec<u8>,
    /// How it ended.
    pub(crate) exit: CommandExit,
    /// CPU time.
    pub(crate) cpu_ms: u64,
    /// Who holds its output.
    pub(crate) holders: Vec<Holder>,
}

impl Ran {
    /// The output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }
}

/// The runner's side of a container.
pub(crate) struct Container {
    child: Child,
    root: PathBuf,
    /// The control socket.
    pub(crate) control: UnixStream,
    /// The data socket.
    pub(crate) data: UnixStream,
    inbox: FrameBuffer,
    /// Shell of the commands.
    pub(crate) shell: String,
    next_id: u32,
    /// Output by command, of commands that ended before.
    pub(crate) late: BTreeMap<u32, Vec<u8>>,
    /// The agent's first message.
    pub(crate) ready: Option<FromAgent>,
}

impl Container {
    /// Starts one; `None`, with a printed reason, where this machine does not let us.
    pub(crate) fn start() -> Option<Self> {
        let mut container = Self::bare()?;
        container.set_up(BTreeMap::new(), false);
        Some(container)
    }

    /// One that was not sent a Setup.
    pub(crate) fn bare() -> Option<Self> {
        let allowed = Command::new("unshare").args(["--mount", "--pid", "--fork", "true"]).output();
        if !allowed.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: needs root, to make namespaces");
            return None;
        }
        let root = std::env::temp_dir().join(format!("kiln-agent-test-{}-{}", std::process::id(), next_number()));
        std::fs::create_dir(&root).unwrap();
        let (control, inner_control) = UnixStream::pair().unwrap();
        let (data, inner_data) = UnixStream::pair().unwrap();
        // KILN_TEST_AGENT: another build of it, such as the static one that is embedded.
        let agent =
            std::env::var_os("KILN_TEST_AGENT").map_or_else(|| env!("CARGO_BIN_EXE_kiln-agent").into(), PathBuf::from);
        let child = Command::new("unshare")
            .args([
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--propagation",
                "private",
                "sh",
                "-c",
                MAKE_ROOT,
                "sh",
            ])
            .args([root.as_path(), agent.as_path()])
            .stdin(Stdio::from(OwnedFd::from(inner_control)))
            .stdout(Stdio::from(OwnedFd::from(inner_data)))
            .spawn()
            .unwrap();
        let mut container = Self {
            child,
            root,
            control,
            data,
            inbox: FrameBuffer::new(),
            shell: "bash".into(),
            next_id: 0,
            late: BTreeMap::new(),
            ready: None,
        };
        container.ready = Some(container.message());
        Some(container)
    }

    /// Sends the Setup and waits for it.
    pub(crate) fn set_up(&mut self, variables: BTreeMap<String, String>, keep_state: bool) {
        let mut all = BTreeMap::from([
            ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".to_owned()),
            ("HOME".to_owned(), "/root".to_owned()),
        ]);
        all.extend(variables);
        let id = self.id();
        self.send(&ToAgent::Setup(Setup { id, variables: all, source_dir: SOURCE.into(), keep_state }));
        assert_eq!(self.message(), FromAgent::Done { id });
    }

    /// A new request id.
    pub(crate) fn id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, message: &ToAgent) {
        self.send_together(&[message]);
    }

    /// Sends messages so that the agent reads them at once.
    pub(crate) fn send_together(&mut self, messages: &[&ToAgent]) {
        let mut bytes = Vec::new();
        for message in messages {
            encode(kind::MESSAGE, *message, &mut bytes).unwrap();
        }
        self.control.write_all(&bytes).unwrap();
    }

    /// Reads a frame; `None` when the agent closed the socket.
    pub(crate) fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(frame) = self.inbox.next_frame().unwrap() {
                return Some((frame.kind, frame.payload.to_vec()));
            }
            let space = self.inbox.space(256 << 10);
            let read = self.control.read(space).unwrap_or(0);
            if read == 0 {
                return None;
            }
            self.inbox.commit(read);
        }
    }

    /// The next message; output meanwhile goes to [`Container::late`].
    pub(crate) fn message(&mut self) -> FromAgent {
        loop {
            let (kind, payload) = self.frame().expect("the agent ended");
            let frame = kiln_wire::frame::Frame { kind, payload: &payload };
            match kind {
                kind::MESSAGE => return decode(&frame).unwrap(),
                kind::OUTPUT => {
                    let (id, bytes) = decode_output(&frame).unwrap();
                    self.late.entry(id).or_default().extend_from_slice(bytes);
                }
                other => panic!("frame of kind {other}"),
            }
        }
    }

    /// Runs a command to its end.
    pub(crate) fn run(&mut self, text: &str) -> Ran {
        let id = self.begin(text);
        self.finish(id)
    }

    /// Runs a command as a user.
    pub(crate) fn run_as(&mut self, user: &str, text: &str) -> Ran {
        let id = self.id();
        let shell = self.shell.clone();
        self.send(&ToAgent::Run(Run { id, text: text.into(), shell, run_as: Some(user.into()), fresh: false }));
        self.finish(id)
    }

    /// Sends a command.
    pub(crate) fn begin(&mut self, text: &str) -> u32 {
        let run = self.command(text);
        self.send(&ToAgent::Run(run.clone()));
        run.id
    }

    /// A command that nobody has asked for yet.
    pub(crate) fn command(&mut self, text: &str) -> Run {
        let id = self.id();
        Run { id, text: text.into(), shell: self.shell.clone(), run_as: None, fresh: false }
    }

    /// Waits for the end of a command.
    pub(crate) fn finish(&mut self, wanted: u32) -> Ran {
        match self.message() {
            FromAgent::Ended { id, exit, cpu_ms, holders } => {
                assert_eq!(id, wanted);
                Ran { output: self.late.remove(&id).unwrap_or_default(), exit, cpu_ms, holders }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Runs a command that must succeed, and gives what it printed.
    pub(crate) fn sh(&mut self, text: &str) -> String {
        let ran = self.run(text);
        assert_eq!(ran.exit, CommandExit::Code(0), "{text}: {}", ran.text());
        ran.text()
    }

    /// Waits until output of an earlier command holds `text`.
    pub(crate) fn wait_for_output(&mut self, id: u32, text: &str) {
        while !self.late.get(&id).is_some_and(|output| String::from_utf8_lossy(output).contains(text)) {
            let (kind, payload) = self.frame().expect("the agent ended");
            assert_eq!(kind, kind::OUTPUT);
            let (id, bytes) = decode_output(&kiln_wire::frame::Frame { kind, payload: &payload }).unwrap();
            self.late.entry(id).or_default().extend_from_slice(bytes);
        }
    }

    /// Reads the entries of a listing and its end.
    pub(crate) fn listing(&mut self) -> (Vec<Entry>, FromAgent) {
        let mut entries = Vec::new();
        loop {
            let (kind, payload) = self.frame().expect("the agent ended");
            let frame = kiln_wire::frame::Frame { kind, payload: &payload };
            match kind {
                kind::ENTRY => entries.push(decode(&frame).unwrap()),
                kind::MESSAGE => return (entries, decode(&frame).unwrap()),
                other => panic!("frame of kind {other}"),
            }
        }
    }

    /// Writes a frame to the data socket.
    pub(crate) fn send_data(&mut self, kind: u8, payload: &[u8]) {
        self.data.write_all(&header(kind, payload.len())).unwrap();
        self.data.write_all(payload).unwrap();
    }

    /// The agent's answer to a request that it can only do or not do.
    pub(crate) fn request(&mut self, message: &ToAgent) -> FromAgent {
        self.send(message);
        self.message()
    }

    /// Waits for the agent to end by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        while self.frame().is_some() {}
        self.child.wait().unwrap()
    }

    /// Resident memory of the agent in KiB, now and at most.
    pub(crate) fn memory(&mut self) -> (u64, u64) {
        let text = self.sh("grep -E '^Vm(RSS|HWM)' /proc/1/status");
        let number = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        (number("VmRSS"), number("VmHWM"))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Whatever of it still runs ends with process 1.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
        std::fs::remove_dir(&self.root).unwrap_or_default();
    }
}

fn next_number() -> u32 {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Paths from strings.
pub(crate) fn paths<const N: usize>(texts: [&str; N]) -> Vec<PathBytes> {
    texts.map(PathBytes::from).to_vec()
}

/// The protocol's version, as the agent says it.
pub(crate) const PROTOCOL: u32 = agent::PROTOCOL;
