//! Debian's `docker-registry`, and a proxy before it that breaks connections.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kiln_engine::image::Digest;
use serde_json::json;

use crate::support::{TestImage, skip};

/// A running registry; it ends when dropped.
pub(super) struct DockerRegistry {
    pub(super) host: String,
    scheme: &'static str,
    login: Option<(&'static str, &'static str)>,
    child: Child,
    _dir: tempfile::TempDir,
}

impl DockerRegistry {
    /// Starts one, with a user and a password if given. `None` if it is not installed.
    pub(super) fn start(login: Option<(&'static str, &'static str)>) -> Option<Self> {
        Self::start_with(login, None)
    }

    /// Starts one that speaks TLS, with the certificate and key in that directory.
    pub(super) fn start_tls(certificate: &Path) -> Option<Self> {
        Self::start_with(None, Some(certificate))
    }

    fn start_with(login: Option<(&'static str, &'static str)>, certificate: Option<&Path>) -> Option<Self> {
        for _ in 0..20 {
            // Another program may take the port before the registry does; then again with another.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let dir = tempfile::tempdir().unwrap();
            let auth = match login {
                None => String::new(),
                Some((user, password)) => {
                    // bcrypt of the one password that tests use (`htpasswd -B`).
                    assert_eq!(password, "correct-horse");
                    let line = format!("{user}:$2y$04$wu.1i87nCMR5fb4Zs2fjeeKx4pBioMy54/xXfl/CCCjgDmeKYDilG\n");
                    std::fs::write(dir.path().join("htpasswd"), line).unwrap();
                    format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", dir.path().join("htpasswd").display())
                }
            };
            let tls =
                certificate.map(|at| format!(", tls: {{certificate: {0}/cert.pem, key: {0}/key.pem}}", at.display()));
            let tls = tls.unwrap_or_default();
            let config = format!(
                "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\n\
                 storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{port}'{tls}}}\n{auth}",
                dir.path().join("data").display()
            );
            std::fs::write(dir.path().join("config.yml"), config).unwrap();
            let mut command = Command::new("docker-registry");
            command.arg("serve").arg(dir.path().join("config.yml"));
            let mut child = match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn() {
                Ok(child) => child,
                Err(e) => {
                    skip(&format!("docker-registry cannot be started ({e}); install Debian's docker-registry"));
                    return None;
                }
            };
            // It says when it listens, or ends.
            let mut log = BufReader::new(child.stderr.take().unwrap());
            let mut line = String::new();
            while log.read_line(&mut line).is_ok_and(|n| n > 0) {
                if line.contains("listening on") {
                    // It must be able to go on writing.
                    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
                    return Some(Self {
                        host: format!("127.0.0.1:{port}"),
                        scheme: if certificate.is_some() { "https" } else { "http" },
                        login,
                        child,
                        _dir: dir,
                    });
                }
                line.clear();
            }
            child.wait().unwrap();
        }
        panic!("docker-registry does not start");
    }

    /// Uploads an image.
    pub(super) fn push(&self, repository: &str, tag: &str, image: &TestImage) {
        for blob in image.blobs.iter().chain([&image.config]) {
            let start =
                self.send("POST", &format!("{}://{}/v2/{repository}/blobs/uploads/", self.scheme, self.host), "", b"");
            let location = start.headers()["location"].to_str().unwrap().to_owned();
            let separator = if location.contains('?') { '&' } else { '?' };
            self.send(
                "PUT",
                &format!("{location}{separator}digest={}", Digest::of(blob)),
                "application/octet-stream",
                blob,
            );
        }
        self.put_manifest(repository, tag, &image.media_type(), &image.manifest);
    }

    /// Uploads images and an index of them: image, operating system, architecture.
    pub(super) fn push_index(&self, repository: &str, tag: &str, images: &[(&TestImage, &str, &str)]) {
        let mut manifests = Vec::new();
        for (image, os, architecture) in images {
            self.push(repository, &image.digest().hex(), image);
            manifests.push(json!({
                "mediaType": image.media_type(), "digest": image.digest(), "size": image.manifest.len(),
                "platform": {"os": os, "architecture": architecture},
            }));
        }
        let kind = "application/vnd.oci.image.index.v1+json";
        let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests});
        self.put_manifest(repository, tag, kind, index.to_string().as_bytes());
    }

    fn put_manifest(&self, repository: &str, tag: &str, kind: &str, bytes: &[u8]) {
        self.send("PUT", &format!("{}://{}/v2/{repository}/manifests/{tag}", self.scheme, self.host), kind, bytes);
    }

    fn send(&self, method: &str, url: &str, kind: &str, body: &[u8]) -> ureq::http::Response<ureq::Body> {
        let mut request = ureq::http::Request::builder().method(method).uri(url).header("content-type", kind);
        if let Some((user, password)) = self.login {
            use base64::Engine as _;
            let plain = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            request = request.header("authorization", format!("Basic {plain}"));
        }
        let tls = ureq::tls::TlsConfig::builder().disable_verification(true).build();
        let agent: ureq::Agent =
            ureq::Agent::config_builder().tls_config(tls).proxy(None).http_status_as_error(false).build().into();
        let mut answer = agent.run(request.body(body).unwrap()).unwrap();
        let status = answer.status();
        assert!(
            status.is_success(),
            "{method} {url}: {status} {}",
            answer.body_mut().read_to_string().unwrap_or_default()
        );
        answer
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Passes connections on to a server, and cuts the first few of those that carry much.
pub(super) struct FaultProxy {
    pub(super) host: String,
    served: Arc<AtomicUsize>,
}

impl FaultProxy {
    /// Cuts a connection after `limit` bytes from the server, `cuts` times altogether.
    pub(super) fn start(server: &str, limit: usize, cuts: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (served, left) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(cuts)));
        let proxy = Self { host, served: Arc::clone(&served) };
        let server = server.to_owned();
        // Ends with the test program.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(upstream) = TcpStream::connect(&server) else { continue };
                let (mut from_client, mut to_server) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                std::thread::spawn(move || {
                    std::io::copy(&mut from_client, &mut to_server).ok();
                    to_server.shutdown(Shutdown::Write).ok();
                });
                let (served, left) = (Arc::clone(&served), Arc::clone(&left));
                std::thread::spawn(move || forward(upstream, client, limit, &served, &left));
            }
        });
        proxy
    }

    /// Bytes that the server sent.
    pub(super) fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }
}

fn forward(mut server: TcpStream, mut client: TcpStream, limit: usize, served: &AtomicUsize, left: &AtomicUsize) {
    let mut passed = 0;
    let mut buffer = [0; 16 * 1024];
    while let Ok(n) = server.read(&mut buffer) {
        if n == 0 {
            break;
        }
        passed += n;
        let cut = passed > limit
            && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if cut {
            break;
        }
        served.fetch_add(n, Ordering::Relaxed);
        if client.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    client.shutdown(Shutdown::Both).ok();
    server.shutdown(Shutdown::Both).ok();
}
