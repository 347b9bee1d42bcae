//! The unmodified clients of `scripts/aws-clients`, and how they are run against a server.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use crate::server::Server;

/// Where a client is; says why it is skipped where it cannot be had.
pub(crate) fn client(name: &str) -> Option<PathBuf> {
    static FOUND: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/aws-clients");
        let output = Command::new(script).output().unwrap();
        assert!(output.status.success(), "scripts/aws-clients: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter_map(|l| l.split_once(' ')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    });
    let place = found.get(name).unwrap();
    match place.strip_prefix("skipped: ") {
        None => Some(place.into()),
        Some(why) => {
            println!("skipped: {why}");
            None
        }
    }
}

/// A file of this test's directory `clients`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/service/clients").join(name)
}

/// A command that knows the server by the variables of `kiln env`, and nothing else of this machine's AWS settings.
pub(crate) fn command(server: &Server, program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .envs(server.environment())
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_PAGER", "")
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN");
    command
}

/// Runs it to its end; its standard output.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?} ended with {}\n{}", output.status, text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Both outputs, for a message.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
