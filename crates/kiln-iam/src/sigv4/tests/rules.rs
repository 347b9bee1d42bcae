//! Each rule of `security.md` 1.1 to 1.4 by itself.

use time::Duration;

use super::client::{ACCESS_KEY_ID, REGION, Sent, TOKEN, now, permanent_key, temporary_key};
use crate::{
    AuthError, Style,
    sigv4::{Body, Claim, Expected, Payload, sha256},
};

fn signed() -> Sent {
    Sent::codebuild().signed(&permanent_key(), now())
}

#[track_caller]
fn refused(sent: &Sent) -> AuthError {
    sent.verify(Some(&permanent_key()), now()).unwrap_err()
}

#[track_caller]
fn refused_as_malformed(sent: &Sent, text: &str) {
    let error = refused(sent);
    assert!(matches!(error, AuthError::MalformedHeader { .. } | AuthError::MalformedQuery { .. }), "{error:?}");
    assert!(error.to_string().contains(text), "{error}");
    assert_eq!(error.answer(Style::Json).code, "IncompleteSignatureException");
}

#[test]
fn skew_is_fifteen_minutes_both_ways() {
    let key = permanent_key();
    let inside = Duration::seconds(14 * 60 + 59);
    let outside = Duration::seconds(15 * 60 + 1);
    for (skew, is_accepted) in
        [(inside, true), (-inside, true), (Duration::minutes(15), true), (outside, false), (-outside, false)]
    {
        assert_eq!(signed().verify(Some(&key), now() + skew).is_ok(), is_accepted, "{skew}");
    }
    assert!(matches!(signed().verify(Some(&key), now() + outside), Err(AuthError::Expired { .. })));
    assert!(matches!(signed().verify(Some(&key), now() - outside), Err(AuthError::NotYetCurrent { .. })));
}

#[test]
fn links_live_as_long_as_they_say() {
    let key = permanent_key();
    for (expires, is_accepted) in [(0, false), (1, true), (604_800, true), (604_801, false)] {
        let sent = Sent::s3().presigned(&key, now(), expires);
        assert_eq!(sent.verify(Some(&key), now()).is_ok(), is_accepted, "{expires}");
    }
    let sent = Sent::s3().presigned(&key, now(), 604_800);
    let week = Duration::WEEK;
    assert_eq!(sent.verify(Some(&key), now() + week), Ok(()));
    let error = sent.verify(Some(&key), now() + week + Duration::SECOND).unwrap_err();
    assert!(matches!(error, AuthError::LinkExpired { .. }));
    assert_eq!(error.answer(Style::S3).message, "Request has expired");
    let early = sent.verify(Some(&key), now() - Duration::minutes(16)).unwrap_err();
    assert!(matches!(early, AuthError::NotYetCurrent { .. }));

    for expires in ["", "-1", "+5", "1.5", "0x10", "1e3", "9999999", "18446744073709551617"] {
        let mut sent = Sent::s3().presigned(&key, now(), 60);
        sent.query = sent.query.map(|query| query.replace("X-Amz-Expires=60", &format!("X-Amz-Expires={expires}")));
        refused_as_malformed(&sent, "X-Amz-Expires");
    }
}

#[test]
fn links_need_each_parameter_once_and_spelled_so() {
    let key = temporary_key();
    let link = Sent::s3().presigned(&key, now(), 60);
    assert_eq!(link.verify(Some(&key), now()), Ok(()));
    let query = link.query.as_deref().unwrap();
    for name in ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token"] {
        let name = format!("X-Amz-{name}");
        let pair = query.split('&').find(|pair| pair.starts_with(&name)).unwrap();
        let with = |changed: &str| Sent { query: Some(query.replace(pair, changed)), ..link.clone() };

        if name != "X-Amz-Security-Token" {
            refused_as_malformed(&with("x=y"), &format!("must include '{name}'"));
        }
        refused_as_malformed(&with(&format!("{pair}&{pair}")), "exactly once");
        for alias in ["%58-Amz", "X%2DAmz", "x-amz", "X-AMZ"] {
            let aliased = pair.replacen("X-Amz", alias, 1);
            refused_as_malformed(&with(&aliased), "spelled exactly so");
            refused_as_malformed(&with(&format!("{pair}&{aliased}")), "spelled exactly so");
        }
    }
    refused_as_malformed(&Sent { query: Some(format!("{query}&a=%4")), ..link.clone() }, "percent escape");
    let mut two_tokens = link.clone();
    two_tokens.set("X-Amz-Security-Token", TOKEN);
    refused_as_malformed(&two_tokens, "session token");
}

#[test]
fn links_may_be_signed_before_their_token_is_added() {
    let key = temporary_key();
    let mut link = Sent::s3().presigned(&permanent_key(), now(), 60);
    let token = TOKEN.replace('/', "%2F").replace('=', "%3D");
    link.query = link.query.map(|query| format!("{query}&X-Amz-Security-Token={token}"));
    assert_eq!(link.verify(Some(&key), now()), Ok(()));
}

#[test]
fn one_form_of_authentication_only() {
    let mut sent = signed();
    let header = sent.get("authorization").to_owned();
    sent.add("Authorization", &header);
    refused_as_malformed(&sent, "'Authorization' must occur exactly once");

    let mut both = Sent::codebuild().presigned(&permanent_key(), now(), 60);
    both.add("Authorization", &header);
    refused_as_malformed(&both, "Only one form");
    let mut both = signed();
    both.query = Some("X-Amz-Expires=60".to_owned());
    refused_as_malformed(&both, "Only one form");
    let mut both = signed();
    both.query = Some("x-amz-%65xpires=60".to_owned());
    refused_as_malformed(&both, "spelled exactly so");

    assert_eq!(refused(&Sent::codebuild()), AuthError::MissingToken);
    let mut two_dates = signed();
    two_dates.add("X-Amz-Date", "20150830T123600Z");
    refused_as_malformed(&two_dates, "X-Amz-Date");
}

#[test]
fn other_algorithms_are_refused_clearly() {
    for (header, named) in [
        ("AWS AKIDEXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=", "Signature Version 2"),
        ("AWS4-ECDSA-P256-SHA256 Credential=A/20150830/s/aws4_request, SignedHeaders=host, Signature=00", "AWS4-ECDSA"),
        ("Basic dXNlcjpwYXNz", "Basic"),
        ("Bearer abc", "Bearer"),
        ("aws4-hmac-sha256 Credential=a", "aws4-hmac-sha256"),
        ("AWS4-HMAC-SHA512 Credential=a", "AWS4-HMAC-SHA512"),
    ] {
        let mut sent = Sent::codebuild();
        sent.set("Authorization", header);
        let error = refused(&sent);
        assert!(matches!(&error, AuthError::UnsupportedAlgorithm { .. }), "{error:?}");
        assert!(error.to_string().contains(named), "{error}");
        assert!(error.to_string().contains("Please use AWS4-HMAC-SHA256"), "{error}");
    }
    let mut link = Sent::s3();
    link.query = Some("AWSAccessKeyId=AKIDEXAMPLE&Signature=abc%3D&Expires=1440941760".to_owned());
    let error = refused(&link);
    assert_eq!(error.answer(Style::S3).code, "InvalidRequest");
    assert!(error.to_string().contains("signature_version='s3v4'"), "{error}");
    let mut link = Sent::s3().presigned(&permanent_key(), now(), 60);
    link.query = link.query.map(|query| query.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"));
    assert!(matches!(refused(&link), AuthError::UnsupportedAlgorithm { .. }));
}

#[test]
fn headers_that_matter_must_be_signed() {
    let mut sent = Sent::codebuild();
    sent.headers.retain(|(name, _)| name != "X-Amz-Target");
    let mut sent = sent.signed(&permanent_key(), now());
    sent.set("X-Amz-Target", "CodeBuild_20161006.DeleteProject");
    let unsigned = |header: &str| AuthError::Unsigned { header: header.to_owned() };
    assert_eq!(refused(&sent), unsigned("x-amz-target"));

    for header in ["X-Amz-Content-Sha256", "X-Amz-Security-Token", "X-Amz-Acl", "X-Amz-Meta-A", "x-amz-anything"] {
        let mut sent = signed();
        sent.add(header, &hex::encode(sha256(&sent.body)));
        assert_eq!(refused(&sent), unsigned(&header.to_lowercase()));
    }
    for header in ["X-Amz-User-Agent", "User-Agent", "X-Amzn-Trace-Id", "amz-sdk-request"] {
        let mut sent = signed();
        sent.add(header, "what a proxy may add");
        assert_eq!(sent.verify(Some(&permanent_key()), now()), Ok(()), "{header}");
    }
    for header in ["host", "x-amz-date"] {
        let mut sent = signed();
        let list = sent.get("authorization").to_owned();
        let start = list.find("SignedHeaders=").unwrap();
        let kept = list[start..].replacen(&format!("{header};"), "", 1);
        let kept = kept.replacen(&format!(";{header}"), "", 1);
        sent.set("authorization", &format!("{}{kept}", &list[..start]));
        assert_eq!(refused(&sent), unsigned(header));
    }
    let mut sent = signed();
    sent.headers.retain(|(name, _)| name != "Content-Type");
    assert_eq!(refused(&sent), AuthError::Absent { header: "content-type".to_owned() });
}

#[test]
fn scope_must_be_of_this_endpoint() {
    let key = permanent_key();
    let at = |regions: &[&str], service: &str| {
        signed().verify_at(&Expected { regions, service }, Some(&key), now()).unwrap_err()
    };
    assert_eq!(
        at(&["eu-west-1"], "codebuild"),
        AuthError::Region { given: REGION.to_owned(), expected: "eu-west-1".to_owned() }
    );
    assert_eq!(at(&[REGION], "logs").to_string(), "Credential should be scoped to correct service: 'logs'.");
    let mut sent = signed();
    sent.edit("authorization", "aws4_request", "aws5_request");
    assert_eq!(refused(&sent), AuthError::Terminator { given: "aws5_request".to_owned() });
    let mut sent = signed();
    sent.edit("authorization", "/20150830/", "/20150831/");
    assert!(refused(&sent).to_string().contains("'20150831' != '20150830', from '20150830T123600Z'"));
    for (credential, text) in [
        ("AKIDEXAMPLE/20150830/us-east-1/aws4_request", "exactly 5"),
        ("AKIDEXAMPLE/20150830/us-east-1/codebuild/aws4_request/x", "exactly 5"),
        ("/20150830/us-east-1/codebuild/aws4_request", "empty or invalid"),
        ("AK%ID/20150830/us-east-1/codebuild/aws4_request", "empty or invalid"),
        ("AKIDEXAMPLE/20150830//codebuild/aws4_request", "empty or invalid"),
    ] {
        let mut sent = signed();
        sent.edit("authorization", "AKIDEXAMPLE/20150830/us-east-1/codebuild/aws4_request", credential);
        refused_as_malformed(&sent, text);
    }
}

#[test]
fn header_syntax_is_exact() {
    let header = signed().get("authorization").to_owned();
    let with = |header: &str| {
        let mut sent = signed();
        sent.set("authorization", header);
        sent
    };
    let key = permanent_key();
    assert_eq!(with(&header.replace(", ", ",")).verify(Some(&key), now()), Ok(()), "commas without a blank");

    refused_as_malformed(&with("AWS4-HMAC-SHA256"), "key=value");
    for name in ["Credential", "SignedHeaders", "Signature"] {
        let part = header.split(' ').find(|part| part.starts_with(name)).unwrap().trim_end_matches(',');
        let empty = header.replace(part, &format!("{name}="));
        refused_as_malformed(&with(&empty), &format!("Authorization header requires '{name}' parameter."));
        refused_as_malformed(&with(&format!("{header}, {part}")), "exactly once");
    }
    refused_as_malformed(&with(&format!("{header}, Extra=1")), "'Extra' is not a known parameter");
    refused_as_malformed(&with(&format!("{header},")), "key=value");
    let start = header.find("Signature=").unwrap() + "Signature=".len();
    let upper = format!("{}{}", &header[..start], header[start..].to_uppercase());
    refused_as_malformed(&with(&upper), "lower case");
    refused_as_malformed(&with(&header.replace("content-type;host", "host;content-type")), "sorted");
    refused_as_malformed(&with(&header.replace("content-type;host", "host;host")), "sorted");
    refused_as_malformed(&with(&header.replace("content-type", "Content-Type")), "lower-case");

    let mut without_date = signed();
    without_date.headers.retain(|(name, _)| name != "x-amz-date");
    refused_as_malformed(&without_date, "existence of either a 'X-Amz-Date' or a 'Date' header");
    let mut bad_date = signed();
    bad_date.set("x-amz-date", "2015-08-30T12:36:00Z");
    refused_as_malformed(&bad_date, "ISO-8601");
    // What a stranger sends comes back in bounded length.
    let long = with(&format!("AWS4-HMAC-SHA256 {}=1", "x".repeat(60_000)));
    assert!(refused(&long).to_string().len() < 2_000);
}

#[test]
fn tokens_belong_to_their_key() {
    let (permanent, temporary) = (permanent_key(), temporary_key());
    let with_token = Sent::codebuild().signed(&temporary, now());
    assert_eq!(with_token.verify(Some(&temporary), now()), Ok(()));
    assert_eq!(with_token.verify(Some(&permanent), now()), Err(AuthError::InvalidToken));
    assert_eq!(signed().verify(Some(&temporary), now()), Err(AuthError::InvalidToken));

    let mut other = temporary.clone();
    other.session.as_mut().unwrap().token.push('x');
    assert_eq!(with_token.verify(Some(&other), now()), Err(AuthError::InvalidToken));

    let mut ended = temporary.clone();
    ended.session.as_mut().unwrap().expires = now();
    assert_eq!(with_token.verify(Some(&ended), now()), Err(AuthError::ExpiredToken));
    let link = Sent::s3().presigned(&temporary, now(), 3600);
    assert_eq!(link.verify(Some(&ended), now()), Err(AuthError::ExpiredToken), "a link dies with its credentials");
}

#[test]
fn unknown_keys_and_wrong_secrets() {
    assert_eq!(signed().verify(None, now()), Err(AuthError::UnknownKey));
    let mut key = permanent_key();
    key.secret = crate::sigv4::SecretKey::new("another".to_owned());
    assert_eq!(signed().verify(Some(&key), now()), Err(AuthError::WrongSignature));
    let mut sent = signed();
    sent.edit("authorization", ACCESS_KEY_ID, "AKIDSOMEBODY");
    assert_eq!(refused(&sent), AuthError::UnknownKey);
}

#[test]
fn bodies_are_the_ones_that_were_signed() {
    let key = permanent_key();
    let mut sent = signed();
    sent.body.push(b' ');
    assert_eq!(refused(&sent), AuthError::WrongSignature, "the hash of the body itself is signed");

    let mut announced = Sent::codebuild();
    announced.set("x-amz-content-sha256", &hex::encode(sha256(&announced.body)));
    let mut announced = announced.signed(&key, now());
    assert_eq!(announced.verify(Some(&key), now()), Ok(()));
    announced.body.push(b' ');
    assert_eq!(refused(&announced), AuthError::WrongBody);

    // A body that arrives later is only possible when its hash is announced.
    for (sent, is_possible) in [(&announced, true), (&signed(), false)] {
        sent.with_request(|request| {
            let claim = Claim::parse(request).unwrap();
            assert_eq!(claim.verify(request, Some(&key), now(), Body::Later).is_ok(), is_possible);
            assert_eq!(matches!(claim.payload(), Payload::Announced(_)), is_possible);
        });
    }

    for value in ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "abc", &"A".repeat(64)] {
        let mut sent = Sent::codebuild();
        sent.set("x-amz-content-sha256", value);
        let sent = sent.signed(&key, now());
        assert!(matches!(refused(&sent), AuthError::UnsupportedPayload { .. }), "{value}");
    }
    let mut object = Sent::s3();
    object.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    object.with_request(|request| assert!(Claim::parse(request).is_err(), "not signed at all"));
}

#[test]
fn checks_come_in_their_order() {
    // Everything is wrong; what is mended first is what the next error no longer names.
    let key = permanent_key();
    let mut sent = signed();
    sent.edit("authorization", "/20150830/us-east-1/", "/20150831/eu-west-1/");
    sent.body.push(b'!');
    let late = now() + Duration::HOUR;
    assert!(matches!(sent.verify(None, late), Err(AuthError::Day { .. })));
    sent.edit("authorization", "20150831", "20150830");
    assert!(matches!(sent.verify(None, late), Err(AuthError::Expired { .. })));
    assert!(matches!(sent.verify(None, now()), Err(AuthError::Region { .. })));
    sent.edit("authorization", "eu-west-1", "us-east-1");
    sent.set("x-amz-acl", "public");
    assert!(matches!(sent.verify(None, now()), Err(AuthError::Unsigned { .. })));
    sent.headers.retain(|(name, _)| name != "x-amz-acl");
    assert_eq!(sent.verify(None, now()), Err(AuthError::UnknownKey));
    assert_eq!(sent.verify(Some(&temporary_key()), now()), Err(AuthError::InvalidToken));
    assert_eq!(sent.verify(Some(&key), now()), Err(AuthError::WrongSignature));
    sent.body.pop();
    assert_eq!(sent.verify(Some(&key), now()), Ok(()));
}
