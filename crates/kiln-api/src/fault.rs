//! Errors as each kind of service writes them (`api.md` 1.3, `security.md` 1.5).

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use kiln_iam::{AuthError, Denial, Style};
use kiln_model::{ApiError, ErrorCode, audit::CallError, iam::IamError, s3::S3Error};
use serde_json::json;

use crate::{
    body::Answer,
    cloudwatch,
    route::{Route, Service},
};

/// Why a request is not fulfilled.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Its sender is not known or may not be believed.
    Auth(AuthError),
    /// What the service says, or the front end in its place.
    Api(ApiError),
    /// The same for S3.
    S3(S3Error),
    /// What IAM or STS says.
    Iam { code: &'static str, status: u16, message: String },
    /// The bytes on the connection are not to be trusted any further: answer, then close.
    Framing(ApiError),
    /// It names a host that this is not.
    UnknownHost(String),
    /// It is for a service of AWS that is not served here.
    Foreign(String),
    /// The server is stopping: answer, then close.
    Stopping,
}

/// Seconds after which a client may find a server again that is stopping now.
const BACK_IN: HeaderValue = HeaderValue::from_static("1");

impl From<AuthError> for Fault {
    fn from(error: AuthError) -> Self {
        Self::Auth(error)
    }
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<S3Error> for Fault {
    fn from(error: S3Error) -> Self {
        Self::S3(error)
    }
}

impl From<IamError> for Fault {
    fn from(error: IamError) -> Self {
        match error {
            IamError::Api(error) => Self::Api(error),
            IamError::Refused { code, message } => {
                Self::Iam { code: code.as_str(), status: code.http_status(), message }
            }
        }
    }
}

impl Fault {
    /// The error's code in that style, for logs.
    pub(crate) fn code(&self, style: Style) -> &'static str {
        self.denial(style).code
    }

    /// The answer on that route.
    pub(crate) fn written(&self, route: &Route, request_id: &str) -> Response<Answer> {
        let mut response = match route {
            Route::Service(Service::CloudWatch(protocol)) => cloudwatch::error(*protocol, self, request_id),
            _ => self.answer(route.style(), request_id),
        };
        if matches!(self, Self::Framing(_) | Self::Stopping) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if matches!(self, Self::Stopping) {
            response.headers_mut().insert(header::RETRY_AFTER, BACK_IN);
        }
        response
    }

    /// The answer in that style.
    pub(crate) fn answer(&self, style: Style, request_id: &str) -> Response<Answer> {
        let denial = self.denial(style);
        let mut response = match style {
            Style::Json => json_error(&denial),
            Style::Query => xml_error(query_body(&denial, request_id)),
            Style::S3 if denial.status == 304 => Response::new(Answer::default()),
            Style::S3 => xml_error(s3_body(&denial, self.resource(), request_id)),
        };
        *response.status_mut() = StatusCode::from_u16(denial.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Self::S3(error) = self {
            s3_headers(error, response.headers_mut());
        }
        response
    }

    /// The error, for the audit log.
    pub(crate) fn as_call_error(&self, style: Style) -> CallError {
        let Denial { code, status, message, .. } = self.denial(style);
        CallError { code: code.to_owned(), message, status }
    }

    /// What an error of S3 is about.
    fn resource(&self) -> Option<&str> {
        match self {
            Self::S3(error) => error.resource.as_deref(),
            _ => None,
        }
    }

    fn denial(&self, style: Style) -> Denial {
        match self {
            Self::S3(error) => Denial {
                code: error.code.as_str(),
                status: error.code.http_status(),
                message: error.message.clone(),
                region: None,
            },
            Self::Auth(error) => error.answer(style),
            Self::Api(error) | Self::Framing(error) => {
                let (code, status) = api_code(error.code, style);
                Denial { code, status, message: shortened(&error.message), region: None }
            }
            Self::Iam { code, status, message } => {
                Denial { code, status: *status, message: message.clone(), region: None }
            }
            Self::UnknownHost(host) => {
                let (code, status) = api_code(ErrorCode::AccessDenied, style);
                let message = format!(
                    "'{host}' is not a name of this Kiln server; if it should be, add it to 'domains' in its \
                     configuration"
                );
                Denial { code, status, message, region: None }
            }
            Self::Foreign(service) => {
                let (code, status) = match style {
                    Style::Json => ("UnknownOperationException", 400),
                    Style::Query => ("InvalidAction", 400),
                    Style::S3 => ("NotImplemented", 501),
                };
                let message = format!("the service '{service}' is not available in this version of Kiln");
                Denial { code, status, message, region: None }
            }
            Self::Stopping => {
                // At a 5xx of CodeBuild, Jenkins' plugin ends its build at once; a throttled call it sends again
                // (`integrations.md` 1.8). Clients of S3 send both again.
                let (code, status) = match style {
                    Style::Json => ("ThrottlingException", 400),
                    Style::Query => ("Throttling", 400),
                    Style::S3 => ("ServiceUnavailable", 503),
                };
                let message = "The server is stopping. Send the request again.".to_owned();
                Denial { code, status, message, region: None }
            }
        }
    }
}

/// Characters of a message, at most: it may quote what the client sent.
const LONGEST_MESSAGE: usize = 4000;

fn shortened(message: &str) -> String {
    match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{} …", message.get(..end).unwrap_or_default()),
        None => message.to_owned(),
    }
}

/// Code and status of an error in that style.
fn api_code(code: ErrorCode, style: Style) -> (&'static str, u16) {
    match style {
        Style::Json => (code.as_str(), code.http_status()),
        Style::Query => match code {
            ErrorCode::AccessDenied => ("AccessDenied", 403),
            ErrorCode::InternalFailure => ("InternalFailure", 500),
            ErrorCode::ServiceUnavailable => ("ServiceUnavailable", 503),
            ErrorCode::Throttling => ("Throttling", 400),
            ErrorCode::UnknownOperation => ("InvalidAction", 400),
            ErrorCode::Serialization => ("MalformedInput", 400),
            ErrorCode::InvalidNextToken => ("InvalidNextToken", 400),
            ErrorCode::InvalidParameterCombination => ("InvalidParameterCombination", 400),
            ErrorCode::InvalidParameterValue => ("InvalidParameterValue", 400),
            ErrorCode::LimitExceeded => ("LimitExceeded", 400),
            ErrorCode::MissingRequiredParameter => ("MissingParameter", 400),
            _ => ("ValidationError", 400),
        },
        Style::S3 => match code {
            ErrorCode::AccessDenied => ("AccessDenied", 403),
            ErrorCode::InternalFailure => ("InternalError", 500),
            ErrorCode::ServiceUnavailable | ErrorCode::Throttling => ("SlowDown", 503),
            ErrorCode::UnknownOperation => ("NotImplemented", 501),
            ErrorCode::Serialization => ("MalformedXML", 400),
            _ => ("InvalidRequest", 400),
        },
    }
}

/// The content type of AWS JSON 1.1.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");

fn json_error(denial: &Denial) -> Response<Answer> {
    let body = json!({ "__type": denial.code, "message": denial.message });
    let mut response = Response::new(Answer::whole(body.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(denial.code));
    response
}

/// The content type of query services and S3.
pub(crate) const XML: HeaderValue = HeaderValue::from_static("text/xml");

fn xml_error(body: String) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(body));
    response.headers_mut().insert(header::CONTENT_TYPE, XML);
    response
}

fn query_body(denial: &Denial, request_id: &str) -> String {
    let side = if denial.status < 500 { "Sender" } else { "Receiver" };
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{side}</Type><Code>{}</Code>\
         <Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>\n",
        denial.code,
        xml_text(&denial.message)
    )
}

/// What an error of S3 says beside its body: readers of delete markers and of what they have already get it from there.
fn s3_headers(error: &S3Error, headers: &mut HeaderMap) {
    let mut set = |name: &'static str, value: Option<String>| {
        headers.extend(
            value
                .and_then(|value| HeaderValue::try_from(value).ok())
                .map(|value| (HeaderName::from_static(name), value)),
        );
    };
    set("x-amz-delete-marker", error.delete_marker.then(|| "true".to_owned()));
    set("x-amz-version-id", error.version_id.clone());
    set("etag", error.etag.as_ref().map(|etag| format!("\"{etag}\"")));
    let modified = error.last_modified.and_then(|time| crate::pipeline::http_date(crate::authenticate::time_of(time)));
    headers.extend(modified.map(|date| (header::LAST_MODIFIED, date)));
}

fn s3_body(denial: &Denial, resource: Option<&str>, request_id: &str) -> String {
    let resource = resource.map(|text| format!("<Resource>{}</Resource>", xml_text(text))).unwrap_or_default();
    let region =
        denial.region.as_deref().map(|region| format!("<Region>{}</Region>", xml_text(region))).unwrap_or_default();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>{region}{resource}\
         <RequestId>{request_id}</RequestId><HostId>{request_id}</HostId></Error>\n",
        denial.code,
        xml_text(&denial.message)
    )
}

/// Text as XML may hold it: escaped, and without the characters that XML 1.0 has no form for.
pub(crate) fn xml_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' => escaped.push(character),
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            control if control.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_cannot_be_left() {
        assert_eq!(xml_text("a<b>&\"\u{0}\u{1b}ä"), "a&lt;b&gt;&amp;&quot;\u{fffd}\u{fffd}ä");
    }

    #[test]
    fn what_a_client_sent_does_not_come_back_whole() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"ä".repeat(5000)), format!("{} …", "ä".repeat(LONGEST_MESSAGE)));
    }

    #[test]
    fn only_kilns_own_failures_are_500() {
        for code in ErrorCode::ALL {
            for style in [Style::Json, Style::Query] {
                let is_own = matches!(code, ErrorCode::InternalFailure | ErrorCode::ServiceUnavailable);
                assert_eq!(api_code(*code, style).1 >= 500, is_own, "{code}");
            }
        }
    }
}
