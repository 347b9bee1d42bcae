//! The signing suite of AWS's common runtime, as the package `aws-sigv4` ships it.
//!
//! Read at test time from where cargo unpacked the package.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::super::{
    canonical::{PathRule, canonical_request},
    date::parse_amz_date,
    key,
};
use crate::{
    AuthError,
    sigv4::{Body, Claim, Expected, Key, Request, SecretKey, Session, sha256},
};

/// The directory of the suite; `None` where cargo has no package to look in.
fn suite() -> Option<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        // Not offline: cargo wants packages of other platforms too, which nobody has unpacked.
        .args(["metadata", "--format-version", "1", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .ok()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let package = metadata["packages"].as_array()?.iter().find(|package| package["name"] == "aws-sigv4")?;
    let directory = Path::new(package["manifest_path"].as_str()?).parent()?.join("aws-signing-test-suite/v4");
    directory.is_dir().then_some(directory)
}

/// A request of the suite's text files.
struct Parsed {
    method: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    body: String,
}

impl Parsed {
    fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap();
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let line = lines.next().unwrap();
        // Two cases have a raw blank in the path, which only this reader lets through.
        let (method, target) = line.split_once(' ').unwrap();
        let target = target.strip_suffix(" HTTP/1.1").unwrap_or(target);
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.starts_with(' ') {
                headers.last_mut().unwrap().1.push_str(line);
            } else {
                let (name, value) = line.split_once(':').unwrap();
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        Self { method: method.to_owned(), path: path.to_owned(), query, headers, body: body.to_owned() }
    }

    fn with_request<T>(&self, act: impl FnOnce(&Request<'_>) -> T) -> T {
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        act(&Request { method: &self.method, path: &self.path, query: self.query.as_deref(), headers: &headers })
    }
}

struct Context {
    key: Key,
    now: OffsetDateTime,
    is_normalised: bool,
    region: String,
    service: String,
}

impl Context {
    fn read(directory: &Path) -> Option<Self> {
        let context: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(directory.join("context.json")).ok()?).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let now = parse_amz_date(&text(&context["timestamp"]).replace(['-', ':'], "")).unwrap();
        let credentials = &context["credentials"];
        let session = credentials["token"]
            .as_str()
            .map(|token| Session { token: Zeroizing::new(token.to_owned()), expires: now + Duration::HOUR });
        Some(Self {
            key: Key { secret: SecretKey::new(text(&credentials["secret_access_key"])), session },
            now,
            is_normalised: context["normalize"].as_bool().unwrap(),
            region: text(&context["region"]),
            service: text(&context["service"]),
        })
    }
}

fn verify(context: &Context, sent: &Parsed, expected_canonical: &str, name: &str) {
    sent.with_request(|request| {
        let claim = Claim::parse(request).unwrap();
        let hash = sha256(sent.body.as_bytes());
        let payload = hex::encode(hash);
        let rule = if context.is_normalised { PathRule::Normalised } else { PathRule::Verbatim };
        let canonical_for = |token_is_signed: bool| {
            let is_signed = |pair: super::super::query::Pair<'_>| {
                pair.name != "X-Amz-Signature" && (token_is_signed || pair.name != "X-Amz-Security-Token")
            };
            let canonical = canonical_request(request, rule, is_signed, &claim.signed_headers, &payload).unwrap();
            String::from_utf8(canonical).unwrap()
        };
        let canonical = [true, false].map(canonical_for);
        let found = canonical.iter().find(|canonical| *canonical == expected_canonical);
        let found = found.unwrap_or_else(|| panic!("{name}:\n{}\nexpected:\n{expected_canonical}", canonical[0]));
        let signature = key::signature(&context.key.secret, &claim.scope, &claim.date_text(), found.as_bytes());
        assert_eq!(signature, claim.signature, "{name}: signature");

        let expected = Expected { regions: &[&context.region], service: &context.service };
        let checked = claim.check(request, &expected, context.now);
        if name == "post-sts-header-after" && !claim.is_presigned() {
            // Right as a signature, and refused all the same: Kiln reads no `x-amz-` header that is not signed.
            assert_eq!(checked, Err(AuthError::Unsigned { header: "x-amz-security-token".to_owned() }));
        } else {
            checked.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        if context.is_normalised {
            let verified = claim.verify(request, Some(&context.key), context.now, Body::Hash(hash));
            verified.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    });
}

#[test]
fn every_case_of_the_signing_suite() {
    let Some(suite) = suite() else {
        println!("skipped: the package aws-sigv4 with its signing suite is not unpacked on this machine");
        return;
    };
    let mut cases = 0;
    for entry in fs::read_dir(suite).unwrap() {
        let directory = entry.unwrap().path();
        let name = directory.file_name().unwrap().to_str().unwrap().to_owned();
        let canonical = |file: &str| fs::read_to_string(directory.join(file)).unwrap();
        let Some(context) = Context::read(&directory) else {
            // Two cases without context or secret: only the escaping of their path is to be seen.
            let sent = Parsed::read(&directory.join("request.txt"));
            let found = sent
                .with_request(|request| canonical_request(request, PathRule::Normalised, |_| true, &[], "").unwrap());
            let path = |text: &str| text.lines().nth(1).unwrap().to_owned();
            assert_eq!(path(std::str::from_utf8(&found).unwrap()), path(&canonical("header-canonical-request.txt")));
            continue;
        };
        for form in ["header", "query"] {
            let sent = Parsed::read(&directory.join(format!("{form}-signed-request.txt")));
            verify(&context, &sent, &canonical(&format!("{form}-canonical-request.txt")), &name);
            cases += 1;
        }
    }
    assert_eq!(cases, 76, "38 header cases and 38 presigned ones");
}
