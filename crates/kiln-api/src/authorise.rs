//! Whether a caller may do what they ask for: the one place that says so.

use kiln_model::{ApiError, operations::OperationInfo, service::Caller};

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
}

impl<'a> Question<'a> {
    /// An operation that has no resource of its own yet.
    pub(crate) fn about(operation: &'a OperationInfo, caller: &'a Caller) -> Self {
        Self {
            action: operation.action,
            resource: None,
            bucket_policy: None,
            account: &caller.account,
            is_management: false,
            keys: &[],
        }
    }
}

/// Decides on requests whose sender is known, or who has none.
pub trait Authorizer: Send + Sync + 'static {
    /// Lets the caller do it or says why not. `None` is nobody: the request is not signed.
    ///
    /// # Errors
    /// `AccessDeniedException`, in AWS's words (`security.md` 1.5).
    fn authorise(&self, caller: Option<&Caller>, question: &Question<'_>) -> Result<(), ApiError>;
}

/// The rule until there are policies: the account's root may do everything, anybody else nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct RootOnly;

impl Authorizer for RootOnly {
    fn authorise(&self, caller: Option<&Caller>, question: &Question<'_>) -> Result<(), ApiError> {
        let Some(caller) = caller else { return Err(ApiError::access_denied("Access Denied")) };
        let root = format!(":iam::{}:root", caller.account);
        if caller.arn.ends_with(&root) { Ok(()) } else { Err(denied(caller, question)) }
    }
}

/// The text that tools and people match on (`security.md` 1.5).
fn denied(caller: &Caller, question: &Question<'_>) -> ApiError {
    let action = question.action;
    let resource = question.resource.map(|resource| format!(" on resource: {resource}")).unwrap_or_default();
    ApiError::access_denied(format!(
        "User: {} is not authorized to perform: {action}{resource} because no identity-based policy allows the {action} \
         action",
        caller.arn
    ))
}

#[cfg(test)]
mod tests {
    use kiln_iam::policy::table::table;
    use kiln_model::operations::{KILN_OPERATIONS, KMS_OPERATIONS, OPERATIONS, ResourceKind, codebuild_operation};

    use super::*;

    /// What permissions need and what the table of permissions says is one thing.
    #[test]
    fn every_operation_has_a_row_in_the_table_of_permissions() {
        for (service, operations) in [
            ("codebuild", OPERATIONS.as_slice()),
            ("kiln", KILN_OPERATIONS.as_slice()),
            ("kms", KMS_OPERATIONS.as_slice()),
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
        };
        let anybody = caller("");
        let ask = |caller: Option<&Caller>| {
            let question = Question::about(operation, &anybody);
            RootOnly.authorise(caller, &question)
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
}
