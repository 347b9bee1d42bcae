//! Requests that somebody changed on the way: none may pass (fault test 23).

use super::{
    super::{date::amz_date, query},
    client::{Sent, now, permanent_key, temporary_key},
};
use crate::sigv4::Key;

/// Where a byte is changed.
#[derive(Debug, Clone, Copy)]
enum Part {
    Method,
    Path,
    Query,
    HeaderName,
    HeaderValue,
    Date,
    Scope,
    Body,
    Signature,
}

const PARTS: [Part; 9] = [
    Part::Method,
    Part::Path,
    Part::Query,
    Part::HeaderName,
    Part::HeaderValue,
    Part::Date,
    Part::Scope,
    Part::Body,
    Part::Signature,
];

/// Honest requests of every form.
fn honest() -> Vec<(Sent, Key)> {
    let mut upload = Sent::codebuild();
    upload.service = "kiln";
    upload.set("X-Amz-Target", "Kiln_20261122.UploadSource");
    upload.set("x-amz-content-sha256", &hex::encode(crate::sigv4::sha256(&upload.body)));
    let mut identity = Sent::codebuild();
    identity.service = "sts";
    identity.headers.retain(|(name, _)| name != "X-Amz-Target");
    identity.body = b"Action=GetCallerIdentity&Version=2011-06-15".to_vec();
    let mut path = Sent::codebuild();
    path.path = "/v1/a%2fb/c.d".to_owned();
    path.query = Some("b=2&a=%7Efoo+bar&empty=&flag".to_owned());
    let mut link = Sent::codebuild();
    link.query = Some("marker=1".to_owned());

    let mut requests = Vec::new();
    for key in [permanent_key(), temporary_key()] {
        for sent in [&upload, &identity, &Sent::codebuild(), &Sent::s3(), &path] {
            if sent.query.as_deref().is_none_or(|query| !query.contains('+')) {
                requests.push((sent.clone().signed(&key, now()), key.clone()));
            }
        }
        for sent in [&Sent::s3(), &link] {
            requests.push((sent.clone().presigned(&key, now(), 3600), key.clone()));
        }
    }
    requests
}

/// Changes one byte of the text to another printable one.
fn change(text: &str, random: &mut fastrand::Rng) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    let index = (!bytes.is_empty()).then(|| random.usize(0..bytes.len()))?;
    let old = bytes[index];
    // One bit, or any other character: both kinds of neighbours find different mistakes.
    bytes[index] = if random.bool() { old ^ (1 << random.u8(0..7)) } else { random.u8(0x20..0x7f) };
    (bytes[index] != old).then(|| String::from_utf8(bytes).ok()).flatten()
}

fn change_header(sent: &mut Sent, name: &str, random: &mut fastrand::Rng) -> Option<()> {
    let (_, value) = sent.headers.iter_mut().find(|(each, _)| each.eq_ignore_ascii_case(name))?;
    *value = change(std::str::from_utf8(value).ok()?, random)?.into_bytes();
    Some(())
}

/// Changes a byte of the text that follows `marker` in the header or the query and ends before one of `ends`.
fn change_field(text: &str, marker: &str, ends: &[char], random: &mut fastrand::Rng) -> Option<String> {
    let start = text.find(marker)? + marker.len();
    let end = text[start..].find(ends).map_or(text.len(), |length| start + length);
    Some(format!("{}{}{}", &text[..start], change(&text[start..end], random)?, &text[end..]))
}

/// `None` when the part does not exist or the change is none.
fn tamper(honest: &Sent, part: Part, random: &mut fastrand::Rng) -> Option<Sent> {
    let mut sent = honest.clone();
    let is_link = sent.query.as_deref().is_some_and(|query| query.contains("X-Amz-Signature"));
    match part {
        Part::Method => sent.method = change(&sent.method, random)?,
        Part::Path => sent.path = change(&sent.path, random)?,
        Part::Query => sent.query = Some(change(sent.query.as_deref()?, random)?),
        Part::HeaderName => {
            let index = random.usize(0..sent.headers.len());
            sent.headers[index].0 = change(&sent.headers[index].0, random)?;
        }
        Part::HeaderValue => {
            let name = sent.headers[random.usize(0..sent.headers.len())].0.clone();
            change_header(&mut sent, &name, random)?;
        }
        Part::Date if is_link => {
            sent.query = Some(change_field(sent.query.as_deref()?, "X-Amz-Date=", &['&'], random)?);
        }
        Part::Date => change_header(&mut sent, "x-amz-date", random)?,
        Part::Scope | Part::Signature => {
            let marker = if matches!(part, Part::Scope) { "Credential=" } else { "Signature=" };
            if is_link {
                sent.query = Some(change_field(sent.query.as_deref()?, &format!("X-Amz-{marker}"), &['&'], random)?);
            } else {
                let value = change_field(sent.get("authorization"), marker, &[','], random)?;
                sent.set("authorization", &value);
            }
        }
        Part::Body if sent.body.is_empty() => sent.body.push(random.u8(..)),
        // The body of a link to an object is not signed.
        Part::Body => {
            let index = random.usize(0..sent.body.len());
            sent.body[index] ^= random.u8(1..);
        }
    }
    Some(sent)
}

/// What a request says, in whichever of the spellings that HTTP and SigV4 hold for equal.
#[derive(PartialEq)]
struct Meaning {
    method: String,
    path: Option<Vec<u8>>,
    pairs: Vec<[Option<Vec<u8>>; 2]>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

fn meaning(sent: &Sent) -> Meaning {
    let mut pairs: Vec<_> =
        query::pairs(sent.query.as_deref()).map(|pair| [query::decode(pair.name), query::decode(pair.value)]).collect();
    pairs.sort();
    Meaning {
        method: sent.method.clone(),
        path: if sent.service == "s3" { query::decode(&sent.path) } else { Some(sent.path.clone().into_bytes()) },
        pairs,
        headers: sent.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect(),
        body: sent.body.clone(),
    }
}

#[test]
fn no_changed_request_passes() {
    let wanted = if std::env::var_os("KILN_SOAK").is_some_and(|value| value == "1") { 10_000 } else { 1_000 };
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let honest = honest();
    for (sent, key) in &honest {
        assert_eq!(sent.verify(Some(key), now()), Ok(()), "{sent:?}");
    }

    let mut tried = 0;
    while tried < wanted {
        let (sent, key) = &honest[random.usize(0..honest.len())];
        let part = PARTS[random.usize(0..PARTS.len())];
        let Some(changed) = tamper(sent, part, &mut random) else { continue };
        let body_is_free = sent.service == "s3" && matches!(part, Part::Body);
        if meaning(&changed) == meaning(sent)
            || body_is_free && sent.query.as_deref().is_some_and(|q| q.contains("X-Amz-"))
        {
            continue;
        }
        assert!(changed.verify(Some(key), now()).is_err(), "seed {seed}, {part:?}: {changed:?} passes for {sent:?}");
        tried += 1;
    }
}

/// A signature is good for the time it was made at, whichever way the request tells the time.
#[test]
fn a_request_cannot_be_moved_in_time() {
    let key = permanent_key();
    let mut sent = Sent::codebuild().signed(&key, now());
    let later = now() + time::Duration::minutes(20);
    sent.set("x-amz-date", &amz_date(later));
    assert!(sent.verify(Some(&key), later).is_err());
    let mut sent = Sent::codebuild().signed(&key, now());
    sent.add("Date", &amz_date(later));
    assert!(matches!(sent.verify(Some(&key), later), Err(crate::AuthError::Expired { .. })));
}
