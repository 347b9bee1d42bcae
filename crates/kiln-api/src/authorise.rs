//! Whether a caller may do what they ask for: the one place that says so.

mod asked;
mod events;
mod git;
mod images;
mod logs;
mod secrets;

use http::{HeaderName, header, request::Parts};
use kiln_iam::policy::{self, Kind, Policy, Principal};
use kiln_model::{
    ApiError,
    audit::{Ruling, Rulings},
    service::Caller,
};

use crate::connection::Peer;

pub(crate) use asked::{Needed, of_iam, of_json, of_kms, of_metrics};
pub(crate) use events::of_events;
pub(crate) use git::of_git;
pub(crate) use images::of_images;
pub(crate) use logs::of_logs;
pub(crate) use secrets::{of_parameters, of_secrets};

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// E.g. `s3:GetObject`.
    pub action: &'a str,
    /// ARN of what it is done to; `None` for nothing in particular.
    pub resource: Option<&'a str>,
    /// The policy of the bucket that the resource is of.
    pub bucket_policy: Option<&'a str>,
    /// The account that the resource is of.
    pub account: &'a str,
    /// The account's root may do it whatever the bucket's policy says.
    pub is_management: bool,
    /// Condition keys with their values.
    pub keys: &'a [(&'static str, String)],
    /// More of them, for which the request says the names; one of several values stands several times.
    pub input: &'a [(String, String)],
}

impl<'a> Question<'a> {
    /// Asks for a permission.
    pub(crate) fn about(needed: &'a Needed, caller: &'a Caller, keys: &'a [(&'static str, String)]) -> Self {
        Self {
            action: &needed.action,
            resource: needed.resource.as_deref(),
            bucket_policy: None,
            account: &caller.account,
            is_management: false,
            keys,
            input: &needed.keys,
        }
    }
}

/// The condition keys of the connection and of the request's head.
pub(crate) fn surroundings(parts: &Parts, peer: &Peer) -> Vec<(&'static str, String)> {
    let header = |name: HeaderName| Some(parts.headers.get(name)?.to_str().ok()?.to_owned());
    // What a build sends does not leave the machine's memory: policies that want TLS want no less.
    let mut keys = vec![("aws:SecureTransport", (peer.is_tls || peer.is_build).to_string())];
    keys.extend(peer.address.map(|address| ("aws:SourceIp", address.ip().to_canonical().to_string())));
    keys.extend(header(header::USER_AGENT).map(|agent| ("aws:UserAgent", agent)));
    keys.extend(header(header::REFERER).map(|referer| ("aws:Referer", referer)));
    keys
}

/// Decides on requests whose sender is known, or who has none.
pub trait Authorizer: Send + Sync + 'static {
    /// Lets the caller do it or says why not. `None` is nobody: the request is not signed. What was decided is added to
    /// `rulings`.
    ///
    /// # Errors
    /// `AccessDeniedException`, in AWS's words (`security.md` 1.5).
    fn authorise(&self, caller: Option<&Caller>, question: &Question<'_>, rulings: &Rulings) -> Result<(), ApiError>;
}

/// The account's root may do everything but what a bucket's policy denies; anybody else, and nobody, only what a bucket's
/// policy allows.
#[derive(Debug, Clone, Copy, Default)]
pub struct BucketPolicies;

impl Authorizer for BucketPolicies {
    fn authorise(&self, caller: Option<&Caller>, question: &Question<'_>, rulings: &Rulings) -> Result<(), ApiError> {
        let decided = Self::decide(caller, question);
        rulings.add(Ruling {
            action: question.action.to_owned(),
            resource: question.resource.map(str::to_owned),
            allowed: decided.is_ok(),
            reason: if decided.is_ok() { "allowed" } else { "implicitDeny" }.to_owned(),
            ..Ruling::default()
        });
        decided
    }
}

impl BucketPolicies {
    /// As [`Authorizer::authorise`], without keeping what was decided.
    ///
    /// # Errors
    /// The same.
    pub fn decide(caller: Option<&Caller>, question: &Question<'_>) -> Result<(), ApiError> {
        let principal = principal(caller);
        let is_own_root = matches!(&principal, Principal::Root { account } if account == question.account);
        if is_own_root && (question.is_management || question.bucket_policy.is_none()) {
            return Ok(());
        }
        let policy = question.bucket_policy.map(|text| Policy::parse(Kind::Bucket, text)).transpose();
        // A policy that cannot be read could have denied anything.
        let policy = policy.map_err(|error| {
            ApiError::access_denied(format!(
                "the bucket's policy cannot be read, so nobody may use the bucket; the account's root may put another: {error}"
            ))
        })?;
        let mut context = policy::Context::new();
        for (name, value) in question.keys {
            context.set(name, value.as_str());
        }
        let request = policy::Request {
            principal: &principal,
            action: question.action,
            resource: question.resource.unwrap_or("*"),
            account: question.account,
            context: &context,
        };
        let policies = policy::Policies { resource: policy.as_ref(), ..policy::Policies::default() };
        let decision = policy::evaluate(&request, &policies);
        match caller {
            _ if decision.is_allowed() => Ok(()),
            None => Err(ApiError::access_denied("Access Denied")),
            Some(caller) => {
                Err(ApiError::access_denied(decision.denial(&caller.arn, question.action, question.resource)))
            }
        }
    }
}

/// A caller as policies know them.
fn principal(caller: Option<&Caller>) -> Principal {
    let Some(caller) = caller else { return Principal::Anonymous };
    let account = caller.account.clone();
    if caller.arn == format!("arn:aws:iam::{account}:root") {
        Principal::Root { account }
    } else {
        Principal::User { account, arn: caller.arn.clone() }
    }
}

#[cfg(test)]
mod tests {
    use kiln_iam::policy::table::table;
    use kiln_model::operations::{
        CLOUDWATCH_OPERATIONS, CODECOMMIT_OPERATIONS, ECR_OPERATIONS, EVENTS_OPERATIONS, IAM_OPERATIONS,
        KILN_OPERATIONS, KMS_OPERATIONS, LOGS_OPERATIONS, OPERATIONS, ResourceKind, SECRETS_MANAGER_OPERATIONS,
        SSM_OPERATIONS, codebuild_operation,
    };

    use super::*;

    /// What permissions need and what the table of permissions says is one thing.
    #[test]
    fn every_operation_has_a_row_in_the_table_of_permissions() {
        for (service, operations) in [
            ("codebuild", OPERATIONS.as_slice()),
            ("kiln", KILN_OPERATIONS.as_slice()),
            ("kms", KMS_OPERATIONS.as_slice()),
            ("iam", IAM_OPERATIONS.as_slice()),
            ("secretsmanager", SECRETS_MANAGER_OPERATIONS.as_slice()),
            ("ssm", SSM_OPERATIONS.as_slice()),
            ("cloudwatch", CLOUDWATCH_OPERATIONS.as_slice()),
            ("logs", LOGS_OPERATIONS.as_slice()),
            ("ecr", ECR_OPERATIONS.as_slice()),
            ("events", EVENTS_OPERATIONS.as_slice()),
            ("codecommit", CODECOMMIT_OPERATIONS.as_slice()),
        ] {
            for operation in operations {
                let row = table().operation(service, operation.name).expect(operation.name);
                let permission = row.when(None).expect(operation.name);
                let resources: &[&str] = match operation.resource {
                    ResourceKind::Any => &[],
                    ResourceKind::Project => &["codebuild-project"],
                    ResourceKind::ReportGroup => &["codebuild-report-group"],
                    ResourceKind::ProjectOrReportGroup => &["codebuild-project", "codebuild-report-group"],
                    ResourceKind::Fleet => &["codebuild-fleet"],
                    ResourceKind::Sandbox => &["codebuild-sandbox"],
                    // Calls about an alias need the permission on the key as well.
                    ResourceKind::Key if operation.name.ends_with("Alias") => &["kms-alias", "kms-key"],
                    ResourceKind::Key => &["kms-key"],
                    ResourceKind::Secret => &["secretsmanager-secret"],
                    ResourceKind::Parameter => &["ssm-parameter"],
                    ResourceKind::LogGroup => &["logs-log-group"],
                    ResourceKind::LogStream => &["logs-log-stream"],
                    ResourceKind::Repository => &["ecr-repository"],
                    ResourceKind::Rule => &["events-rule"],
                    ResourceKind::EventBus => &["events-event-bus"],
                    ResourceKind::GitRepository => &["codecommit-repository"],
                    // Whose policies are simulated: an ARN says.
                    ResourceKind::Identity if operation.name.ends_with("PrincipalPolicy") => {
                        &["iam-group", "iam-role", "iam-user"]
                    }
                    // Of which kind: its name says.
                    ResourceKind::Identity => &permission.resources[..1],
                };
                assert_eq!(permission.resources, resources, "{}", operation.name);
                // Of two keys each has an action of its own.
                let action = if operation.name == "ReEncrypt" { "kms:ReEncryptTo" } else { operation.action };
                assert_eq!(permission.action, action);
            }
        }
        for name in ["GetCallerIdentity", "AssumeRole", "GetSessionToken"] {
            assert!(table().operation("sts", name).is_some(), "{name}");
        }
    }

    #[test]
    fn root_may_and_others_may_not() {
        let operation = codebuild_operation("StartBuild").unwrap();
        let caller = |arn: &str| Caller {
            account: "000000000000".to_owned(),
            arn: arn.to_owned(),
            name: "x".to_owned(),
            access_key_id: "AKID".to_owned(),
            user_id: "x".to_owned(),
            session: None,
        };
        let anybody = caller("");
        let ask = |caller: Option<&Caller>| {
            let needed = Needed { action: operation.action.to_owned(), resource: None, keys: Vec::new() };
            let question = Question::about(&needed, &anybody, &[]);
            BucketPolicies.authorise(caller, &question, &Rulings::default())
        };
        ask(Some(&caller("arn:aws:iam::000000000000:root"))).unwrap();
        assert_eq!(ask(None).unwrap_err().message, "Access Denied");
        let other = "arn:aws:iam::000000000000:user/alice";
        assert_eq!(
            ask(Some(&caller(other))).unwrap_err().message,
            "User: arn:aws:iam::000000000000:user/alice is not authorized to perform: codebuild:StartBuild because no \
             identity-based policy allows the codebuild:StartBuild action"
        );
        for other in ["arn:aws:iam::111122223333:root", "arn:aws:iam::000000000000:user/root", ""] {
            assert!(ask(Some(&caller(other))).is_err());
        }
    }

    #[test]
    fn policies_of_buckets_bind_everybody() {
        let caller = |arn: &str| Caller {
            account: "000000000000".to_owned(),
            arn: arn.to_owned(),
            name: "x".to_owned(),
            access_key_id: "AKID".to_owned(),
            user_id: "x".to_owned(),
            session: None,
        };
        let (root, alice) = (caller("arn:aws:iam::000000000000:root"), caller("arn:aws:iam::000000000000:user/alice"));
        let policy = r#"{"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/public/*"},
            {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::b/sealed/*",
             "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {"Effect": "Deny", "Principal": "*", "Action": "s3:*BucketPolicy", "Resource": "arn:aws:s3:::b"}
        ]}"#;
        let keys = [("aws:SecureTransport", "false".to_owned())];
        let ask = |caller: Option<&Caller>, action: &str, resource: &str, is_management: bool| {
            let question = Question {
                action,
                resource: Some(resource),
                bucket_policy: Some(policy),
                account: "000000000000",
                is_management,
                keys: &keys,
                input: &[],
            };
            BucketPolicies.authorise(caller, &question, &Rulings::default()).map_err(|error| error.message)
        };
        assert_eq!(ask(None, "s3:GetObject", "arn:aws:s3:::b/public/a", false), Ok(()));
        assert_eq!(ask(None, "s3:PutObject", "arn:aws:s3:::b/public/a", false), Err("Access Denied".to_owned()));
        assert_eq!(ask(None, "s3:GetObject", "arn:aws:s3:::b/a", false), Err("Access Denied".to_owned()));
        assert_eq!(ask(Some(&alice), "s3:GetObject", "arn:aws:s3:::b/public/a", false), Ok(()));
        assert!(ask(Some(&alice), "s3:GetObject", "arn:aws:s3:::b/a", false).is_err());
        assert_eq!(ask(Some(&root), "s3:PutObject", "arn:aws:s3:::b/a", false), Ok(()));
        let denied = ask(Some(&root), "s3:PutObject", "arn:aws:s3:::b/sealed/a", false).unwrap_err();
        assert!(denied.ends_with("with an explicit deny in a resource-based policy"), "{denied}");
        assert_eq!(
            ask(Some(&root), "s3:DeleteBucketPolicy", "arn:aws:s3:::b", true),
            Ok(()),
            "or it could not be mended"
        );
    }
}
