//! Importing archives as tools write them, and as attackers would.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use kiln_engine::image::{
    Digest, Image, ImageError, ImportFormat, ImportOptions, ImportSource, LayerState, Limits, Operation, Platform,
    Progress, Reference,
};
use serde_json::json;

use crate::support::*;

fn named(name: &str) -> ImportOptions {
    ImportOptions { name: Some(Reference::parse(name).unwrap()), ..ImportOptions::default() }
}

/// Imports a file, or the same bytes as a stream.
fn import(at: &TestStore, bytes: &[u8], options: &ImportOptions, stream: bool) -> Result<Vec<Image>, ImageError> {
    let file = at.dir.path().join("archive");
    let source = if stream {
        ImportSource::Stream(Box::new(std::io::Cursor::new(bytes.to_vec())))
    } else {
        std::fs::write(&file, bytes).unwrap();
        ImportSource::Path(file)
    };
    at.store.import(source, options, &operation(&NEVER))
}

/// Both ways of reading and all three compressions, each into a fresh store.
fn everywhere(archive: &Layer, options: &ImportOptions, check: impl Fn(&TestStore, Vec<Image>)) {
    for bytes in [archive.tar(), archive.gzip(), zstd(&archive.tar())] {
        for stream in [false, true] {
            let at = TestStore::new();
            let images = import(&at, &bytes, options, stream).unwrap();
            at.assert_tidy();
            check(&at, images);
        }
    }
}

fn check(image: &Image) {
    assert_eq!(image.layers.len(), 2);
    assert_eq!(read(&image.layers[1], "etc/new"), "new");
    assert_eq!(image.config.user, "1000:1000");
}

/// What `docker save` wrote until version 24.
fn docker_save(images: &[(&TestImage, &[&str])]) -> Layer {
    let mut archive = Layer::new();
    let mut manifest = Vec::new();
    for (image, names) in images {
        let config = format!("{}.json", Digest::of(&image.config).hex());
        archive = archive.file(&config, &image.config);
        let mut layers = Vec::new();
        for (i, blob) in image.blobs.iter().enumerate() {
            let id = Digest::of(format!("{config}{i}").as_bytes()).hex();
            archive = archive.dir(&id).file(&format!("{id}/VERSION"), b"1.0").file(&format!("{id}/json"), b"{}");
            archive = archive.file(&format!("{id}/layer.tar"), blob);
            layers.push(format!("{id}/layer.tar"));
        }
        manifest.push(json!({"Config": config, "RepoTags": names, "Layers": layers}));
    }
    archive.file("manifest.json", json!(manifest).to_string().as_bytes()).file("repositories", b"{}")
}

/// An OCI layout, with the annotations that its index entry gets.
fn oci_layout(image: &TestImage, annotations: &serde_json::Value) -> Layer {
    let index = json!({"schemaVersion": 2, "manifests": [{
        "mediaType": image.media_type(), "digest": image.digest(), "size": image.manifest.len(), "annotations": annotations,
    }]});
    let mut archive = Layer::new().dir("blobs/").dir("blobs/sha256/");
    for blob in image.blobs.iter().chain([&image.config, &image.manifest]) {
        archive = archive.file(&format!("blobs/sha256/{}", Digest::of(blob).hex()), blob);
    }
    archive.file("index.json", index.to_string().as_bytes()).file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
}

#[test]
fn archives_of_docker_save_are_imported() {
    let image = TestImage::new(&two_layers(), <[u8]>::to_vec);
    everywhere(
        &docker_save(&[(&image, &["app:1", "localhost:5000/other:2"])]),
        &ImportOptions::default(),
        |at, images| {
            assert_eq!(images.len(), 2);
            check(&images[0]);
            check(&at.store.resolve("app:1").unwrap().unwrap());
            assert_eq!(at.store.resolve("localhost:5000/other:2").unwrap().unwrap().id, Digest::of(&image.config));
            assert_eq!(at.store.list().unwrap().len(), 2);
        },
    );
}

#[test]
fn several_images_of_one_archive_are_imported() {
    let first = TestImage::new(&two_layers(), <[u8]>::to_vec);
    let second = TestImage::new(&[Layer::new().file("x", b"y")], gzip);
    let archive = docker_save(&[(&first, &["one:1"]), (&second, &["two:2"])]);
    everywhere(&archive, &ImportOptions::default(), |_, images| {
        check(&images[0]);
        assert_eq!(read(&images[1].layers[0], "x"), "y");
    });
    let error = import(&TestStore::new(), &archive.tar(), &named("x"), false).unwrap_err().to_string();
    assert!(error.contains("several images"), "{error}");
}

#[test]
fn linked_layers_of_old_archives_are_found() {
    let image = TestImage::new(&two_layers(), <[u8]>::to_vec);
    let config = format!("{}.json", Digest::of(&image.config).hex());
    let manifest = json!([{"Config": config, "RepoTags": ["app:1"], "Layers": ["a/layer.tar", "b/layer.tar"]}]);
    let archive = Layer::new()
        .file(&config, &image.config)
        .file("manifest.json", manifest.to_string().as_bytes())
        .file("x/layer.tar", &image.blobs[0])
        .symlink("a/layer.tar", "../x/layer.tar")
        .file("y/layer.tar", &image.blobs[1])
        .hard_link("b/layer.tar", "y/layer.tar");
    everywhere(&archive, &ImportOptions::default(), |_, images| check(&images[0]));
}

#[test]
fn oci_layouts_are_imported_from_archives_and_directories() {
    let image = TestImage::new(&two_layers(), gzip).oci();
    let full = json!({"io.containerd.image.name": "example.test/app:7", "org.opencontainers.image.ref.name": "7"});
    everywhere(&oci_layout(&image, &full), &ImportOptions::default(), |at, images| {
        check(&images[0]);
        assert_eq!((images[0].digest, images[0].reference.as_str()), (image.digest(), "example.test/app:7"));
        assert!(at.store.resolve("example.test/app:7").unwrap().is_some());
    });
    // A tag alone is no name.
    let tag = json!({"org.opencontainers.image.ref.name": "latest"});
    let archive = oci_layout(&image, &tag);
    let error = import(&TestStore::new(), &archive.tar(), &ImportOptions::default(), false).unwrap_err();
    assert!(matches!(error, ImageError::Unnamed { .. }) && error.to_string().contains("--name"), "{error}");
    everywhere(&archive, &named("app:1"), |_, images| check(&images[0]));

    let at = TestStore::new();
    let dir = at.dir.path().join("layout");
    std::fs::create_dir(&dir).unwrap();
    let mut tar = Command::new("tar").arg("-xC").arg(&dir).stdin(Stdio::piped()).spawn().unwrap();
    tar.stdin.take().unwrap().write_all(&archive.tar()).unwrap();
    assert!(tar.wait().unwrap().success());
    let images = at.store.import(ImportSource::Path(dir.clone()), &named("app:1"), &operation(&NEVER)).unwrap();
    check(&images[0]);
    // A blob that is not what its name says, and one that is a way out.
    let blob = dir.join("blobs/sha256").join(Digest::of(&image.blobs[1]).hex());
    std::fs::write(&blob, gzip(&Layer::new().file("etc/new", b"evil").tar())).unwrap();
    let at = TestStore::new();
    let error = at.store.import(ImportSource::Path(dir.clone()), &named("app:1"), &operation(&NEVER)).unwrap_err();
    assert!(matches!(error, ImageError::Digest { .. }), "{error}");
    std::fs::remove_file(&blob).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &blob).unwrap();
    let error = at.store.import(ImportSource::Path(dir), &named("app:1"), &operation(&NEVER)).unwrap_err();
    assert!(matches!(error, ImageError::Io { .. }), "{error}");
    at.assert_tidy();
}

#[test]
fn archives_of_skopeo_are_imported() {
    let at = TestStore::new();
    let image = TestImage::new(&two_layers(), gzip).oci();
    let layout = at.dir.path().join("layout.tar");
    std::fs::write(&layout, oci_layout(&image, &json!({"org.opencontainers.image.ref.name": "1"})).tar()).unwrap();
    for target in ["docker-archive", "oci-archive"] {
        let file = at.dir.path().join(target);
        let name = if target == "docker-archive" { "example.test/app:1" } else { "example.test/app:2" };
        let output = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet"])
            .arg(format!("oci-archive:{}:1", layout.display()))
            .arg(format!("{target}:{}:{name}", file.display()))
            .output();
        let Ok(output) = output else { return skip("skopeo is not installed") };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let images = at.store.import(ImportSource::Path(file), &ImportOptions::default(), &operation(&NEVER)).unwrap();
        check(&images[0]);
        assert_eq!(images[0].reference, name);
    }
    // Both hold the same layers.
    assert_eq!(at.layers().len(), 2);
}

#[test]
fn root_file_systems_are_imported() {
    let root = Layer::new().dir("./").dir("./bin").file("./bin/sh", b"shell").symlink("./lib", "usr/lib");
    everywhere(&root, &named("base:1"), |at, images| {
        assert_eq!(images.len(), 1);
        assert_eq!(read(&images[0].layers[0], "bin/sh"), "shell");
        assert_eq!(images[0].config.architecture, Platform::host().architecture);
        assert!(images[0].config.env[0].starts_with("PATH=/usr/local/sbin"));
        // Equal content is one image, whatever its name and compression.
        let again = import(at, &root.tar(), &named("other"), true).unwrap();
        assert_eq!((again[0].id, again[0].digest), (images[0].id, images[0].digest));
        assert_eq!(at.layers().len(), 1);
    });
    let error = import(&TestStore::new(), &root.tar(), &ImportOptions::default(), false).unwrap_err();
    assert!(error.to_string().contains("--name"), "{error}");
    // One that looks like an image archive.
    let odd = Layer::new().dir("blobs").file("blobs/x", b"y");
    assert!(import(&TestStore::new(), &odd.tar(), &named("odd"), false).is_err());
    let options = ImportOptions { format: ImportFormat::RootFs, ..named("odd") };
    everywhere(&odd, &options, |_, images| assert_eq!(read(&images[0].layers[0], "blobs/x"), "y"));
}

#[test]
fn what_is_no_image_is_explained() {
    for (bytes, says) in [
        (Layer::new().tar(), "empty archive"),
        (b"hello".to_vec(), "cut off"),
        (noise(3, 2000), "no tar archive"),
        (b"PK\x03\x04....".to_vec(), "ZIP"),
        (Layer::new().file("blobs/x", b"").tar(), "neither"),
        (Layer::new().file("manifest.json", b"[]").tar(), "0 images"),
        (Layer::new().file("manifest.json", b"nonsense").tar(), "cannot be read"),
        (Layer::new().file("manifest.json", br#"[{"Config":"../../etc/passwd","Layers":[]}]"#).tar(), "missing"),
    ] {
        for stream in [false, true] {
            let at = TestStore::new();
            let error = import(&at, &bytes, &named("x"), stream).unwrap_err().to_string();
            assert!(error.contains(says), "`{error}` should say `{says}`");
            at.assert_tidy();
        }
    }
    let at = TestStore::new();
    let error =
        at.store.import(ImportSource::Path(at.dir.path().to_owned()), &named("x"), &operation(&NEVER)).unwrap_err();
    assert!(error.to_string().contains("pack a root file system"), "{error}");
    let missing = ImportSource::Path(Path::new("/nonexistent/file").to_owned());
    let error = at.store.import(missing, &named("x"), &operation(&NEVER)).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/file"), "{error}");
}

#[test]
fn archives_that_lie_are_refused() {
    let image = TestImage::new(&two_layers(), <[u8]>::to_vec);
    let good = docker_save(&[(&image, &["app:1"])]);
    // Another configuration under the same name.
    let config = format!("{}.json", Digest::of(&image.config).hex());
    let evil = String::from_utf8(image.config).unwrap().replace("1000:1000", "0:0");
    let error =
        import(&TestStore::new(), &good.clone().file(&config, evil.as_bytes()).tar(), &ImportOptions::default(), false);
    assert!(matches!(error, Err(ImageError::Digest { .. })), "{error:?}");
    // Another layer under the same name.
    let id = Digest::of(format!("{config}1").as_bytes()).hex();
    let evil = Layer::new().file("etc/new", b"evil").tar();
    let at = TestStore::new();
    let error =
        import(&at, &good.clone().file(&format!("{id}/layer.tar"), &evil).tar(), &ImportOptions::default(), false);
    assert!(matches!(error, Err(ImageError::Digest { .. })), "{error:?}");
    at.assert_tidy();
    assert!(at.store.list().unwrap().is_empty());
    // Links in a circle.
    let circle = good.clone().symlink(&config, &config);
    let error = import(&TestStore::new(), &circle.tar(), &ImportOptions::default(), false).unwrap_err().to_string();
    assert!(error.contains("missing"), "{error}");
    // Cut off anywhere.
    let whole = good.tar();
    for length in [700, whole.len() / 2, whole.len() - 3000] {
        for stream in [false, true] {
            let at = TestStore::new();
            assert!(import(&at, &whole[..length], &ImportOptions::default(), stream).is_err());
            at.assert_tidy();
        }
    }
}

#[test]
fn an_image_whose_dev_is_a_link_is_kept_but_never_run() {
    for (layers, name) in [
        (vec![Layer::new().symlink("dev", "/tmp")], "/dev"),
        (vec![Layer::new().dir("dev"), Layer::new().symlink("dev", "proc")], "/dev"),
        (vec![Layer::new().dir("dev").symlink("proc", "dev")], "/proc"),
        (vec![Layer::new().file("sys", b"")], "/sys"),
    ] {
        let at = TestStore::new();
        let image = TestImage::new(&layers, gzip);
        let images =
            import(&at, &docker_save(&[(&image, &["evil:1"])]).tar(), &ImportOptions::default(), false).unwrap();
        let error = images[0].lease().unwrap_err();
        assert!(matches!(&error, ImageError::Unusable { problem, .. } if problem.contains(name)), "{error}");
    }
    // A link that a later layer takes away does no harm.
    let at = TestStore::new();
    let image = TestImage::new(&[Layer::new().symlink("dev", "/tmp"), Layer::new().dir("dev")], gzip);
    let images = import(&at, &docker_save(&[(&image, &["good:1"])]).tar(), &ImportOptions::default(), false).unwrap();
    images[0].lease().unwrap();
}

#[test]
fn limits_and_interruption_leave_nothing_behind() {
    let root = Layer::new().file("a", &vec![1; 3_000_000]).tar();
    let at = TestStore::new();
    let source = |bytes: &[u8]| ImportSource::Stream(Box::new(std::io::Cursor::new(bytes.to_vec())));
    let limits = Limits { bytes: 1_000_000, ..Limits::default() };
    let error = at.store.import(source(&root), &named("x"), &Operation { limits, ..operation(&NEVER) }).unwrap_err();
    assert!(error.to_string().contains("the limit is 1000000 bytes"), "{error}");
    at.assert_tidy();
    let cancel = std::sync::atomic::AtomicBool::new(false);
    let stop = |event: Progress<'_>| {
        if matches!(event, Progress::Layer(_, LayerState::Unpacking(_))) {
            cancel.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let result = at.store.import(source(&root), &named("x"), &Operation { progress: &stop, ..operation(&cancel) });
    assert!(matches!(result, Err(ImageError::Cancelled)));
    at.assert_tidy();
    assert!(at.store.list().unwrap().is_empty() && at.layers().is_empty());
}

#[test]
fn what_was_left_out_is_said() {
    let device = Entry { path: "dev/null", kind: tar::EntryType::Char, ..Entry::default() };
    let root = Layer::new().entry(device.clone()).entry(Entry { path: "dev/zero", ..device }).file("f", b"");
    let notes = std::sync::Mutex::new(Vec::new());
    let listen = |event: Progress<'_>| {
        if let Progress::Note(text) = event {
            notes.lock().unwrap().push(text.to_owned());
        }
    };
    let at = TestStore::new();
    let source = ImportSource::Stream(Box::new(std::io::Cursor::new(root.tar())));
    at.store.import(source, &named("x"), &Operation { progress: &listen, ..operation(&NEVER) }).unwrap();
    let notes = notes.into_inner().unwrap();
    assert!(notes.len() == 1 && notes[0].contains("2 device nodes") && notes[0].contains("dev/null"), "{notes:?}");
}
