//! The query protocol of IAM and STS: a form in, XML out (`api.md` 8.1, 8.2).

mod iam;
mod params;
mod render;
mod simulation;
mod sts;
mod xml;

use crate::form;
use http::request::Parts;
use kiln_model::{
    ApiError,
    operations::{OperationInfo, iam_operation},
};

pub(crate) use self::{
    iam::request as iam_request,
    params::Form,
    render::answer as iam_answer,
    sts::{Sts, caller_identity, credentials, request as sts_request},
    xml::iso_date,
};

/// The form of a request: its body, or the query of a presigned link, whatever its method.
pub(crate) fn form(parts: &Parts, body: &[u8]) -> Result<Form, ApiError> {
    let text = match body {
        b"" => parts.uri.query().unwrap_or_default(),
        body => {
            std::str::from_utf8(body).map_err(|_| ApiError::serialization("the body is no form: it is not UTF-8"))?
        }
    };
    Form::parse(text)
}

/// The pairs of a form, decoded as far as they can be.
pub(crate) fn form_pairs(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((form::decode(name)?, form::decode(value)?))
    };
    text.split('&').filter(|pair| !pair.is_empty()).filter_map(pair).collect()
}

/// The operation of IAM that a form names.
pub(crate) fn iam_named(form: &Form) -> Result<&'static OperationInfo, ApiError> {
    let name = form.get("Action").unwrap_or_default();
    iam_operation(name).ok_or_else(|| ApiError::unknown_operation(name))
}
