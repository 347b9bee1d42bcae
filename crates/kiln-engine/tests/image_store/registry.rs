//! Pulling: from Debian's `docker-registry`, and from a small server that misbehaves as told.

mod fake;
mod real;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kiln_engine::image::{
    Credentials, DockerConfig, Image, ImageError, LayerState, Limits, Operation, Progress, PullOptions, Reference,
    Retries,
};
use serde_json::json;

use crate::support::*;
use fake::{Answer, Request, Server, Site};
use real::{DockerRegistry, FaultProxy};

/// Tries again without making the test wait.
fn quick() -> PullOptions {
    let retries =
        Retries { attempts: 4, first_pause: Duration::from_millis(1), longest_pause: Duration::from_millis(5) };
    PullOptions { retries, ..PullOptions::default() }
}

fn pull(at: &TestStore, host: &str, name: &str, options: &PullOptions) -> Result<Image, ImageError> {
    let reference = Reference::parse(&format!("{host}/{name}")).unwrap();
    at.store.pull(&reference, options, &operation(&NEVER))
}

fn check_two_layers(image: &Image) {
    assert_eq!(image.layers.len(), 2);
    assert_eq!(read(&image.layers[0], "bin/sh"), "shell");
    assert_eq!(read(&image.layers[1], "etc/new"), "new");
    assert_eq!(read(&image.layers[1], "bin/bash"), "shell");
    assert_eq!(image.config.env, ["PATH=/usr/bin:/bin", "A=b"]);
    assert_eq!((image.config.user.as_str(), image.config.working_dir.as_str()), ("1000:1000", "/work"));
    assert_eq!(
        (&image.config.entrypoint[..], &image.config.cmd[..]),
        (&["/entry".to_owned()][..], &["sh".to_owned()][..])
    );
    assert_eq!(image.config.labels["x"], "y");
}

// Against the real registry.

#[test]
fn an_image_is_pulled_and_found_by_every_name() {
    let Some(registry) = DockerRegistry::start(None) else { return };
    let at = TestStore::new();
    let image = TestImage::new(&two_layers(), gzip);
    registry.push("team/app", "1", &image);
    let pulled = pull(&at, &registry.host, "team/app:1", &quick()).unwrap();
    check_two_layers(&pulled);
    assert_eq!(pulled.digest, image.digest());
    at.assert_tidy();
    // Only documents are kept once the layers are unpacked.
    assert_eq!(at.names("blobs/sha256").len(), 2);
    assert_eq!(at.names("partial"), Vec::<String>::new());
    let digest = image.digest();
    let id = pulled.id.hex();
    for name in [
        format!("{}/team/app:1", registry.host),
        format!("{}/team/app@{digest}", registry.host),
        id.clone(),
        id[..12].to_owned(),
        digest.to_string(),
    ] {
        assert_eq!(at.store.resolve(&name).unwrap().unwrap().id, pulled.id, "{name}");
    }
    assert!(at.store.resolve(&format!("{}/team/app:2", registry.host)).unwrap().is_none());
    // By digest alone, and from a machine that is gone: what is here needs no registry.
    pull(&at, &registry.host, &format!("team/app@{digest}"), &quick()).unwrap();
    drop(registry);
    assert_eq!(at.store.list().unwrap().len(), 2);
}

#[test]
fn layers_in_every_compression_and_kind_of_manifest_are_pulled() {
    let Some(registry) = DockerRegistry::start(None) else { return };
    for (tag, image) in [
        ("gzip", TestImage::new(&two_layers(), gzip)),
        ("zstd", TestImage::new(&two_layers(), zstd).oci()),
        ("plain", TestImage::new(&two_layers(), <[u8]>::to_vec).oci()),
        ("members", TestImage::new(&two_layers(), |tar| [gzip(&tar[..600]), gzip(&tar[600..])].concat())),
    ] {
        let at = TestStore::new();
        registry.push("app", tag, &image);
        check_two_layers(&pull(&at, &registry.host, &format!("app:{tag}"), &quick()).unwrap());
    }
}

#[test]
fn the_image_for_this_machine_is_taken_from_an_index() {
    let Some(registry) = DockerRegistry::start(None) else { return };
    let ours = TestImage::new(&two_layers(), gzip).oci();
    let other = TestImage::new(&[Layer::new().file("windows", b"")], gzip).oci();
    let host = kiln_engine::image::Platform::host();
    let list = |arch: &str| {
        registry.push_index(
            "app",
            arch,
            &[(&other, "windows", "amd64"), (&ours, "linux", arch), (&other, "unknown", "unknown")],
        );
    };
    list(&host.architecture);
    list("s390x-none");
    let at = TestStore::new();
    let image = pull(&at, &registry.host, &format!("app:{}", host.architecture), &quick()).unwrap();
    check_two_layers(&image);
    assert_eq!(image.digest, ours.digest());
    let error = pull(&at, &registry.host, "app:s390x-none", &quick()).unwrap_err().to_string();
    assert!(error.contains(&host.to_string()) && error.contains("linux/s390x-none"), "{error}");
}

#[test]
fn passwords_are_needed_where_the_registry_wants_them() {
    let Some(registry) = DockerRegistry::start(Some(("tester", "correct-horse"))) else { return };
    registry.push("private/app", "1", &TestImage::new(&two_layers(), gzip));
    let at = TestStore::new();
    let error = pull(&at, &registry.host, "private/app:1", &quick()).unwrap_err().to_string();
    assert!(error.contains("refuses access") && error.contains("docker login"), "{error}");
    let with = |password: &str| PullOptions {
        credentials: Some(Credentials::Password { username: "tester".into(), password: password.into() }),
        ..quick()
    };
    let error = pull(&at, &registry.host, "private/app:1", &with("wrong")).unwrap_err().to_string();
    assert!(error.contains("with the credentials given"), "{error}");
    check_two_layers(&pull(&at, &registry.host, "private/app:1", &with("correct-horse")).unwrap());

    // The same from docker's configuration: written there, and from a helper.
    let docker = tempfile::tempdir().unwrap();
    let reference = Reference::parse(&format!("{}/private/app:1", registry.host)).unwrap();
    let auth = "dGVzdGVyOmNvcnJlY3QtaG9yc2U=";
    std::fs::write(docker.path().join("config.json"), json!({"auths": {&registry.host: {"auth": auth}}}).to_string())
        .unwrap();
    let found = DockerConfig::load(docker.path()).unwrap().credentials(&reference).unwrap();
    assert_eq!(found, with("correct-horse").credentials);
    assert!(!format!("{found:?}").contains("horse"));
    assert_eq!(DockerConfig::load(&docker.path().join("none")).unwrap().credentials(&reference).unwrap(), None);
}

#[test]
fn certificates_are_checked_unless_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "36500", "-subj", "/CN=test"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(dir.path())
        .output();
    if !made.is_ok_and(|output| output.status.success()) {
        return skip("openssl cannot make a certificate");
    }
    let Some(registry) = DockerRegistry::start_tls(dir.path()) else { return };
    registry.push("app", "1", &TestImage::new(&two_layers(), gzip));
    let error = pull(&TestStore::new(), &registry.host, "app:1", &quick()).unwrap_err().to_string();
    assert!(error.contains("certificate") && error.contains("/etc/docker/certs.d/"), "{error}");
    let insecure = PullOptions { insecure: true, ..quick() };
    check_two_layers(&pull(&TestStore::new(), &registry.host, "app:1", &insecure).unwrap());
}

#[test]
fn what_is_not_there_is_named() {
    let Some(registry) = DockerRegistry::start(None) else { return };
    let at = TestStore::new();
    let error = pull(&at, &registry.host, "no/such:thing", &quick()).unwrap_err().to_string();
    assert!(error.contains("no/such") && error.contains("thing") && error.contains(&registry.host), "{error}");
    let host = registry.host.clone();
    drop(registry);
    let error = pull(&at, &host, "a", &quick()).unwrap_err().to_string();
    assert!(error.contains(&host) && error.contains("refused") && error.contains("4 times"), "{error}");
    at.assert_tidy();
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_stopped() {
    let Some(registry) = DockerRegistry::start(None) else { return };
    let layer = Layer::new().file("big", &noise(7, 3_000_000));
    registry.push("app", "1", &TestImage::new(&[layer], <[u8]>::to_vec));
    // Each of the first three connections that carry more than this is cut.
    let proxy = FaultProxy::start(&registry.host, 800_000, 3);
    let at = TestStore::new();
    let retried = AtomicUsize::new(0);
    let seen = Mutex::new(Vec::new());
    let progress = |event: Progress<'_>| match event {
        Progress::Layer(_, LayerState::Retrying(_)) => drop(retried.fetch_add(1, Ordering::Relaxed)),
        Progress::Layer(_, LayerState::Downloading(n)) => seen.lock().unwrap().push(n),
        _ => {}
    };
    let reference = Reference::parse(&format!("{}/app:1", proxy.host)).unwrap();
    // One failure more would be too many, if those that brought something counted.
    let options = PullOptions { retries: Retries { attempts: 2, ..quick().retries }, ..quick() };
    let operation = Operation { progress: &progress, ..operation(&NEVER) };
    let image = at.store.pull(&reference, &options, &operation).unwrap();
    assert_eq!(std::fs::read(image.layers[0].join("big")).unwrap(), noise(7, 3_000_000));
    assert_eq!(retried.load(Ordering::Relaxed), 3);
    assert!(seen.lock().unwrap().is_sorted(), "bytes were fetched twice");
    assert!(proxy.served() < 4_000_000, "{} bytes for a layer of 3,000,000", proxy.served());
}

#[test]
fn an_interrupted_pull_is_taken_up_by_the_next() {
    let Some(registry) = DockerRegistry::start(None) else { return };
    let layer = Layer::new().file("big", &noise(8, 2_000_000));
    registry.push("app", "1", &TestImage::new(&[layer], <[u8]>::to_vec));
    let at = TestStore::new();
    let reference = Reference::parse(&format!("{}/app:1", registry.host)).unwrap();
    let cancel = AtomicBool::new(false);
    let stop = |event: Progress<'_>| {
        if matches!(event, Progress::Layer(_, LayerState::Downloading(n)) if n > 500_000) {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    let result = at.store.pull(&reference, &quick(), &Operation { progress: &stop, ..operation(&cancel) });
    assert!(matches!(result, Err(ImageError::Cancelled)), "{result:?}");
    at.assert_tidy();
    assert_eq!(at.names("partial").len(), 1);
    assert!(at.store.list().unwrap().is_empty());

    let first = AtomicUsize::new(usize::MAX);
    let note = |event: Progress<'_>| {
        if let Progress::Layer(_, LayerState::Downloading(n)) = event {
            first.fetch_min(usize::try_from(n).unwrap(), Ordering::Relaxed);
        }
    };
    at.store.pull(&reference, &quick(), &Operation { progress: &note, ..operation(&NEVER) }).unwrap();
    assert!(first.load(Ordering::Relaxed) > 500_000, "the download began anew");
    assert_eq!(at.names("partial"), Vec::<String>::new());
}

#[test]
fn many_pulls_of_one_image_do_the_work_once() {
    let Some(registry) = DockerRegistry::start(None) else { return };
    let layers: Vec<Layer> = (0..6).map(|i| Layer::new().file(&format!("f{i}"), &noise(i, 400_000))).collect();
    registry.push("app", "1", &TestImage::new(&layers, <[u8]>::to_vec));
    let proxy = FaultProxy::start(&registry.host, usize::MAX, 0);
    let at = TestStore::new();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            // As another process would: with a handle of its own.
            let store = kiln_engine::image::ImageStore::open(at.store.dir()).unwrap();
            let host = &proxy.host;
            scope.spawn(move || {
                let reference = Reference::parse(&format!("{host}/app:1")).unwrap();
                let image = store.pull(&reference, &quick(), &operation(&NEVER)).unwrap();
                assert_eq!(image.layers.len(), 6);
            });
        }
    });
    assert!(proxy.served() < 2 * 6 * 400_000, "{} bytes served for 2,400,000", proxy.served());
    at.assert_tidy();
    assert_eq!(at.layers().len(), 6);
    assert_eq!(at.store.list().unwrap().len(), 1);
}

#[test]
fn images_that_share_layers_share_them_on_disk() {
    let Some(registry) = DockerRegistry::start(None) else { return };
    let base = two_layers();
    let mut longer = base.clone();
    longer.push(Layer::new().file("more", b"x"));
    registry.push("app", "1", &TestImage::new(&base, gzip));
    registry.push("app", "2", &TestImage::new(&longer, gzip));
    let at = TestStore::new();
    pull(&at, &registry.host, "app:1", &quick()).unwrap();
    let present = AtomicUsize::new(0);
    let count = |event: Progress<'_>| {
        if matches!(event, Progress::Layer(_, LayerState::Present)) {
            present.fetch_add(1, Ordering::Relaxed);
        }
    };
    let reference = Reference::parse(&format!("{}/app:2", registry.host)).unwrap();
    at.store.pull(&reference, &quick(), &Operation { progress: &count, ..operation(&NEVER) }).unwrap();
    assert_eq!(present.load(Ordering::Relaxed), 2);
    assert_eq!(at.layers().len(), 3);
}

#[test]
fn an_image_whose_layers_repeat_is_pulled() {
    let Some(registry) = DockerRegistry::start(None) else { return };
    let empty = Layer::new().file("same", b"");
    registry.push(
        "app",
        "1",
        &TestImage::new(&[empty.clone(), Layer::new().file("x", b""), empty.clone(), empty], gzip),
    );
    let at = TestStore::new();
    assert_eq!(pull(&at, &registry.host, "app:1", &quick()).unwrap().layers.len(), 4);
    assert_eq!(at.names("blobs/sha256").len(), 2);
}

// Against a server that does what it should not.

fn site(image: &TestImage) -> Site {
    let site = Site::default();
    site.add(image, "app", "1");
    site
}

#[test]
fn tokens_are_fetched_and_never_shown_to_others() {
    let image = TestImage::new(&two_layers(), gzip);
    let storage = Server::start({
        let site = site(&image);
        move |request: &Request| {
            // Storage servers refuse a foreign login, or would learn it.
            if request.header("authorization").is_some() { Answer::status(400) } else { site.answer(request) }
        }
    });
    let own = std::sync::Arc::new(Mutex::new(String::new()));
    let server = Server::start({
        let (own, site, storage) = (own.clone(), site(&image), storage.host.clone());
        move |request: &Request| {
            let host = own.lock().unwrap().clone();
            if request.path.starts_with("/token") {
                let (good, query) = (request.header("authorization") == Some("Basic dGVzdGVyOnBhc3M="), &request.path);
                let scoped =
                    query.contains("scope=repository%3Aapp%3Apull") || query.contains("scope=repository:app:pull");
                return if good && scoped && query.contains("service=reg%20istry") || query.contains("service=reg+istry")
                {
                    Answer::json(&json!({"token": "secret-token", "expires_in": 60}))
                } else {
                    Answer::status(401)
                };
            }
            if request.header("authorization") != Some("Bearer secret-token") {
                let challenge =
                    format!(r#"Bearer realm="http://{host}/token",service="reg istry",scope="repository:app:pull""#);
                return Answer::status(401).header("WWW-Authenticate", &challenge);
            }
            if request.path.contains("/blobs/") {
                return Answer::status(307).header("Location", &format!("http://{storage}{}", request.path));
            }
            site.answer(request)
        }
    });
    own.lock().unwrap().clone_from(&server.host);
    let at = TestStore::new();
    let credentials =
        |password: &str| Some(Credentials::Password { username: "tester".into(), password: password.into() });
    let image = pull(&at, &server.host, "app:1", &PullOptions { credentials: credentials("pass"), ..quick() }).unwrap();
    check_two_layers(&image);
    let error =
        pull(&at, &server.host, "app:1", &PullOptions { credentials: credentials("wrong"), ..quick() }).unwrap_err();
    assert!(matches!(error, ImageError::Denied { .. }), "{error}");
}

#[test]
fn a_registry_cannot_send_a_password_over_plain_http_elsewhere() {
    let image = TestImage::new(&two_layers(), gzip);
    let site = site(&image);
    for realm in ["ftp://example.test/token", "file:///etc/passwd", ""] {
        let site = site.clone();
        let server = Server::start(move |request: &Request| {
            if request.path == "/v2/" {
                site.answer(request)
            } else {
                Answer::status(401).header("WWW-Authenticate", &format!(r#"Bearer realm="{realm}""#))
            }
        });
        let error = pull(&TestStore::new(), &server.host, "app:1", &quick()).unwrap_err().to_string();
        assert!(error.contains("not reached by HTTPS"), "{error}");
    }
}

#[test]
fn busy_registries_are_tried_again_and_broken_ones_given_up() {
    let image = TestImage::new(&two_layers(), gzip);
    let counts: Mutex<HashMap<String, u32>> = Mutex::new(HashMap::new());
    let inner = site(&image);
    let server = Server::start(move |request: &Request| {
        let mut counts = counts.lock().unwrap();
        let count = counts.entry(request.path.clone()).or_default();
        *count += 1;
        match *count {
            1 => Answer::status(503),
            2 => Answer::status(429).header("Retry-After", "0"),
            _ => inner.answer(request),
        }
    });
    check_two_layers(&pull(&TestStore::new(), &server.host, "app:1", &quick()).unwrap());

    let broken = Server::start(|_: &Request| Answer::status(500));
    let error = pull(&TestStore::new(), &broken.host, "app:1", &quick()).unwrap_err().to_string();
    assert!(error.contains("500") && error.contains("4 times"), "{error}");
    let something_else = Server::start(|_: &Request| Answer::status(404));
    let error = pull(&TestStore::new(), &something_else.host, "app:1", &quick()).unwrap_err().to_string();
    assert!(error.contains("no registry"), "{error}");
}

#[test]
fn a_server_without_ranges_is_asked_for_all_of_it() {
    let layer = Layer::new().file("big", &noise(9, 1_000_000));
    let image = TestImage::new(&[layer], <[u8]>::to_vec);
    let cut = AtomicUsize::new(0);
    let inner = site(&image);
    let server = Server::start(move |request: &Request| {
        let mut answer = inner.answer(&Request { headers: HashMap::new(), ..request.clone() });
        if request.path.contains("/blobs/") && answer.body.len() > 100_000 && cut.fetch_add(1, Ordering::Relaxed) < 2 {
            answer.cut_after = Some(600_000);
        }
        answer
    });
    let at = TestStore::new();
    let image = pull(&at, &server.host, "app:1", &quick()).unwrap();
    assert_eq!(std::fs::read(image.layers[0].join("big")).unwrap(), noise(9, 1_000_000));
}

#[test]
fn content_that_is_not_what_its_digest_says_is_refused() {
    let image = TestImage::new(&two_layers(), gzip);
    let change = |part: &'static str| {
        let site = site(&image);
        Server::start(move |request: &Request| {
            let mut answer = site.answer(request);
            if request.path.contains(part)
                && let Some(byte) = answer.body.last_mut()
            {
                *byte ^= 1;
            }
            answer
        })
    };
    let layer: &'static str = Box::leak(kiln_engine::image::Digest::of(&image.blobs[1]).hex().into_boxed_str());
    let config: &'static str = Box::leak(kiln_engine::image::Digest::of(&image.config).hex().into_boxed_str());
    for part in [layer, config] {
        let at = TestStore::new();
        let server = change(part);
        let error = pull(&at, &server.host, "app:1", &quick()).unwrap_err();
        assert!(matches!(error, ImageError::Digest { .. }), "{error}");
        assert!(at.store.list().unwrap().is_empty());
        assert!(!at.names("partial").contains(&part.to_owned()), "useless bytes were kept");
        at.assert_tidy();
    }
    let at = TestStore::new();
    let server = change("/manifests/");
    assert!(pull(&at, &server.host, "app:1", &quick()).is_err());
    let error = pull(&at, &server.host, &format!("app@{}", image.digest()), &quick()).unwrap_err();
    assert!(matches!(error, ImageError::Digest { .. }), "{error}");
}

#[test]
fn damaged_bytes_of_an_earlier_try_do_not_spoil_the_next() {
    let layer = Layer::new().file("big", &noise(10, 500_000));
    let image = TestImage::new(&[layer], <[u8]>::to_vec);
    let site = site(&image);
    let server = Server::start(move |request: &Request| site.answer(request));
    let at = TestStore::new();
    let partial = at.store.dir().join("partial").join(kiln_engine::image::Digest::of(&image.blobs[0]).hex());
    std::fs::write(&partial, vec![0; 200_000]).unwrap();
    pull(&at, &server.host, "app:1", &quick()).unwrap();
    // Longer than the blob can be.
    let at = TestStore::new();
    let partial = at.store.dir().join("partial").join(partial.file_name().unwrap());
    std::fs::write(&partial, vec![0; 2_000_000]).unwrap();
    pull(&at, &server.host, "app:1", &quick()).unwrap();
}

#[test]
fn sizes_are_bounded_whatever_the_registry_says() {
    let image = TestImage::new(&two_layers(), gzip);
    // A layer that does not end where the manifest says.
    let inner = site(&image);
    let layer = kiln_engine::image::Digest::of(&image.blobs[0]).hex();
    let server = Server::start(move |request: &Request| {
        let mut answer = inner.answer(request);
        if request.path.contains(&layer) {
            answer.body.extend(vec![0; 1_000_000]);
        }
        answer
    });
    let error = pull(&TestStore::new(), &server.host, "app:1", &quick()).unwrap_err().to_string();
    assert!(error.contains("longer than"), "{error}");
    // A manifest without end.
    let inner = site(&image);
    let server = Server::start(move |request: &Request| {
        let mut answer = inner.answer(request);
        if request.path.contains("/manifests/") {
            answer.body = vec![b' '; 5 << 20];
        }
        answer
    });
    let error = pull(&TestStore::new(), &server.host, "app:1", &quick()).unwrap_err().to_string();
    assert!(error.contains("too large"), "{error}");
    // A layer larger than is wanted at all.
    let inner = site(&image);
    let server = Server::start(move |request: &Request| inner.answer(request));
    let reference = Reference::parse(&format!("{}/app:1", server.host)).unwrap();
    let limits = Limits { blob: 10, ..Limits::default() };
    let error =
        TestStore::new().store.pull(&reference, &quick(), &Operation { limits, ..operation(&NEVER) }).unwrap_err();
    assert!(error.to_string().contains("the limit is 10 bytes"), "{error}");
}

#[test]
fn manifests_that_make_no_image_are_explained() {
    let image = TestImage::new(&two_layers(), gzip);
    let text = String::from_utf8(image.manifest.clone()).unwrap();
    for (manifest, says) in [
        (r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned(), "schema 1"),
        (text.replace("rootfs.diff", "rootfs.foreign.diff"), "not kept in the registry"),
        (r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(), "no image for"),
        ("{}".to_owned(), "neither"),
        ("[[[[".repeat(100_000), "not a valid manifest"),
    ] {
        let site = site(&image);
        let server = Server::start(move |request: &Request| {
            if request.path.contains("/manifests/") { Answer::body(manifest.as_bytes()) } else { site.answer(request) }
        });
        let error = pull(&TestStore::new(), &server.host, "app:1", &quick()).unwrap_err().to_string();
        assert!(error.contains(says), "{error} should say {says}");
    }
}

#[test]
fn a_layer_that_is_not_what_the_configuration_says_leaves_nothing() {
    // Right as a blob, wrong as a layer: the configuration lists another.
    let mut image = TestImage::new(&two_layers(), gzip);
    let other = TestImage::new(&[two_layers().remove(0), Layer::new().file("other", b"")], gzip);
    image.config = other.config;
    let image = image.oci();
    let site = site(&image);
    let server = Server::start(move |request: &Request| site.answer(request));
    let at = TestStore::new();
    let error = pull(&at, &server.host, "app:1", &quick()).unwrap_err().to_string();
    assert!(error.contains("uncompressed"), "{error}");
    at.assert_tidy();
    assert!(at.layers().len() <= 1 && at.store.list().unwrap().is_empty());
}
