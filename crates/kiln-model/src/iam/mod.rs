//! Identity and Access Management, and the Security Token Service: users, groups, roles, policies, access keys, sessions
//! (`api.md` 8.1, 8.2). What is asked and answered, in the domain's words; how it is written on the wire is the front
//! end's.

mod answer;
mod error;
mod name;
mod request;
mod simulation;

pub use crate::Secret;
pub use answer::{
    AccessKey, Answer, Attached, Credentials, Entities, Group, Listed, NewAccessKey, NewServiceCredential, Policy,
    PolicyVersion, Role, ServiceCredential, User,
};
pub use error::{IamCode, IamError};
pub use name::{check_description, check_name, check_path, check_policy_name, check_session_name, check_tags};
pub use request::{AssumeRole, Owner, Page, PolicyScope, Request, SessionRequest, Tagged};
pub use simulation::{ContextEntry, Evaluation, MatchedStatement, Simulation};

use serde::{Deserialize, Serialize};

/// A tag of a user, role or policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Name; unique without regard to case.
    pub key: String,
    /// Value.
    pub value: String,
}
