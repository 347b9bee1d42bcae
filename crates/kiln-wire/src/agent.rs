//! The protocol between the runner (outside) and the agent (PID 1 of the build container).
//!
//! Two stream sockets, inherited: descriptor [`CONTROL_FD`] carries messages both ways, [`DATA_FD`] file contents. A
//! build that is root in its container may speak in the agent's place, so the runner checks every message against what
//! it asked for; the agent can claim nothing but the build's own output, exit statuses and files.
//!
//! Order: the agent sends [`FromAgent::Ready`], the runner [`ToAgent::Setup`]; then requests, one at a time, each
//! answered by exactly one message with the same `id` ([`FromAgent::id`]). [`kind::OUTPUT`] frames come at any time.
//! [`ToAgent::Interrupt`] may be sent while a request runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    PathBytes,
    frame::{self, Frame},
};

/// Version of this protocol; agent and runner are built together, so anything else is a broken installation.
pub const PROTOCOL: u32 = 1;
/// Descriptor of the control socket inside the container.
pub const CONTROL_FD: i32 = 3;
/// Descriptor of the data socket inside the container.
pub const DATA_FD: i32 = 4;
/// Where the agent's binary appears inside the container, read-only.
pub const AGENT_PATH: &str = "/codebuild/readonly/kiln-agent";
/// Scripts and the state that is carried from command to command (`buildspec.md` 2.1).
pub const STATE_DIR: &str = "/codebuild/output/tmp";
/// Directory of the helper commands, appended to PATH (`buildspec.md` 2.1).
pub const HELPER_DIR: &str = "/codebuild/user/bin";

/// Frame kinds.
pub mod kind {
    /// A message ([`super::ToAgent`] or [`super::FromAgent`]) as JSON.
    pub const MESSAGE: u8 = 1;
    /// `command id u32 LE · bytes`: output of a command.
    pub const OUTPUT: u8 = 2;
    /// One [`super::Entry`] as JSON: on the control socket an answer to [`super::ToAgent::List`], on the data socket
    /// the start of a file.
    pub const ENTRY: u8 = 3;
    /// On the data socket: the next bytes of the file.
    pub const CONTENT: u8 = 4;
    /// On the data socket: end of the file, as JSON [`super::FileEnd`].
    pub const FILE_END: u8 = 5;
    /// On the data socket: end of the transfer.
    pub const TRANSFER_END: u8 = 6;
}

/// From the runner to the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToAgent {
    /// First message: the environment and directories. Answer: [`FromAgent::Done`] or [`FromAgent::Failed`].
    Setup(Setup),
    /// Run a command. Answer: [`FromAgent::Ended`].
    Run(Run),
    /// Evaluate texts as the shell would inside double quotes, in the state that the last command left (`artifacts/name`,
    /// paths with variables). Answer: [`FromAgent::Expanded`].
    Expand {
        /// Request id.
        id: u32,
        /// Texts to expand.
        texts: Vec<String>,
        /// Shell, as in [`Run`].
        shell: String,
        /// User, as in [`Run`].
        run_as: Option<String>,
    },
    /// Set variables in the carried state. Answer: [`FromAgent::Done`].
    Set {
        /// Request id.
        id: u32,
        /// Names and values.
        variables: BTreeMap<String, String>,
    },
    /// Read variables from the carried state. Answer: [`FromAgent::Values`].
    Get {
        /// Request id.
        id: u32,
        /// Names; one that is not set is left out of the answer.
        names: Vec<String>,
    },
    /// Copy the carried state (variables, directory) to a named place, or back. Answer: [`FromAgent::Done`].
    SavePoint {
        /// Request id.
        id: u32,
        /// `[a-z_]+`: the phase.
        name: String,
        /// True: copy back from the named place; [`FromAgent::Failed`] when it is not there.
        restore: bool,
    },
    /// Find files. Answer: [`kind::ENTRY`] frames, then [`FromAgent::Listed`]. The list stays until the next `List`.
    List(List),
    /// Send files of the last list over the data socket, in that order. Answer: [`FromAgent::Done`] once all of it is
    /// written; the runner reads the data socket meanwhile.
    Send {
        /// Request id.
        id: u32,
        /// Half-open ranges of indexes into the list, ascending.
        ranges: Vec<(u32, u32)>,
    },
    /// Take files from the data socket (until [`kind::TRANSFER_END`]) and put them at their absolute paths. An existing file is
    /// replaced; missing directories are made; owner root. Answer: [`FromAgent::Received`].
    Receive {
        /// Request id.
        id: u32,
    },
    /// End the running command and everything else in the container but the agent: TERM, then KILL after the grace.
    /// The command's [`FromAgent::Ended`] follows. No answer of its own.
    Interrupt {
        /// Milliseconds between TERM and KILL.
        grace_ms: u32,
    },
    /// End everything as [`ToAgent::Interrupt`] does and exit with status 0. No answer.
    Shutdown {
        /// Milliseconds between TERM and KILL.
        grace_ms: u32,
    },
}

/// First message to the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// Request id.
    pub id: u32,
    /// The whole initial environment of commands. A name that the shell cannot carry is given to each command's
    /// process as it is.
    pub variables: BTreeMap<String, String>,
    /// `CODEBUILD_SRC_DIR`: working directory of the first command.
    pub source_dir: PathBytes,
    /// True: the state of a kept file system is used as it is (`--resume`, `kiln debug`), `variables` are added to it.
    pub keep_state: bool,
}

/// One command of the buildspec (`buildspec.md` section 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Request id; also the command's number in output frames.
    pub id: u32,
    /// The command's text, verbatim.
    pub text: String,
    /// Shell: `sh`, `bash`, `/bin/sh`, … looked up in the container.
    pub shell: String,
    /// User; root when absent.
    pub run_as: Option<String>,
    /// Version 0.1: start in the source directory with the initial environment, carry nothing over.
    pub fresh: bool,
}

/// What files to find (`buildspec.md` 1.10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Request id.
    pub id: u32,
    /// Directory that relative bases and patterns start from: the source directory.
    pub root: PathBytes,
    /// `base-directory`: a directory or a glob of directories; `.` when not set. Matching files are stored relative to it.
    pub base: String,
    /// Glob patterns, relative to the base (or absolute).
    pub patterns: Vec<String>,
    /// `exclude-paths`: patterns relative to the base, applied to the selected files.
    pub exclude: Vec<String>,
    /// `discard-paths`: store by file name only.
    pub discard_paths: bool,
    /// How symbolic links are taken.
    pub links: Links,
    /// Also list directories that a pattern names or passes through (caches; artifacts hold files only).
    pub directories: bool,
    /// At most this many entries; beyond it the answer is [`FromAgent::Failed`].
    pub max_entries: u32,
    /// Stop searching after this many milliseconds and answer with what was found (report auto-discovery).
    pub budget_ms: Option<u32>,
}

/// How [`List`] takes symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Links {
    /// A link is followed: its target's bytes are stored. A link that leads nowhere is left out.
    Follow,
    /// A link that points inside the base stays a link, another is followed (`enable-symlinks`).
    KeepInside,
    /// Every link stays a link (caches).
    Keep,
}

/// Kind of an [`Entry`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A symbolic link and where it points.
    Symlink {
        /// The link's text.
        target: PathBytes,
    },
    /// A directory.
    Directory,
}

/// A file of a listing or of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// In a listing: the name to store it under, relative, `/` between components. In [`ToAgent::Receive`]: the
    /// absolute path.
    pub path: PathBytes,
    /// Absolute path inside the container.
    pub absolute: PathBytes,
    /// Kind.
    #[serde(flatten)]
    pub kind: EntryKind,
    /// Permission bits (`0o7777`).
    pub mode: u32,
    /// Size in bytes; of a file that changes while it is sent, the size when it was listed.
    pub size: u64,
    /// Modification time, nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// Inode change time, nanoseconds since the epoch: a file whose size, mtime and ctime are unchanged was not written.
    pub ctime_ns: i64,
    /// Inode number, for hard links and for telling replaced files.
    pub inode: u64,
}

/// How sending one file ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEnd {
    /// Why the file could not be sent whole (removed, unreadable); `None` when it was.
    pub error: Option<String>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandExit {
    /// With this status.
    Code(i32),
    /// Its shell was killed by this signal.
    Signal(i32),
}

/// Name of a signal of Linux, e.g. `SIGKILL`; `signal 40` for one that has none.
#[must_use]
pub fn signal_name(signal: i32) -> String {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS",
    ];
    let name = usize::try_from(signal).ok().and_then(|n| NAMES.get(n.checked_sub(1)?));
    name.map_or_else(|| format!("signal {signal}"), |name| format!("SIG{name}"))
}

/// A process that still holds a command's output after the command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id inside the container.
    pub pid: i32,
    /// Its command line, cut at 200 bytes.
    pub command: String,
}

/// From the agent to the runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromAgent {
    /// First message.
    Ready {
        /// [`PROTOCOL`].
        protocol: u32,
        /// `/codebuild/image/config/runtimes.yml` of the image, when there is one of at most 256 KiB.
        runtimes: Option<String>,
    },
    /// The request is done.
    Done {
        /// Request id.
        id: u32,
    },
    /// The request could not be done.
    Failed {
        /// Request id.
        id: u32,
        /// Why, for the person who reads the log.
        message: String,
    },
    /// The command ended, and its output so far was sent.
    Ended {
        /// Request id.
        id: u32,
        /// How.
        exit: CommandExit,
        /// CPU time of the command and its waited-for children, in milliseconds.
        cpu_ms: u64,
        /// Processes that still hold its output: they run in the background, what they print is still taken.
        holders: Vec<Holder>,
    },
    /// Expanded texts, in the order of the request.
    Expanded {
        /// Request id.
        id: u32,
        /// Texts.
        texts: Vec<PathBytes>,
    },
    /// Values that are set.
    Values {
        /// Request id.
        id: u32,
        /// Names and values (invalid UTF-8 replaced).
        values: BTreeMap<String, String>,
    },
    /// End of a listing.
    Listed {
        /// Request id.
        id: u32,
        /// Number of entries sent.
        entries: u32,
        /// Directories that `base` matched, relative to the root; empty when none did.
        bases: Vec<PathBytes>,
        /// For each pattern, how many files it selected (before excludes).
        matches: Vec<u32>,
        /// True when the search ran out of its time budget.
        incomplete: bool,
        /// Things that were left out, each a sentence (unreadable directory, link loop); at most 20.
        skipped: Vec<String>,
    },
    /// End of a [`ToAgent::Receive`].
    Received {
        /// Request id.
        id: u32,
        /// Files and links written.
        files: u64,
        /// Entries that could not be written, each a sentence; at most 20, counted in `failed`.
        problems: Vec<String>,
        /// How many entries could not be written.
        failed: u64,
    },
}

impl FromAgent {
    /// The request that this answers; `None` for [`FromAgent::Ready`].
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        match self {
            Self::Ready { .. } => None,
            Self::Done { id }
            | Self::Failed { id, .. }
            | Self::Ended { id, .. }
            | Self::Expanded { id, .. }
            | Self::Values { id, .. }
            | Self::Listed { id, .. }
            | Self::Received { id, .. } => Some(*id),
        }
    }
}

/// A message does not fit into a frame.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Longer than [`frame::MAX_FRAME`].
    #[error("message of {0} bytes is longer than a frame")]
    TooLong(usize),
    /// Cannot be written as JSON.
    #[error("message cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// Appends a message as a frame.
///
/// # Errors
/// When it does not fit into one frame (a command or an environment of more than 4 MiB).
pub fn encode<T: Serialize>(kind: u8, message: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let json = serde_json::to_vec(message)?;
    if json.len() >= frame::MAX_FRAME {
        return Err(EncodeError::TooLong(json.len()));
    }
    frame::encode(kind, &json, out);
    Ok(())
}

/// The peer sent something that is not a message of this protocol.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or not of the expected shape.
    #[error("malformed message of kind {kind}")]
    Json {
        /// Frame kind.
        kind: u8,
        /// Cause.
        #[source]
        source: serde_json::Error,
    },
    /// An output frame without a command number.
    #[error("output frame of {0} bytes")]
    Output(usize),
}

/// Reads a JSON payload.
///
/// # Errors
/// When it is not of that shape.
pub fn decode<T: DeserializeOwned>(frame: &Frame<'_>) -> Result<T, DecodeError> {
    serde_json::from_slice(frame.payload).map_err(|source| DecodeError::Json { kind: frame.kind, source })
}

/// The command number and bytes of a [`kind::OUTPUT`] frame.
///
/// # Errors
/// When the payload is shorter than the number.
pub fn decode_output<'a>(frame: &Frame<'a>) -> Result<(u32, &'a [u8]), DecodeError> {
    frame
        .payload
        .split_first_chunk::<4>()
        .map(|(id, bytes)| (u32::from_le_bytes(*id), bytes))
        .ok_or(DecodeError::Output(frame.payload.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameBuffer;

    #[test]
    fn messages_round_trip() {
        let messages = [
            FromAgent::Ready { protocol: PROTOCOL, runtimes: None },
            FromAgent::Ended {
                id: 7,
                exit: CommandExit::Signal(9),
                cpu_ms: 12,
                holders: vec![Holder { pid: 42, command: "sleep 99".into() }],
            },
        ];
        let mut stream = Vec::new();
        for message in &messages {
            encode(kind::MESSAGE, message, &mut stream).unwrap();
        }
        let mut buffer = FrameBuffer::new();
        buffer.push(&stream);
        for message in messages {
            let frame = buffer.next_frame().unwrap().unwrap();
            assert_eq!(decode::<FromAgent>(&frame).unwrap(), message);
        }
    }

    #[test]
    fn entries_keep_names_that_are_not_utf8() {
        let entry = Entry {
            path: PathBytes(vec![b'a', 0xff]),
            absolute: PathBytes(vec![b'/', b'a', 0xff]),
            kind: EntryKind::Symlink { target: "b".into() },
            mode: 0o777,
            size: 1,
            mtime_ns: -5,
            ctime_ns: 5,
            inode: u64::MAX,
        };
        let mut stream = Vec::new();
        encode(kind::ENTRY, &entry, &mut stream).unwrap();
        let mut buffer = FrameBuffer::new();
        buffer.push(&stream);
        assert_eq!(decode::<Entry>(&buffer.next_frame().unwrap().unwrap()).unwrap(), entry);
    }

    #[test]
    fn a_message_that_does_not_fit_is_an_error() {
        let run = ToAgent::Run(Run {
            id: 1,
            text: "x".repeat(frame::MAX_FRAME),
            shell: "sh".into(),
            run_as: None,
            fresh: false,
        });
        assert!(matches!(encode(kind::MESSAGE, &run, &mut Vec::new()), Err(EncodeError::TooLong(_))));
    }

    #[test]
    fn output_without_a_number_is_refused() {
        assert!(decode_output(&Frame { kind: kind::OUTPUT, payload: &[1, 2, 3] }).is_err());
        assert_eq!(decode_output(&Frame { kind: kind::OUTPUT, payload: &[1, 0, 0, 0, 9] }).unwrap(), (1, &[9u8][..]));
    }
}
