//! Signs bodies in chunks, from S3's documentation rather than with what is tested.

use aws_lc_rs::hmac;
use kiln_iam::sigv4::sha256;

use crate::client::{Message, NOW, secret_of};

const DATE: &str = "20261126T120000Z";
const SCOPE: &str = "20261126/us-east-1/s3/aws4_request";

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn signing_key(access_key_id: &str) -> Vec<u8> {
    let secret = format!("AWS4{}", secret_of(access_key_id).expose());
    ["20261126", "us-east-1", "s3", "aws4_request"].iter().fold(secret.into_bytes(), |key, part| mac(&key, part))
}

/// A body in chunks.
#[derive(Clone)]
pub(super) struct Chunked {
    pub(super) message: Message,
    pub(super) signed: bool,
    pub(super) chunks: Vec<Vec<u8>>,
    pub(super) trailer: Option<(&'static str, &'static str)>,
    /// What `x-amz-decoded-content-length` says.
    pub(super) announced: usize,
}

impl Chunked {
    pub(super) fn new(target: &str, signed: bool, trailer: Option<(&'static str, &'static str)>) -> Self {
        let chunks = vec![vec![b'a'; 9000], b"\r\n0;chunk-signature=\r\n".to_vec(), vec![b'c'; 70_000]];
        let announced = chunks.iter().map(Vec::len).sum();
        Self { message: super::s3("PUT", target), signed, chunks, trailer, announced }
    }

    pub(super) fn data(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    /// The signed request; its body is changed by `tamper`: each chunk's head, data and end, and then the rest.
    pub(super) fn message(&self, tamper: impl FnOnce(&mut Vec<Vec<u8>>)) -> Message {
        let form = match (self.signed, self.trailer.is_some()) {
            (true, false) => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            (true, true) => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            (false, _) => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        };
        let mut message = self.message.clone();
        message.set("Content-Encoding", "aws-chunked");
        message.set("x-amz-content-sha256", form);
        message.set("x-amz-date", DATE);
        message.set("x-amz-decoded-content-length", &self.announced.to_string());
        if let Some((name, _)) = self.trailer {
            message.set("x-amz-trailer", name);
        }
        let mut previous = authorise(&mut message, form);
        let key = signing_key(message.access_key_id);
        let mut pieces = Vec::new();
        for chunk in self.chunks.iter().chain([&Vec::new()]) {
            let mut head = format!("{:x}", chunk.len());
            if self.signed {
                let hashes = format!("{}\n{}", hex::encode(sha256(b"")), hex::encode(sha256(chunk)));
                previous =
                    hex::encode(mac(&key, &format!("AWS4-HMAC-SHA256-PAYLOAD\n{DATE}\n{SCOPE}\n{previous}\n{hashes}")));
                head.push_str(&format!(";chunk-signature={previous}"));
            }
            head.push_str("\r\n");
            pieces.push(head.into_bytes());
            if !chunk.is_empty() {
                pieces.push(chunk.clone());
                pieces.push(b"\r\n".to_vec());
            }
        }
        if let Some((name, value)) = self.trailer {
            pieces.push(format!("{name}:{value}\r\n").into_bytes());
            if self.signed {
                let hash = hex::encode(sha256(format!("{name}:{value}\n").as_bytes()));
                let text = format!("AWS4-HMAC-SHA256-TRAILER\n{DATE}\n{SCOPE}\n{previous}\n{hash}");
                pieces.push(format!("x-amz-trailer-signature:{}\r\n", hex::encode(mac(&key, &text))).into_bytes());
            }
        }
        pieces.push(b"\r\n".to_vec());
        tamper(&mut pieces);
        message.body = pieces.concat();
        message
    }

    pub(super) fn good(&self) -> Message {
        self.message(|_| {})
    }
}

/// Signs the head for a payload that is a word; the signature begins the chain of chunks.
pub(super) fn authorise(message: &mut Message, payload: &str) -> String {
    assert_eq!(message.at, NOW, "the date of these signatures is fixed");
    message.set("x-amz-content-sha256", payload);
    message.set("x-amz-date", DATE);
    let mut headers: Vec<(String, String)> =
        message.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    headers.sort();
    let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let (path, query) = message.target.split_once('?').unwrap_or((&message.target, ""));
    let canonical = format!("{}\n{path}\n{query}\n{lines}\n{names}\n{payload}", message.method);
    let text = format!("AWS4-HMAC-SHA256\n{DATE}\n{SCOPE}\n{}", hex::encode(sha256(canonical.as_bytes())));
    let signature = hex::encode(mac(&signing_key(message.access_key_id), &text));
    let id = message.access_key_id;
    message.set(
        "Authorization",
        &format!("AWS4-HMAC-SHA256 Credential={id}/{SCOPE}, SignedHeaders={names}, Signature={signature}"),
    );
    signature
}

/// Makes a link of a request: its signature in the query, good for so many seconds.
pub(super) fn link(message: &Message, expires: u32) -> Message {
    let mut link = message.clone();
    let (path, query) = message.target.split_once('?').unwrap_or((&message.target, ""));
    let mut names: Vec<String> = message.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    let id = format!("{}/{SCOPE}", message.access_key_id).replace('/', "%2F");
    let mut pairs: Vec<String> = query.split('&').filter(|pair| !pair.is_empty()).map(str::to_owned).collect();
    pairs.extend([
        "X-Amz-Algorithm=AWS4-HMAC-SHA256".to_owned(),
        format!("X-Amz-Credential={id}"),
        format!("X-Amz-Date={DATE}"),
        format!("X-Amz-Expires={expires}"),
        format!("X-Amz-SignedHeaders={}", names.join("%3B")),
    ]);
    pairs.sort();
    let mut headers: Vec<(String, String)> =
        message.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    headers.sort();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let query = pairs.join("&");
    let canonical = format!("{}\n{path}\n{query}\n{lines}\n{}\nUNSIGNED-PAYLOAD", message.method, names.join(";"));
    let text = format!("AWS4-HMAC-SHA256\n{DATE}\n{SCOPE}\n{}", hex::encode(sha256(canonical.as_bytes())));
    let signature = hex::encode(mac(&signing_key(message.access_key_id), &text));
    link.target = format!("{path}?{query}&X-Amz-Signature={signature}");
    link
}
