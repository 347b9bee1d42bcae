//! Prints what authentication and authorisation of a call cost: `cargo run --release -p kiln-iam --example bench_access`.
//!
//! The call is a signed `BatchGetBuilds`; the caller has 100 policies of 10 statements, of which the last allows it. The
//! budget is 100 µs.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use kiln_iam::{
    policy::{Context, Kind, Policies, Policy, Principal, Request as Asked, evaluate},
    sigv4::{Body, Claim, Credentials, Expected, Key, Request, SecretKey, ToSign, sha256, sign},
};
use serde_json::json;
use time::OffsetDateTime;

const POLICIES: usize = 100;
const STATEMENTS: usize = 10;
const ROUNDS: u32 = 20_000;
const BODY: &[u8] = br#"{"ids":["demo:11111111-2222-3333-4444-555555555555"]}"#;
const HEADERS: [(&str, &str); 3] = [
    ("host", "127.0.0.1:5456"),
    ("content-type", "application/x-amz-json-1.1"),
    ("x-amz-target", "CodeBuild_20161006.BatchGetBuilds"),
];

/// A policy that is about something else, but for its last statement.
fn policy(at: usize) -> String {
    let mut statements: Vec<_> = (1..STATEMENTS)
        .map(|statement| {
            json!({
                "Effect": "Allow",
                "Action": ["codebuild:Batch*", "codebuild:StartBuild", "s3:Get*"],
                "Resource": [
                    format!("arn:aws:codebuild:us-east-1:000000000000:project/team-{at}-{statement}-*"),
                    "arn:aws:codebuild:us-east-1:000000000000:project/${aws:PrincipalTag/team}-*",
                ],
                "Condition": { "StringLike": { "aws:PrincipalTag/team": format!("team-{statement}*") } },
            })
        })
        .collect();
    let project = if at == POLICIES - 1 { "demo" } else { "other" };
    statements.push(json!({
        "Effect": "Allow",
        "Action": "codebuild:BatchGet*",
        "Resource": format!("arn:aws:codebuild:us-east-1:000000000000:project/{project}"),
        "Condition": { "IpAddress": { "aws:SourceIp": "127.0.0.0/8" } },
    }));
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

/// The mean time of one round.
fn measured(what: &str, mut round: impl FnMut()) -> Duration {
    for _ in 0..ROUNDS / 10 {
        round();
    }
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        round();
    }
    let mean = begun.elapsed() / ROUNDS;
    println!("{what:<52} {:>8.1} µs", mean.as_secs_f64() * 1e6);
    mean
}

fn main() {
    let now = OffsetDateTime::from_unix_timestamp(1_795_687_200).unwrap();
    let secret = SecretKey::new("0123456789012345678901234567890123456789".to_owned());
    let credentials =
        Credentials { access_key_id: "AKIDEXAMPLE".to_owned(), secret: secret.clone(), session_token: None };
    let unsigned = ToSign { method: "POST", path: "/", query: None, headers: &HEADERS, body: sha256(BODY) };
    let added = sign(&credentials, "us-east-1", "codebuild", &unsigned, now);
    let headers: Vec<(&str, &[u8])> = HEADERS
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .chain(added.iter().map(|(name, value)| (*name, value.as_bytes())))
        .collect();
    let request = Request { method: "POST", path: "/", query: None, headers: &headers };
    let expected = Expected { regions: &["us-east-1"], service: "codebuild" };
    let key = Key { secret, session: None };
    let authenticate = || {
        let claim = Claim::parse(&request).unwrap();
        claim.check(&request, &expected, now).unwrap();
        claim.verify(&request, Some(&key), now, Body::Hash(sha256(BODY))).unwrap();
    };

    let texts: Vec<String> = (0..POLICIES).map(policy).collect();
    let policies: Vec<Policy> = texts.iter().map(|text| Policy::parse(Kind::RoleInline, text).unwrap()).collect();
    let identity: Vec<&Policy> = policies.iter().collect();
    let account = "000000000000".to_owned();
    let principal = Principal::User { arn: format!("arn:aws:iam::{account}:user/alice"), account };
    let authorise = || {
        let mut context = Context::new();
        context.set("aws:SourceIp", "127.0.0.1");
        context.set("aws:PrincipalTag/team", "team-7");
        context.set("aws:CurrentTime", "2026-11-26T10:00:00Z");
        let asked = Asked {
            principal: &principal,
            action: "codebuild:BatchGetBuilds",
            resource: "arn:aws:codebuild:us-east-1:000000000000:project/demo",
            account: "000000000000",
            context: &context,
        };
        let decision = evaluate(&asked, &Policies { identity: &identity, ..Policies::default() });
        assert!(black_box(decision).is_allowed());
    };

    let first = measured("authentication (signature, body hash)", authenticate);
    let second =
        measured(&format!("authorisation ({POLICIES} policies, {} statements)", POLICIES * STATEMENTS), authorise);
    println!("{:<52} {:>8.1} µs", "together", (first + second).as_secs_f64() * 1e6);
    measured("reading one policy, when it is written", || {
        black_box(Policy::parse(Kind::RoleInline, black_box(&texts[0])).unwrap());
    });
}
