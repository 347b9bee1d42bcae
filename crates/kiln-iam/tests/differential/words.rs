//! The vocabulary of the cases: few words, so that they meet.

use kiln_iam::policy::{Kind, Principal};

pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const OTHER: &str = "111122223333";

/// Actions, the resource that they are about, and the kind of its policy.
pub(crate) const ACTIONS: [(&str, &[&str], Option<Kind>); 16] = [
    ("codebuild:StartBuild", PROJECTS, Some(Kind::Project)),
    ("codebuild:BatchGetBuilds", PROJECTS, Some(Kind::Project)),
    ("codebuild:CreateProject", PROJECTS, Some(Kind::Project)),
    ("codebuild:UpdateProject", PROJECTS, Some(Kind::Project)),
    ("codebuild:ListBuilds", &["*"], None),
    ("codebuild:ListProjects", &["*"], None),
    (
        "codebuild:CreateReportGroup",
        &["arn:aws:codebuild:us-east-1:000000000000:report-group/demo-r"],
        Some(Kind::Project),
    ),
    ("codebuild:CreateFleet", &["arn:aws:codebuild:us-east-1:000000000000:fleet/f:1:2"], None),
    ("s3:GetObject", OBJECTS, Some(Kind::Bucket)),
    ("s3:PutObject", OBJECTS, Some(Kind::Bucket)),
    ("s3:ListBucket", &["arn:aws:s3:::store", "arn:aws:s3:::store-2"], Some(Kind::Bucket)),
    ("s3:ListAllMyBuckets", &["*"], None),
    ("iam:PassRole", &["arn:aws:iam::000000000000:role/build", "arn:aws:iam::000000000000:role/admin"], None),
    ("sts:AssumeRole", &["arn:aws:iam::000000000000:role/build"], Some(Kind::Trust)),
    ("kms:Decrypt", KEYS, Some(Kind::Key)),
    ("kms:GenerateDataKey", KEYS, Some(Kind::Key)),
];

const PROJECTS: &[&str] = &[
    "arn:aws:codebuild:us-east-1:000000000000:project/demo",
    "arn:aws:codebuild:us-east-1:000000000000:project/demo-web",
    "arn:aws:codebuild:us-east-1:000000000000:project/web",
];
const OBJECTS: &[&str] =
    &["arn:aws:s3:::store/demo/a.zip", "arn:aws:s3:::store/a:b//c", "arn:aws:s3:::store/web/index.html"];
const KEYS: &[&str] = &["arn:aws:kms:us-east-1:000000000000:key/12345678-1234-1234-1234-123456789012"];

pub(crate) fn principals(account: &str) -> [Principal; 6] {
    let account = account.to_owned();
    [
        Principal::User { account: account.clone(), arn: format!("arn:aws:iam::{account}:user/alice") },
        Principal::User { account: account.clone(), arn: format!("arn:aws:iam::{account}:user/bob") },
        Principal::Session {
            arn: format!("arn:aws:sts::{account}:assumed-role/deploy/s1"),
            role: format!("arn:aws:iam::{account}:role/deploy"),
            account: account.clone(),
        },
        Principal::Session {
            arn: format!("arn:aws:sts::{account}:assumed-role/build/s2"),
            role: format!("arn:aws:iam::{account}:role/build"),
            account: account.clone(),
        },
        Principal::FederatedUser {
            arn: format!("arn:aws:sts::{account}:federated-user/alice"),
            user: format!("arn:aws:iam::{account}:user/alice"),
            account: account.clone(),
        },
        Principal::Root { account },
    ]
}

/// The type of a condition key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Texts,
    Number,
    Date,
    Bool,
    Address,
    Arn,
}

pub(crate) const KEYS_WITH_TYPES: [(&str, Type); 18] = [
    ("aws:username", Type::Text),
    ("aws:PrincipalTag/team", Type::Text),
    ("aws:ResourceTag/Env", Type::Text),
    ("aws:RequestTag/Env", Type::Text),
    ("aws:UserAgent", Type::Text),
    ("aws:TagKeys", Type::Texts),
    ("codebuild:vpcConfig.subnets", Type::Texts),
    ("codebuild:environment.environmentVariables.name", Type::Texts),
    ("codebuild:serviceRole", Type::Text),
    ("codebuild:environment.privilegedMode", Type::Bool),
    ("codebuild:source.buildspec", Type::Bool),
    ("codebuild:autoRetryLimit", Type::Number),
    ("aws:MultiFactorAuthAge", Type::Number),
    ("aws:SecureTransport", Type::Bool),
    ("aws:CurrentTime", Type::Date),
    ("aws:SourceIp", Type::Address),
    ("aws:PrincipalArn", Type::Arn),
    ("aws:SourceArn", Type::Arn),
];

/// Values as requests and policies have them; no variables.
pub(crate) fn values(of: Type) -> &'static [&'static str] {
    match of {
        Type::Text | Type::Texts => &["demo", "Demo", "web", "demo-web", "*", "d?mo", "d*", "", "a b", "ä", "alice"],
        Type::Number => &["0", "1", "1.0", "2", "10", "-1", "1.5", "2.25"],
        Type::Date => &[
            "2026-11-26T10:00:00Z",
            "2026-11-26T11:00:00+01:00",
            "2026-11-26T10:00:01Z",
            "2025-01-01T00:00:00Z",
            "2026-11-26",
        ],
        Type::Bool => &["true", "false"],
        Type::Address => &["10.1.2.3", "10.1.2.4", "192.168.0.1", "2001:db8::1", "2001:db9::1"],
        Type::Arn => &[
            "arn:aws:iam::000000000000:user/alice",
            "arn:aws:iam::000000000000:role/deploy",
            "arn:aws:codebuild:us-east-1:000000000000:project/demo",
            "arn:aws:s3:::store",
        ],
    }
}
