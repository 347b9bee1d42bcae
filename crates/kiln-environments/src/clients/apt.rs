//! Debian's packages, of a release that need not be this machine's: with lists of its own, beside those of the system.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::run;
use crate::{
    error::Error,
    lock::{Kind, Package},
    packages::{PackageCache, private_dir},
};

const PROGRAM: &str = "apt-get";
const OF: &str = "of Debian";
/// Where Debian, and each distribution that has the package of its keys, keeps them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// `apt-get` for one release of Debian, its lists fetched.
#[derive(Debug)]
pub struct Apt {
    dir: PathBuf,
}

impl Apt {
    /// Asks the mirror that this machine is set up with for the lists of a release.
    ///
    /// # Errors
    /// If `apt-get` is not here, knows no mirror of Debian, or cannot fetch the lists.
    pub(super) fn open(suite: &str, cache: &PackageCache) -> Result<Self, Error> {
        let apt = Self { dir: cache.clients_dir().join("apt").join(suite) };
        for name in ["lists/partial", "cache/archives/partial", "state"] {
            private_dir(&apt.dir.join(name))?;
        }
        let write = |name: &str, text: &str| {
            let path = apt.dir.join(name);
            fs::write(&path, text).map_err(Error::io("write", path))
        };
        // Nothing is installed: what a package needs is all in the closure.
        write("state/status", "")?;
        write("sources.list", &sources(suite, &apt.dir)?)?;
        run(PROGRAM, OF, "fetch Debian's lists of packages", apt.command().arg("update"), &apt.dir)?;
        Ok(apt)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        let at = |name: &str| self.dir.join(name).display().to_string();
        for option in [
            format!("Dir::Etc::SourceList={}", at("sources.list")),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            "Dir::Etc::Preferences=/dev/null".to_owned(),
            "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
            format!("Dir::State={}", at("state")),
            format!("Dir::State::Lists={}", at("lists")),
            format!("Dir::State::Status={}", at("state/status")),
            format!("Dir::Cache={}", at("cache")),
            // The directory is for this user alone, so apt's own user could not write there.
            "APT::Sandbox::User=root".to_owned(),
            "APT::Architecture=amd64".to_owned(),
            "APT::Architectures=amd64".to_owned(),
            "Acquire::ForceHash=sha256".to_owned(),
            "Acquire::Retries=3".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        command.arg("-q");
        command
    }

    /// What a system of these packages consists of, Debian's essential ones included, in apt's order.
    pub(super) fn closure(&self, packages: &[&str]) -> Result<Vec<Package>, Error> {
        let mut command = self.command();
        command.args(["--yes", "--no-install-recommends", "--print-uris", "install", "?essential"]).args(packages);
        let text = run(PROGRAM, OF, "find out what Debian's packages need", &mut command, &self.dir)?;
        text.lines().filter(|line| line.starts_with('\'')).map(printed).collect()
    }

    /// Downloads package files into `to`.
    pub(super) fn download(&self, packages: &[&Package], to: &Path) -> Result<(), Error> {
        let mut command = self.command();
        command.arg("download").args(packages.iter().map(|package| format!("{}={}", package.name, package.version)));
        run(PROGRAM, OF, "download Debian's packages", &mut command, to).map(|_| ())
    }
}

/// Reads a line of `--print-uris`: `'<where>' <file> <size> SHA256:<hash>`.
fn printed(line: &str) -> Result<Package, Error> {
    let wrong = || Error::Client {
        program: PROGRAM,
        what: "say what Debian's packages need".to_owned(),
        said: format!("it printed `{}`", line.escape_debug()),
    };
    let fields: Vec<&str> = line.split(' ').collect();
    let [_, file, size, hash] = fields.as_slice() else { return Err(wrong()) };
    let stem = file.strip_suffix(".deb").ok_or_else(wrong)?;
    let parts: Vec<&str> = stem.split('_').collect();
    let [name, version, _] = parts.as_slice() else { return Err(wrong()) };
    Ok(Package {
        kind: Kind::Debian,
        name: (*name).to_owned(),
        version: version.replace("%3a", ":"),
        file: (*file).to_owned(),
        size: size.parse().map_err(|_| wrong())?,
        sha256: hash.strip_prefix("SHA256:").ok_or_else(wrong)?.to_owned(),
    })
}

/// The sources of a release, from the mirrors that this machine's own sources name.
fn sources(suite: &str, dir: &Path) -> Result<String, Error> {
    let mut command = Command::new(PROGRAM);
    command.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]);
    let text = run(PROGRAM, OF, "name this machine's mirrors", &mut command, dir)?;
    sources_from(&text, suite, Path::new(KEYRING).exists()).ok_or_else(|| Error::Client {
        program: PROGRAM,
        what: "name a mirror of Debian".to_owned(),
        said: "No source of this machine is one: add one to /etc/apt/sources.list.d (docs/environments.md)".to_owned(),
    })
}

fn sources_from(uris: &str, suite: &str, keyring: bool) -> Option<String> {
    let named = |name: &str| uris.lines().map(|uri| uri.trim_end_matches('/')).find(|uri| uri.ends_with(name));
    let main = named("/debian")?;
    let by = if keyring { format!(" signed-by={KEYRING}") } else { String::new() };
    let line = |uri: &str, suite: String| format!("deb [arch=amd64{by}] {uri} {suite} main\n");
    let mut text = line(main, suite.to_owned()) + &line(main, format!("{suite}-updates"));
    if let Some(security) = named("/debian-security") {
        text.push_str(&line(security, format!("{suite}-security")));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_prints_becomes_a_package() {
        let hash = "b5".repeat(32);
        let line =
            format!("'http://mirror.test/debian/pool/g%2bd.deb' git_1%3a2.47.3-0+deb13u1_amd64.deb 88 SHA256:{hash}");
        let package = printed(&line).unwrap();
        assert_eq!((package.name.as_str(), package.version.as_str()), ("git", "1:2.47.3-0+deb13u1"));
        assert_eq!((package.file.as_str(), package.size), ("git_1%3a2.47.3-0+deb13u1_amd64.deb", 88));
        for bad in
            [line.replace("SHA256", "MD5Sum"), line.replace(" 88", ""), line.replace("_amd64", ""), "' '".to_owned()]
        {
            assert!(printed(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_machines_own_mirrors_serve_another_release() {
        let uris = "http://other.test/thing/\nhttp://mirror.test/debian/\nhttp://mirror.test/debian/\nhttp://mirror.test/debian-security/\n";
        assert_eq!(
            sources_from(uris, "trixie", false).unwrap(),
            "deb [arch=amd64] http://mirror.test/debian trixie main\n\
             deb [arch=amd64] http://mirror.test/debian trixie-updates main\n\
             deb [arch=amd64] http://mirror.test/debian-security trixie-security main\n"
        );
        assert!(sources_from(uris, "trixie", true).unwrap().contains("signed-by=/usr/share/keyrings/"));
        assert_eq!(sources_from("http://mirror.test/ubuntu/\n", "trixie", false), None);
    }
}
