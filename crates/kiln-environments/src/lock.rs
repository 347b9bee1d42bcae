//! Locks: `environments/NAME/lock`. One line for each package file:
//!
//! ```text
//! kiln-lock 1
//! epoch 1795737600
//! parent <SHA-256 of the parent's lock, or ->
//! debian libc6 2.41-12 libc6_2.41-12_amd64.deb 2850108 <SHA-256>
//! ```

use std::{collections::BTreeSet, fmt::Write as _};

use sha2::{Digest as _, Sha256};

const FORMAT: &str = "kiln-lock 1";

/// Every package file of an environment, without those of its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// When it was made, seconds since 1970: the time of whatever is newer than it in the image.
    pub epoch: u64,
    /// [`Lock::hash`] of the parent's, since what comes along depends on what is there.
    pub parent: Option<String>,
    /// The files. Those that the first file system is made of come first.
    pub packages: Vec<Package>,
}

/// A package file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// What it is.
    pub kind: Kind,
    /// Its name in its registry.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Name of the file.
    pub file: String,
    /// Its bytes; 0 where only its hash is known.
    pub size: u64,
    /// Its hash, in hex.
    pub sha256: String,
}

/// What a package file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A package of Debian without which no other can be installed.
    Essential,
    /// A package of Debian.
    Debian,
    /// A wheel that is installed.
    Wheel,
    /// A wheel that is unpacked.
    Pypi,
    /// A package of npm that is unpacked.
    Npm,
    /// A vendor's archive that is unpacked. A recipe names it, and no lock.
    Vendor,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Essential, Self::Debian, Self::Wheel, Self::Pypi, Self::Npm];

    /// The word in the lock.
    fn word(self) -> &'static str {
        match self {
            Self::Essential => "essential",
            Self::Debian => "debian",
            Self::Wheel => "wheel",
            Self::Pypi => "pypi",
            Self::Npm => "npm",
            Self::Vendor => "vendor",
        }
    }
}

impl Lock {
    /// Reads a lock.
    ///
    /// # Errors
    /// In words, with the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        let mut next = |what: &str| match lines.next() {
            Some((_, line)) => {
                line.strip_prefix(what).map(str::trim).ok_or_else(|| format!("its head has no `{what}`"))
            }
            None => Err(format!("its head has no `{what}`")),
        };
        next(FORMAT)?;
        let epoch = next("epoch ")?.parse().map_err(|_| "its epoch is no number".to_owned())?;
        let parent = Some(next("parent ")?.to_owned()).filter(|hash| hash != "-");
        if parent.as_deref().is_some_and(|hash| !is_hash(hash)) {
            return Err("the hash of its parent is none".to_owned());
        }
        let mut packages = Vec::new();
        let mut files = BTreeSet::new();
        for (number, line) in lines {
            let package = Package::parse(line).map_err(|problem| format!("line {number}: {problem}"))?;
            if !files.insert(package.file.clone()) {
                return Err(format!("line {number}: the file {} stands there twice", package.file));
            }
            packages.push(package);
        }
        Ok(Self { epoch, parent, packages })
    }

    /// The lock's text.
    #[must_use]
    pub fn text(&self) -> String {
        let parent = self.parent.as_deref().unwrap_or("-");
        let mut text = format!("{FORMAT}\nepoch {}\nparent {parent}\n", self.epoch);
        for Package { kind, name, version, file, size, sha256 } in &self.packages {
            // Writing to a string cannot fail.
            let _ok = writeln!(text, "{} {name} {version} {file} {size} {sha256}", kind.word());
        }
        text
    }

    /// SHA-256 of its text, in hex.
    #[must_use]
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.text()))
    }

    /// Bytes of all files.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.packages.iter().map(|package| package.size).fold(0, u64::saturating_add)
    }
}

impl Package {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let fields: Vec<&str> = line.split(' ').collect();
        let [kind, name, version, file, size, sha256] = fields.as_slice() else {
            return Err("a package has six fields");
        };
        let kind = Kind::ALL.into_iter().find(|k| k.word() == *kind).ok_or("there is no such kind of package")?;
        // Names become arguments of clients, file names those of a directory.
        let plain = |text: &str| {
            !text.is_empty()
                && !text.starts_with(['-', '.'])
                && text.bytes().all(|b| b.is_ascii_graphic() && !b"'\"\\`$;&|<>(){}*?!".contains(&b))
        };
        if ![name, version, file].into_iter().all(|text| plain(text)) || file.contains('/') {
            return Err("a name, version or file is not plain");
        }
        if !is_hash(sha256) {
            return Err("its hash is none");
        }
        let size = size.parse().map_err(|_| "its size is no number")?;
        let own = str::to_owned;
        Ok(Self { kind, name: own(name), version: own(version), file: own(file), size, sha256: own(sha256) })
    }
}

/// Whether it is a SHA-256 in hex, as locks and recipes have it.
pub(crate) fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash() -> String {
        "a1".repeat(32)
    }

    #[test]
    fn damaged_locks_say_where() {
        let good = format!("kiln-lock 1\nepoch 7\nparent -\ndebian a 1:2 a_1%3a2_all.deb 5 {}\n", hash());
        let lock = Lock::parse(&good).unwrap();
        assert_eq!((lock.text(), lock.packages.len(), lock.size()), (good.clone(), 1, 5));
        for (from, to, says) in [
            ("lock 1", "lock 2", "kiln-lock 1"),
            ("epoch 7", "epoch x", "epoch"),
            ("parent -", "parent 12", "parent"),
            ("debian a", "rpm a", "line 4: there is no such kind"),
            (" a ", " --option ", "line 4: a name"),
            (" a ", " a b ", "six fields"),
            ("a_1%3a2_all.deb", "../etc/passwd", "not plain"),
            ("a_1%3a2_all.deb", "x/y", "not plain"),
            (" 5 ", " five ", "size"),
            ("a1a1", "A1a1", "hash"),
        ] {
            let error = Lock::parse(&good.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(says), "{to}: {error}");
        }
        let line = good.lines().last().unwrap();
        assert!(Lock::parse(&format!("{good}{line}\n")).unwrap_err().contains("twice"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            if let Ok(lock) = Lock::parse(&text) {
                prop_assert_eq!(Lock::parse(&lock.text()).unwrap(), lock);
            }
            Lock::parse(&format!("kiln-lock 1\nepoch 1\nparent -\n{text}")).ok();
        }

        #[test]
        fn locks_read_back(epoch in any::<u64>(), names in proptest::collection::btree_set("[a-z0-9][a-z0-9+.-]{0,12}", 0..5), kind in 0usize..5) {
            let packages = names.iter().map(|name| Package {
                kind: Kind::ALL[kind],
                name: name.clone(),
                version: "1:2~3+b1".to_owned(),
                file: format!("f{name}"),
                size: epoch / 8,
                sha256: hash(),
            }).collect();
            let lock = Lock { epoch, parent: Some(hash()), packages };
            prop_assert_eq!(Lock::parse(&lock.text()).unwrap(), lock);
        }
    }
}
