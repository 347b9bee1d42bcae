//! The wire as it is: signed JSON requests and their answers, without what a client library makes of them.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use kiln_check::Accepted;
use kiln_iam::sigv4::{Credentials, SecretKey, ToSign, sign};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::server::wait_for;

/// A client with one key.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    id: String,
    secret: String,
    /// Seconds by which its clock differs from the machine's.
    ahead: i64,
    /// Tries again also when the server says that it failed.
    stubborn: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The server was not reached, or died before it answered.
    Lost(io::Error),
    /// It said no.
    Refused {
        /// HTTP status.
        status: u16,
        /// Code of the error.
        code: String,
        /// Its message.
        message: String,
    },
}

impl Fault {
    /// The code; empty when nobody answered.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Lost(_) => "",
            Self::Refused { code, .. } => code,
        }
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr, id: &str, secret: &str) -> Self {
        Self { address, id: id.to_owned(), secret: secret.to_owned(), ahead: 0, stubborn: false }
    }

    /// The same with a clock that differs from the machine's by so many seconds.
    pub(crate) fn ahead(&self, seconds: i64) -> Self {
        Self { ahead: seconds, ..self.clone() }
    }

    /// One that tries again also when the server says that it failed, as SDKs do.
    pub(crate) fn stubborn(&self) -> Self {
        Self { stubborn: true, ..self.clone() }
    }

    /// One operation of CodeBuild, once.
    pub(crate) fn call(&self, operation: &str, input: &Value) -> Result<Value, Fault> {
        self.send("codebuild", &format!("CodeBuild_20161006.{operation}"), input)
    }

    /// One operation of the Kiln API, once.
    pub(crate) fn kiln(&self, operation: &str, input: &Value) -> Result<Value, Fault> {
        self.send("kiln", &format!("Kiln_20261122.{operation}"), input)
    }

    /// One operation of the Key Management Service, once.
    pub(crate) fn kms(&self, operation: &str, input: &Value) -> Result<Value, Fault> {
        self.send("kms", &format!("TrentService.{operation}"), input)
    }

    /// One operation of another JSON service, once.
    pub(crate) fn service(&self, service: &str, target: &str, input: &Value) -> Result<Value, Fault> {
        self.send(service, target, input)
    }

    /// The answer to one operation of IAM, which succeeds.
    #[track_caller]
    pub(crate) fn iam(&self, parameters: &[(&str, &str)]) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        let encoded = |text: &str| -> String {
            text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
        };
        let pairs = [("Version", "2010-05-08")].iter().chain(parameters);
        let body: Vec<_> = pairs.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let body = body.join("&");
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        let mut socket = self.open("iam", "", form, body.as_bytes(), body.len()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{parameters:?}: {answer}");
        answer
    }

    fn send(&self, service: &str, target: &str, input: &Value) -> Result<Value, Fault> {
        Ok(serde_json::from_slice(&self.bytes(service, target, input)?).unwrap_or_default())
    }

    /// The answer to one operation as it is.
    pub(crate) fn bytes(&self, service: &str, target: &str, input: &Value) -> Result<Vec<u8>, Fault> {
        let (status, body) =
            self.exchange(service, target, &serde_json::to_vec(input).unwrap()).map_err(Fault::Lost)?;
        if status == 200 {
            return Ok(body);
        }
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |names: [&str; 2]| names.iter().find_map(|n| value[n].as_str()).unwrap_or_default().to_owned();
        let code = text(["__type", "code"]);
        let code = code.rsplit('#').next().unwrap_or_default().to_owned();
        Err(Fault::Refused { status, code, message: text(["message", "Message"]) })
    }

    /// Status and body of the answer to a body that may be anything.
    pub(crate) fn exchange(&self, service: &str, target: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        let mut socket = self.open(service, target, "application/x-amz-json-1.1", body, body.len())?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?;
        let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was cut");
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or_else(cut)?;
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(cut)?;
        let body = answer[end + 4..].to_vec();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        match length {
            Some(length) if length != body.len() => Err(cut()),
            _ => Ok((status, body)),
        }
    }

    /// Sends a request whose body is said to be this long, of which only what is there is sent; what comes back is read by
    /// the caller, or not.
    pub(crate) fn open(
        &self,
        service: &str,
        target: &str,
        content_type: &str,
        body: &[u8],
        length: usize,
    ) -> io::Result<TcpStream> {
        let host = self.address.to_string();
        let sent = [("host", host.as_str()), ("content-type", content_type), ("x-amz-target", target)];
        let request =
            ToSign { method: "POST", path: "/", query: None, headers: &sent, body: Sha256::digest(body).into() };
        let key = Credentials {
            access_key_id: self.id.clone(),
            secret: SecretKey::new(self.secret.clone()),
            session_token: None,
        };
        let now = time::OffsetDateTime::now_utc() + time::Duration::seconds(self.ahead);
        let signed = sign(&key, "us-east-1", service, &request, now);
        let mut head = "POST / HTTP/1.1\r\n".to_owned();
        for (name, value) in sent.iter().map(|(n, v)| (*n, (*v).to_owned())).chain(signed) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {length}\r\nconnection: close\r\n\r\n"));
        let mut socket = TcpStream::connect(self.address)?;
        socket.set_read_timeout(Some(Duration::from_secs(60)))?;
        socket.write_all(head.as_bytes())?;
        socket.write_all(body)?;
        Ok(socket)
    }

    /// One operation; tries again while the server is away or busy, as the AWS SDKs do.
    #[track_caller]
    pub(crate) fn retried(&self, operation: &str, input: &Value) -> Value {
        wait_for(operation, || match self.call(operation, input) {
            Ok(value) => Some(value),
            Err(Fault::Lost(_)) => None,
            Err(fault) if fault.code() == "ThrottlingException" => None,
            Err(Fault::Refused { status: 500.., .. }) if self.stubborn => None,
            Err(fault) => panic!("{operation}: {fault:?}"),
        })
    }

    /// The code and message with which an operation is refused.
    #[track_caller]
    pub(crate) fn refused(&self, operation: &str, input: &Value) -> (String, String) {
        match self.call(operation, input) {
            Err(Fault::Refused { code, message, .. }) => (code, message),
            other => panic!("{operation}: {other:?}"),
        }
    }

    /// A project that runs these commands in the image `host`.
    #[track_caller]
    pub(crate) fn project(&self, name: &str, commands: &[&str]) -> Value {
        self.retried("CreateProject", &project(name, &buildspec(commands)))["project"].take()
    }

    /// Starts a build.
    #[track_caller]
    pub(crate) fn start_build(&self, project: &str) -> Accepted {
        accepted(&self.retried("StartBuild", &json!({ "projectName": project }))["build"])
    }

    /// A build's record.
    #[track_caller]
    pub(crate) fn build(&self, build: &Accepted) -> Value {
        let mut found = self.retried("BatchGetBuilds", &json!({ "ids": [id(build)] }));
        found["builds"][0].take()
    }

    /// Waits until a build is over; its record.
    #[track_caller]
    pub(crate) fn finished(&self, build: &Accepted) -> Value {
        wait_for("a build to be over", || {
            let record = self.build(build);
            assert!(!record.is_null(), "build {build:?} is not there");
            (record["buildComplete"] == true).then_some(record)
        })
    }

    /// The whole log of a build, as people see it.
    #[track_caller]
    pub(crate) fn log(&self, build: &Accepted) -> Vec<String> {
        let mut lines = Vec::new();
        let mut from = json!(1);
        loop {
            let input = json!({ "id": id(build), "fromLine": from, "maxLines": 10_000 });
            let page = self.kiln("GetBuildLog", &input).unwrap();
            lines.extend(page["lines"].as_array().unwrap().iter().map(|l| l["text"].as_str().unwrap().to_owned()));
            if page["complete"] == true {
                return lines;
            }
            assert_ne!(page["nextLine"], from, "the log does not go on: {page}");
            from = page["nextLine"].clone();
        }
    }
}

/// The id as clients write it.
pub(crate) fn id(build: &Accepted) -> String {
    format!("{}:{}", build.project, build.uuid)
}

/// What is kept in mind of a build's record.
pub(crate) fn accepted(build: &Value) -> Accepted {
    let id = build["id"].as_str().unwrap();
    let (project, uuid) = id.split_once(':').unwrap();
    Accepted { uuid: uuid.to_owned(), project: project.to_owned(), number: build["buildNumber"].as_i64().unwrap() }
}

/// A buildspec whose build phase has these commands.
pub(crate) fn buildspec(commands: &[&str]) -> String {
    let commands: Vec<_> = commands.iter().map(|command| format!("      - {}\n", json!(command))).collect();
    format!("version: 0.2\nphases:\n  build:\n    commands:\n{}", commands.concat())
}

/// Input of CreateProject.
pub(crate) fn project(name: &str, buildspec: &str) -> Value {
    json!({
        "name": name,
        "source": { "type": "NO_SOURCE", "buildspec": buildspec },
        "artifacts": { "type": "NO_ARTIFACTS" },
        "environment": { "type": "LINUX_CONTAINER", "image": "host", "computeType": "BUILD_GENERAL1_SMALL" },
        "serviceRole": "arn:aws:iam::000000000000:role/kiln-default-build-role",
    })
}
