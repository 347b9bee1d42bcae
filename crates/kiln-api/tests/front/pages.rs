//! What anybody may see, and the names that the server answers to.

use kiln_api::{ConsoleFile, State};

use crate::{client::Message, world::World};

#[tokio::test]
async fn pages_are_plain_and_for_nobody_to_frame() {
    let world = World::start().await;
    let reply = world.send(&Message::get("/-/")).await;
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("This is a Kiln server"));
    assert!(reply.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.find("access-control-allow-origin"), None);

    let browser = Message::get("/").with("Accept", "text/html");
    let reply = world.send(&browser).await;
    assert_eq!((reply.status, reply.header("location")), (302, "/-/"));
    assert_eq!(world.send(&Message::get("/-/nothing")).await.status, 404);
    let mut post = Message::get("/-/health");
    post.method = "POST";
    assert_eq!(world.send(&post).await.status, 405);
}

#[tokio::test]
async fn health_follows_the_state() {
    let world = World::start().await;
    for (state, status, text) in
        [(State::Starting, 503, "starting"), (State::Ready, 200, "ready"), (State::Stopping, 503, "stopping")]
    {
        world.readiness.set(state);
        let reply = world.send(&Message::get("/-/health")).await;
        assert_eq!(reply.status, status);
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body["status"], text);
    }
}

#[tokio::test]
async fn ready_looks_at_the_parts() {
    let free = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(65));
    let mebibytes = std::sync::Arc::clone(&free);
    let machine = move || kiln_api::MachineFigures {
        disk_free_bytes: f64::from(mebibytes.load(std::sync::atomic::Ordering::Relaxed)) * 1_048_576.0,
        ..Default::default()
    };
    let world = World::with(|config| config.machine = Some(std::sync::Arc::new(machine))).await;
    let ask = async || {
        let reply = world.send(&Message::get("/-/ready")).await;
        assert_eq!(reply.header("content-type"), "application/json");
        (reply.status, serde_json::from_slice::<serde_json::Value>(&reply.body).unwrap())
    };
    let well = serde_json::json!({ "status": "ready", "checks": { "disk": "ok", "scheduler": "ok" } });
    assert_eq!(ask().await, (200, well));
    *world.service.trouble.lock().unwrap() = Some("it does not run".to_owned());
    free.store(63, std::sync::atomic::Ordering::Relaxed);
    let checks = serde_json::json!({ "disk": "the disk has 63 MiB left", "scheduler": "it does not run" });
    assert_eq!(ask().await, (503, serde_json::json!({ "status": "impaired", "checks": checks })));
    for (state, text) in [(State::Starting, "starting"), (State::Stopping, "stopping")] {
        world.readiness.set(state);
        assert_eq!(ask().await, (503, serde_json::json!({ "status": text, "checks": {} })));
    }
}

#[tokio::test]
async fn badges_need_no_signature() {
    let world = World::start().await;
    for (target, text) in [
        ("/badges?uuid=known&branch=a%2Fb+c", "passing"),
        ("/-/badges?uuid=known", "failing"),
        ("/-/badges?uuid=known&branch=", "failing"),
        ("/badges?uuid=%3Cscript%3E", "unknown"),
        ("/badges", "unknown"),
    ] {
        let reply = world.send(&Message::get(target)).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, "image/svg+xml; charset=utf-8"));
        assert!(reply.text().contains(&format!("build: {text}</title>")), "{target}: {}", reply.text());
        assert!(!reply.text().contains("script"));
        assert!(reply.header("cache-control").contains("no-cache"));
    }
}

#[tokio::test]
async fn strangers_names_are_refused() {
    let world = World::with(|config| config.domains = vec!["kiln.example".to_owned()]).await;
    let port = world.address.port();
    for host in [format!("127.0.0.1:{port}"), "localhost".to_owned(), "kiln.example".to_owned()] {
        assert_eq!(world.send(&Message::get("/-/").with("Host", &host)).await.status, 200, "{host}");
    }
    for host in ["rebound.evil.example", "127.0.0.2", "kiln.example.evil.example"] {
        let reply = world.send(&Message::get("/-/").with("Host", host)).await;
        reply.refused("AccessDeniedException", "add it to 'domains'");
        let call = Message::call("ListProjects", "{}").with("Host", host);
        world.ask(call).await.refused("AccessDeniedException", host);
    }
    let mut twice = Message::get("/-/");
    twice.headers.push(("Host".to_owned(), "localhost".to_owned()));
    world.send(&twice).await.refused("InvalidInputException", "exactly one header Host");
    let mut none = Message::get("/-/");
    none.headers.clear();
    world.send(&none).await.refused("InvalidInputException", "exactly one header Host");
    let absolute = Message::get("http://other.example/-/");
    world.send(&absolute).await.refused("InvalidInputException", "names another host");
    assert_eq!(world.send(&Message::get("http://localhost/-/")).await.status, 200);
    assert!(world.service.calls().is_empty());
}

#[tokio::test]
async fn figures_are_for_this_machine_or_a_token() {
    let world = World::start().await;
    let ask = |headers: &[(&'static str, &'static str)]| {
        headers.iter().fold(Message::get("/-/metrics"), |message, (name, value)| message.with(name, value))
    };
    world.send(&Message::get("/nowhere")).await;
    let reply = world.send(&ask(&[])).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    assert!(reply.text().contains("kiln_builds_queued 3\n"), "{}", reply.text());
    assert!(reply.text().contains("kiln_api_requests_total{service=\"s3\""), "{}", reply.text());
    let open = world.send(&ask(&[("Accept", "application/openmetrics-text;version=1.0.0")])).await;
    assert!(
        open.text().ends_with("# EOF\n") && open.header("content-type").starts_with("application/openmetrics-text")
    );
    assert_eq!(world.send(&ask(&[("X-Forwarded-For", "192.0.2.1")])).await.status, 403);

    let world = World::with(|config| config.scraping = kiln_api::Scraping::Token("s3cret".into())).await;
    let refused = world.send(&ask(&[])).await;
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"));
    assert_eq!(world.send(&ask(&[("Authorization", "Bearer s3cret")])).await.status, 200);
}

/// `gzip -n` of `<html>` and of `1`.
const HTML: &[u8] = &[31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 179, 201, 40, 201, 205, 177, 3, 0, 65, 12, 67, 199, 6, 0, 0, 0];
const SCRIPT: &[u8] = &[31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 51, 4, 0, 183, 239, 220, 131, 1, 0, 0, 0];

static CONSOLE: [ConsoleFile; 2] = [
    ConsoleFile { path: "index.html", content_type: "text/html; charset=utf-8", gzip: HTML },
    ConsoleFile { path: "assets/a.js", content_type: "text/javascript; charset=utf-8", gzip: SCRIPT },
];

#[tokio::test]
async fn the_console_is_served_under_a_strict_policy() {
    let world = World::with(|config| config.console = &CONSOLE).await;
    for path in
        ["/-/", "/-/builds/demo:1?line=3", "/-/projects/demo/edit", "/-/projects", "/-/queue", "/-/dashboard?days=1"]
    {
        let reply = world.send(&Message::get(path)).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "<html>"), "{path}");
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
        let policy = reply.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("cache-control"), "no-cache");
    }
    let packed = world.send(&Message::get("/-/assets/a.js").with("Accept-Encoding", "br, gzip")).await;
    assert_eq!((packed.status, packed.header("content-encoding")), (200, "gzip"));
    assert_eq!(packed.body, SCRIPT);
    assert!(packed.header("cache-control").contains("immutable"));
    for refused in ["identity", "gzip;q=0", "br"] {
        let plain = world.send(&Message::get("/-/assets/a.js").with("Accept-Encoding", refused)).await;
        assert_eq!((plain.find("content-encoding"), plain.text().as_str()), (None, "1"), "{refused}");
    }
    for path in ["/-/assets/b.js", "/-/assets/../index.html", "/-/index.html", "/-/other"] {
        assert_eq!(world.send(&Message::get(path)).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn public_builds_need_no_signature() {
    let world = World::start().await;
    let post = |operation: &str, body: &str| {
        let mut message =
            Message::get(&format!("/-/public-builds/{operation}")).with("Content-Type", "application/json");
        (message.method, message.body) = ("POST", body.as_bytes().to_vec());
        message
    };
    let reply = world.send(&post("ListPublicBuilds", "{\"alias\":\"known\"}")).await;
    assert_eq!((reply.status, reply.text().contains("\"projectName\":\"demo\"")), (200, true));
    assert_eq!((reply.header("cache-control"), reply.header("x-content-type-options")), ("no-store", "nosniff"));
    assert_eq!(reply.find("access-control-allow-origin"), None);
    let reply = world.send(&post("GetPublicBuild", "{\"alias\":\"known\",\"uuid\":\"1\"}")).await;
    assert_eq!((reply.status, reply.text().contains("\"uuid\":\"1\"")), (200, true));
    let reply = world.send(&post("GetPublicBuildLog", "{\"alias\":\"known\",\"uuid\":\"1\",\"fromLine\":7}")).await;
    assert_eq!((reply.status, reply.text().contains("\"nextLine\":7")), (200, true));
    let reply = world.send(&post("GetPublicBuildArtifact", "{\"alias\":\"known\",\"uuid\":\"1\"}")).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "<script>"));
    // A build has made it: no browser takes it for a page.
    assert_eq!(
        (reply.header("content-type"), reply.header("content-security-policy")),
        ("application/octet-stream", "sandbox")
    );
    assert!(reply.header("content-disposition").starts_with("attachment"));

    world
        .send(&post("ListPublicBuilds", "{\"alias\":\"other\"}"))
        .await
        .refused("ResourceNotFoundException", "no such");
    world
        .send(&post("GetPublicBuildLog", "{\"alias\":\"known\",\"uuid\":\"2\"}"))
        .await
        .refused("AccessDeniedException", "not public");
    world
        .send(&post("GetPublicBuildLog", "{\"alias\":\"known\",\"uuid\":\"1\",\"maxLines\":1001}"))
        .await
        .refused("InvalidInputException", "maxLines");
    for body in ["{}", "{\"alias\":\"\"}"] {
        world.send(&post("ListPublicBuilds", body)).await.refused("InvalidInputException", "alias");
    }
    // Nothing else is reached by this way.
    for operation in ["ListBuilds", "GetBuildLog", "DescribeBuild", "BatchGetBuilds", "", "ListPublicBuilds/x"] {
        world.send(&post(operation, "{\"alias\":\"known\"}")).await.refused("UnknownOperationException", "");
    }
    // What a form of another site can send.
    let kind = post("ListPublicBuilds", "{\"alias\":\"known\"}").with("Content-Type", "text/plain");
    assert_eq!(world.send(&kind).await.status, 400);
    let reply = world.send(&Message::get("/-/public-builds/ListPublicBuilds")).await;
    assert_eq!((reply.status, reply.header("allow")), (405, "POST"));
    world
        .send(&post("ListPublicBuilds", &" ".repeat(5_000)))
        .await
        .refused("InvalidInputException", "at most 4096 are read");
}

#[tokio::test]
async fn a_link_is_handed_in_for_a_session() {
    let world = World::start().await;
    let post = |body: &str| {
        let mut message = Message::get("/-/sign-in").with("Content-Type", "application/json");
        (message.method, message.body) = ("POST", body.as_bytes().to_vec());
        message
    };
    let reply = world.send(&post("{\"link\":\"opens\"}")).await;
    assert_eq!(reply.status, 200);
    let session: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((&session["accessKeyId"], &session["sessionToken"]), (&"ASIAEXAMPLE".into(), &"token".into()));
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.find("access-control-allow-origin"), None);

    let reply = world.send(&post("{\"link\":\"other\"}")).await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("kiln console") && !reply.text().contains("other\""), "{}", reply.text());
    for body in ["", "[]", "{\"link\":1}", "{\"link\":null}"] {
        assert_eq!(world.send(&post(body)).await.status, 400, "{body}");
    }
    // What a form of another site can send.
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let reply = world.send(&post("{\"link\":\"opens\"}").with("Content-Type", kind)).await;
        assert_eq!(reply.status, 415, "{kind}");
    }
    let reply = world.send(&Message::get("/-/sign-in")).await;
    assert_eq!((reply.status, reply.header("allow")), (405, "POST"));
    world.send(&post(&" ".repeat(2_000))).await.refused("InvalidInputException", "at most 1024 are read");
}
