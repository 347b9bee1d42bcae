//! What a push asks for, and what became of it.

use super::{
    packet::{Malformed, Packet, packet},
    reference::{ObjectId, RefUpdate, is_reference_name},
};

/// Bytes of the commands of a push, at most: some 8,000 references.
pub const MOST_COMMANDS_BYTES: usize = 1 << 20;

/// The beginning of a push: what comes before the objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushHead {
    /// The references, in the order of the push.
    pub updates: Vec<RefUpdate>,
    /// Whether the answer is in bands.
    pub has_side_band: bool,
    /// Whether the answer says what became of each reference.
    pub has_report: bool,
}

/// Reads the beginning of a push, with its length; `None` when it is not all there yet.
///
/// # Errors
/// [`Malformed`]: these are no commands, or one is of a form that this service has not offered.
pub fn push_head(bytes: &[u8]) -> Result<Option<(PushHead, usize)>, Malformed> {
    let (mut head, mut at) = (PushHead::default(), 0);
    loop {
        let Some((line, length)) = packet(bytes.get(at..).unwrap_or_default())? else { return Ok(None) };
        at += length;
        let data = match line {
            Packet::Data(data) => data,
            Packet::Flush => return Ok(Some((head, at))),
            Packet::Mark => return Err(Malformed),
        };
        if data.starts_with(b"shallow ") {
            continue;
        }
        let (command, capabilities) = match data.iter().position(|&byte| byte == 0) {
            Some(end) if head.updates.is_empty() => data.split_at(end),
            Some(_) => return Err(Malformed),
            None => (data, &[][..]),
        };
        for capability in capabilities.split(|byte| matches!(byte, 0 | b' ' | b'\n')) {
            match capability {
                b"side-band" | b"side-band-64k" => head.has_side_band = true,
                b"report-status" | b"report-status-v2" => head.has_report = true,
                _ => {}
            }
        }
        let command = std::str::from_utf8(command).map_err(|_| Malformed)?;
        head.updates.push(update(command.strip_suffix('\n').unwrap_or(command))?);
    }
}

/// `<old> <new> <name>`.
fn update(command: &str) -> Result<RefUpdate, Malformed> {
    let mut parts = command.splitn(3, ' ');
    let mut id = || -> Result<Option<ObjectId>, Malformed> {
        let text = parts.next().ok_or(Malformed)?;
        let id: ObjectId = text.parse()?;
        Ok((!text.bytes().all(|byte| byte == b'0')).then_some(id))
    };
    let (old, new) = (id()?, id()?);
    let name = parts.next().filter(|name| is_reference_name(name)).ok_or(Malformed)?;
    Ok(RefUpdate { name: name.to_owned(), old, new })
}

/// The names of the references that git took, by its answer to a push.
#[must_use]
pub fn taken(answer: &[u8], head: &PushHead) -> Vec<String> {
    let report = if head.has_side_band { lines(answer, |line| line.strip_prefix(&[1])) } else { vec![answer] }.concat();
    let names = lines(&report, |line| line.strip_prefix(b"ok "));
    names
        .into_iter()
        .filter_map(|name| Some(std::str::from_utf8(name).ok()?.trim_end_matches('\n').to_owned()))
        .collect()
}

/// What is wanted of each packet line, up to the first that is none.
fn lines(mut bytes: &[u8], wanted: impl Fn(&[u8]) -> Option<&[u8]>) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Ok(Some((line, length))) = packet(bytes) {
        if let Packet::Data(data) = line {
            found.extend(wanted(data));
        }
        bytes = bytes.get(length..).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const NONE: &str = "0000000000000000000000000000000000000000";

    fn line(text: &[u8]) -> Vec<u8> {
        [format!("{:04x}", text.len() + 4).as_bytes(), text].concat()
    }

    fn head(lines: &[&str]) -> Vec<u8> {
        let mut bytes: Vec<u8> = lines.iter().flat_map(|text| line(text.as_bytes())).collect();
        bytes.extend_from_slice(b"0000PACK");
        bytes
    }

    #[test]
    fn commands_are_read_up_to_the_objects() {
        let first = format!("{NONE} {A} refs/heads/main\0 report-status-v2 side-band-64k agent=git/2");
        let bytes = head(&[&first, &format!("{A} {NONE} refs/tags/v1\n")]);
        let (found, length) = push_head(&bytes).unwrap().unwrap();
        assert_eq!(bytes.get(length..).unwrap(), b"PACK");
        assert!(found.has_side_band && found.has_report);
        let id: ObjectId = A.parse().unwrap();
        assert_eq!(
            found.updates,
            [
                RefUpdate { name: "refs/heads/main".to_owned(), old: None, new: Some(id.clone()) },
                RefUpdate { name: "refs/tags/v1".to_owned(), old: Some(id), new: None },
            ]
        );
        for end in 0..length {
            assert_eq!(push_head(bytes.get(..end).unwrap()), Ok(None), "{end}");
        }
    }

    #[test]
    fn what_was_not_offered_is_refused() {
        for bad in [
            format!("{A} {A} ../../etc"),
            format!("{A} {A} HEAD"),
            format!("{A} {A} refs/heads/-\u{1}"),
            format!("{A} {A}"),
            format!("{A} x refs/heads/a"),
            "push-cert\0 report-status".to_owned(),
            String::new(),
        ] {
            assert_eq!(push_head(&head(&[&bad])), Err(Malformed), "{bad}");
        }
        let second = format!("{A} {A} refs/heads/a");
        assert_eq!(push_head(&head(&[&second, &format!("{second}\0x")])), Err(Malformed));
        assert_eq!(push_head(b"\xff\xfe\xfd\xfc"), Err(Malformed));
    }

    #[test]
    fn references_that_git_took() {
        let report: Vec<u8> = [
            line(b"unpack ok\n"),
            line(b"ok refs/heads/a\n"),
            line(b"option old-oid x\n"),
            line(b"ng refs/heads/b non-fast-forward\n"),
            line(b"ok refs/heads/c\n"),
            b"0000".to_vec(),
        ]
        .concat();
        let expected = ["refs/heads/a", "refs/heads/c"];
        assert_eq!(taken(&report, &PushHead::default()), expected);
        let (one, two) = report.split_at(17);
        let banded = [line(&[b"\x02", &b"remote: x"[..]].concat()), line(&[b"\x01", one].concat())].concat();
        let banded = [banded, line(&[b"\x01", two].concat()), b"0000".to_vec()].concat();
        let head = PushHead { has_side_band: true, ..PushHead::default() };
        assert_eq!(taken(&banded, &head), expected);
        assert!(taken(b"garbage", &head).is_empty());
    }
}
