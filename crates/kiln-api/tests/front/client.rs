//! A client that sends exactly the bytes that a test wants.

use std::collections::VecDeque;

use kiln_iam::sigv4::{Credentials, SecretKey, ToSign, sha256, sign};
use kiln_model::operations;
use time::OffsetDateTime;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{Duration, timeout},
};
use zeroize::Zeroizing;

/// Nothing in these tests takes this long; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const ROOT: &str = "AKIDROOT";
pub(crate) const ALICE: &str = "AKIDALICE";
pub(crate) const SESSION: &str = "ASIASESSION";
pub(crate) const TOKEN: &str = "token-of-the-session==";

/// 2026-11-26T12:00:00Z.
pub(crate) const NOW: i64 = 1_795_694_400;

pub(crate) fn secret_of(access_key_id: &str) -> SecretKey {
    SecretKey::new(format!("secret of {access_key_id}"))
}

/// A request that is not signed yet.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) service: &'static str,
    pub(crate) region: &'static str,
    pub(crate) access_key_id: &'static str,
    pub(crate) secret: SecretKey,
    pub(crate) token: Option<&'static str>,
    pub(crate) at: i64,
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// An operation of CodeBuild, of the Kiln API or of KMS, by root.
    pub(crate) fn call(operation: &str, body: impl Into<Vec<u8>>) -> Self {
        let (service, prefix) = if operations::kiln_operation(operation).is_some() {
            ("kiln", "Kiln_20261122")
        } else if operations::kms_operation(operation).is_some() && operations::codebuild_operation(operation).is_none()
        {
            ("kms", "TrentService")
        } else {
            ("codebuild", "CodeBuild_20161006")
        };
        let mut message = Self {
            service,
            region: "us-east-1",
            access_key_id: ROOT,
            secret: secret_of(ROOT),
            token: None,
            at: NOW,
            method: "POST",
            target: "/".to_owned(),
            headers: Vec::new(),
            body: body.into(),
        };
        message.set("Host", "localhost");
        message.set("Content-Type", "application/x-amz-json-1.1");
        message.set("X-Amz-Target", &format!("{prefix}.{operation}"));
        message
    }

    /// A form for STS.
    pub(crate) fn form(body: &str) -> Self {
        let mut message = Self::call("ListProjects", body);
        message.service = "sts";
        message.remove("X-Amz-Target");
        message.set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
        message
    }

    /// A GET that nobody signs.
    pub(crate) fn get(target: &str) -> Self {
        let mut message = Self::call("ListProjects", "");
        message.headers.clear();
        message.set("Host", "localhost");
        (message.method, message.target) = ("GET", target.to_owned());
        message
    }

    pub(crate) fn by(mut self, access_key_id: &'static str) -> Self {
        (self.access_key_id, self.secret) = (access_key_id, secret_of(access_key_id));
        self
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.headers.retain(|(each, _)| !each.eq_ignore_ascii_case(name));
    }

    /// Adds the headers of a signature.
    pub(crate) fn signed(mut self) -> Self {
        let credentials = Credentials {
            access_key_id: self.access_key_id.to_owned(),
            secret: self.secret.clone(),
            session_token: self.token.map(|token| Zeroizing::new(token.to_owned())),
        };
        let (path, query) = self.target.split_once('?').map_or((self.target.as_str(), None), |(p, q)| (p, Some(q)));
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let request = ToSign { method: self.method, path, query, headers: &headers, body: sha256(&self.body) };
        let now = OffsetDateTime::from_unix_timestamp(self.at).unwrap();
        for (name, value) in sign(&credentials, self.region, self.service, &request, now) {
            self.set(name, &value);
        }
        self
    }

    /// The request's head, with the length of its body.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let has = |name: &str| self.headers.iter().any(|(each, _)| each.eq_ignore_ascii_case(name));
        if self.method != "GET" && !has("content-length") && !has("transfer-encoding") {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `__type` and message of a JSON error, after checking what all of them have.
    #[track_caller]
    pub(crate) fn error(&self) -> (String, String) {
        assert!(self.status >= 400, "{self:?}");
        assert_eq!(self.header("content-type"), "application/x-amz-json-1.1");
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"));
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        assert_eq!(self.header("x-amzn-errortype"), text("__type"));
        (text("__type"), text("message"))
    }

    #[track_caller]
    pub(crate) fn refused(&self, code: &str, text: &str) {
        let (found, message) = self.error();
        assert_eq!(found, code, "{message}");
        assert_eq!(self.status, if code == "InternalFailure" { 500 } else { 400 });
        assert!(message.contains(text), "'{text}' is not in: {message}");
    }
}

/// A connection.
pub(crate) struct Connection<T = TcpStream> {
    pub(crate) stream: T,
    buffer: VecDeque<u8>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    pub(crate) fn over(stream: T) -> Self {
        Self { stream, buffer: VecDeque::new() }
    }

    /// Sends bytes; the server may have gone.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.ok();
        self.stream.flush().await.ok();
    }

    /// Reads more; false at the end.
    async fn fill(&mut self) -> bool {
        let mut piece = [0; 4096];
        let length = timeout(PATIENCE, self.stream.read(&mut piece)).await.expect("an answer in time").unwrap_or(0);
        self.buffer.extend(&piece[..length]);
        length > 0
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Exactly so many bytes, or what there was before the end.
    pub(crate) async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length && self.fill().await {}
        let length = length.min(self.buffer.len());
        self.buffer.drain(..length).collect()
    }

    /// Head of the next answer; `None` when the server closes the connection instead.
    pub(crate) async fn head(&mut self) -> Option<Reply> {
        let status = self.line().await?;
        let status = status.split(' ').nth(1).unwrap_or_else(|| panic!("no HTTP: {status}")).parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Some(Reply { status, headers, body: Vec::new() })
    }

    /// One chunk of a body; `None` at its proper end, an error when the connection breaks off.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, ()> {
        let length = self.line().await.ok_or(())?;
        let length = usize::from_str_radix(&length, 16).map_err(|_| ())?;
        let chunk = self.take(length).await;
        if chunk.len() < length || self.line().await.is_none() {
            return Err(());
        }
        Ok((length > 0).then_some(chunk))
    }

    /// A whole answer.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        let mut reply = self.head().await?;
        if let Some(length) = reply.find("content-length") {
            let length = length.parse().unwrap();
            reply.body = self.take(length).await;
        } else if reply.find("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk().await.ok()? {
                reply.body.extend(chunk);
            }
        }
        Some(reply)
    }

    /// Waits until the server has closed the connection; whatever still comes is not looked at.
    pub(crate) async fn closed(&mut self) {
        while self.fill().await {}
    }
}
