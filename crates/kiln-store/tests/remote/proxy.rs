//! A proxy in front of a server, which does wrong what it is told to.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 503, with or without a time to come back after.
    Busy { retry_after: bool },
    /// The connection is closed before there is an answer; the server got the request.
    NoAnswer,
    /// The connection is closed within the body of the answer.
    Cut,
    /// The answer says that it is shorter than it should be.
    Short,
    /// The head of the answer, then nothing until the client goes away.
    Hang,
    /// The answer has another ETag.
    OtherEtag,
    /// A byte of the answer's body is another one.
    Flip,
}

/// The next `times` requests of this method and with this text in their target meet the fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) method: &'static str,
    pub(crate) target: &'static str,
    pub(crate) fault: Fault,
    pub(crate) times: usize,
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    plan: Arc<Mutex<Option<Plan>>>,
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Proxy {
    pub(crate) fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (plan, over) = (Arc::new(Mutex::new(None)), Arc::new(AtomicBool::new(false)));
        let (plans, ended) = (Arc::clone(&plan), Arc::clone(&over));
        let accept = move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let plan = Arc::clone(&plans);
                thread::spawn(move || {
                    // A client that is gone is what some of the faults are about.
                    pass(&stream, server, &plan).ok();
                });
            }
        };
        Self { address, plan, over, thread: Some(thread::spawn(accept)) }
    }

    pub(crate) fn plan(&self, plan: Plan) {
        *self.plan.lock().unwrap() = Some(plan);
    }

    /// How often the fault did not happen yet.
    pub(crate) fn left(&self) -> usize {
        self.plan.lock().unwrap().map_or(0, |plan| plan.times)
    }
}

/// One request and its answer; then the connection is closed.
fn pass(client: &TcpStream, server: SocketAddr, plan: &Mutex<Option<Plan>>) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    let (head, body) = message(&mut reader, true)?;
    let is_head = head.starts_with("HEAD ");
    let fault = plan.lock().unwrap().as_mut().and_then(|plan| {
        let mut words = head.split(' ');
        let fits = words.next() == Some(plan.method) && words.next().is_some_and(|target| target.contains(plan.target));
        (fits && plan.times > 0).then(|| {
            plan.times -= 1;
            plan.fault
        })
    });
    let mut client = client;
    if let Some(Fault::Busy { retry_after }) = fault {
        let more = if retry_after { "Retry-After: 0\r\n" } else { "" };
        return write!(
            client,
            "HTTP/1.1 503 Service Unavailable\r\n{more}Content-Length: 44\r\nConnection: close\r\n\r\n\
             <Error><Code>SlowDown</Code></Error>        "
        );
    }
    let mut upstream = TcpStream::connect(server)?;
    let closing = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    upstream.write_all(closing.as_bytes())?;
    upstream.write_all(&body)?;
    let (mut head, mut body) = message(&mut BufReader::new(&upstream), !is_head)?;
    match fault {
        Some(Fault::NoAnswer) => return Ok(()),
        Some(Fault::Short) => {
            body.truncate(body.len() / 2);
            head = with(&head, "content-length", &body.len().to_string());
        }
        Some(Fault::OtherEtag) => head = with(&head, "etag", "\"00000000000000000000000000000000\""),
        Some(Fault::Flip) => {
            let middle = body.len() / 2;
            body[middle] ^= 1;
        }
        _ => {}
    }
    client.write_all(head.as_bytes())?;
    match fault {
        Some(Fault::Cut) => client.write_all(&body[..body.len() / 2]),
        Some(Fault::Hang) => reader.read_to_end(&mut Vec::new()).map(drop),
        _ => client.write_all(&body),
    }
}

/// A head, and the body that it announces if there is to be one: servers do not always close.
pub(crate) fn message(reader: &mut BufReader<&TcpStream>, has_body: bool) -> io::Result<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let length = header(&head, "content-length").filter(|_| has_body).and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, v)| v.trim())
}

fn with(head: &str, name: &str, value: &str) -> String {
    let line = |line: &str| match line.split_once(':') {
        Some((n, _)) if n.eq_ignore_ascii_case(name) => format!("{n}: {value}"),
        _ => line.to_owned(),
    };
    head.lines().map(|l| line(l) + "\r\n").collect()
}
