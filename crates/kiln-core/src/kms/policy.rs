//! Key policies: kept, checked and answered. Who may do what by them is decided in [`super::access`].

use kiln_iam::policy::{Kind, Policy, PolicyError};
use kiln_model::{
    ApiError, ErrorCode,
    arn::Home,
    kms::{
        Empty, GetKeyPolicyRequest, GetKeyPolicyResponse, ListKeyPoliciesRequest, ListKeyPoliciesResponse,
        PutKeyPolicyRequest,
    },
    service::Context,
};

use super::{
    access::{Use, permit, would_be_allowed},
    document::Document,
    edit::edit,
    list::{Page, page},
    resolve::{Names, check_stays, error, find},
};
use crate::{core::Inner, runners::Runners};

/// The one policy that a key has.
const NAME: &str = "default";

/// What a key has when nothing else is said: the account decides.
pub(super) fn default(home: &Home) -> String {
    let root = format!("arn:{}:iam::{}:root", home.partition(), home.account);
    format!(
        r#"{{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {{
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "{root}"
    }},
    "Action" : "kms:*",
    "Resource" : "*"
  }} ]
}}"#
    )
}

/// What keys of the service have: only its own services use them. `service` as policies name it, `name` as people do.
pub(super) fn managed(home: &Home, service: &str, name: &str) -> String {
    let (account, region) = (&home.account, &home.region);
    format!(
        r#"{{
  "Version" : "2012-10-17",
  "Id" : "auto-{service}-2",
  "Statement" : [ {{
    "Sid" : "Allow access through {name} for all principals in the account that are authorized to use {name}",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "*"
    }},
    "Action" : [ "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey" ],
    "Resource" : "*",
    "Condition" : {{
      "StringEquals" : {{
        "kms:CallerAccount" : "{account}",
        "kms:ViaService" : "{service}.{region}.amazonaws.com"
      }}
    }}
  }}, {{
    "Sid" : "Allow direct access to key metadata to the account",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "arn:{}:iam::{account}:root"
    }},
    "Action" : [ "kms:Describe*", "kms:Get*", "kms:List*" ],
    "Resource" : "*"
  }} ]
}}"#,
        home.partition()
    )
}

/// The policy, if it can be one.
pub(super) fn checked(text: String) -> Result<String, ApiError> {
    match Policy::parse(Kind::Key, &text) {
        Ok(_) => Ok(text),
        Err(e @ PolicyError::TooLong { .. }) => Err(error(ErrorCode::LimitExceeded, e.to_string())),
        Err(e) => Err(error(ErrorCode::MalformedPolicyDocument, e.to_string())),
    }
}

/// Refuses a policy after which its author could not put another.
pub(super) fn check_lockout<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    policy: &str,
    key: &str,
) -> Result<(), ApiError> {
    if would_be_allowed(inner, context, policy, "PutKeyPolicy", key)? {
        return Ok(());
    }
    let message = "The new key policy will not allow you to update the key policy in the future.";
    Err(error(ErrorCode::MalformedPolicyDocument, message))
}

fn check_name(name: Option<&str>) -> Result<(), ApiError> {
    match name {
        None | Some(NAME) => Ok(()),
        Some(_) => Err(error(ErrorCode::NotFound, "No such policy exists")),
    }
}

pub(super) fn get<R: Runners>(inner: &Inner<R>, input: &GetKeyPolicyRequest) -> Result<GetKeyPolicyResponse, ApiError> {
    check_name(input.policy_name.as_deref())?;
    let home = &inner.config.home;
    inner.look(|view| {
        let document = Document::of(&find(view, home, &input.key_id, Names::Keys)?)?;
        Ok(GetKeyPolicyResponse { policy: Some(document.policy), policy_name: Some(NAME.to_owned()) })
    })
}

pub(super) async fn put<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: PutKeyPolicyRequest,
) -> Result<Empty, ApiError> {
    check_name(input.policy_name.as_deref())?;
    let policy = checked(input.policy)?;
    if input.bypass_policy_lockout_safety_check != Some(true) {
        let key = permit(inner, context, &input.key_id, Names::Keys, Use::of("PutKeyPolicy"))?;
        check_lockout(inner, context, &policy, &key.id)?;
    }
    edit(inner, context, "PutKeyPolicy", &input.key_id, None, |key| {
        check_stays(key.home, key.record)?;
        key.document.policy = policy;
        Ok(Empty {})
    })
    .await
}

pub(super) fn list<R: Runners>(
    inner: &Inner<R>,
    input: &ListKeyPoliciesRequest,
) -> Result<ListKeyPoliciesResponse, ApiError> {
    let home = &inner.config.home;
    inner.look(|view| find(view, home, &input.key_id, Names::Keys))?;
    let read = |after: Option<&str>, _| Ok(if after.is_none() { vec![NAME.to_owned()] } else { Vec::new() });
    let page = page("policies", input.limit, input.marker.as_deref(), 100, read, |name: &String| name)?;
    let Page { items, truncated, next_marker } = page;
    Ok(ListKeyPoliciesResponse { policy_names: items, truncated, next_marker })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keys_have_by_themselves_are_policies() {
        let home = Home { region: "us-east-1".to_owned(), account: "000000000000".to_owned() };
        for policy in [default(&home), managed(&home, "s3", "S3")] {
            assert_eq!(checked(policy.clone()), Ok(policy));
        }
    }
}
