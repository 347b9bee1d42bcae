//! A small HTTP server whose answers a test decides. It serves what the real registry cannot be made to do.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use kiln_engine::image::Digest;

use crate::support::TestImage;

#[derive(Clone)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) headers: HashMap<String, String>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Close the connection after so many bytes of the body.
    pub(super) cut_after: Option<usize>,
}

impl Answer {
    pub(super) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), cut_after: None }
    }

    pub(super) fn body(body: &[u8]) -> Self {
        Self { body: body.to_vec(), ..Self::status(200) }
    }

    pub(super) fn json(value: &serde_json::Value) -> Self {
        Self::body(value.to_string().as_bytes())
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The server; it ends when dropped.
pub(super) struct Server {
    pub(super) host: String,
    ended: Arc<AtomicBool>,
}

impl Server {
    pub(super) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (ended, answer) = (Arc::new(AtomicBool::new(false)), Arc::new(answer));
        let flag = Arc::clone(&ended);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if flag.load(Ordering::Relaxed) {
                    return;
                }
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || serve(stream.unwrap(), &*answer));
            }
        });
        Self { host, ended }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the listener.
        TcpStream::connect(&self.host).ok();
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Request) -> Answer) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).ok()?;
        // A TLS greeting is no text; then the client tries plain HTTP.
        let line = String::from_utf8(line).ok()?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            match line.trim().split_once(": ") {
                Some((name, value)) => drop(headers.insert(name.to_ascii_lowercase(), value.to_owned())),
                None => break,
            }
        }
        let Answer { status, headers, body, cut_after } = answer(&Request { path, headers });
        let mut head = format!("HTTP/1.1 {status} Something\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
        stream.write_all(&body[..cut_after.unwrap_or(body.len()).min(body.len())]).ok()?;
        if cut_after.is_some() {
            return None;
        }
    }
}

/// Media type and bytes.
type Content = (String, Vec<u8>);

/// What an honest registry would hold.
#[derive(Clone, Default)]
pub(super) struct Site {
    content: Arc<Mutex<HashMap<String, Content>>>,
}

impl Site {
    pub(super) fn add(&self, image: &TestImage, repository: &str, tag: &str) {
        let mut content = self.content.lock().unwrap();
        let manifest = (image.media_type(), image.manifest.clone());
        content.insert(format!("/v2/{repository}/manifests/{tag}"), manifest.clone());
        content.insert(format!("/v2/{repository}/manifests/{}", image.digest()), manifest);
        for blob in image.blobs.iter().chain([&image.config]) {
            let path = format!("/v2/{repository}/blobs/{}", Digest::of(blob));
            content.insert(path, ("application/octet-stream".to_owned(), blob.clone()));
        }
    }

    pub(super) fn answer(&self, request: &Request) -> Answer {
        if request.path == "/v2/" {
            return Answer::body(b"{}");
        }
        let content = self.content.lock().unwrap();
        let Some((kind, body)) = content.get(&request.path) else { return Answer::status(404) };
        let from =
            request.header("range").and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
        match from {
            Some(from) if from < body.len() => {
                let range = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
                Answer { body: body[from..].to_vec(), ..Answer::status(206).header("Content-Range", &range) }
            }
            Some(_) => Answer::status(416),
            None => Answer::body(body).header("Content-Type", kind),
        }
    }
}
