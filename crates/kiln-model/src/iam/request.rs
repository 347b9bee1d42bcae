//! What callers of IAM and STS ask for.

use super::{Simulation, Tag};

/// Which page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// From the page before.
    pub marker: Option<String>,
    /// At most so many, 1 to 1,000; 100 if nothing is said.
    pub max_items: Option<usize>,
}

/// Whose policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A user's, by name.
    User(String),
    /// A group's, by name.
    Group(String),
    /// A role's, by name.
    Role(String),
}

/// Whose tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tagged {
    /// A user's, by name.
    User(String),
    /// A role's, by name.
    Role(String),
    /// A managed policy's, by ARN.
    Policy(String),
}

/// Which managed policies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PolicyScope {
    /// All.
    #[default]
    All,
    /// AWS's.
    Aws,
    /// The account's.
    Local,
}

/// An operation of IAM with its input. Names are those of the API.
#[expect(missing_docs, reason = "each variant is the operation of that name in the API, its fields the parameters")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    CreateUser {
        name: String,
        path: Option<String>,
        boundary: Option<String>,
        tags: Vec<Tag>,
    },
    /// Without a name: the caller.
    GetUser {
        name: Option<String>,
    },
    ListUsers {
        path_prefix: String,
        page: Page,
    },
    UpdateUser {
        name: String,
        new_name: Option<String>,
        new_path: Option<String>,
    },
    DeleteUser {
        name: String,
    },

    CreateGroup {
        name: String,
        path: Option<String>,
    },
    GetGroup {
        name: String,
        page: Page,
    },
    ListGroups {
        path_prefix: String,
        page: Page,
    },
    UpdateGroup {
        name: String,
        new_name: Option<String>,
        new_path: Option<String>,
    },
    DeleteGroup {
        name: String,
    },
    AddUserToGroup {
        group: String,
        user: String,
    },
    RemoveUserFromGroup {
        group: String,
        user: String,
    },
    ListGroupsForUser {
        user: String,
        page: Page,
    },

    CreateRole {
        name: String,
        path: Option<String>,
        trust: String,
        description: Option<String>,
        max_session_seconds: Option<i64>,
        boundary: Option<String>,
        tags: Vec<Tag>,
    },
    GetRole {
        name: String,
    },
    ListRoles {
        path_prefix: String,
        page: Page,
    },
    UpdateRole {
        name: String,
        description: Option<String>,
        max_session_seconds: Option<i64>,
    },
    UpdateRoleDescription {
        name: String,
        description: String,
    },
    UpdateAssumeRolePolicy {
        name: String,
        trust: String,
    },
    DeleteRole {
        name: String,
    },
    ListInstanceProfilesForRole {
        name: String,
    },

    CreatePolicy {
        name: String,
        path: Option<String>,
        document: String,
        description: Option<String>,
        tags: Vec<Tag>,
    },
    GetPolicy {
        arn: String,
    },
    ListPolicies {
        scope: PolicyScope,
        only_attached: bool,
        path_prefix: String,
        page: Page,
    },
    DeletePolicy {
        arn: String,
    },
    CreatePolicyVersion {
        arn: String,
        document: String,
        set_as_default: bool,
    },
    GetPolicyVersion {
        arn: String,
        version: String,
    },
    ListPolicyVersions {
        arn: String,
        page: Page,
    },
    DeletePolicyVersion {
        arn: String,
        version: String,
    },
    SetDefaultPolicyVersion {
        arn: String,
        version: String,
    },
    ListEntitiesForPolicy {
        arn: String,
        page: Page,
    },

    PutInlinePolicy {
        owner: Owner,
        name: String,
        document: String,
    },
    GetInlinePolicy {
        owner: Owner,
        name: String,
    },
    DeleteInlinePolicy {
        owner: Owner,
        name: String,
    },
    ListInlinePolicies {
        owner: Owner,
        page: Page,
    },
    AttachPolicy {
        owner: Owner,
        arn: String,
    },
    DetachPolicy {
        owner: Owner,
        arn: String,
    },
    ListAttachedPolicies {
        owner: Owner,
        page: Page,
    },
    PutBoundary {
        owner: Owner,
        arn: String,
    },
    DeleteBoundary {
        owner: Owner,
    },

    Tag {
        what: Tagged,
        tags: Vec<Tag>,
    },
    Untag {
        what: Tagged,
        keys: Vec<String>,
    },
    ListTags {
        what: Tagged,
        page: Page,
    },

    Simulate {
        simulation: Box<Simulation>,
        page: Page,
    },
    ContextKeys {
        simulation: Box<Simulation>,
    },

    /// Without a user: the caller.
    CreateAccessKey {
        user: Option<String>,
    },
    ListAccessKeys {
        user: Option<String>,
        page: Page,
    },
    UpdateAccessKey {
        user: Option<String>,
        id: String,
        is_active: bool,
    },
    DeleteAccessKey {
        user: Option<String>,
        id: String,
    },

    CreateServiceSpecificCredential {
        user: String,
        service: String,
        days: Option<i64>,
    },
    /// Without a user: the caller.
    ListServiceSpecificCredentials {
        user: Option<String>,
        service: Option<String>,
        of_all_users: bool,
        page: Page,
    },
    UpdateServiceSpecificCredential {
        user: Option<String>,
        id: String,
        is_active: bool,
    },
    DeleteServiceSpecificCredential {
        user: Option<String>,
        id: String,
    },
    ResetServiceSpecificCredential {
        user: Option<String>,
        id: String,
    },
}

/// `AssumeRole`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssumeRole {
    /// The role.
    pub role_arn: String,
    /// Name of the session.
    pub session_name: String,
    /// How long, 900 to the role's maximum; an hour if nothing is said.
    pub seconds: Option<i64>,
    /// Limits the session.
    pub policy: Option<String>,
    /// The same with managed policies.
    pub policy_arns: Vec<String>,
    /// What the role's owner has agreed upon with the caller.
    pub external_id: Option<String>,
}

/// An operation of STS that makes a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionRequest {
    /// As a role.
    AssumeRole(AssumeRole),
    /// As oneself, for 900 to 129,600 seconds; 12 hours if nothing is said.
    GetSessionToken {
        /// How long.
        seconds: Option<i64>,
    },
}
