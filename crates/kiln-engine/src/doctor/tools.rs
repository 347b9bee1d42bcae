//! Programs of the machine that Kiln calls.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use super::{
    Check, Status,
    child::{Ids, waiting_child},
};
use crate::sys::process::flag;

/// Makes a repository, which takes more of git than telling its version.
pub(super) fn git() -> Check {
    let check = |status, found: String| Check::new("git", "git", status, found);
    let fix = "install git 2.35.2 or newer (package git); sources of `kiln run` are taken as they are without it";
    let version = match output(Command::new("git").arg("version")) {
        Ok(version) => version,
        Err(why) => return check(Status::Warning, why).fix(fix),
    };
    match version.trim().strip_prefix("git version ").and_then(parse_version) {
        Some(number) if number < [2, 35, 2] => check(
            Status::Warning,
            format!(
                "{}: older versions run programs that a directory of another user names (CVE-2022-24765)",
                version.trim()
            ),
        )
        .fix(fix),
        _ => check(Status::Ok, version.trim().to_owned()),
    }
}

/// The alternative engine, and what is known to be wrong with its version (security.md 4.2).
pub(super) fn runc() -> Check {
    let check = |status, found: String| Check::new("runc", "runc (only for --engine oci)", status, found);
    let Ok(line) = crate::runtime_version(Path::new("runc")) else {
        return check(Status::Ok, "not installed".to_owned());
    };
    let holes = match line.strip_prefix("runc version ").and_then(parse_version) {
        None => return check(Status::Warning, format!("its version is not to be understood: {line:?}")),
        Some(version) => runc_holes(version),
    };
    if holes.is_empty() {
        return check(Status::Ok, line);
    }
    check(Status::Warning, format!("{line} has known holes: {}", holes.join(", "))).fix(
        "use runc 1.4.3 or newer, or the native engine, which does not use it; Kiln's user namespaces take the edge off \
         the older holes",
    )
}

fn runc_holes(version: [u32; 3]) -> Vec<&'static str> {
    let mut holes = Vec::new();
    if version < [1, 1, 12] {
        holes.push("CVE-2024-21626");
    }
    // Fixed in 1.2.8, 1.3.3 and 1.4.0.
    if version < [1, 2, 8] || ([1, 3, 0]..[1, 3, 3]).contains(&version) {
        holes.extend(["CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"]);
    }
    if version < [1, 4, 3] {
        holes.push("CVE-2026-41579");
    }
    holes
}

/// The first three numbers of a version: `1.1.5+ds1` is 1, 1, 5.
fn parse_version(text: &str) -> Option<[u32; 3]> {
    let mut parts = text.split('.').map(|part| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part.get(..end).and_then(|digits| digits.parse().ok())
    });
    Some([parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)])
}

fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).current_dir("/").output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{name} is not installed"),
        _ => format!("{name}: {error}"),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} failed ({}): {}", output.status, said.lines().next().unwrap_or_default()))
}

/// Has newuidmap and newgidmap map this user's subordinate ids into a new user namespace.
pub(super) fn map_subordinate_ids() -> Result<String, String> {
    let name = output(Command::new("id").arg("-un"))?;
    let name = name.trim();
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    waiting_child(flag::NEWUSER, &Ids::Own, |pid| {
        let map = |tool: &str, file: &str, own: u32| {
            let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
            let (first, count) =
                largest_range(&text, name, uid).ok_or_else(|| format!("{file} has no range for {name}"))?;
            // Root inside is the user; the others are the range.
            let numbers = [pid.as_raw_nonzero().get() as u32, 0, own, 1, 1, first, count].map(|n| n.to_string());
            output(Command::new(tool).args(numbers)).map(|_| count)
        };
        let count = map("newuidmap", "/etc/subuid", uid)?.min(map("newgidmap", "/etc/subgid", gid)?);
        if count < 65_535 {
            return Err(format!("only {count} subordinate ids for {name}"));
        }
        Ok(format!("{count} for {name}"))
    })
}

/// The largest range in the text of `/etc/subuid` that a user has, by name or number.
fn largest_range(text: &str, name: &str, uid: u32) -> Option<(u32, u32)> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            let range = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            (owner == name || owner == uid.to_string()).then_some(range)
        })
        .max_by_key(|(_, count)| *count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        assert_eq!(parse_version("1.1.5+ds1"), Some([1, 1, 5]));
        assert_eq!(parse_version("1.4.0-rc.2"), Some([1, 4, 0]));
        assert_eq!(parse_version("2.39"), Some([2, 39, 0]));
        assert_eq!(parse_version("unknown"), None);
        assert_eq!(runc_holes([1, 1, 5]).len(), 5);
        assert_eq!(runc_holes([1, 1, 12]).len(), 4);
        assert_eq!(runc_holes([1, 3, 2]).len(), 4);
        assert_eq!(runc_holes([1, 2, 8]), ["CVE-2026-41579"]);
        assert!(runc_holes([1, 4, 3]).is_empty());
    }

    #[test]
    fn the_largest_range_counts() {
        let text = "other:1:70000\nuser:100000:65536\n1000:300000:100000\nuser:bad\nuser:200000:10\n";
        assert_eq!(largest_range(text, "user", 1000), Some((300_000, 100_000)));
        assert_eq!(largest_range(text, "user", 1001), Some((100_000, 65_536)));
        assert_eq!(largest_range(text, "nobody", 5), None);
    }
}
