//! Users and groups of the image, read by hand: a static binary has no name service, and needs none.

use std::{collections::BTreeSet, io, path::Path};

use rustix::{
    fs::{CWD, Mode, OFlags},
    process::{Gid, Uid},
};

use crate::{state::read_opened, sys::Credentials};

/// Largest `/etc/passwd` or `/etc/group`.
const MAX_FILE: usize = 8 << 20;

/// The user and group databases of an image.
#[derive(Debug, Default)]
pub(crate) struct Users {
    passwd: String,
    group: String,
}

impl Users {
    /// Reads them; a file that is not there is an empty one.
    pub(crate) fn read() -> Self {
        let read = |path: &str| {
            // Links are followed: some images keep these files elsewhere.
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
            let bytes = rustix::fs::openat(CWD, Path::new(path), flags, Mode::empty())
                .map_err(io::Error::from)
                .and_then(|fd| read_opened(fd.into(), MAX_FILE));
            bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
        };
        Self { passwd: read("/etc/passwd"), group: read("/etc/group") }
    }

    /// `name`, `uid`, `name:group`, `uid:gid`.
    ///
    /// # Errors
    /// A text for the log: what is unknown, and what can be done.
    pub(crate) fn find(&self, wanted: &str) -> Result<Credentials, String> {
        let (user, group) = wanted.split_once(':').map_or((wanted, None), |(user, group)| (user, Some(group)));
        let entry = self.user(|name, _| name == user).or_else(|| {
            let number: u32 = user.parse().ok()?;
            self.user(|_, uid| uid == number).or(Some((String::new(), number, number)))
        });
        let Some((name, uid, primary)) = entry else {
            return Err(format!(
                "run-as: there is no user '{user}' in the /etc/passwd of this image. Name one that there is ({}), or \
                 a user id such as 1000 or 1000:1000, or add the user when the image is built (`RUN useradd {user}`).",
                self.some_names()
            ));
        };
        let gid = match group {
            None => primary,
            Some(group) => self
                .groups()
                .find(|(name, ..)| *name == group)
                .map(|(_, gid, _)| gid)
                .or_else(|| group.parse().ok())
                .ok_or_else(|| {
                    format!(
                        "run-as: there is no group '{group}' in the /etc/group of this image. Name one that there \
                         is, or give its number."
                    )
                })?,
        };
        let mut groups = BTreeSet::from([gid]);
        if !name.is_empty() {
            groups.extend(self.groups().filter(|(_, _, members)| members.split(',').any(|m| m == name)).map(|g| g.1));
        }
        // (uid_t) -1 means "leave as it is" to the kernel.
        if uid == u32::MAX || groups.contains(&u32::MAX) {
            return Err(format!("run-as: '{wanted}' is not a possible user"));
        }
        Ok(Credentials {
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(gid),
            groups: groups.into_iter().map(Gid::from_raw).collect(),
        })
    }

    /// Name, user id and primary group of the first entry that fits.
    fn user(&self, fits: impl Fn(&str, u32) -> bool) -> Option<(String, u32, u32)> {
        self.passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            fits(name, uid).then(|| (name.to_owned(), uid, gid))
        })
    }

    /// Name, id and members.
    fn groups(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        self.group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let gid = fields.nth(1)?.parse().ok()?;
            Some((name, gid, fields.next().unwrap_or_default()))
        })
    }

    fn some_names(&self) -> String {
        let mut names: Vec<&str> = self.passwd.lines().filter_map(|line| line.split(':').next()).collect();
        names.retain(|name| !name.is_empty());
        if names.is_empty() {
            return "the file is missing or empty".into();
        }
        let rest = names.len().saturating_sub(12);
        names.truncate(12);
        let mut text = names.join(", ");
        if rest > 0 {
            text.push_str(&format!(" and {rest} more"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Users {
        Users {
            passwd: "root:x:0:0:root:/root:/bin/sh\nbroken\n:x:\nbuild:x:1000:1001::/home/build:/bin/sh\n\
                     nobody:x:65534:65534::/:/bin/false\n"
                .into(),
            group: "root:x:0:\nbuild:x:1001:\ndocker:x:998:root,build\nbad:x:y:build\naudio:x:29:builder\n".into(),
        }
    }

    fn ids(found: Result<Credentials, String>) -> (u32, u32, Vec<u32>) {
        let found = found.unwrap();
        (found.uid.as_raw(), found.gid.as_raw(), found.groups.iter().map(|g| g.as_raw()).collect())
    }

    #[test]
    fn names_and_numbers_are_found() {
        let users = image();
        assert_eq!(ids(users.find("build")), (1000, 1001, vec![998, 1001]));
        assert_eq!(ids(users.find("1000")), (1000, 1001, vec![998, 1001]));
        assert_eq!(ids(users.find("build:docker")), (1000, 998, vec![998]));
        assert_eq!(ids(users.find("4242")), (4242, 4242, vec![4242]));
        assert_eq!(ids(users.find("4242:7")), (4242, 7, vec![7]));
        assert_eq!(ids(users.find("root")), (0, 0, vec![0, 998]));
    }

    #[test]
    fn an_unknown_user_is_explained() {
        let error = image().find("codebuild-user").unwrap_err();
        assert!(error.contains("'codebuild-user'") && error.contains("nobody") && error.contains("useradd"), "{error}");
        assert!(image().find("build:nogroup").unwrap_err().contains("nogroup"));
        assert!(Users::default().find("x").unwrap_err().contains("missing or empty"));
        for impossible in ["4294967295", "1:4294967295", "", "-1", "99999999999"] {
            image().find(impossible).unwrap_err();
        }
    }
}
