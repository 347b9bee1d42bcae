//! Packet lines: four hexadecimal digits for the length, themselves included, then the bytes.

/// A packet line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Bytes.
    Data(&'a [u8]),
    /// `0000`: the end of a section.
    Flush,
    /// `0001` and `0002` of protocol version 2.
    Mark,
}

/// What is no packet line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these are not git's packet lines")]
pub struct Malformed;

/// The first packet line of some bytes, and how many bytes it takes; `None` when it is not all there yet.
///
/// # Errors
/// [`Malformed`].
pub fn packet(bytes: &[u8]) -> Result<Option<(Packet<'_>, usize)>, Malformed> {
    let Some((head, rest)) = bytes.split_at_checked(4) else { return Ok(None) };
    let mut length = 0;
    for &digit in head {
        let digit = char::from(digit).to_digit(16).ok_or(Malformed)?;
        length = length * 16 + digit as usize;
    }
    match length {
        0 => Ok(Some((Packet::Flush, 4))),
        1 | 2 => Ok(Some((Packet::Mark, 4))),
        3 => Err(Malformed),
        length => Ok(rest.get(..length - 4).map(|data| (Packet::Data(data), length))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_one_by_one() {
        assert_eq!(packet(b"0009hello0000"), Ok(Some((Packet::Data(b"hello"), 9))));
        assert_eq!(packet(b"0000rest"), Ok(Some((Packet::Flush, 4))));
        assert_eq!(packet(b"0001"), Ok(Some((Packet::Mark, 4))));
        assert_eq!(packet(b"0004"), Ok(Some((Packet::Data(b""), 4))));
        for part in [&b""[..], b"000", b"0009hell"] {
            assert_eq!(packet(part), Ok(None));
        }
        for bad in [&b"0003"[..], b"-001", b"000g", b"\xff\xff\xff\xff"] {
            assert_eq!(packet(bad), Err(Malformed));
        }
    }
}
