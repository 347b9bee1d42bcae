//! Frames that wait to be written to a socket.

use std::os::fd::AsFd;

use kiln_wire::{
    agent::{self, EncodeError, kind},
    frame,
};
use rustix::{io::Errno, net::SendFlags};

/// Bytes before the output in an output frame: header and command number.
const OUTPUT_HEAD: usize = frame::HEADER + 4;

/// Whole frames on their way into a stream socket, written without ever waiting for the peer.
///
/// Nothing limits what is put in; producers ask [`Outbox::pending`] and stop when it is too much, so that a peer that
/// reads slowly slows the producers down and memory stays flat.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Outbox {
    /// Bytes that were not written yet.
    pub(crate) fn pending(&self) -> usize {
        self.end - self.start
    }

    /// Appends a message.
    pub(crate) fn message<T: serde::Serialize>(&mut self, kind: u8, message: &T) -> Result<(), EncodeError> {
        let mut frame = Vec::new();
        agent::encode(kind, message, &mut frame)?;
        self.space(frame.len()).copy_from_slice(&frame);
        self.end += frame.len();
        Ok(())
    }

    /// Appends a frame of up to `limit` bytes that `fill` writes; `fill` answers how many it wrote. No frame when it
    /// wrote none.
    pub(crate) fn fill<E>(
        &mut self,
        kind: u8,
        limit: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let space = self.space(frame::HEADER + limit);
        let (head, body) = space.split_at_mut(frame::HEADER);
        let filled = fill(body)?.min(limit);
        if filled > 0 {
            head.copy_from_slice(&frame::header(kind, filled));
            self.end += frame::HEADER + filled;
        }
        Ok(filled)
    }

    /// Appends an output frame of up to `limit` bytes that `fill` writes, as [`Outbox::fill`] does.
    pub(crate) fn fill_output<E>(
        &mut self,
        command: u32,
        limit: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let space = self.space(OUTPUT_HEAD + limit);
        let (head, body) = space.split_at_mut(OUTPUT_HEAD);
        let filled = fill(body)?.min(limit);
        if filled > 0 {
            let (header, number) = head.split_at_mut(frame::HEADER);
            header.copy_from_slice(&frame::header(kind::OUTPUT, filled + 4));
            number.copy_from_slice(&command.to_le_bytes());
            self.end += OUTPUT_HEAD + filled;
        }
        Ok(filled)
    }

    /// Appends a text as output of a command.
    pub(crate) fn output_text(&mut self, command: u32, text: &str) {
        for part in text.as_bytes().chunks(1 << 20) {
            let filled: Result<usize, std::convert::Infallible> = self.fill_output(command, part.len(), |space| {
                space.copy_from_slice(part);
                Ok(part.len())
            });
            match filled {
                Ok(_) => {}
            }
        }
    }

    /// Appends a frame without payload.
    pub(crate) fn empty(&mut self, kind: u8) {
        self.space(frame::HEADER).copy_from_slice(&frame::header(kind, 0));
        self.end += frame::HEADER;
    }

    /// Writes what the socket takes now.
    ///
    /// # Errors
    /// When the peer is gone.
    pub(crate) fn flush(&mut self, socket: impl AsFd) -> Result<(), Errno> {
        while let Some(rest) = self.bytes.get(self.start..self.end).filter(|rest| !rest.is_empty()) {
            match rustix::net::send(&socket, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => self.start += sent,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        Ok(())
    }

    /// Exactly `length` bytes behind the last frame.
    fn space(&mut self, length: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < length && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.bytes.len() - self.end < length {
            self.bytes.resize(self.end + length, 0);
        }
        &mut self.bytes[self.end..self.end + length]
    }
}

#[cfg(test)]
mod tests {
    use kiln_wire::{
        agent::{FromAgent, decode, decode_output},
        frame::FrameBuffer,
    };
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[test]
    fn frames_arrive_in_order_through_a_socket_that_is_full_at_times() {
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        let mut outbox = Outbox::default();
        let mut received = FrameBuffer::new();
        let mut seen = Vec::new();
        for round in 0..200u32 {
            outbox.message(kind::MESSAGE, &FromAgent::Done { id: round }).unwrap();
            outbox
                .fill_output::<()>(round, 100_000, |space| {
                    space.fill(u8::try_from(round).unwrap());
                    Ok(100_000 - round as usize)
                })
                .unwrap();
            outbox.flush(&near).unwrap();
            while outbox.pending() > 0 {
                let mut buffer = vec![0; 70_000];
                let (n, _) = rustix::net::recv(&far, &mut buffer, rustix::net::RecvFlags::empty()).unwrap();
                received.push(&buffer[..n]);
                outbox.flush(&near).unwrap();
            }
        }
        drop(near);
        let mut buffer = vec![0; 70_000];
        loop {
            while let Some(frame) = received.next_frame().unwrap() {
                if frame.kind == kind::MESSAGE {
                    seen.push(decode::<FromAgent>(&frame).unwrap().id().unwrap());
                } else {
                    let (id, bytes) = decode_output(&frame).unwrap();
                    assert_eq!(bytes.len(), 100_000 - id as usize);
                    assert!(bytes.iter().all(|&byte| u32::from(byte) == id));
                }
            }
            let (n, _) = rustix::net::recv(&far, &mut buffer, rustix::net::RecvFlags::empty()).unwrap();
            if n == 0 {
                break;
            }
            received.push(&buffer[..n]);
        }
        assert_eq!(seen, (0..200).collect::<Vec<_>>());
        assert_eq!(received.pending(), 0);
    }

    #[test]
    fn nothing_filled_is_no_frame() {
        let mut outbox = Outbox::default();
        outbox.fill_output::<()>(1, 1000, |_| Ok(0)).unwrap();
        outbox.fill::<()>(kind::CONTENT, 1000, |_| Err(())).unwrap_err();
        assert_eq!(outbox.pending(), 0);
    }
}
