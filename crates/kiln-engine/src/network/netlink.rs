//! Netlink messages and sockets, as far as links, addresses, routes and nf_tables need them (linux/netlink.h,
//! linux/rtnetlink.h, linux/netfilter/nfnetlink.h).
//!
//! The kernel handles a request before `send` returns, so that every answer is already queued then: nothing here
//! waits for another process. Calling `ip` and `nft` instead would cost two process starts for each build.

use std::{
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SocketAddrNetlink},
};

/// `NLM_F_REQUEST`.
const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`: answer success as well.
const ACK: u16 = 0x4;
/// `NLM_F_EXCL`: fail if the object exists.
pub(crate) const EXCL: u16 = 0x200;
/// `NLM_F_CREATE`: create the object.
pub(crate) const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`: add at the end of the list.
pub(crate) const APPEND: u16 = 0x800;
/// `NLM_F_DUMP`: all objects.
pub(crate) const DUMP: u16 = 0x300;

/// `NLMSG_ERROR`, also the positive answer.
const MESSAGE_ERROR: u16 = 2;
/// `NLMSG_DONE`.
const MESSAGE_DONE: u16 = 3;
/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;
/// Size of `struct nlmsghdr`.
const HEADER: usize = 16;
/// What one `recv` may bring: the kernel never makes a larger part of a dump.
const RECEIVE_BYTES: usize = 64 * 1024;
/// Bound on all the parts of one dump together.
const DUMP_BYTES: usize = 32 * 1024 * 1024;

/// One request under construction.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// A request of type `kind`; `header` is the family's own header (`ifinfomsg`, `nfgenmsg`, …).
    pub(crate) fn new(kind: u16, flags: u16, header: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&0u32.to_ne_bytes()); // length, set when sent
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&0u32.to_ne_bytes()); // sequence, set when sent
        bytes.extend_from_slice(&0u32.to_ne_bytes()); // port: the kernel fills in the sender's
        let mut this = Self { bytes };
        this.raw(header);
        this
    }

    /// Bytes without an attribute header, padded.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.pad();
    }

    /// An attribute.
    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value);
        self.close(start);
    }

    /// An attribute that holds a NUL-terminated string.
    pub(crate) fn string(&mut self, kind: u16, value: &str) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.close(start);
    }

    /// A big-endian 32-bit attribute, as nf_tables wants them.
    pub(crate) fn be32(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// An attribute that holds attributes.
    pub(crate) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.open(kind | NESTED);
        fill(self);
        self.close(start);
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&0u16.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) {
        // An attribute's length has 16 bits. Nothing that Kiln sends comes near (sets are sent in parts), and a
        // saturated length makes the kernel refuse the message instead of reading another one.
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.pad();
    }

    fn pad(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }

    /// The bytes after the message header: what the request says, apart from its number.
    #[cfg(test)]
    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[HEADER..]
    }

    fn finish(&self, sequence: u32, flags: u16, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        out[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        let flags = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) | flags;
        out[start + 6..start + 8].copy_from_slice(&flags.to_ne_bytes());
        out[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
    }
}

/// A refused request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{errno}")]
pub(crate) struct Refused {
    /// Which of the requests of one [`Socket::transact`], from 0.
    pub(crate) index: usize,
    /// Why.
    pub(crate) errno: Errno,
}

/// A netlink socket in the network namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Socket {
    /// Links, addresses, routes.
    pub(crate) fn route() -> Result<Self, Errno> {
        Self::open(None, 0)
    }

    /// nf_tables.
    pub(crate) fn netfilter() -> Result<Self, Errno> {
        Self::open(Some(rustix::net::netlink::NETFILTER), 0)
    }

    /// A socket that becomes readable whenever someone changes nf_tables.
    pub(crate) fn netfilter_changes() -> Result<Self, Errno> {
        const NFNLGRP_NFTABLES: u32 = 7;
        Self::open(Some(rustix::net::netlink::NETFILTER), 1 << (NFNLGRP_NFTABLES - 1))
    }

    fn open(protocol: Option<rustix::net::Protocol>, groups: u32) -> Result<Self, Errno> {
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, groups))?;
        Ok(Self { fd, sequence: 0 })
    }

    /// Sends `requests` in one system call; the kernel handles them in order, and does not stop at one that it
    /// refuses.
    ///
    /// # Errors
    /// The first refusal.
    pub(crate) fn transact(&mut self, requests: &[Request]) -> Result<(), Refused> {
        self.send(requests, requests.len().saturating_sub(1))
    }

    /// Sends an nf_tables batch, of which the kernel does all or nothing. The first and the last request bound it.
    ///
    /// # Errors
    /// The first refusal.
    pub(crate) fn commit(&mut self, batch: &[Request]) -> Result<(), Refused> {
        // Kernels differ in whether they answer the bounds themselves.
        self.send(batch, batch.len().saturating_sub(2))
    }

    /// Errors are always answered. One positive answer, to request `acknowledged`, shows that all were handled.
    fn send(&mut self, requests: &[Request], acknowledged: usize) -> Result<(), Refused> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::with_capacity(requests.iter().map(|r| r.bytes.len()).sum());
        for (index, request) in requests.iter().enumerate() {
            self.sequence = self.sequence.wrapping_add(1);
            request.finish(self.sequence, if index == acknowledged { ACK } else { 0 }, &mut bytes);
        }
        let whole = |errno| Refused { index: 0, errno };
        rustix::net::send(&self.fd, &bytes, SendFlags::empty()).map_err(whole)?;
        let mut refused: Option<Refused> = None;
        let mut handled = false;
        let mut buffer = vec![MaybeUninit::uninit(); RECEIVE_BYTES];
        loop {
            let part = match rustix::net::recv(&self.fd, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok(((part, _), _)) => part,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(whole(errno)),
            };
            for message in Messages(part) {
                let index = message.sequence.wrapping_sub(first) as usize;
                if message.kind != MESSAGE_ERROR || index >= requests.len() {
                    continue;
                }
                match message.error() {
                    None => handled |= index == acknowledged,
                    Some(errno) if refused.is_none_or(|r| index < r.index) => refused = Some(Refused { index, errno }),
                    Some(_) => {}
                }
            }
        }
        match refused {
            Some(refused) => Err(refused),
            None if handled || requests.is_empty() => Ok(()),
            None => Err(whole(Errno::PROTO)),
        }
    }

    /// Sends `request` and collects the bodies of the answers: one, or all of a dump.
    pub(crate) fn query(&mut self, request: &Request) -> Result<Vec<Vec<u8>>, Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut bytes = Vec::with_capacity(request.bytes.len());
        // A single get is answered by the object and then by the acknowledgement, a dump by objects and DONE.
        let dump = u16::from_ne_bytes([request.bytes[6], request.bytes[7]]) & DUMP == DUMP;
        request.finish(self.sequence, if dump { 0 } else { ACK }, &mut bytes);
        rustix::net::send(&self.fd, &bytes, SendFlags::empty())?;
        let mut buffer = vec![MaybeUninit::uninit(); RECEIVE_BYTES];
        let mut answers = Vec::new();
        let mut total = 0usize;
        loop {
            let part = match rustix::net::recv(&self.fd, &mut buffer[..], RecvFlags::empty()) {
                Ok(((part, _), _)) => part,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            };
            total = total.saturating_add(part.len());
            if total > DUMP_BYTES {
                return Err(Errno::MSGSIZE);
            }
            for message in Messages(part) {
                if message.sequence != self.sequence {
                    continue;
                }
                match message.kind {
                    MESSAGE_DONE => return Ok(answers),
                    MESSAGE_ERROR => return message.error().map_or(Ok(answers), Err),
                    _ => answers.push(message.body.to_vec()),
                }
            }
        }
    }

    /// Throws away what has arrived.
    pub(crate) fn drain(&self) {
        let mut buffer = vec![MaybeUninit::uninit(); RECEIVE_BYTES];
        loop {
            match rustix::net::recv(&self.fd, &mut buffer[..], RecvFlags::DONTWAIT) {
                // ENOBUFS: changes came faster than they were read; what they were does not matter here.
                Ok(_) | Err(Errno::INTR | Errno::NOBUFS) => {}
                Err(_) => return,
            }
        }
    }
}

struct Message<'a> {
    kind: u16,
    sequence: u32,
    body: &'a [u8],
}

impl Message<'_> {
    /// Of an error message: the error, or `None` for an acknowledgement.
    fn error(&self) -> Option<Errno> {
        let code = self.body.first_chunk::<4>().map_or(0, |b| i32::from_ne_bytes(*b));
        (code != 0).then(|| Errno::from_raw_os_error(code.saturating_neg()))
    }
}

/// Splits what one `recv` brought.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let header = self.0.first_chunk::<HEADER>()?;
        let [l0, l1, l2, l3, k0, k1, _, _, s0, s1, s2, s3, ..] = *header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let body = self.0.get(HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(Message { kind: u16::from_ne_bytes([k0, k1]), sequence: u32::from_ne_bytes([s0, s1, s2, s3]), body })
    }
}

/// Iterates over the attributes in `bytes` as (type without flags, value).
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [l0, l1, k0, k1] = *bytes.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((u16::from_ne_bytes([k0, k1]) & 0x3fff, value))
    })
}

/// The value of the first attribute of type `kind`.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(k, _)| *k == kind).map(|(_, value)| value)
}

/// A NUL-terminated string attribute.
pub(crate) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.split(|b| *b == 0).next().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn attributes_are_read_back_as_they_were_written() {
        let mut request = Request::new(1, 0, &[7; 4]);
        request.string(3, "eth0");
        request.nested(18, |r| r.be32(1, 9));
        let body = request.body();
        assert_eq!(&body[..4], &[7; 4]);
        let found: Vec<_> = attributes(&body[4..]).collect();
        assert_eq!(found[0], (3, &b"eth0\0"[..]));
        assert_eq!(attribute(found[1].1, 1), Some(&9u32.to_be_bytes()[..]));
        assert_eq!(text(found[0].1), "eth0");
    }

    proptest! {
        #[test]
        fn no_bytes_from_a_socket_make_the_readers_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let parts: usize = Messages(&bytes).map(|m| m.body.len() + usize::from(m.error().is_some())).sum();
            let values: usize = attributes(&bytes).map(|(_, v)| v.len()).sum();
            prop_assert!(parts <= 2 * bytes.len() && values <= bytes.len());
        }
    }
}
