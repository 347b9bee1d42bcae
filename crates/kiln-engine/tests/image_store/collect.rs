//! What stays and what goes: names, leases, pins, crashes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use kiln_engine::image::{
    ImageError, ImageStore, ImportOptions, ImportSource, LayerForm, LayerState, Operation, Progress, PruneScope,
    Reference,
};

use crate::support::*;

/// Imports an image of one layer per name, each over the ones before.
fn add(store: &ImageStore, name: &str, files: &[&str]) -> kiln_engine::image::Image {
    let layers: Vec<Layer> = files.iter().map(|file| Layer::new().file(file, file.as_bytes())).collect();
    let image = TestImage::new(&layers, <[u8]>::to_vec);
    let config = format!("{}.json", kiln_engine::image::Digest::of(&image.config).hex());
    let mut archive = Layer::new().file(&config, &image.config);
    let mut names = Vec::new();
    for (i, blob) in image.blobs.iter().enumerate() {
        archive = archive.file(&format!("{i}/layer.tar"), blob);
        names.push(format!("{i}/layer.tar"));
    }
    let manifest = serde_json::json!([{"Config": config, "RepoTags": [name], "Layers": names}]);
    let archive = archive.file("manifest.json", manifest.to_string().as_bytes());
    let source = ImportSource::Stream(Box::new(std::io::Cursor::new(archive.tar())));
    store.import(source, &ImportOptions::default(), &operation(&NEVER)).unwrap().remove(0)
}

fn prune(store: &ImageStore, scope: PruneScope) -> kiln_engine::image::Pruned {
    store.prune(scope, || panic!("nobody else is at work")).unwrap()
}

#[test]
fn removing_a_name_removes_what_only_it_needs() {
    let at = TestStore::new();
    add(&at.store, "one", &["base", "first"]);
    add(&at.store, "two", &["base", "second"]);
    assert_eq!(at.layers().len(), 3);
    let removed = at.store.remove("one").unwrap();
    assert_eq!((removed.reference.as_str(), removed.bytes > 0), ("one:latest", true));
    assert_eq!(at.layers().len(), 2);
    assert!(at.store.resolve("one").unwrap().is_none());
    at.store.resolve("two").unwrap().unwrap().lease().unwrap();
    assert!(matches!(at.store.remove("one"), Err(ImageError::NotFound { .. })));
    at.store.remove("two").unwrap();
    assert_eq!((at.layers().len(), at.names("blobs/sha256").len()), (0, 0));
    at.assert_tidy();
    assert_eq!(at.store.usage().unwrap(), kiln_engine::image::Usage::default());
}

#[test]
fn an_image_with_two_names_goes_with_the_second() {
    let at = TestStore::new();
    let image = add(&at.store, "one", &["base"]);
    add(&at.store, "two", &["base"]);
    let lease = image.lease().unwrap();
    // In use, but reachable by its other name.
    assert_eq!(at.store.remove("one").unwrap().bytes, 0);
    assert!(matches!(at.store.remove("two"), Err(ImageError::InUse { .. })));
    drop(lease);
    at.store.remove("two").unwrap();
    assert!(at.layers().is_empty());
}

#[test]
fn a_name_that_moves_on_leaves_its_old_layers_to_prune() {
    let at = TestStore::new();
    add(&at.store, "app", &["base", "old"]);
    add(&at.store, "app", &["base", "new"]);
    assert_eq!((at.store.list().unwrap().len(), at.layers().len()), (1, 3));
    let usage = at.store.usage().unwrap();
    assert!(usage.unreferenced >= 3 && usage.layers == 4 + 3 + 3, "{usage:?}");
    let pruned = prune(&at.store, PruneScope::Unreferenced);
    assert_eq!((pruned.layers, pruned.images.len()), (1, 0));
    assert_eq!(at.store.usage().unwrap().unreferenced, 0);
    add(&at.store, "app", &["base", "new"]);
    assert_eq!(read(&at.store.resolve("app").unwrap().unwrap().layers[1], "new"), "new");
}

#[test]
fn layers_in_use_are_never_removed() {
    let at = TestStore::new();
    let image = add(&at.store, "app", &["base", "top"]);
    let lease = image.lease().unwrap();
    assert!(at.store.list().unwrap()[0].in_use);
    // The name now means something else, and everything unused is to go.
    add(&at.store, "app", &["different"]);
    let pruned = prune(&at.store, PruneScope::UnusedImages);
    assert_eq!(pruned.images, ["docker.io/library/app:latest"]);
    assert_eq!(at.layers().len(), 2);
    assert_eq!(read(&image.layers[0], "base"), "base");
    drop(lease);
    prune(&at.store, PruneScope::Unreferenced);
    assert!(at.layers().is_empty());
    // Who resolved it before is told.
    assert!(matches!(image.lease(), Err(ImageError::NotFound { .. })));
    at.assert_tidy();
}

#[test]
fn pins_outlive_names_and_processes() {
    let at = TestStore::new();
    let image = add(&at.store, "app", &["base"]);
    image.pin("project:1".replace(':', "-").as_str()).unwrap();
    for bad in ["", "../x", "a/b", ".hidden", "a:b", &"x".repeat(200)] {
        assert!(image.pin(bad).is_err(), "{bad}");
    }
    at.store.remove("app").unwrap();
    prune(&at.store, PruneScope::UnusedImages);
    let again = ImageStore::open(at.store.dir()).unwrap().pinned("project-1").unwrap().unwrap();
    assert_eq!((again.id, read(&again.layers[0], "base").as_str()), (image.id, "base"));
    assert_eq!(again.config.user, "1000:1000");
    again.lease().unwrap();
    at.store.unpin("project-1").unwrap();
    at.store.unpin("project-1").unwrap();
    assert!(at.store.pinned("project-1").unwrap().is_none());
    prune(&at.store, PruneScope::Unreferenced);
    assert!(at.layers().is_empty());
}

#[test]
fn lists_tell_what_there_is() {
    let at = TestStore::new();
    assert!(at.store.list().unwrap().is_empty());
    add(&at.store, "b", &["base"]);
    add(&at.store, "a:2", &["base", "more"]);
    let list = at.store.list().unwrap();
    assert_eq!(list[0].reference, "docker.io/library/a:2");
    assert_eq!((list[0].size, list[1].size), (8, 4));
    assert!(list.iter().all(|image| image.imported && !image.in_use && image.unpacked && image.added == time()));
    for nonsense in ["", "No Such", "x:y:z"] {
        assert!(matches!(at.store.resolve(nonsense), Err(ImageError::Reference { .. })), "{nonsense}");
    }
    assert!(at.store.resolve("c").unwrap().is_none());
    assert!(at.store.resolve("000000000000").unwrap().is_none());
}

#[test]
fn layers_of_another_form_are_not_used() {
    let at = TestStore::new();
    add(&at.store, "app", &["base"]);
    let other = if at.store.form() == LayerForm::Host { LayerForm::Single } else { LayerForm::Host };
    let store = ImageStore::open_with(at.store.dir(), other).unwrap();
    let error = store.resolve("app").unwrap_err();
    assert!(matches!(error, ImageError::NotUnpacked { .. }), "{error}");
    assert!(!store.list().unwrap()[0].unpacked);
}

#[test]
fn the_store_is_private_and_says_when_it_is_not_its_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/images");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let store = ImageStore::open(&path).unwrap();
    // Layers hold setuid programs of strangers.
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    std::fs::write(path.join("format"), "kiln images 99\n").unwrap();
    let error = ImageStore::open(&path).unwrap_err().to_string();
    assert!(error.contains("kiln images 99"), "{error}");
    std::fs::write(path.join("index.json"), "{damaged").unwrap();
    let error = store.list().unwrap_err().to_string();
    assert!(error.contains("index.json") && error.contains("pull the images again"), "{error}");
}

#[test]
fn pruning_waits_for_imports_and_imports_survive_pruning() {
    let at = TestStore::new();
    std::thread::scope(|scope| {
        for i in 0..4 {
            let store = ImageStore::open(at.store.dir()).unwrap();
            scope.spawn(move || {
                for round in 0..8 {
                    let name = format!("app{i}");
                    let image = add(&store, &name, &["base", &format!("{i}"), &format!("{i}.{round}")]);
                    let lease = image.lease().unwrap();
                    assert_eq!(read(&image.layers[2], &format!("{i}.{round}")), format!("{i}.{round}"));
                    drop(lease);
                }
            });
        }
        let store = ImageStore::open(at.store.dir()).unwrap();
        scope.spawn(move || {
            for _ in 0..20 {
                store.prune(PruneScope::Unreferenced, || {}).unwrap();
            }
        });
    });
    prune(&at.store, PruneScope::Unreferenced);
    // A shared base, and two layers for each.
    assert_eq!(at.layers().len(), 1 + 4 * 2);
    at.assert_tidy();
}

/// Not a test by itself: what the next one runs in another process, and kills.
#[test]
fn helper_import_that_stalls() {
    let Some(dir) = std::env::var_os("KILN_TEST_STALLED_IMPORT") else { return };
    let store = ImageStore::open(dir).unwrap();
    let say = |event: Progress<'_>| {
        if matches!(event, Progress::Layer(0, LayerState::Unpacking(n)) if n > 500_000) {
            println!("unpacking");
        }
    };
    let options = ImportOptions { name: Some(Reference::parse("stalled").unwrap()), ..ImportOptions::default() };
    let source = ImportSource::Stream(Box::new(std::io::stdin()));
    store.import(source, &options, &Operation { progress: &say, ..operation(&NEVER) }).unwrap();
}

#[test]
fn a_killed_import_leaves_nothing_after_the_next_command() {
    let at = TestStore::new();
    add(&at.store, "kept", &["base"]);
    for sweeper in ["import", "prune"] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "collect::helper_import_that_stalls", "--nocapture"])
            .env("KILN_TEST_STALLED_IMPORT", at.store.dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // All but the end of an archive: the process waits for the rest.
        let archive = Layer::new().dir("d").file("d/a", &noise(4, 400_000)).file("d/b", &noise(5, 2_000_000)).tar();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&archive[..1_500_000]).unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "unpacking"));
        assert_eq!(at.names("tmp").len(), 1);
        // Meanwhile nobody sweeps it away.
        add(&at.store, "other", &["base"]);
        assert_eq!(at.names("tmp").len(), 1);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(at.names("tmp").len(), 1, "it left something");
        match sweeper {
            "import" => drop(add(&at.store, "other", &["base", "x"])),
            _ => drop(prune(&at.store, PruneScope::Unreferenced)),
        }
        at.assert_tidy();
        assert!(at.store.resolve("stalled").unwrap().is_none());
        assert_eq!(read(&at.store.resolve("kept").unwrap().unwrap().layers[0], "base"), "base");
    }
}

/// Not a test by itself: holds a lease until it is killed.
#[test]
fn helper_lease_that_lasts() {
    let Some(dir) = std::env::var_os("KILN_TEST_LEASE") else { return };
    let _lease = ImageStore::open(dir).unwrap().resolve("app").unwrap().unwrap().lease().unwrap();
    println!("leased");
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

#[test]
fn a_lease_ends_with_its_process() {
    let at = TestStore::new();
    add(&at.store, "app", &["base"]);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "collect::helper_lease_that_lasts", "--nocapture"])
        .env("KILN_TEST_LEASE", at.store.dir())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "leased"));
    assert!(matches!(at.store.remove("app"), Err(ImageError::InUse { .. })));
    assert_eq!(prune(&at.store, PruneScope::UnusedImages).images.len(), 0);
    child.kill().unwrap();
    child.wait().unwrap();
    at.store.remove("app").unwrap();
    assert!(at.layers().is_empty());
}
