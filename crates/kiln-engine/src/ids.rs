//! User and group ids: a range of the host's for each sandbox, and the user namespaces that map them.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd, OwnedFd},
    path::Path,
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
        let mut text = String::new();
        for extent in &self.0 {
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "{} {} {}", extent.inside, extent.outside, extent.count);
        }
        text
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

/// Waits for a helper process to end.
pub(crate) fn reap(pidfd: &OwnedFd) -> io::Result<()> {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    loop {
        match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(()),
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
