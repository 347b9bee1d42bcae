//! A git server on this machine, and what is in its repositories.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{clients::script, server::wait_for};

/// Who may read what is private.
pub(crate) const USER: &str = "x-access-token";

/// See the module. It ends with this value.
pub(crate) struct Forge {
    server: Child,
    directory: TempDir,
    port: u16,
    pub(crate) password: String,
}

impl Forge {
    /// Starts one. `elsewhere`: where it redirects to.
    pub(crate) fn start(elsewhere: Option<&Forge>) -> Self {
        use std::hash::{BuildHasher as _, RandomState};
        let directory = TempDir::new().unwrap();
        let password = format!("pass-{:016x}", RandomState::new().hash_one("password"));
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("repositories")).unwrap();
        fs::create_dir(at("repositories/lfs")).unwrap();
        fs::write(at("requests"), "").unwrap();
        let subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(subject)
            .arg("-keyout")
            .arg(at("key.pem"))
            .arg("-out")
            .arg(at("certificate.pem"))
            .output()
            .unwrap();
        assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
        let mut command = Command::new("python3");
        command.arg(script("git_server.py"));
        command.args([at("repositories"), at("certificate.pem"), at("key.pem"), at("port"), at("requests")]);
        command.args([USER, &password]).args(elsewhere.map(|other| other.base()));
        let server = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let port = wait_for("the git server", || fs::read_to_string(at("port")).ok()?.parse().ok());
        Self { server, directory, port, password }
    }

    /// `https://127.0.0.1:PORT`.
    pub(crate) fn base(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The URL of a repository in one of the server's ways.
    pub(crate) fn url(&self, way: &str, repository: &str) -> String {
        format!("{}/{way}/{repository}", self.base())
    }

    /// Where repositories are.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("repositories")
    }

    /// What was asked of it: paths, and what was said for authorization.
    pub(crate) fn requests(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.directory.path().join("requests")).unwrap();
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.map(|(path, said)| (path.to_owned(), said.to_owned())).collect()
    }

    /// Bytes that git has answered so far.
    pub(crate) fn sent(&self) -> u64 {
        let text = fs::read_to_string(self.directory.path().join("requests.sent")).unwrap_or_default();
        text.lines().map(|line| line.parse::<u64>().unwrap()).sum()
    }

    /// A working tree whose commits [`Tree::publish`] shows.
    pub(crate) fn tree(&self, repository: &str) -> Tree {
        let directory = self.directory.path().join("trees").join(repository);
        fs::create_dir_all(&directory).unwrap();
        let tree = Tree { directory, bare: self.root().join(repository) };
        tree.git(&["init", "--quiet", "--initial-branch=main"]);
        tree
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

/// A repository's working tree.
pub(crate) struct Tree {
    pub(crate) directory: PathBuf,
    pub(crate) bare: PathBuf,
}

impl Tree {
    /// Runs git there; what it prints.
    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        git(&self.directory, args)
    }

    /// Commits files; the commit's id.
    #[track_caller]
    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> String {
        for (name, content) in files {
            let path = self.directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "commit"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Makes the server's repository what this one is.
    #[track_caller]
    pub(crate) fn publish(&self) {
        if !self.bare.exists() {
            git(Path::new("/"), &["init", "--quiet", "--bare", "--initial-branch=main", self.bare.to_str().unwrap()]);
        }
        self.git(&["push", "--quiet", "--force", "--prune", self.bare.to_str().unwrap(), "refs/*:refs/*"]);
    }
}

#[track_caller]
pub(crate) fn git(directory: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(args)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs(["AUTHOR", "COMMITTER"].iter().flat_map(|who| {
            [(format!("GIT_{who}_NAME"), "Tester"), (format!("GIT_{who}_EMAIL"), "tester@example.com")]
        }))
        .env("GIT_ALLOW_PROTOCOL", "file")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
