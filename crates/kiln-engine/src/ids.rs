//! User and group ids: a range of the host's for each sandbox, and the user namespaces that map them.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    process::Pid,
};

use crate::{
    error::{Context as _, EngineError},
    sys::process::{flag, fork_into},
};

/// Ids in one sandbox, as many as Docker maps: 0 to 65,535.
pub(crate) const IDS: u32 = 65_536;
/// First id of the pool. 0x8_0000 to 0x6FFF_FFFF is what Linux distributions leave to containers (systemd's UIDS-GIDS
/// page); `useradd` hands out sub-ids from 100,000 up and would need 20,000 users to come here.
const POOL: u32 = 0x5000_0000;
/// Ranges in the pool.
const RANGES: u32 = 4096;

/// 65,536 ids of the host that one sandbox uses at a time.
#[derive(Debug)]
pub(crate) struct IdRange {
    /// The host's id of the sandbox's root.
    pub(crate) base: u32,
    /// Holds the range while this value lives; the kernel releases it if the process dies.
    _lock: OwnedFd,
}

impl IdRange {
    /// Takes a free range; `seed` spreads the choice. `locks` is a directory that all of the machine's Kilns share.
    pub(crate) fn any(locks: &Path, seed: &str) -> Result<IdRange, EngineError> {
        let first = (fnv1a(seed.as_bytes()) % u64::from(RANGES)) as u32;
        for step in 0..RANGES {
            if let Some(range) = IdRange::take(locks, (first + step) % RANGES)? {
                return Ok(range);
            }
        }
        Err(EngineError::Busy(format!("all {RANGES} ranges of user ids are in use by running sandboxes")))
    }

    /// Takes the range that begins at `base`: the owner of a disk that is opened again.
    pub(crate) fn at(locks: &Path, base: u32) -> Result<IdRange, EngineError> {
        let slot = base.checked_sub(POOL).filter(|offset| offset % IDS == 0).map(|offset| offset / IDS);
        let slot = slot.filter(|slot| *slot < RANGES);
        let slot = slot.ok_or_else(|| EngineError::Spec(format!("the disk names {base} as its id range")))?;
        IdRange::take(locks, slot)?.ok_or_else(|| {
            EngineError::Busy(
                "another running sandbox uses the user ids that own this file system; try again when it has ended"
                    .into(),
            )
        })
    }

    fn take(locks: &Path, slot: u32) -> Result<Option<IdRange>, EngineError> {
        let path = locks.join(slot.to_string());
        let lock = rustix::fs::open(&path, OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)
            .context(|| format!("open {}", path.display()))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(IdRange { base: POOL + slot * IDS, _lock: lock })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error).context(|| format!("lock {}", path.display())),
        }
    }
}

/// Consecutive ids: `inside..inside + count` appear as, or are stored as, `outside..outside + count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) inside: u32,
    pub(crate) outside: u32,
    pub(crate) count: u32,
}

/// A map of ids, in the form of `/proc/PID/uid_map`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdMap(pub(crate) Vec<Extent>);

impl IdMap {
    /// `0..65536` to `base..`.
    pub(crate) fn all(base: u32) -> IdMap {
        IdMap(vec![Extent { inside: 0, outside: base, count: IDS }])
    }

    /// One id to another one; every other shows as nobody.
    pub(crate) fn single(inside: u32, outside: u32) -> IdMap {
        IdMap(vec![Extent { inside, outside, count: 1 }])
    }

    /// As [`IdMap::all`], but `owner` and root change places, so that `owner`'s files show as root's.
    pub(crate) fn owner_as_root(owner: u32, base: u32) -> IdMap {
        if owner == 0 {
            return IdMap::all(base);
        }
        let mut extents = vec![Extent { inside: owner, outside: base, count: 1 }];
        if owner < IDS {
            extents.push(Extent { inside: 0, outside: base + owner, count: 1 });
        }
        let below = owner.min(IDS);
        if below > 1 {
            extents.push(Extent { inside: 1, outside: base + 1, count: below - 1 });
        }
        if below + 1 < IDS {
            extents.push(Extent { inside: below + 1, outside: base + below + 1, count: IDS - below - 1 });
        }
        IdMap(extents)
    }

    pub(crate) fn to_proc(&self) -> String {
        self.0.iter().map(|extent| format!("{} {} {}\n", extent.inside, extent.outside, extent.count)).collect()
    }
}

/// Writes the id maps of a process that was just started in a new user namespace. Needs privilege over the ids.
pub(crate) fn write_maps(pid: Pid, uids: &IdMap, gids: &IdMap) -> Result<(), EngineError> {
    for (file, map) in [("uid_map", uids), ("gid_map", gids)] {
        let path = format!("/proc/{}/{file}", pid.as_raw_nonzero());
        std::fs::write(&path, map.to_proc()).context(|| format!("map the sandbox's ids through {path}"))?;
    }
    Ok(())
}

/// What an ordinary user can map: itself as root and, with `newuidmap`, its sub-ids as the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RootlessIds {
    uids: IdMap,
    gids: IdMap,
    /// Programs that write the maps; without them only one id can be mapped.
    helpers: Option<(PathBuf, PathBuf)>,
}

impl RootlessIds {
    /// Looks for the sub-ids of the calling user.
    pub(crate) fn find() -> RootlessIds {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let alone = RootlessIds { uids: IdMap::single(0, uid), gids: IdMap::single(0, gid), helpers: None };
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let mut users = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let id = uid.to_string();
        let name = users.find(|fields| fields.get(2) == Some(&id.as_str())).and_then(|fields| fields.first().copied());
        let range = |file: &str| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            sub_range(&text, name.unwrap_or(&id), &id)
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let helper = |name: &str| {
            std::env::split_paths(&path)
                .chain(["/usr/bin".into()])
                .map(|dir| dir.join(name))
                .find(|path| path.is_file())
        };
        match (range("/etc/subuid"), range("/etc/subgid"), helper("newuidmap"), helper("newgidmap")) {
            (Some(uids), Some(gids), Some(newuidmap), Some(newgidmap)) => RootlessIds {
                uids: IdMap(vec![Extent { inside: 0, outside: uid, count: 1 }, uids]),
                gids: IdMap(vec![Extent { inside: 0, outside: gid, count: 1 }, gids]),
                helpers: Some((newuidmap, newgidmap)),
            },
            _ => alone,
        }
    }

    /// Whether there are other ids than root's inside.
    pub(crate) fn many(&self) -> bool {
        self.helpers.is_some()
    }

    /// Writes the maps of a process that was just started in a new user namespace.
    pub(crate) fn write(&self, pid: Pid) -> Result<(), EngineError> {
        let Some((newuidmap, newgidmap)) = &self.helpers else {
            // A group could be given up, and with it what it forbids; so the kernel wants that excluded first.
            let path = format!("/proc/{}/setgroups", pid.as_raw_nonzero());
            std::fs::write(&path, "deny").context(|| format!("write {path}"))?;
            return write_maps(pid, &self.uids, &self.gids);
        };
        for (program, map) in [(newuidmap, &self.uids), (newgidmap, &self.gids)] {
            let mut command = std::process::Command::new(program);
            command.arg(pid.as_raw_nonzero().to_string()).stdin(std::process::Stdio::null());
            for extent in &map.0 {
                command.args([extent.inside, extent.outside, extent.count].map(|number| number.to_string()));
            }
            let output = command.output().context(|| format!("run {}", program.display()))?;
            if !output.status.success() {
                let why = String::from_utf8_lossy(&output.stderr);
                return Err(EngineError::Host {
                    what: format!("map the sandbox's ids with {}", program.display()),
                    source: io::Error::other(why.trim().to_owned()),
                });
            }
        }
        Ok(())
    }

    /// Runs `task` as root of a user namespace with these ids, and waits for it: for files that belong to sub-ids.
    pub(crate) fn run(&self, task: impl FnOnce() -> bool) -> Result<bool, EngineError> {
        let (wait, hold) = std::io::pipe().context(|| "make a pipe")?;
        let mut child_side = Some(wait);
        let mut hold = Some(hold);
        let many = self.many();
        let child = fork_into(flag::NEWUSER, None, || {
            drop(hold.take());
            let Some(mut wait) = child_side.take() else { return 1 };
            let mut go = [0_u8; 1];
            let mapped = matches!(wait.read(&mut go), Ok(1)) && crate::native::credentials::become_root(many).is_ok();
            i32::from(!(mapped && task()))
        })
        .context(|| "make a user namespace")?;
        drop(child_side);
        let go = self.write(child.pid).and_then(|()| match &mut hold {
            Some(hold) => hold.write_all(b"g").context(|| "speak to a helper process"),
            None => Ok(()),
        });
        drop(hold);
        let code = reap(&child.pidfd).context(|| "wait for a helper process")?;
        go.map(|()| code == Some(0))
    }
}

/// A user's range of `/etc/subuid` or `/etc/subgid`, as ids 1 and up.
fn sub_range(text: &str, name: &str, id: &str) -> Option<Extent> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        let (start, count) = (fields.next()?.parse::<u32>().ok()?, fields.next()?.parse::<u32>().ok()?);
        let count = count.min(IDS - 1);
        let usable = (owner == name || owner == id) && count > 0 && start > 0 && start.checked_add(count).is_some();
        usable.then_some(Extent { inside: 1, outside: start, count })
    })
}

/// Makes a user namespace that exists only to describe `uids` and `gids` to an id-mapped mount.
pub(crate) fn user_namespace(uids: &IdMap, gids: &IdMap) -> Result<OwnedFd, EngineError> {
    let (wait, hold) = std::io::pipe().context(|| "make a pipe")?;
    let mut wait = Some(wait);
    let mut hold = Some(hold);
    let child = fork_into(flag::NEWUSER, None, || {
        drop(hold.take());
        // Ends when the parent closes its end, or dies.
        let mut nothing = [0_u8; 1];
        let ended = wait.take().map(|mut wait| wait.read(&mut nothing));
        i32::from(!matches!(ended, Some(Ok(0))))
    })
    .context(|| "make a user namespace")?;
    drop(wait);
    let namespace = write_maps(child.pid, uids, gids).and_then(|()| {
        let path = format!("/proc/{}/ns/user", child.pid.as_raw_nonzero());
        File::open(&path).map(OwnedFd::from).context(|| format!("open {path}"))
    });
    drop(hold);
    reap(&child.pidfd).context(|| "wait for a helper process")?;
    namespace
}

/// Waits for a helper process to end; answers its exit code, if it has one.
pub(crate) fn reap(pidfd: &OwnedFd) -> io::Result<Option<i32>> {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    loop {
        match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(status) => return Ok(status.and_then(|status| status.exit_status())),
        }
    }
}

/// A stable 64-bit digest for names that need no secrecy.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where an id on disk shows up, under a map.
    fn shown(map: &IdMap, id: u32) -> Option<u32> {
        map.0.iter().find(|e| (e.inside..e.inside + e.count).contains(&id)).map(|e| e.outside + (id - e.inside))
    }

    #[test]
    fn the_owner_shows_as_root_and_every_id_keeps_a_place_of_its_own() {
        for owner in [0, 1, 2, 1000, IDS - 2, IDS - 1, IDS, IDS + 1, 4_000_000_000] {
            let map = IdMap::owner_as_root(owner, POOL);
            assert_eq!(shown(&map, owner), Some(POOL), "owner {owner}");
            let mut places: Vec<u32> = (0..IDS).filter_map(|id| shown(&map, id)).collect();
            let expected = if owner < IDS { IDS } else { IDS - 1 } as usize;
            assert_eq!(places.len(), expected, "owner {owner}");
            assert!(places.iter().all(|place| (POOL..POOL + IDS).contains(place)), "owner {owner}");
            places.sort_unstable();
            places.dedup();
            assert_eq!(places.len(), expected, "two ids share a place with owner {owner}");
            assert!(map.0.iter().all(|extent| extent.count > 0), "owner {owner}");
        }
    }

    #[test]
    fn sub_ids_are_found_by_name_or_number() {
        let text = "other:100000:65536\nme:165536:65536\n1001:300000:10\nbroken\nmany:4294967290:65536\n";
        let extent = |outside, count| Some(Extent { inside: 1, outside, count });
        assert_eq!(sub_range(text, "me", "1000"), extent(165_536, 65_535));
        assert_eq!(sub_range(text, "unnamed", "1001"), extent(300_000, 10));
        assert_eq!(sub_range(text, "none", "1"), None);
        assert_eq!(sub_range(text, "many", "1"), None, "the range runs over the end");
    }

    #[test]
    fn two_ranges_taken_together_differ_and_a_taken_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let one = IdRange::any(dir.path(), "same").unwrap();
        let two = IdRange::any(dir.path(), "same").unwrap();
        assert_ne!(one.base, two.base);
        assert!(matches!(IdRange::at(dir.path(), one.base), Err(EngineError::Busy(_))));
        let base = one.base;
        drop(one);
        assert_eq!(IdRange::at(dir.path(), base).unwrap().base, base);
        assert!(matches!(IdRange::at(dir.path(), 7), Err(EngineError::Spec(_))));
    }
}
