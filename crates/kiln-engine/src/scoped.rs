//! Opening paths that may not lead out of a directory.

use std::os::fd::{AsFd, OwnedFd};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    io::Errno,
    path::Arg,
};

/// How often an answer of "try again" is followed. It is a bound because a file that another process holds a lease on
/// answers the same for as long as it likes.
const ATTEMPTS: u32 = 1 << 12;

/// Opens `path` beneath `dir` as `openat2` does, and tries again where the kernel asks for it: a path with `..` in it (or
/// in a link on the way) cannot be resolved within a directory while anything at all is renamed or mounted on this
/// machine (`openat2(2)`, EAGAIN). Neither is in anybody's power here, so every call must be ready for it.
///
/// # Errors
/// As `openat2`.
pub fn openat2(
    dir: impl AsFd,
    path: impl Arg,
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    path.into_with_c_str(|path| {
        for _ in 1..ATTEMPTS {
            match rustix::fs::openat2(&dir, path, flags, mode, resolve) {
                Err(Errno::AGAIN) => std::thread::yield_now(),
                answer => return answer,
            }
        }
        rustix::fs::openat2(&dir, path, flags, mode, resolve)
    })
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use rustix::fs::{CWD, openat};

    use super::*;

    struct SetOnDrop<'a>(&'a AtomicBool);

    impl Drop for SetOnDrop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn paths_resolve_while_something_else_is_renamed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("b"), "b").unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let (one, two) = (elsewhere.path().join("1"), elsewhere.path().join("2"));
        fs::write(&one, "").unwrap();
        let root = openat(CWD, dir.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        // Long enough to be disturbed often, and short enough not to be each time.
        let path = "a/../".repeat(50) + "b";

        let done = AtomicBool::new(false);
        let asked_again = thread::scope(|scope| {
            // Also if an assertion fails: the other thread would go on for ever, and this one wait for it.
            let _end = SetOnDrop(&done);
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    fs::rename(&one, &two).unwrap();
                    fs::rename(&two, &one).unwrap();
                }
            });
            // Until the kernel has asked for it often, or does not ask at all here.
            let mut asked_again = 0;
            for _ in 0..20_000 {
                asked_again +=
                    u32::from(rustix::fs::openat2(&root, &*path, OFlags::PATH, Mode::empty(), resolve).is_err());
                openat2(&root, &*path, OFlags::PATH, Mode::empty(), resolve).unwrap();
                if asked_again == 20 {
                    break;
                }
            }
            asked_again
        });
        if asked_again == 0 {
            eprintln!("skipped: the kernel never asked for another attempt");
        }
    }

    #[test]
    fn other_errors_are_answered_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let root = openat(CWD, dir.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let open = |path| openat2(&root, path, OFlags::PATH, Mode::empty(), ResolveFlags::BENEATH);
        assert_eq!(open("nothing").unwrap_err(), Errno::NOENT);
        assert_eq!(open("../x").unwrap_err(), Errno::XDEV);
    }
}
