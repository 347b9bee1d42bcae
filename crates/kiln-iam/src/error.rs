//! Why a request is refused, and how the three kinds of AWS service say it (`security.md` 1.5).

use time::{Duration, OffsetDateTime};

use crate::sigv4::{ALGORITHM, MAX_SKEW_MINUTES, amz_date};

/// How a service writes its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// JSON 1.0 and 1.1: CodeBuild, Logs, KMS, …
    Json,
    /// Query with XML answers: STS, IAM, SNS.
    Query,
    /// S3.
    S3,
}

/// An error as it goes to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// AWS's code, e.g. `InvalidSignatureException`.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// The sentence that people read.
    pub message: String,
    /// The region that the request should have been signed for; S3 clients correct themselves with it.
    pub region: Option<String>,
}

/// Why a request is refused. Holds nothing that the sender did not send, and no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.answer(Style::Json).message)]
pub enum AuthError {
    /// No form of authentication at all.
    MissingToken,
    /// Something of the `Authorization` header is missing or cannot be read.
    MalformedHeader {
        /// One or more sentences about it.
        problem: String,
    },
    /// The same for the query parameters of a presigned link.
    MalformedQuery {
        /// One or more sentences about it.
        problem: String,
    },
    /// Signature Version 2, SigV4a, Basic, Bearer, …
    UnsupportedAlgorithm {
        /// What the client used.
        algorithm: String,
    },
    /// `x-amz-content-sha256` announces a form of body that this service does not read.
    UnsupportedPayload {
        /// Its value.
        announced: String,
    },
    /// The scope's region is not served here.
    Region {
        /// What the scope says.
        given: String,
        /// What it should say.
        expected: String,
    },
    /// The scope's service is not the one that the request is for.
    Service {
        /// What it should say.
        expected: String,
    },
    /// The scope's last part.
    Terminator {
        /// What the scope says.
        given: String,
    },
    /// The scope's day is not the day of the date.
    Day {
        /// What the scope says.
        given: String,
        /// The request's date.
        date: OffsetDateTime,
    },
    /// The date lies too far back.
    Expired {
        /// The request's date.
        date: OffsetDateTime,
        /// The server's time.
        now: OffsetDateTime,
    },
    /// The date lies too far ahead.
    NotYetCurrent {
        /// The request's date.
        date: OffsetDateTime,
        /// The server's time.
        now: OffsetDateTime,
    },
    /// A presigned link has ended.
    LinkExpired {
        /// When it ended.
        ended: OffsetDateTime,
        /// The server's time.
        now: OffsetDateTime,
    },
    /// A header that must be signed is not: anybody on the way could have changed it.
    Unsigned {
        /// Its name, in lower case.
        header: String,
    },
    /// `SignedHeaders` names a header that the request does not have.
    Absent {
        /// Its name, in lower case.
        header: String,
    },
    /// The access key does not exist.
    UnknownKey,
    /// A temporary key without its token, a permanent one with a token, or a token of another key.
    InvalidToken,
    /// The session of a temporary key has ended.
    ExpiredToken,
    /// The signature is not the one that the secret makes.
    WrongSignature,
    /// The body is not the one that was signed.
    WrongBody,
}

impl AuthError {
    /// The error in the words of a service of this kind.
    #[must_use]
    pub fn answer(&self, style: Style) -> Denial {
        let (json, query, s3) = self.codes();
        let (code, status) = match style {
            Style::Json => (json, 400),
            Style::Query => query,
            Style::S3 => s3,
        };
        let region = match (self, style) {
            (Self::Region { expected, .. }, Style::S3) => Some(expected.clone()),
            _ => None,
        };
        Denial { code, status, message: self.message(style), region }
    }

    /// Code of JSON services (always HTTP 400), then code and status of query services and of S3.
    fn codes(&self) -> (&'static str, (&'static str, u16), (&'static str, u16)) {
        const SIGNATURE: (&str, (&str, u16)) = ("InvalidSignatureException", ("SignatureDoesNotMatch", 403));
        const INCOMPLETE: (&str, (&str, u16)) = ("IncompleteSignatureException", ("IncompleteSignature", 400));
        const UNKNOWN: (&str, (&str, u16)) = ("UnrecognizedClientException", ("InvalidClientTokenId", 403));
        const EXPIRED: (&str, (&str, u16)) = ("ExpiredTokenException", ("ExpiredToken", 403));
        const MISSING: (&str, (&str, u16)) =
            ("MissingAuthenticationTokenException", ("MissingAuthenticationToken", 403));
        let ((json, query), s3) = match self {
            Self::MissingToken => (MISSING, ("AccessDenied", 403)),
            Self::MalformedHeader { .. } => (INCOMPLETE, ("AuthorizationHeaderMalformed", 400)),
            Self::MalformedQuery { .. } => (INCOMPLETE, ("AuthorizationQueryParametersError", 400)),
            Self::UnsupportedAlgorithm { .. } => (INCOMPLETE, ("InvalidRequest", 400)),
            // Forms of S3 that are not there, e.g. signed with elliptic curves; anything else was never one.
            Self::UnsupportedPayload { announced } if announced.starts_with("STREAMING-") => {
                (SIGNATURE, ("NotImplemented", 501))
            }
            Self::UnsupportedPayload { .. } => (SIGNATURE, ("InvalidArgument", 400)),
            Self::Region { .. } | Self::Service { .. } | Self::Terminator { .. } | Self::Day { .. } => {
                (SIGNATURE, ("AuthorizationHeaderMalformed", 400))
            }
            Self::Expired { .. } | Self::NotYetCurrent { .. } => (SIGNATURE, ("RequestTimeTooSkewed", 403)),
            Self::LinkExpired { .. } => ((SIGNATURE.0, ("RequestExpired", 400)), ("AccessDenied", 403)),
            Self::Unsigned { .. } | Self::Absent { .. } => (SIGNATURE, ("AccessDenied", 403)),
            Self::UnknownKey => (UNKNOWN, ("InvalidAccessKeyId", 403)),
            Self::InvalidToken => (UNKNOWN, ("InvalidToken", 400)),
            Self::ExpiredToken => (EXPIRED, ("ExpiredToken", 400)),
            Self::WrongSignature => (SIGNATURE, ("SignatureDoesNotMatch", 403)),
            Self::WrongBody => (SIGNATURE, ("XAmzContentSHA256Mismatch", 400)),
        };
        (json, query, s3)
    }

    fn message(&self, style: Style) -> String {
        let skew = Duration::minutes(MAX_SKEW_MINUTES);
        match self {
            Self::MissingToken => match style {
                Style::Json => "Missing Authentication Token".to_owned(),
                Style::Query => "Request is missing Authentication Token".to_owned(),
                Style::S3 => "Access Denied".to_owned(),
            },
            Self::MalformedHeader { problem } | Self::MalformedQuery { problem } => problem.clone(),
            Self::UnsupportedAlgorithm { algorithm } => format!(
                "The authorization mechanism you have provided ({algorithm}) is not supported. Please use {ALGORITHM}\
                 {}",
                if algorithm == SIGV2 { "; with boto3: Config(signature_version='s3v4')." } else { "." }
            ),
            Self::UnsupportedPayload { announced } if style == Style::S3 => format!(
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
                 STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 \
                 value, not '{announced}'; in presigned links it cannot be a streaming form."
            ),
            Self::UnsupportedPayload { announced } => {
                format!("The header 'x-amz-content-sha256' must be the SHA-256 of the body in hex, not '{announced}'.")
            }
            Self::Region { given, expected } => match style {
                Style::S3 => format!(
                    "The authorization header is malformed; the region '{given}' is wrong; expecting '{expected}'"
                ),
                _ => format!("Credential should be scoped to a valid region, not '{given}'; expecting '{expected}'."),
            },
            Self::Service { expected } => format!("Credential should be scoped to correct service: '{expected}'."),
            Self::Terminator { given } => {
                format!("Credential should be scoped with a valid terminator: 'aws4_request', not '{given}'.")
            }
            Self::Day { given, date } => {
                let date = amz_date(*date);
                format!(
                    "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
                     '{given}' != '{}', from '{date}'.",
                    &date[..8]
                )
            }
            Self::Expired { .. } | Self::NotYetCurrent { .. } if style == Style::S3 => {
                "The difference between the request time and the current time is too large.".to_owned()
            }
            Self::Expired { date, now } => format!(
                "Signature expired: {} is now earlier than {} ({} - {MAX_SKEW_MINUTES} min.)",
                amz_date(*date),
                amz_date(*now - skew),
                amz_date(*now)
            ),
            Self::NotYetCurrent { date, now } => format!(
                "Signature not yet current: {} is still later than {} ({} + {MAX_SKEW_MINUTES} min.)",
                amz_date(*date),
                amz_date(*now + skew),
                amz_date(*now)
            ),
            Self::LinkExpired { ended, now } => match style {
                Style::Json | Style::Query => {
                    format!("Request has expired: it ended at {}, it is {}.", amz_date(*ended), amz_date(*now))
                }
                Style::S3 => "Request has expired".to_owned(),
            },
            Self::Unsigned { header } if header == "host" => {
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned()
            }
            Self::Unsigned { header } => format!(
                "There were headers present in the request which were not signed: '{header}' must be a 'SignedHeader'."
            ),
            Self::Absent { header } => {
                format!("The header '{header}' is a 'SignedHeader', but the request does not have it.")
            }
            Self::UnknownKey => match style {
                Style::S3 => "The AWS Access Key Id you provided does not exist in our records.".to_owned(),
                _ => "The security token included in the request is invalid.".to_owned(),
            },
            Self::InvalidToken => match style {
                Style::S3 => "The provided token is malformed or otherwise invalid.".to_owned(),
                _ => "The security token included in the request is invalid.".to_owned(),
            },
            Self::ExpiredToken => match style {
                Style::S3 => "The provided token has expired.".to_owned(),
                _ => "The security token included in the request is expired".to_owned(),
            },
            Self::WrongSignature => match style {
                Style::S3 => "The request signature we calculated does not match the signature you provided. Check \
                              your key and signing method."
                    .to_owned(),
                _ => "The request signature we calculated does not match the signature you provided. Check your AWS \
                      Secret Access Key and signing method. Consult the service documentation for details."
                    .to_owned(),
            },
            Self::WrongBody => match style {
                Style::S3 => "The provided 'x-amz-content-sha256' header does not match what was computed.".to_owned(),
                _ => "The body of the request is not the one that was signed: its SHA-256 does not match the header \
                      'x-amz-content-sha256'."
                    .to_owned(),
            },
        }
    }
}

/// How Signature Version 2 is named in errors.
pub(crate) const SIGV2: &str = "AWS Signature Version 2";

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `security.md` 1.5, row by row.
    #[test]
    fn codes_of_each_kind_of_service() {
        let date = OffsetDateTime::UNIX_EPOCH;
        let text = String::new;
        let malformed = AuthError::MalformedHeader { problem: text() };
        let query = AuthError::MalformedQuery { problem: text() };
        let expired = AuthError::Expired { date, now: date };
        let link = AuthError::LinkExpired { ended: date, now: date };
        let region = AuthError::Region { given: text(), expected: "us-east-1".to_owned() };
        let rows = [
            (
                &AuthError::MissingToken,
                "MissingAuthenticationTokenException 400",
                "MissingAuthenticationToken 403",
                "AccessDenied 403",
            ),
            (
                &malformed,
                "IncompleteSignatureException 400",
                "IncompleteSignature 400",
                "AuthorizationHeaderMalformed 400",
            ),
            (
                &query,
                "IncompleteSignatureException 400",
                "IncompleteSignature 400",
                "AuthorizationQueryParametersError 400",
            ),
            (
                &AuthError::UnknownKey,
                "UnrecognizedClientException 400",
                "InvalidClientTokenId 403",
                "InvalidAccessKeyId 403",
            ),
            (
                &AuthError::InvalidToken,
                "UnrecognizedClientException 400",
                "InvalidClientTokenId 403",
                "InvalidToken 400",
            ),
            (
                &AuthError::WrongSignature,
                "InvalidSignatureException 400",
                "SignatureDoesNotMatch 403",
                "SignatureDoesNotMatch 403",
            ),
            (&expired, "InvalidSignatureException 400", "SignatureDoesNotMatch 403", "RequestTimeTooSkewed 403"),
            (&AuthError::ExpiredToken, "ExpiredTokenException 400", "ExpiredToken 403", "ExpiredToken 400"),
            (&link, "InvalidSignatureException 400", "RequestExpired 400", "AccessDenied 403"),
            (&region, "InvalidSignatureException 400", "SignatureDoesNotMatch 403", "AuthorizationHeaderMalformed 400"),
            (
                &AuthError::WrongBody,
                "InvalidSignatureException 400",
                "SignatureDoesNotMatch 403",
                "XAmzContentSHA256Mismatch 400",
            ),
        ];
        for (error, json, query, s3) in rows {
            for (style, expected) in [(Style::Json, json), (Style::Query, query), (Style::S3, s3)] {
                let denial = error.answer(style);
                assert_eq!(format!("{} {}", denial.code, denial.status), expected);
            }
        }
        assert_eq!(region.answer(Style::S3).region.as_deref(), Some("us-east-1"));
    }

    #[test]
    fn skew_texts_are_those_of_aws() {
        let now = OffsetDateTime::from_unix_timestamp(1_440_938_160).unwrap();
        let old = AuthError::Expired { date: now - Duration::minutes(16), now };
        assert_eq!(
            old.to_string(),
            "Signature expired: 20150830T122000Z is now earlier than 20150830T122100Z (20150830T123600Z - 15 min.)"
        );
        let early = AuthError::NotYetCurrent { date: now + Duration::minutes(16), now };
        assert_eq!(
            early.to_string(),
            "Signature not yet current: 20150830T125200Z is still later than 20150830T125100Z (20150830T123600Z + 15 min.)"
        );
    }
}
