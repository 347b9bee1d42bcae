//! Layers of images: whatever the bytes, unpacking ends, and touches nothing outside its directory.
//!
//! The first byte says in how many pieces the rest is unpacked, one over the other.
#![no_main]

use std::os::unix::fs::MetadataExt as _;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use kiln_engine::image::{LayerForm, Limits, unpack_layer};
use libfuzzer_sys::fuzz_target;

static SCRATCH: OnceLock<tempfile::TempDir> = OnceLock::new();
static NEVER: AtomicBool = AtomicBool::new(false);

fuzz_target!(|data: &[u8]| {
    let Some((pieces, data)) = data.split_first() else { return };
    let scratch = SCRATCH.get_or_init(|| {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(scratch.path().join("canary")).expect("a directory");
        std::fs::write(scratch.path().join("canary/secret"), "untouched").expect("a file");
        scratch
    });
    let limits = Limits { bytes: 1 << 20, entries: 200, ratio: 200, ratio_from: 1 << 20, blob: 1 << 20 };
    let work = tempfile::tempdir_in(scratch.path()).expect("a temporary directory");
    let mut layers = Vec::new();
    for (number, piece) in data.chunks((data.len() / (usize::from(pieces % 3) + 1)).max(512)).enumerate() {
        let target = work.path().join(number.to_string());
        std::fs::create_dir(&target).expect("a directory");
        let lower: Vec<&std::path::Path> = layers.iter().map(std::path::PathBuf::as_path).collect();
        let done = unpack_layer(piece, &target, &lower, LayerForm::detect(), limits, &NEVER);
        if done.is_ok() {
            layers.push(target);
        }
    }
    let canary = scratch.path().join("canary");
    let secret = std::fs::symlink_metadata(canary.join("secret")).expect("the canary's file");
    assert!(secret.is_file() && secret.nlink() == 1 && secret.mode() & 0o7777 == 0o644);
    assert_eq!(std::fs::read(canary.join("secret")).expect("the canary's file"), b"untouched");
    assert_eq!(std::fs::read_dir(&canary).expect("the canary").count(), 1);
    assert_eq!(std::fs::read_dir(scratch.path()).expect("the scratch directory").count(), 2);
});
