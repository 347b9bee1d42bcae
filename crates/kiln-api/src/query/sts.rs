//! STS: who am I, and sessions.

use http::Response;
use kiln_model::{
    ApiError,
    iam::{AssumeRole, Credentials, IamError, SessionRequest},
    service::Context,
};

use super::{params::Form, xml::Xml};
use crate::body::Answer;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The operations of STS that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sts {
    /// What people and Terraform ask first (`api.md` 1.4).
    CallerIdentity,
    /// A session of a role.
    AssumeRole,
    /// A session of oneself.
    SessionToken,
}

impl Sts {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CallerIdentity => "GetCallerIdentity",
            Self::AssumeRole => "AssumeRole",
            Self::SessionToken => "GetSessionToken",
        }
    }

    pub(crate) fn named(form: &Form) -> Result<Self, ApiError> {
        match form.get("Action").unwrap_or_default() {
            "GetCallerIdentity" => Ok(Self::CallerIdentity),
            "AssumeRole" => Ok(Self::AssumeRole),
            "GetSessionToken" => Ok(Self::SessionToken),
            other => Err(ApiError::unknown_operation(other)),
        }
    }
}

/// Who the caller is.
pub(crate) fn caller_identity(context: &Context) -> Response<Answer> {
    let caller = &context.caller;
    let mut xml = Xml::answer("GetCallerIdentity", NAMESPACE);
    xml.text("Arn", &caller.arn);
    xml.text("UserId", &caller.user_id);
    xml.text("Account", &caller.account);
    xml.finish(&context.request_id)
}

/// What a session is asked for with.
pub(crate) fn request(operation: Sts, form: &Form) -> Result<SessionRequest, IamError> {
    let seconds = form.number("DurationSeconds")?;
    if operation != Sts::AssumeRole {
        return Ok(SessionRequest::GetSessionToken { seconds });
    }
    // What would change who the session is must not be left out in silence.
    for name in
        ["SourceIdentity", "Tags.member.1.Key", "TransitiveTagKeys.member.1", "ProvidedContexts.member.1.ProviderArn"]
    {
        if form.get(name).is_some() {
            let name = name.split('.').next().unwrap_or_default();
            return Err(ApiError::invalid_input(format!("{name} is not available in this version of Kiln")).into());
        }
    }
    Ok(SessionRequest::AssumeRole(AssumeRole {
        role_arn: form.required("RoleArn")?,
        session_name: form.required("RoleSessionName")?,
        seconds,
        policy: form.optional("Policy"),
        policy_arns: form.list("PolicyArns", ".arn"),
        external_id: form.optional("ExternalId"),
    }))
}

/// The session's credentials.
pub(crate) fn credentials(operation: Sts, made: &Credentials, context: &Context) -> Response<Answer> {
    let name = if operation == Sts::AssumeRole { "AssumeRole" } else { "GetSessionToken" };
    let mut xml = Xml::answer(name, NAMESPACE);
    xml.within("Credentials", |xml| {
        xml.text("AccessKeyId", &made.access_key_id);
        xml.text("SecretAccessKey", made.secret.expose());
        xml.text("SessionToken", made.session_token.expose());
        xml.time("Expiration", made.expires);
    });
    if let Some((arn, id)) = &made.assumed {
        xml.within("AssumedRoleUser", |xml| {
            xml.text("Arn", arn);
            xml.text("AssumedRoleId", id);
        });
    }
    xml.maybe("PackedPolicySize", made.packed_percent.map(|percent| percent.to_string()).as_deref());
    xml.finish(&context.request_id)
}
