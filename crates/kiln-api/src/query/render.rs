//! Answers of IAM.

use http::Response;
use kiln_model::iam::{
    AccessKey, Answer as Iam, Group, Listed, Policy, PolicyVersion, Role, ServiceCredential, Tag, User,
};

use super::{simulation, xml::Xml};
use crate::body::Answer;

const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// The answer of an operation.
pub(crate) fn answer(operation: &str, answer: &Iam, request_id: &str) -> Response<Answer> {
    let mut xml = Xml::answer(operation, NAMESPACE);
    match answer {
        Iam::Done => {}
        Iam::User(one) => xml.within("User", |xml| user(xml, one)),
        Iam::Users(list) => listed(&mut xml, "Users", list, user),
        Iam::Group(one) => xml.within("Group", |xml| group(xml, one)),
        Iam::GroupWithUsers(one, list) => {
            xml.within("Group", |xml| group(xml, one));
            listed(&mut xml, "Users", list, user);
        }
        Iam::Groups(list) => listed(&mut xml, "Groups", list, group),
        Iam::Role(one) => xml.within("Role", |xml| role(xml, one)),
        Iam::Roles(list) => listed(&mut xml, "Roles", list, role),
        Iam::NoInstanceProfiles => {
            xml.members("InstanceProfiles", &[] as &[()], |_, ()| {});
            xml.truncation(None);
        }
        Iam::Policy(one) => xml.within("Policy", |xml| policy(xml, one)),
        Iam::Policies(list) => listed(&mut xml, "Policies", list, policy),
        Iam::PolicyVersion(one) => xml.within("PolicyVersion", |xml| version(xml, one)),
        Iam::PolicyVersions(list) => listed(&mut xml, "Versions", list, version),
        Iam::Entities(list, entities) => {
            for (kind, all) in [("Group", &entities.groups), ("User", &entities.users), ("Role", &entities.roles)] {
                xml.members(&format!("Policy{kind}s"), all, |xml, (name, id)| {
                    xml.text(&format!("{kind}Name"), name);
                    xml.text(&format!("{kind}Id"), id);
                });
            }
            xml.truncation(list.marker.as_deref());
        }
        Iam::InlinePolicy { owner, name, document } => {
            xml.text(&format!("{}Name", kind_of(operation)), owner);
            xml.text("PolicyName", name);
            xml.document("PolicyDocument", document);
        }
        Iam::InlinePolicies(list) => {
            xml.texts("PolicyNames", &list.items);
            xml.truncation(list.marker.as_deref());
        }
        Iam::AttachedPolicies(list) => listed(&mut xml, "AttachedPolicies", list, |xml, policy| {
            xml.text("PolicyName", &policy.name);
            xml.text("PolicyArn", &policy.arn);
        }),
        Iam::Tags(list) => listed(&mut xml, "Tags", list, tag),
        Iam::NewAccessKey(new) => xml.within("AccessKey", |xml| {
            key(xml, &new.key);
            xml.text("SecretAccessKey", new.secret.expose());
        }),
        Iam::NewServiceCredential(new) => xml.within("ServiceSpecificCredential", |xml| {
            credential(xml, &new.credential);
            xml.text("ServicePassword", new.password.expose());
        }),
        Iam::ServiceCredentials(list) => listed(&mut xml, "ServiceSpecificCredentials", list, credential),
        Iam::Evaluations(list) => listed(&mut xml, "EvaluationResults", list, simulation::evaluation),
        Iam::ContextKeys(names) => xml.texts("ContextKeyNames", names),
        Iam::AccessKeys(list) => listed(&mut xml, "AccessKeyMetadata", list, key),
    }
    xml.finish(request_id)
}

/// Of whom an operation on an inline policy speaks.
fn kind_of(operation: &str) -> &'static str {
    ["User", "Group", "Role"].into_iter().find(|kind| operation.contains(kind)).unwrap_or("Role")
}

fn listed<T>(xml: &mut Xml, name: &str, list: &Listed<T>, one: impl FnMut(&mut Xml, &T)) {
    xml.members(name, &list.items, one);
    xml.truncation(list.marker.as_deref());
}

fn tag(xml: &mut Xml, tag: &Tag) {
    xml.text("Key", &tag.key);
    xml.text("Value", &tag.value);
}

fn tags(xml: &mut Xml, all: &[Tag]) {
    if !all.is_empty() {
        xml.members("Tags", all, tag);
    }
}

fn boundary(xml: &mut Xml, arn: Option<&str>) {
    if let Some(arn) = arn {
        xml.within("PermissionsBoundary", |xml| {
            xml.text("PermissionsBoundaryType", "Policy");
            xml.text("PermissionsBoundaryArn", arn);
        });
    }
}

fn user(xml: &mut Xml, user: &User) {
    xml.text("Path", &user.path);
    xml.text("UserName", &user.name);
    xml.text("UserId", &user.id);
    xml.text("Arn", &user.arn);
    xml.time("CreateDate", user.created);
    boundary(xml, user.boundary.as_deref());
    tags(xml, &user.tags);
}

fn group(xml: &mut Xml, group: &Group) {
    xml.text("Path", &group.path);
    xml.text("GroupName", &group.name);
    xml.text("GroupId", &group.id);
    xml.text("Arn", &group.arn);
    xml.time("CreateDate", group.created);
}

fn role(xml: &mut Xml, role: &Role) {
    xml.text("Path", &role.path);
    xml.text("RoleName", &role.name);
    xml.text("RoleId", &role.id);
    xml.text("Arn", &role.arn);
    xml.time("CreateDate", role.created);
    xml.document("AssumeRolePolicyDocument", &role.trust);
    xml.maybe("Description", role.description.as_deref());
    xml.text("MaxSessionDuration", &role.max_session_seconds.to_string());
    boundary(xml, role.boundary.as_deref());
    tags(xml, &role.tags);
}

fn policy(xml: &mut Xml, policy: &Policy) {
    xml.text("PolicyName", &policy.name);
    xml.text("PolicyId", &policy.id);
    xml.text("Arn", &policy.arn);
    xml.text("Path", &policy.path);
    xml.text("DefaultVersionId", &policy.default_version);
    xml.text("AttachmentCount", &policy.attachments.to_string());
    xml.text("PermissionsBoundaryUsageCount", &policy.boundary_uses.to_string());
    xml.text("IsAttachable", "true");
    xml.maybe("Description", policy.description.as_deref());
    xml.time("CreateDate", policy.created);
    xml.time("UpdateDate", policy.updated);
    tags(xml, &policy.tags);
}

fn version(xml: &mut Xml, version: &PolicyVersion) {
    if let Some(text) = &version.document {
        xml.document("Document", text);
    }
    xml.text("VersionId", &version.id);
    xml.text("IsDefaultVersion", if version.is_default { "true" } else { "false" });
    xml.time("CreateDate", version.created);
}

fn key(xml: &mut Xml, key: &AccessKey) {
    xml.text("UserName", &key.user);
    xml.text("AccessKeyId", &key.id);
    status(xml, key.is_active);
    xml.time("CreateDate", key.created);
}

fn credential(xml: &mut Xml, credential: &ServiceCredential) {
    xml.text("UserName", &credential.user);
    xml.text("ServiceSpecificCredentialId", &credential.id);
    xml.text("ServiceName", &credential.service);
    xml.text("ServiceUserName", &credential.user_name);
    status(xml, credential.is_active);
    xml.time("CreateDate", credential.created);
}

fn status(xml: &mut Xml, is_active: bool) {
    xml.text("Status", if is_active { "Active" } else { "Inactive" });
}
