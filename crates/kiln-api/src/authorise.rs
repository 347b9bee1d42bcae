//! Whether a caller may do what they ask for: the one place that says so.

use kiln_model::{ApiError, operations::OperationInfo, service::Caller};

/// Decides on requests whose sender is known.
pub trait Authorizer: Send + Sync + 'static {
    /// Lets the caller do the operation or says why not.
    ///
    /// # Errors
    /// `AccessDeniedException`, in AWS's words (`security.md` 1.5).
    fn authorise(&self, caller: &Caller, operation: &OperationInfo) -> Result<(), ApiError>;
}

/// The rule until there are policies: the account's root may do everything, anybody else nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct RootOnly;

impl Authorizer for RootOnly {
    fn authorise(&self, caller: &Caller, operation: &OperationInfo) -> Result<(), ApiError> {
        let root = format!(":iam::{}:root", caller.account);
        if caller.arn.ends_with(&root) { Ok(()) } else { Err(denied(caller, operation.action)) }
    }
}

/// The text that tools and people match on (`security.md` 1.5), for an operation on nothing in particular.
fn denied(caller: &Caller, action: &str) -> ApiError {
    ApiError::access_denied(format!(
        "User: {} is not authorized to perform: {action} because no identity-based policy allows the {action} action",
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
        RootOnly.authorise(&caller("arn:aws:iam::000000000000:root"), operation).unwrap();
        let other = "arn:aws:iam::000000000000:user/alice";
        assert_eq!(
            RootOnly.authorise(&caller(other), operation).unwrap_err().message,
            "User: arn:aws:iam::000000000000:user/alice is not authorized to perform: codebuild:StartBuild because no \
             identity-based policy allows the codebuild:StartBuild action"
        );
        for other in ["arn:aws:iam::111122223333:root", "arn:aws:iam::000000000000:user/root", ""] {
            assert!(RootOnly.authorise(&caller(other), operation).is_err());
        }
    }
}
