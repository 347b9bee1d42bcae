//! What a request claims about its sender, before anything of it is believed.

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{
    ALGORITHM, MAX_PRESIGNED_SECONDS, TERMINATOR,
    date::{DATE_FORMAT_EXAMPLE, amz_date, day, parse_amz_date, parse_date_header},
    query,
    request::Request,
};
use crate::error::{AuthError, SIGV2};

/// Longest access key id that is looked up (AWS's own limit is 128).
const MAX_ACCESS_KEY_ID: usize = 128;

/// So much of a stranger's text is repeated in an error.
const MAX_REPEATED: usize = 512;

/// The parameters of presigned links. A name that says one of these in any other spelling is refused.
const PARAMETERS: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
];

/// Day, region and service that a signature is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Day as `YYYYMMDD`.
    pub day: String,
    /// Region, e.g. `us-east-1`.
    pub region: String,
    /// SigV4 name of the service, e.g. `codebuild`.
    pub service: String,
}

impl Scope {
    /// The scope as it is signed: `20150830/us-east-1/codebuild/aws4_request`.
    pub(super) fn text(&self) -> String {
        format!("{}/{}/{}/{TERMINATOR}", self.day, self.region, self.service)
    }
}

/// What the signature says of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// Nothing announced: the hash of the body itself is signed, so the body must be read first.
    Computed,
    /// The header `x-amz-content-sha256` announces the hash; the body can be compared as it arrives.
    Announced([u8; 32]),
    /// S3's `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// S3's bodies in chunks.
    Chunked(Chunking),
}

/// The forms of S3's bodies in chunks (`security.md` 1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunking {
    /// Each chunk carries its signature.
    Signed,
    /// The same, and a checksum comes behind the chunks, signed as well.
    SignedWithTrailer,
    /// Chunks without signatures, and a checksum behind them.
    UnsignedWithTrailer,
}

impl Chunking {
    const ALL: [Self; 3] = [Self::Signed, Self::SignedWithTrailer, Self::UnsignedWithTrailer];

    /// What stands in place of the body's hash.
    pub(super) fn literal(self) -> &'static str {
        match self {
            Self::Signed => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Self::SignedWithTrailer => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            Self::UnsignedWithTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        }
    }

    /// Whether chunks carry signatures.
    #[must_use]
    pub fn is_signed(self) -> bool {
        self != Self::UnsignedWithTrailer
    }

    /// Whether something comes behind the chunks.
    #[must_use]
    pub fn has_trailer(self) -> bool {
        self != Self::Signed
    }
}

/// Where the signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// In the `Authorization` header.
    Header,
    /// In the query of a link that ends so many seconds after its date.
    Query { expires: u32 },
}

/// The parsed authentication of a request. Its content is not verified yet.
#[derive(Clone)]
pub struct Claim {
    pub(super) form: Form,
    pub(super) access_key_id: String,
    pub(super) scope: Scope,
    pub(super) date: OffsetDateTime,
    pub(super) signed_headers: Vec<String>,
    pub(super) signature: [u8; 32],
    pub(super) token: Option<Zeroizing<String>>,
    pub(super) payload: Payload,
}

impl Claim {
    /// Finds the one form of authentication of a request and reads it.
    ///
    /// # Errors
    /// No form or more than one, an algorithm other than `AWS4-HMAC-SHA256`, syntax, or a scope that contradicts the
    /// date.
    pub fn parse(request: &Request<'_>) -> Result<Self, AuthError> {
        let has_header = request.values("authorization").next().is_some();
        let parameters = Parameters::find(request.query)?;
        match (has_header, parameters) {
            (true, None) => Self::from_header(request),
            (false, Some(parameters)) => Self::from_query(request, &parameters),
            (true, Some(_)) => Err(AuthError::MalformedQuery {
                problem: "Only one form of authentication is allowed: either the header 'Authorization' or query \
                          parameters."
                    .to_owned(),
            }),
            (false, None) if is_signature_version_2(request.query) => {
                Err(AuthError::UnsupportedAlgorithm { algorithm: SIGV2.to_owned() })
            }
            (false, None) => Err(AuthError::MissingToken),
        }
    }

    /// The access key that the request says it was signed with.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The session token that the request brings along.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.as_str())
    }

    /// The scope of the signature.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What the signature says of the body.
    #[must_use]
    pub fn payload(&self) -> Payload {
        self.payload
    }

    /// The signature. With the access key id it tells one signed request from another.
    #[must_use]
    pub fn signature(&self) -> &[u8; 32] {
        &self.signature
    }

    /// When the request was signed.
    #[must_use]
    pub fn date(&self) -> OffsetDateTime {
        self.date
    }

    /// True for presigned links.
    #[must_use]
    pub fn is_presigned(&self) -> bool {
        matches!(self.form, Form::Query { .. })
    }

    fn from_header(request: &Request<'_>) -> Result<Self, AuthError> {
        let malformed = |problem: String| AuthError::MalformedHeader { problem };
        let header = request.single("authorization").map_err(|why| malformed(why.about("Authorization")))?;
        let header = header.unwrap_or_default();
        let (algorithm, rest) = header.split_once(' ').unwrap_or((header, ""));
        check_algorithm(algorithm)?;

        let complain = |problem: String| malformed(format!("{problem} Authorization={}", repeated(header)));
        let [mut credential, mut headers, mut signature] = [None; 3];
        for part in rest.split(',') {
            let part = part.trim_matches(' ');
            let Some((name, value)) = part.split_once('=') else {
                return Err(complain(format!("'{}' is not a key=value pair.", repeated(part))));
            };
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut headers,
                "Signature" => &mut signature,
                other => return Err(complain(format!("'{}' is not a known parameter.", repeated(other)))),
            };
            if slot.replace(value).is_some() {
                return Err(complain(format!("'{name}' must occur exactly once.")));
            }
        }
        let found = [("Credential", credential), ("Signature", signature), ("SignedHeaders", headers)];
        let date = header_date(request).map_err(malformed)?;
        let mut missing: Vec<String> = found
            .iter()
            .filter(|(_, value)| value.is_none_or(str::is_empty))
            .map(|(name, _)| format!("Authorization header requires '{name}' parameter."))
            .collect();
        if date.is_none() {
            missing.push(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.".to_owned(),
            );
        }
        let (Some(credential), Some(headers), Some(signature), Some(date), true) =
            (credential, headers, signature, date, missing.is_empty())
        else {
            return Err(complain(missing.join(" ")));
        };

        let token =
            request.single("x-amz-security-token").map_err(|why| malformed(why.about("X-Amz-Security-Token")))?;
        let fields =
            Fields { credential, headers, signature, date, token: token.map(str::to_owned), form: Form::Header };
        fields.into_claim(request, complain)
    }

    fn from_query(request: &Request<'_>, parameters: &Parameters) -> Result<Self, AuthError> {
        let complain = |problem: String| AuthError::MalformedQuery { problem };
        if let Some(algorithm) = parameters.get("X-Amz-Algorithm") {
            check_algorithm(algorithm)?;
        }
        let missing: Vec<String> = PARAMETERS
            .iter()
            .filter(|name| **name != "X-Amz-Security-Token" && parameters.get(name).is_none_or(str::is_empty))
            .map(|name| format!("AWS query-string parameters must include '{name}'."))
            .collect();
        if !missing.is_empty() {
            return Err(complain(missing.join(" ")));
        }
        if request.values("x-amz-security-token").next().is_some() {
            return Err(complain("The session token of a presigned link belongs in its query.".to_owned()));
        }
        let get = |name| parameters.get(name).unwrap_or_default();
        let expires = get("X-Amz-Expires");
        let is_number = expires.len() <= 6 && expires.bytes().all(|digit| digit.is_ascii_digit());
        let expires = expires.parse().ok().filter(|seconds| is_number && (1..=MAX_PRESIGNED_SECONDS).contains(seconds));
        let Some(expires) = expires else {
            return Err(complain(format!(
                "X-Amz-Expires must be a number of seconds from 1 to {MAX_PRESIGNED_SECONDS}."
            )));
        };
        let date = get("X-Amz-Date");
        let date = parse_amz_date(date).ok_or_else(|| complain(bad_date("X-Amz-Date", date)))?;
        let fields = Fields {
            credential: get("X-Amz-Credential"),
            headers: get("X-Amz-SignedHeaders"),
            signature: get("X-Amz-Signature"),
            date,
            token: parameters.get("X-Amz-Security-Token").map(str::to_owned),
            form: Form::Query { expires },
        };
        fields.into_claim(request, complain)
    }

    /// The date as it is signed.
    pub(super) fn date_text(&self) -> String {
        amz_date(self.date)
    }
}

/// What both forms carry, as text.
struct Fields<'a> {
    credential: &'a str,
    headers: &'a str,
    signature: &'a str,
    date: OffsetDateTime,
    token: Option<String>,
    form: Form,
}

impl Fields<'_> {
    fn into_claim(self, request: &Request<'_>, complain: impl Fn(String) -> AuthError) -> Result<Claim, AuthError> {
        let parts: Vec<&str> = self.credential.split('/').collect();
        let &[access_key_id, scope_day, region, service, terminator] = parts.as_slice() else {
            return Err(complain(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'.",
                repeated(self.credential)
            )));
        };
        let is_word = |text: &str| {
            (1..=MAX_ACCESS_KEY_ID).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        };
        if ![access_key_id, scope_day, region, service].into_iter().all(is_word) {
            return Err(complain(format!(
                "Credential has an empty or invalid element: '{}'.",
                repeated(self.credential)
            )));
        }
        let signed_headers = signed_headers(self.headers).ok_or_else(|| {
            complain("SignedHeaders must be a list of lower-case header names, sorted, separated by ';'.".to_owned())
        })?;
        let signature = lower_case_hex(self.signature)
            .ok_or_else(|| complain("Signature must be 64 hexadecimal digits in lower case.".to_owned()))?;
        if terminator != TERMINATOR {
            return Err(AuthError::Terminator { given: repeated(terminator) });
        }
        if scope_day != day(self.date) {
            return Err(AuthError::Day { given: scope_day.to_owned(), date: self.date });
        }
        let scope = Scope { day: scope_day.to_owned(), region: region.to_owned(), service: service.to_owned() };
        Ok(Claim {
            form: self.form,
            access_key_id: access_key_id.to_owned(),
            payload: payload(request, &scope.service, self.form)?,
            scope,
            date: self.date,
            signed_headers,
            signature,
            token: self.token.map(Zeroizing::new),
        })
    }
}

/// The decoded authentication parameters of a query.
struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    /// `None` when the query has none of them.
    ///
    /// A parameter that is there twice or spelled in another way (`%58-Amz-Expires`, `x-amz-expires`) is refused: one
    /// verifier might read the first, another the second.
    fn find(query: Option<&str>) -> Result<Option<Self>, AuthError> {
        let complain = |problem: String| AuthError::MalformedQuery { problem };
        let mut found: Vec<(&'static str, String)> = Vec::new();
        for pair in query::pairs(query) {
            let (Some(name), Some(value)) = (query::decode(pair.name), query::decode(pair.value)) else {
                return Err(complain("The query has an incomplete percent escape.".to_owned()));
            };
            let Some(known) = PARAMETERS.into_iter().find(|known| known.as_bytes().eq_ignore_ascii_case(&name)) else {
                continue;
            };
            if pair.name != known {
                return Err(complain(format!("The query parameter '{known}' must be spelled exactly so.")));
            }
            if found.iter().any(|(name, _)| *name == known) {
                return Err(complain(format!("The query parameter '{known}' must occur exactly once.")));
            }
            let value =
                String::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            let value = value.ok_or_else(|| complain(format!("The query parameter '{known}' must be ASCII text.")))?;
            found.push((known, value));
        }
        Ok((!found.is_empty()).then_some(Self(found)))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// Whether these are boto3's links by default: Signature Version 2, which is not implemented.
fn is_signature_version_2(query: Option<&str>) -> bool {
    let has = |name| query::pairs(query).any(|pair| pair.name == name);
    has("AWSAccessKeyId") && has("Signature")
}

fn check_algorithm(algorithm: &str) -> Result<(), AuthError> {
    match algorithm {
        ALGORITHM => Ok(()),
        "AWS" => Err(AuthError::UnsupportedAlgorithm { algorithm: SIGV2.to_owned() }),
        other => Err(AuthError::UnsupportedAlgorithm { algorithm: repeated(other) }),
    }
}

/// `X-Amz-Date`, else `Date`; `None` when there is neither.
fn header_date(request: &Request<'_>) -> Result<Option<OffsetDateTime>, String> {
    for (name, parse) in
        [("X-Amz-Date", parse_amz_date as fn(&str) -> Option<OffsetDateTime>), ("Date", parse_date_header)]
    {
        if let Some(text) = request.single(name).map_err(|why| why.about(name))? {
            return parse(text).map(Some).ok_or_else(|| bad_date(name, text));
        }
    }
    Ok(None)
}

fn bad_date(name: &str, text: &str) -> String {
    format!(
        "Date must be in ISO-8601 'basic format'. Got '{}' in '{name}'. See http://en.wikipedia.org/wiki/ISO_8601; \
         example: {DATE_FORMAT_EXAMPLE}.",
        repeated(text)
    )
}

/// The names of a list that is sorted, in lower case and without repetition; `None` otherwise.
fn signed_headers(list: &str) -> Option<Vec<String>> {
    let names: Vec<String> = list.split(';').map(str::to_owned).collect();
    let is_name = |name: &String| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    (names.iter().all(is_name) && names.is_sorted_by(|left, right| left < right)).then_some(names)
}

fn lower_case_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    (is_lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

/// What `x-amz-content-sha256` says. Links of S3 are signed without their body unless they announce it.
fn payload(request: &Request<'_>, service: &str, form: Form) -> Result<Payload, AuthError> {
    const HEADER: &str = "x-amz-content-sha256";
    let announced = request.single(HEADER).map_err(|why| AuthError::MalformedHeader { problem: why.about(HEADER) })?;
    let is_s3 = service == "s3";
    match announced {
        None if is_s3 && form != Form::Header => Ok(Payload::Unsigned),
        None => Ok(Payload::Computed),
        Some("UNSIGNED-PAYLOAD") if is_s3 => Ok(Payload::Unsigned),
        Some(text) if is_s3 && text.starts_with("STREAMING-") => Chunking::ALL
            .into_iter()
            .find(|chunking| chunking.literal() == text && form == Form::Header)
            .map(Payload::Chunked)
            .ok_or_else(|| AuthError::UnsupportedPayload { announced: repeated(text) }),
        Some(text) => lower_case_hex(text)
            .map(Payload::Announced)
            .ok_or_else(|| AuthError::UnsupportedPayload { announced: repeated(text) }),
    }
}

/// A stranger's text in bounded length, for the error that goes back to them.
fn repeated(text: &str) -> String {
    let mut end = text.len().min(MAX_REPEATED);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}
