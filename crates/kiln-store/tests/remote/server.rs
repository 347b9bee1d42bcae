//! moto's S3, and requests to it that do not go through what is tested.

use std::{
    io::{BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use kiln_store::remote::{Patience, RemoteBucket, RemoteEncryption, RemoteSettings};

use super::proxy::message;

pub(crate) struct Moto {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) dir: tempfile::TempDir,
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Moto {
    /// Starts it, with the bucket `bkt`. `None`, with the reason printed, where it cannot be had.
    pub(crate) fn start() -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/aws-clients");
        let said = Command::new(script).arg("moto").stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let place = said.trim().strip_prefix("moto ").unwrap_or(&said);
        if let Some(reason) = place.strip_prefix("skipped: ") {
            eprintln!("skipped: {reason}");
            return None;
        }
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(PathBuf::from(place).join("bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { child, address, dir: tempfile::tempdir().unwrap() };
        while TcpStream::connect(address).is_err() {
            std::thread::yield_now();
        }
        moto.ask("PUT", "/bkt", b"");
        Some(moto)
    }

    /// The answer to a request: status line and all.
    pub(crate) fn ask(&self, method: &str, target: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let credential =
            "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nAuthorization: {credential}\r\nContent-Length: {}\r\nConnection: \
             close\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let (head, body) = message(&mut BufReader::new(&stream), method != "HEAD").unwrap();
        head + &String::from_utf8_lossy(&body)
    }

    /// Ids of the uploads in parts that it keeps.
    pub(crate) fn uploads(&self) -> Vec<String> {
        let answer = self.ask("GET", "/bkt?uploads", b"");
        answer.split("<UploadId>").skip(1).filter_map(|rest| Some(rest.split_once('<')?.0.to_owned())).collect()
    }

    /// Its bucket, as somebody sees it who reaches it at `address`.
    pub(crate) fn bucket(&self, address: SocketAddr) -> RemoteBucket {
        let settings = RemoteSettings {
            bucket: "bkt".to_owned(),
            prefix: "some/where".to_owned(),
            endpoint: Some(format!("http://{address}")),
            region: "us-east-1".to_owned(),
            credentials: Some(("k".to_owned(), "secret".to_owned().into())),
            path_style: true,
            encryption: RemoteEncryption::Bucket,
            patience: Patience {
                retries: 3,
                attempt: Duration::from_secs(20),
                request: Duration::from_secs(60),
                pause: Duration::from_millis(5),
            },
        };
        RemoteBucket::new(settings, self.dir.path().to_owned()).unwrap()
    }
}
