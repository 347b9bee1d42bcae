//! Requests of IAM.

use kiln_model::iam::{IamError, Owner, PolicyScope, Request, Tagged};

use super::{params::Form, simulation};

/// The request that a form is, for an operation of the table.
pub(crate) fn request(operation: &str, form: &Form) -> Result<Request, IamError> {
    let name = |parameter: &str| form.required(parameter);
    let path = || form.optional("Path");
    let prefix = || form.optional("PathPrefix").unwrap_or_else(|| "/".to_owned());
    let boundary = || form.optional("PermissionsBoundary");
    Ok(match operation {
        "SimulatePrincipalPolicy" | "SimulateCustomPolicy" => {
            Request::Simulate { simulation: Box::new(simulation::simulation(operation, form)?), page: form.page()? }
        }
        "GetContextKeysForPrincipalPolicy" | "GetContextKeysForCustomPolicy" => {
            Request::ContextKeys { simulation: Box::new(simulation::simulation(operation, form)?) }
        }

        "CreateUser" => {
            Request::CreateUser { name: name("UserName")?, path: path(), boundary: boundary(), tags: form.tags()? }
        }
        "GetUser" => Request::GetUser { name: form.optional("UserName") },
        "ListUsers" => Request::ListUsers { path_prefix: prefix(), page: form.page()? },
        "UpdateUser" => Request::UpdateUser {
            name: name("UserName")?,
            new_name: form.optional("NewUserName"),
            new_path: form.optional("NewPath"),
        },
        "DeleteUser" => Request::DeleteUser { name: name("UserName")? },

        "CreateGroup" => Request::CreateGroup { name: name("GroupName")?, path: path() },
        "GetGroup" => Request::GetGroup { name: name("GroupName")?, page: form.page()? },
        "ListGroups" => Request::ListGroups { path_prefix: prefix(), page: form.page()? },
        "UpdateGroup" => Request::UpdateGroup {
            name: name("GroupName")?,
            new_name: form.optional("NewGroupName"),
            new_path: form.optional("NewPath"),
        },
        "DeleteGroup" => Request::DeleteGroup { name: name("GroupName")? },
        "AddUserToGroup" => Request::AddUserToGroup { group: name("GroupName")?, user: name("UserName")? },
        "RemoveUserFromGroup" => Request::RemoveUserFromGroup { group: name("GroupName")?, user: name("UserName")? },
        "ListGroupsForUser" => Request::ListGroupsForUser { user: name("UserName")?, page: form.page()? },

        "CreateRole" => Request::CreateRole {
            name: name("RoleName")?,
            path: path(),
            trust: name("AssumeRolePolicyDocument")?,
            description: form.optional("Description"),
            max_session_seconds: form.number("MaxSessionDuration")?,
            boundary: boundary(),
            tags: form.tags()?,
        },
        "GetRole" => Request::GetRole { name: name("RoleName")? },
        "ListRoles" => Request::ListRoles { path_prefix: prefix(), page: form.page()? },
        "UpdateRole" => Request::UpdateRole {
            name: name("RoleName")?,
            description: form.optional("Description"),
            max_session_seconds: form.number("MaxSessionDuration")?,
        },
        "UpdateRoleDescription" => {
            Request::UpdateRoleDescription { name: name("RoleName")?, description: name("Description")? }
        }
        "UpdateAssumeRolePolicy" => {
            Request::UpdateAssumeRolePolicy { name: name("RoleName")?, trust: name("PolicyDocument")? }
        }
        "DeleteRole" => Request::DeleteRole { name: name("RoleName")? },
        "ListInstanceProfilesForRole" => Request::ListInstanceProfilesForRole { name: name("RoleName")? },

        "CreatePolicy" => Request::CreatePolicy {
            name: name("PolicyName")?,
            path: path(),
            document: name("PolicyDocument")?,
            description: form.optional("Description"),
            tags: form.tags()?,
        },
        "GetPolicy" => Request::GetPolicy { arn: name("PolicyArn")? },
        "ListPolicies" => Request::ListPolicies {
            scope: match form.get("Scope") {
                None | Some("All") => PolicyScope::All,
                Some("AWS") => PolicyScope::Aws,
                Some("Local") => PolicyScope::Local,
                Some(_) => {
                    return Err(IamError::validation("scope", "Member must satisfy enum value set: [All, AWS, Local]"));
                }
            },
            only_attached: form.flag("OnlyAttached")?,
            path_prefix: prefix(),
            page: form.page()?,
        },
        "DeletePolicy" => Request::DeletePolicy { arn: name("PolicyArn")? },
        "CreatePolicyVersion" => Request::CreatePolicyVersion {
            arn: name("PolicyArn")?,
            document: name("PolicyDocument")?,
            set_as_default: form.flag("SetAsDefault")?,
        },
        "GetPolicyVersion" => Request::GetPolicyVersion { arn: name("PolicyArn")?, version: name("VersionId")? },
        "ListPolicyVersions" => Request::ListPolicyVersions { arn: name("PolicyArn")?, page: form.page()? },
        "DeletePolicyVersion" => Request::DeletePolicyVersion { arn: name("PolicyArn")?, version: name("VersionId")? },
        "SetDefaultPolicyVersion" => {
            Request::SetDefaultPolicyVersion { arn: name("PolicyArn")?, version: name("VersionId")? }
        }
        "ListEntitiesForPolicy" => Request::ListEntitiesForPolicy { arn: name("PolicyArn")?, page: form.page()? },

        "TagUser" | "TagRole" | "TagPolicy" => Request::Tag { what: tagged(operation, form)?, tags: form.tags()? },
        "UntagUser" | "UntagRole" | "UntagPolicy" => {
            Request::Untag { what: tagged(operation, form)?, keys: form.list("TagKeys", "") }
        }
        "ListUserTags" | "ListRoleTags" | "ListPolicyTags" => {
            Request::ListTags { what: tagged(operation, form)?, page: form.page()? }
        }

        "CreateAccessKey" => Request::CreateAccessKey { user: form.optional("UserName") },
        "ListAccessKeys" => Request::ListAccessKeys { user: form.optional("UserName"), page: form.page()? },
        "UpdateAccessKey" => Request::UpdateAccessKey {
            user: form.optional("UserName"),
            id: name("AccessKeyId")?,
            is_active: is_active(form)?,
        },
        "DeleteAccessKey" => Request::DeleteAccessKey { user: form.optional("UserName"), id: name("AccessKeyId")? },

        "CreateServiceSpecificCredential" => Request::CreateServiceSpecificCredential {
            user: name("UserName")?,
            service: name("ServiceName")?,
            days: form.number("CredentialAgeDays")?,
        },
        "ListServiceSpecificCredentials" => Request::ListServiceSpecificCredentials {
            user: form.optional("UserName"),
            service: form.optional("ServiceName"),
            of_all_users: form.flag("AllUsers")?,
            page: form.page()?,
        },
        "UpdateServiceSpecificCredential" => Request::UpdateServiceSpecificCredential {
            user: form.optional("UserName"),
            id: name("ServiceSpecificCredentialId")?,
            is_active: is_active(form)?,
        },
        "DeleteServiceSpecificCredential" => Request::DeleteServiceSpecificCredential {
            user: form.optional("UserName"),
            id: name("ServiceSpecificCredentialId")?,
        },
        "ResetServiceSpecificCredential" => Request::ResetServiceSpecificCredential {
            user: form.optional("UserName"),
            id: name("ServiceSpecificCredentialId")?,
        },
        other => return of_owner(other, form),
    })
}

/// `Status` of a key or another credential.
fn is_active(form: &Form) -> Result<bool, IamError> {
    match form.get("Status") {
        Some("Active") => Ok(true),
        Some("Inactive") => Ok(false),
        _ => Err(IamError::validation("status", "Member must satisfy enum value set: [Active, Inactive]")),
    }
}

/// Operations that users, groups and roles have alike: `PutUserPolicy`, `PutGroupPolicy`, …
fn of_owner(operation: &str, form: &Form) -> Result<Request, IamError> {
    let owner = owner(operation, form)?;
    let plain = operation.replace("User", "").replace("Group", "").replace("Role", "");
    Ok(match plain.as_str() {
        "PutPolicy" => Request::PutInlinePolicy {
            owner,
            name: form.required("PolicyName")?,
            document: form.required("PolicyDocument")?,
        },
        "GetPolicy" => Request::GetInlinePolicy { owner, name: form.required("PolicyName")? },
        "DeletePolicy" => Request::DeleteInlinePolicy { owner, name: form.required("PolicyName")? },
        "ListPolicies" => Request::ListInlinePolicies { owner, page: form.page()? },
        "AttachPolicy" => Request::AttachPolicy { owner, arn: form.required("PolicyArn")? },
        "DetachPolicy" => Request::DetachPolicy { owner, arn: form.required("PolicyArn")? },
        "ListAttachedPolicies" => Request::ListAttachedPolicies { owner, page: form.page()? },
        "PutPermissionsBoundary" => Request::PutBoundary { owner, arn: form.required("PermissionsBoundary")? },
        "DeletePermissionsBoundary" => Request::DeleteBoundary { owner },
        _ => return Err(kiln_model::ApiError::unknown_operation(operation).into()),
    })
}

fn owner(operation: &str, form: &Form) -> Result<Owner, IamError> {
    if operation.contains("User") {
        return Ok(Owner::User(form.required("UserName")?));
    }
    if operation.contains("Group") {
        return Ok(Owner::Group(form.required("GroupName")?));
    }
    Ok(Owner::Role(form.required("RoleName")?))
}

fn tagged(operation: &str, form: &Form) -> Result<Tagged, IamError> {
    if operation.contains("User") {
        return Ok(Tagged::User(form.required("UserName")?));
    }
    if operation.contains("Role") {
        return Ok(Tagged::Role(form.required("RoleName")?));
    }
    Ok(Tagged::Policy(form.required("PolicyArn")?))
}

#[cfg(test)]
mod tests {
    use kiln_model::operations::IAM_OPERATIONS;

    use super::*;

    /// A form with every parameter that any operation needs.
    const ALL: &str = "UserName=u&GroupName=g&RoleName=r&AssumeRolePolicyDocument=t&PolicyDocument=d&PolicyName=p\
                       &PolicyArn=a&VersionId=v1&Description=x&PermissionsBoundary=b&AccessKeyId=k&Status=Inactive\
                       &ServiceName=s&ServiceSpecificCredentialId=c&PolicySourceArn=a&PolicyInputList.member.1=p&ActionNames.member.1=s3:GetObject";

    #[test]
    fn every_operation_of_the_table_is_read() {
        let form = Form::parse(ALL).unwrap();
        for operation in &IAM_OPERATIONS {
            request(operation.name, &form).unwrap_or_else(|error| panic!("{}: {error}", operation.name));
        }
        assert!(request("CreateSomething", &form).is_err());
    }

    #[test]
    fn owners_are_told_apart() {
        let form = Form::parse(ALL).unwrap();
        let attach = |operation: &str| match request(operation, &form) {
            Ok(Request::AttachPolicy { owner, .. }) => owner,
            other => panic!("{other:?}"),
        };
        assert_eq!(attach("AttachUserPolicy"), Owner::User("u".to_owned()));
        assert_eq!(attach("AttachGroupPolicy"), Owner::Group("g".to_owned()));
        assert_eq!(attach("AttachRolePolicy"), Owner::Role("r".to_owned()));
        let deleted = request("DeleteRolePolicy", &form).unwrap();
        assert_eq!(deleted, Request::DeleteInlinePolicy { owner: Owner::Role("r".to_owned()), name: "p".to_owned() });
        assert_eq!(request("DeletePolicy", &form).unwrap(), Request::DeletePolicy { arn: "a".to_owned() });
        assert!(matches!(request("ListRolePolicies", &form), Ok(Request::ListInlinePolicies { .. })));
        assert!(matches!(request("ListPolicies", &form), Ok(Request::ListPolicies { .. })));
        assert!(matches!(request("GetGroupPolicy", &form), Ok(Request::GetInlinePolicy { .. })));
        assert!(matches!(request("UntagPolicy", &form), Ok(Request::Untag { what: Tagged::Policy(_), .. })));
    }
}
