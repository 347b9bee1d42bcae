//! What IAM and STS answer.

use super::{Evaluation, Secret, Tag};
use crate::Timestamp;

/// A user.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Begins and ends with `/`.
    pub path: String,
    /// Name.
    pub name: String,
    /// `AIDA…`: never given to another.
    pub id: String,
    /// With the path in it.
    pub arn: String,
    /// When it was made.
    pub created: Timestamp,
    /// ARN of its permissions boundary.
    pub boundary: Option<String>,
    /// Tags.
    pub tags: Vec<Tag>,
}

/// A group.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Begins and ends with `/`.
    pub path: String,
    /// Name.
    pub name: String,
    /// `AGPA…`.
    pub id: String,
    /// With the path in it.
    pub arn: String,
    /// When it was made.
    pub created: Timestamp,
}

/// A role.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    /// Begins and ends with `/`.
    pub path: String,
    /// Name.
    pub name: String,
    /// `AROA…`.
    pub id: String,
    /// With the path in it.
    pub arn: String,
    /// When it was made.
    pub created: Timestamp,
    /// Who may assume it: a policy, as it was written.
    pub trust: String,
    /// Description.
    pub description: Option<String>,
    /// Longest session.
    pub max_session_seconds: i64,
    /// ARN of its permissions boundary.
    pub boundary: Option<String>,
    /// Tags.
    pub tags: Vec<Tag>,
}

/// A managed policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Begins and ends with `/`.
    pub path: String,
    /// Name.
    pub name: String,
    /// `ANPA…`.
    pub id: String,
    /// With the path in it.
    pub arn: String,
    /// `v1`, `v2`, …
    pub default_version: String,
    /// How many users, groups and roles have it.
    pub attachments: usize,
    /// Whose permissions boundary it is.
    pub boundary_uses: usize,
    /// When it was made.
    pub created: Timestamp,
    /// When it got its last version.
    pub updated: Timestamp,
    /// Description.
    pub description: Option<String>,
    /// Tags.
    pub tags: Vec<Tag>,
}

/// A version of a managed policy.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyVersion {
    /// `v1`, `v2`, …
    pub id: String,
    /// The one that counts.
    pub is_default: bool,
    /// When it was made.
    pub created: Timestamp,
    /// As it was written; `None` in lists.
    pub document: Option<String>,
}

/// A managed policy that somebody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
}

/// Who has a managed policy: names and ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entities {
    /// Users.
    pub users: Vec<(String, String)>,
    /// Groups.
    pub groups: Vec<(String, String)>,
    /// Roles.
    pub roles: Vec<(String, String)>,
}

/// An access key, without its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessKey {
    /// Whose.
    pub user: String,
    /// `AKIA…`.
    pub id: String,
    /// Whether it may be used.
    pub is_active: bool,
    /// When it was made.
    pub created: Timestamp,
}

/// An access key that was just made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAccessKey {
    /// What stays readable.
    pub key: AccessKey,
    /// Shown this once.
    pub secret: Secret,
}

/// A credential of a user for one service, without its password.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceCredential {
    /// Whose.
    pub user: String,
    /// `ACCA…`.
    pub id: String,
    /// E.g. `codecommit.amazonaws.com`.
    pub service: String,
    /// What is given with the password, e.g. `alice-at-000000000000`.
    pub user_name: String,
    /// Whether it may be used.
    pub is_active: bool,
    /// When it was made.
    pub created: Timestamp,
}

/// A credential whose password was just made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewServiceCredential {
    /// What stays readable.
    pub credential: ServiceCredential,
    /// Shown this once.
    pub password: Secret,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// For the page after, if there is one.
    pub marker: Option<String>,
}

/// The answer of an operation of IAM.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is done.
    Done,
    /// A user.
    User(User),
    /// Users.
    Users(Listed<User>),
    /// A group.
    Group(Group),
    /// A group and who is in it.
    GroupWithUsers(Group, Listed<User>),
    /// Groups.
    Groups(Listed<Group>),
    /// A role.
    Role(Role),
    /// Roles.
    Roles(Listed<Role>),
    /// There are no instance profiles.
    NoInstanceProfiles,
    /// A managed policy.
    Policy(Policy),
    /// Managed policies.
    Policies(Listed<Policy>),
    /// A version of one.
    PolicyVersion(PolicyVersion),
    /// Versions of one.
    PolicyVersions(Listed<PolicyVersion>),
    /// Who has a managed policy.
    Entities(Listed<()>, Entities),
    /// An inline policy: whose, its name, its text.
    InlinePolicy {
        /// Name of the user, group or role.
        owner: String,
        /// Name of the policy.
        name: String,
        /// As it was written.
        document: String,
    },
    /// Names of inline policies.
    InlinePolicies(Listed<String>),
    /// Managed policies that somebody has.
    AttachedPolicies(Listed<Attached>),
    /// Tags.
    Tags(Listed<Tag>),
    /// A new access key.
    NewAccessKey(NewAccessKey),
    /// Access keys of a user.
    AccessKeys(Listed<AccessKey>),
    /// A credential for a service with a new password.
    NewServiceCredential(NewServiceCredential),
    /// Credentials for services.
    ServiceCredentials(Listed<ServiceCredential>),
    /// What would be decided.
    Evaluations(Listed<Evaluation>),
    /// Names of condition keys.
    ContextKeys(Vec<String>),
}

/// The credentials of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Credentials {
    /// `ASIA…`.
    pub access_key_id: String,
    /// Secret half.
    pub secret: Secret,
    /// Without it the key is worth nothing.
    pub session_token: Secret,
    /// When the session ends.
    pub expires: Timestamp,
    /// ARN and id of the role's session; `None` for a session of oneself.
    pub assumed: Option<(String, String)>,
    /// How much of the room for session policies is taken, in percent.
    pub packed_percent: Option<u32>,
}
