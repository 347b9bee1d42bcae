//! DNS messages (RFC 1035), as far as a relay must understand them: the header and one question. Records pass as they
//! are.

/// Size of the header.
const HEADER: usize = 12;
/// Longest name, with its length bytes (RFC 1035 2.3.4).
const MAX_NAME: usize = 255;

/// Answer codes (RFC 1035 4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    FormatError = 1,
    ServerFailure = 2,
    NotImplemented = 4,
    Refused = 5,
}

/// What to do with a message that a build sent, if not to ask a resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// No answer: it is no query, and an answer to it could start a loop.
    Ignore,
    /// Answer with this code.
    Answer(Code),
}

/// Checks a message that a build sent. The result is the length of header and question.
///
/// Asked on are plain queries for names of class IN. Zone transfers are not: the host's resolvers may give this
/// machine what they would not give its builds.
pub(super) fn check_query(message: &[u8]) -> Result<usize, Unfit> {
    const CLASS_IN: u16 = 1;
    const TRANSFERS: [u16; 2] = [251, 252]; // IXFR, AXFR
    let header = message.first_chunk::<HEADER>().ok_or(Unfit::Ignore)?;
    let [_, _, flags, _, q0, q1, a0, a1, n0, n1, ..] = *header;
    if flags & 0x80 != 0 {
        return Err(Unfit::Ignore); // an answer
    }
    if flags & 0x78 != 0 {
        return Err(Unfit::Answer(Code::NotImplemented)); // no QUERY, but UPDATE or NOTIFY
    }
    if [q0, q1, a0, a1, n0, n1] != [0, 1, 0, 0, 0, 0] {
        return Err(Unfit::Answer(Code::FormatError));
    }
    let question = question(message).ok_or(Unfit::Answer(Code::FormatError))?;
    if question.class != CLASS_IN || TRANSFERS.contains(&question.kind) {
        return Err(Unfit::Answer(Code::Refused));
    }
    Ok(question.end)
}

/// Whether `answer` is an answer to `query`, which [`check_query`] accepted: same number and same question.
pub(super) fn answers(query: &[u8], answer: &[u8]) -> bool {
    let (Some(asked), Some(flags)) = (question(query), answer.get(2)) else { return false };
    if query.get(..2) != answer.get(..2) || flags & 0x80 == 0 {
        return false;
    }
    match question(answer) {
        Some(given) => {
            let name = |message: &'_ [u8], end: usize| message.get(HEADER..end).map(<[u8]>::to_ascii_lowercase);
            name(query, asked.end) == name(answer, given.end)
        }
        // Some servers leave the question out of an error.
        None => answer.get(4..6) == Some(&[0, 0]) && answer.get(3).is_some_and(|flags| flags & 0x0f != 0),
    }
}

/// An answer to `query` that says only `code`. Without a readable question it is a header alone.
pub(super) fn error_answer(query: &[u8], code: Code) -> Option<Vec<u8>> {
    let header = query.first_chunk::<HEADER>()?;
    let question = question(query);
    let mut answer = query.get(..question.as_ref().map_or(HEADER, |q| q.end))?.to_vec();
    let counts = [0, u8::from(question.is_some()), 0, 0, 0, 0, 0, 0];
    // An answer, with the query's opcode and "recursion desired"; recursion is available.
    let flags = [0x80 | (header[2] & 0x79), 0x80 | code as u8];
    for (slot, byte) in answer.iter_mut().skip(2).zip(flags.into_iter().chain(counts)) {
        *slot = byte;
    }
    Some(answer)
}

/// The first question of a message.
struct Question {
    kind: u16,
    class: u16,
    /// Where it ends in the message.
    end: usize,
}

fn question(message: &[u8]) -> Option<Question> {
    let count = u16::from_be_bytes(*message.get(4..)?.first_chunk()?);
    if count == 0 {
        return None;
    }
    let mut at = HEADER;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        // Compression makes no sense in the first name of a message, and other label types are history.
        if length > 63 {
            return None;
        }
        at += length;
        if at + 1 - HEADER > MAX_NAME {
            return None;
        }
    }
    let [k0, k1, c0, c1] = *message.get(at..)?.first_chunk()?;
    Some(Question { kind: u16::from_be_bytes([k0, k1]), class: u16::from_be_bytes([c0, c1]), end: at + 4 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(name: &[&[u8]], kind: u16, class: u16) -> Vec<u8> {
        let mut message = vec![0xab, 0xcd, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name {
            message.push(u8::try_from(label.len()).unwrap());
            message.extend_from_slice(label);
        }
        message.push(0);
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&class.to_be_bytes());
        message
    }

    #[test]
    fn only_plain_queries_are_asked_on() {
        let plain = query(&[b"example", b"org"], 1, 1);
        assert_eq!(check_query(&plain), Ok(plain.len()));
        let mut with_options = plain.clone();
        with_options[11] = 1;
        with_options.extend_from_slice(&[0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(check_query(&with_options), Ok(plain.len()));
        assert_eq!(check_query(&query(&[], 2, 1)), Ok(17));

        let answer = |code| Err(Unfit::Answer(code));
        assert_eq!(check_query(&plain[..11]), Err(Unfit::Ignore));
        let changed = |at: usize, value: u8| {
            let mut message = plain.clone();
            message[at] = value;
            check_query(&message)
        };
        assert_eq!(changed(2, 0x81), Err(Unfit::Ignore));
        assert_eq!(changed(2, 0x28), answer(Code::NotImplemented));
        assert_eq!(changed(5, 2), answer(Code::FormatError));
        assert_eq!(changed(5, 0), answer(Code::FormatError));
        assert_eq!(changed(7, 1), answer(Code::FormatError));
        assert_eq!(changed(12, 0xc0), answer(Code::FormatError));
        assert_eq!(check_query(&plain[..plain.len() - 1]), answer(Code::FormatError));
        assert_eq!(check_query(&query(&[b"org"], 252, 1)), answer(Code::Refused));
        assert_eq!(check_query(&query(&[b"version", b"bind"], 16, 3)), answer(Code::Refused));
        assert_eq!(check_query(&query(&[&[b'a'; 63][..]; 4], 1, 1)), answer(Code::FormatError));
        assert!(check_query(&query(&[&[b'a'; 63], &[b'a'; 63], &[b'a'; 63], &[b'a'; 61]], 1, 1)).is_ok());
    }

    #[test]
    fn answers_must_fit_their_query() {
        let asked = query(&[b"example", b"org"], 1, 1);
        let mut good = query(&[b"EXAMPLE", b"org"], 1, 1);
        good[2] |= 0x80;
        good.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1]);
        assert!(answers(&asked, &good));
        assert!(!answers(&asked, &asked), "a query is no answer");
        for at in [0, 1, 14, asked.len() - 3] {
            let mut wrong = good.clone();
            wrong[at] ^= 1;
            assert!(!answers(&asked, &wrong), "byte {at}");
        }
        assert!(answers(&asked, &error_answer(&asked, Code::ServerFailure).unwrap()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_and_answered_within_bounds(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            other in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            if let Ok(end) = check_query(&bytes) {
                prop_assert!(end <= bytes.len() && end > HEADER);
                prop_assert!(answers(&bytes, &error_answer(&bytes, Code::Refused).unwrap()));
            }
            prop_assert!(!answers(&bytes, &other) || bytes[..2] == other[..2]);
            if let Some(answer) = error_answer(&bytes, Code::FormatError) {
                prop_assert!(answer.len() <= bytes.len());
                prop_assert_eq!(&answer[..2], &bytes[..2]);
                prop_assert_eq!(check_query(&answer), Err(Unfit::Ignore), "an answer must not be answered");
            }
        }

        #[test]
        fn names_of_any_legal_form_pass(
            labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..=63), 0..4),
            kind in 1u16..251,
        ) {
            let labels: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
            let message = query(&labels, kind, 1);
            prop_assert_eq!(check_query(&message), Ok(message.len()));
        }
    }
}
