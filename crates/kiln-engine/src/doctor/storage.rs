//! The data directory and what its file system can do.

use std::{
    fs,
    os::fd::{AsFd as _, OwnedFd},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen, open_tree,
};

use super::{
    Check, Status,
    child::{Ids, in_child},
    isolation::free_range,
};
use crate::{
    Disk,
    disk::{OpenDisk, attach},
    ids::{IdMap, user_namespace},
    mounts::enter_private_namespace,
    sys::{mount::set_attributes, process::flag},
};

/// With less, builds are bound to fail.
const TOO_LITTLE: u64 = 512 << 20;
/// With less, a few builds, images and caches fill it.
const LITTLE: u64 = 10 << 30;

/// A directory for tries below the data directory; removed when this is dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Named after this process: the next one of that number begins by removing it.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Whether the data directory can be written, by no one else, and has room. With a place for further tries if so.
pub(super) fn data_directory(data: &Path) -> (Check, Option<Scratch>) {
    let check = |status, found: String| Check::new("data-directory", "data directory", status, found);
    let shown = data.display();
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(data).and_then(|()| {
        let scratch = Scratch(data.join(format!("doctor-{}", std::process::id())));
        if scratch.path().exists() {
            fs::remove_dir_all(scratch.path())?;
        }
        fs::create_dir(scratch.path())?;
        fs::write(scratch.path().join("file"), "x")?;
        Ok(scratch)
    });
    let scratch = match made {
        Ok(scratch) => scratch,
        Err(error) => {
            let fix = "choose another with --data DIR or KILN_DATA, or make it writable for this user";
            return (check(Status::Problem, format!("{shown} cannot be written: {error}")).fix(fix), None);
        }
    };
    let (Ok(metadata), Ok(space)) = (fs::metadata(data), rustix::fs::statvfs(data)) else {
        return (check(Status::Problem, format!("{shown} cannot be examined")), None);
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let found = format!("{shown}, {:.1} GiB free", free as f64 / f64::from(1 << 30));
    let check = if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        check(Status::Warning, format!("{found}; others own it or may write to it, and so into builds"))
            .fix(format!("`chown $(id -u) {shown} && chmod go-w {shown}`"))
    } else if free < LITTLE || space.f_favail < 100_000 && space.f_files > 0 {
        let status = if free < TOO_LITTLE { Status::Problem } else { Status::Warning };
        check(status, format!("{found}, {} files more", space.f_favail))
            .fix("free some space, or put the data directory on another file system with --data DIR or KILN_DATA")
    } else {
        check(Status::Ok, found)
    };
    (check, Some(scratch))
}

/// Mounts a directory so that its owner shows as somebody else, and an overlay on that.
pub(super) fn idmapped_mounts(scratch: &Path, root: bool) -> Check {
    let check = |status, found: String| Check::new("idmapped-mounts", "shared image layers", status, found);
    if !root {
        return check(Status::Ok, "not for users: images are unpacked once for each range of ids".to_owned());
    }
    let tried = free_range(root).and_then(|(ids, _range)| {
        let Ids::Range(base) = ids else { return Err("no range of ids".to_owned()) };
        in_child(flag::NEWNS, &Ids::Own, || try_idmapped(&scratch.join("idmap"), base))
    });
    match tried {
        Ok(_) => check(Status::Ok, "builds share them through id-mapped mounts".to_owned()),
        Err(why) => check(Status::Warning, format!("id-mapped mounts do not work in the data directory: {why}")).fix(
            "use Linux 5.19 or newer and a file system that can be id-mapped (ext4, xfs, btrfs) for the data directory; \
             else image layers and sources are copied for each range of ids",
        ),
    }
}

fn try_idmapped(dir: &Path, base: u32) -> Result<String, String> {
    enter_private_namespace().map_err(|error| error.to_string())?;
    let at = directories(dir)?;
    fs::write(at("lower").join("file"), "text").map_err(|error| error.to_string())?;
    let userns = user_namespace(&IdMap::all(base), &IdMap::all(base)).map_err(|error| error.to_string())?;
    let tree =
        open_tree(rustix::fs::CWD, at("lower"), OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
            .map_err(|errno| errno.to_string())?;
    set_attributes(tree.as_fd(), MountAttrFlags::MOUNT_ATTR_RDONLY, Some(userns.as_fd()), false)
        .map_err(|error| error.to_string())?;
    attach(&tree, &at("mapped")).map_err(|error| error.to_string())?;
    let overlay = overlay_on(&at("mapped"), &at("upper"), &at("work"), false).map_err(|errno| errno.to_string())?;
    attach(&overlay, &at("merged")).map_err(|error| error.to_string())?;
    let owner = fs::metadata(at("merged").join("file")).map_err(|error| error.to_string())?.uid();
    if owner == base { Ok(String::new()) } else { Err(format!("a file of root shows as {owner}'s, not as {base}'s")) }
}

/// The directories of an overlay.
fn directories(dir: &Path) -> Result<impl Fn(&str) -> PathBuf, String> {
    for name in ["lower", "mapped", "upper", "work", "merged"] {
        fs::create_dir_all(dir.join(name)).map_err(|error| format!("{}: {error}", dir.display()))?;
    }
    let dir = dir.to_owned();
    Ok(move |name: &str| dir.join(name))
}

fn overlay_on(lower: &Path, upper: &Path, work: &Path, by_user: bool) -> rustix::io::Result<OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let fd = context.as_fd();
    // The data directory's name may hold what separates layers.
    let escaped = lower.to_string_lossy().replace('\\', "\\\\").replace(':', "\\:");
    fsconfig_set_string(fd, "lowerdir", escaped)?;
    fsconfig_set_string(fd, "upperdir", upper)?;
    fsconfig_set_string(fd, "workdir", work)?;
    if by_user {
        fsconfig_set_flag(fd, "userxattr")?;
    }
    fsconfig_create(fd)?;
    fsmount(fd, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

/// Lays a writable directory over a read-only one, in a user namespace if the caller is an ordinary user.
pub(super) fn overlay(scratch: &Path, root: bool) -> Check {
    let check = |status, found: String| Check::new("overlay", "copy-on-write file systems", status, found);
    let (namespaces, ids) = if root { (flag::NEWNS, Ids::Own) } else { (flag::NEWUSER | flag::NEWNS, Ids::Single) };
    let dir = scratch.join("overlay");
    let tried = in_child(namespaces, &ids, || {
        enter_private_namespace().map_err(|error| error.to_string())?;
        let at = directories(&dir)?;
        let text = |error: std::io::Error| error.to_string();
        fs::write(at("lower").join("file"), "old").map_err(text)?;
        let overlay = overlay_on(&at("lower"), &at("upper"), &at("work"), !root).map_err(|errno| errno.to_string())?;
        attach(&overlay, &at("merged")).map_err(|error| error.to_string())?;
        let file = at("merged").join("file");
        fs::write(&file, "new").map_err(text)?;
        fs::remove_file(&file).map_err(|error| format!("a file could not be removed: {error}"))?;
        let below = fs::read_to_string(at("lower").join("file")).map_err(text)?;
        if below == "old" { Ok(String::new()) } else { Err("the directory below was changed".to_owned()) }
    });
    match tried {
        Ok(_) => check(Status::Ok, "overlayfs works in the data directory".to_owned()),
        Err(why) => check(Status::Problem, format!("overlayfs does not work in the data directory: {why}")).fix(
            "load the module (`modprobe overlay`), use Linux 5.11 or newer, and put the data directory on ext4, xfs or \
             btrfs (it cannot be an overlay itself, as a container's own file system is)",
        ),
    }
}

/// Makes a disk as a build gets one, from a new template.
pub(super) fn build_disk(scratch: &Path, root: bool) -> Check {
    let check = |status, found: String| Check::new("build-disk", "build disks", status, found);
    let fix = "install mke2fs (package e2fsprogs) and use a kernel with ext4 and loop devices; in a container: give it \
               /dev/loop-control and the loop devices";
    if !root {
        return check(Status::Warning, "disk limit not enforced: loop devices need root".to_owned())
            .fix("run as root, or let the file system of the data directory have a quota");
    }
    let disk = Disk { dir: scratch.join("disk"), templates: scratch.join("templates"), bytes: 64 << 20 };
    let tried = in_child(flag::NEWNS, &Ids::Own, || {
        enter_private_namespace().map_err(|error| error.to_string())?;
        let mut notices = Vec::new();
        let open = OpenDisk::open(&disk, 0, true, &mut notices).map_err(|error| error.to_string())?;
        let written = fs::write(open.root.join("file"), "x").map_err(|error| error.to_string());
        if let Some(trash) = open.close().map_err(|error| error.to_string())? {
            trash.delete().map_err(|error| error.to_string())?;
        }
        written?;
        Ok(notices.join("; "))
    });
    match tried {
        Ok(notices) if notices.is_empty() => {
            check(Status::Ok, "an ext4 image of their own each, so they have a limit".to_owned())
        }
        Ok(notices) => check(Status::Warning, notices).fix(fix),
        Err(why) => check(Status::Warning, why).fix(fix),
    }
}
