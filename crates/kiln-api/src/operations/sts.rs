//! `sts:GetCallerIdentity`: what people and Terraform ask first (`api.md` 1.4).

use http::{Response, header, request::Parts};
use kiln_model::{ApiError, service::Context};

use crate::{
    body::Answer,
    fault::{XML, xml_text},
    form,
};

/// The version of STS's API.
const VERSION: &str = "2011-06-15";

/// Checks that a request asks for `GetCallerIdentity`, the one operation that there is.
pub(super) fn operation(parts: &Parts, body: &[u8]) -> Result<(), ApiError> {
    // A presigned link has the parameters in its query, whatever its method.
    let text = match body {
        b"" => parts.uri.query().unwrap_or_default(),
        body => {
            std::str::from_utf8(body).map_err(|_| ApiError::serialization("the body is no form: it is not UTF-8"))?
        }
    };
    match form::value(text, "Action").as_deref() {
        Some("GetCallerIdentity") => Ok(()),
        Some(other) => Err(ApiError::unknown_operation(other)),
        None => Err(ApiError::unknown_operation("")),
    }
}

/// Who the caller is.
pub(super) fn caller_identity(context: &Context) -> Response<Answer> {
    let caller = &context.caller;
    // For the root AWS answers the account itself as the user's id.
    let user_id = if caller.arn.ends_with(":root") { &caller.account } else { &caller.name };
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/{VERSION}/\"><GetCallerIdentityResult>\
         <Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account></GetCallerIdentityResult><ResponseMetadata>\
         <RequestId>{}</RequestId></ResponseMetadata></GetCallerIdentityResponse>\n",
        xml_text(&caller.arn),
        xml_text(user_id),
        xml_text(&caller.account),
        context.request_id
    );
    let mut response = Response::new(Answer::whole(body));
    response.headers_mut().insert(header::CONTENT_TYPE, XML);
    response
}
