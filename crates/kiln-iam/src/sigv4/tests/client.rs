//! Clients: requests as owned values that tests can change, signed by Kiln's signer or by the AWS SDK's.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials as SdkCredentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest, SignatureLocation,
        SigningSettings, UriPathNormalizationMode,
    },
    sign::v4,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{
    AuthError,
    sigv4::{Body, Claim, Expected, Key, Request, SecretKey, Session, sha256},
};

pub(super) const ACCESS_KEY_ID: &str = "AKIDEXAMPLE";
pub(super) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub(super) const TOKEN: &str =
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSP==";
pub(super) const REGION: &str = "us-east-1";

/// 2015-08-30T12:36:00Z, the suite's time.
pub(super) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_440_938_160).unwrap()
}

pub(super) fn permanent_key() -> Key {
    Key { secret: SecretKey::new(SECRET.to_owned()), session: None }
}

pub(super) fn temporary_key() -> Key {
    let session = Session { token: Zeroizing::new(TOKEN.to_owned()), expires: now() + Duration::from_secs(3600) };
    Key { session: Some(session), ..permanent_key() }
}

/// A request on its way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sent {
    pub(super) service: &'static str,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Sent {
    /// What botocore sends for `ListProjects`.
    pub(super) fn codebuild() -> Self {
        let mut sent = Self {
            service: "codebuild",
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query: None,
            headers: Vec::new(),
            body: br#"{"sortBy":"NAME"}"#.to_vec(),
        };
        sent.set("Host", "127.0.0.1:5456");
        sent.set("X-Amz-Target", "CodeBuild_20161006.ListProjects");
        sent.set("Content-Type", "application/x-amz-json-1.1");
        sent
    }

    /// A GET of an object.
    pub(super) fn s3() -> Self {
        let mut sent = Self {
            service: "s3",
            method: "GET".to_owned(),
            path: "/bucket/./a%20b/../c//d".to_owned(),
            query: Some("versionId=3%2F4&response-content-type=text%2Fplain&acl".to_owned()),
            headers: Vec::new(),
            body: Vec::new(),
        };
        sent.set("Host", "127.0.0.1:5456");
        sent
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(each, _)| !each.eq_ignore_ascii_case(name));
        self.add(name, value);
    }

    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
    }

    pub(super) fn get(&self, name: &str) -> &str {
        let (_, value) = self.headers.iter().find(|(each, _)| each.eq_ignore_ascii_case(name)).unwrap();
        std::str::from_utf8(value).unwrap()
    }

    /// Replaces text in one header.
    pub(super) fn edit(&mut self, name: &str, from: &str, to: &str) {
        let value = self.get(name);
        assert!(value.contains(from), "{value}");
        let value = value.replacen(from, to, 1);
        self.set(name, &value);
    }

    /// Signs in the header form with the AWS SDK's signer.
    pub(super) fn signed(mut self, key: &Key, at: OffsetDateTime) -> Self {
        let settings = self.settings();
        let (headers, _) = self.sdk_sign(key, at, settings);
        for (name, value) in headers {
            self.set(&name, &value);
        }
        self
    }

    /// Makes a presigned link with the AWS SDK's signer.
    pub(super) fn presigned(mut self, key: &Key, at: OffsetDateTime, expires: u64) -> Self {
        let mut settings = self.settings();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        settings.expires_in = Some(Duration::from_secs(expires));
        let (_, parameters) = self.sdk_sign(key, at, settings);
        let mut query = self.query.take().unwrap_or_default();
        for (name, value) in parameters {
            let mut escaped = Vec::new();
            super::super::query::encode(&mut escaped, value.as_bytes(), false);
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(&format!("{name}={}", String::from_utf8(escaped).unwrap()));
        }
        self.query = Some(query);
        self
    }

    fn settings(&self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        settings.session_token_mode = SessionTokenMode::Include;
        if self.service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        settings
    }

    #[expect(clippy::type_complexity, reason = "two lists of pairs, taken apart at once by the two callers")]
    fn sdk_sign(
        &self,
        key: &Key,
        at: OffsetDateTime,
        settings: SigningSettings,
    ) -> (Vec<(String, String)>, Vec<(String, String)>) {
        let token = key.session.as_ref().map(|session| session.token.to_string());
        let identity = SdkCredentials::new(ACCESS_KEY_ID, key.secret.expose(), token, None, "tests").into();
        let at = UNIX_EPOCH + Duration::from_secs(u64::try_from(at.unix_timestamp()).unwrap());
        let is_presigned = settings.signature_location == SignatureLocation::QueryParams;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name(self.service)
            .time(at)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let body = match self.service {
            "s3" if is_presigned => SignableBody::UnsignedPayload,
            _ => SignableBody::Bytes(&self.body),
        };
        let query = self.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let request = SignableRequest::new(
            &self.method,
            format!("http://{}{}{query}", self.get("host"), self.path),
            self.headers.iter().map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap())),
            body,
        )
        .unwrap();
        let (instructions, _) = aws_sigv4::http_request::sign(request, &parameters).unwrap().into_parts();
        let (headers, parameters) = instructions.into_parts();
        (
            headers.iter().map(|header| (header.name().to_owned(), header.value().to_owned())).collect(),
            parameters.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect(),
        )
    }

    /// Runs all checks of a server that serves this request's service in [`REGION`].
    pub(super) fn verify(&self, key: Option<&Key>, now: OffsetDateTime) -> Result<(), AuthError> {
        self.verify_at(&Expected { regions: &[REGION], service: self.service }, key, now)
    }

    pub(super) fn verify_at(
        &self,
        expected: &Expected<'_>,
        key: Option<&Key>,
        now: OffsetDateTime,
    ) -> Result<(), AuthError> {
        self.with_request(|request| {
            let claim = Claim::parse(request)?;
            claim.check(request, expected, now)?;
            let key = key.filter(|_| claim.access_key_id() == ACCESS_KEY_ID);
            claim.verify(request, key, now, Body::Hash(sha256(&self.body)))
        })
    }

    pub(super) fn with_request<T>(&self, act: impl FnOnce(&Request<'_>) -> T) -> T {
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        act(&Request { method: &self.method, path: &self.path, query: self.query.as_deref(), headers: &headers })
    }
}
