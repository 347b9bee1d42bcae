//! The role that every account has from its first start, with what the builds of ordinary projects need.

use std::collections::BTreeSet;

use kiln_iam::policy::{Kind, Policy};
use kiln_model::{
    arn::Home,
    iam::{IamError, check_name, check_path},
};
use kiln_store::{
    StoreError, Tx, View,
    metadata::{IamKind, Order, ProjectSort},
};

use super::{
    Refused,
    document::{Identity, Role},
    roles, users,
};
use crate::{core::Inner, lifecycle::Millis, runners::Runners, service::projects};

/// Its name.
pub(super) const NAME: &str = "kiln-default-build-role";
/// Name of its inline policy.
const POLICY: &str = "builds";
/// Set in the store once roles were made for what was there before builds had any.
const MADE: &str = "service_roles";

/// Who may assume it.
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"codebuild.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// What AWS's console gives a new service role, for all projects: logs, sources and artifacts in buckets, reports,
/// parameters and secrets below `/CodeBuild/`, git repositories, images to
/// run in.
fn policy(home: &Home) -> String {
    let (partition, account, region) = (home.partition(), &home.account, &home.region);
    format!(
        r#"{{
  "Version": "2012-10-17",
  "Statement": [
    {{
      "Sid": "Logs",
      "Effect": "Allow",
      "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
      "Resource": "*"
    }},
    {{
      "Sid": "SourcesArtifactsAndCaches",
      "Effect": "Allow",
      "Action": [
        "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject",
        "s3:ListBucket", "s3:GetBucketAcl", "s3:GetBucketLocation"
      ],
      "Resource": "*"
    }},
    {{
      "Sid": "EncryptedOnes",
      "Effect": "Allow",
      "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
      "Resource": "*",
      "Condition": {{"StringEquals": {{"kms:ViaService": "s3.{region}.amazonaws.com"}}}}
    }},
    {{
      "Sid": "Reports",
      "Effect": "Allow",
      "Action": [
        "codebuild:CreateReportGroup", "codebuild:CreateReport", "codebuild:UpdateReport",
        "codebuild:BatchPutTestCases", "codebuild:BatchPutCodeCoverages"
      ],
      "Resource": "*"
    }},
    {{
      "Sid": "ParametersAndSecretsOfBuilds",
      "Effect": "Allow",
      "Action": ["ssm:GetParameters", "secretsmanager:GetSecretValue"],
      "Resource": [
        "arn:{partition}:ssm:{region}:{account}:parameter/CodeBuild/*",
        "arn:{partition}:secretsmanager:{region}:{account}:secret:/CodeBuild/*"
      ]
    }},
    {{
      "Sid": "GitRepositories",
      "Effect": "Allow",
      "Action": ["codecommit:GitPull"],
      "Resource": "*"
    }},
    {{
      "Sid": "Images",
      "Effect": "Allow",
      "Action": [
        "ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability",
        "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"
      ],
      "Resource": "*"
    }}
  ]
}}"#
    )
}

/// Makes the default role, if this is the first start with roles of builds; and for projects that were made before, the
/// roles that they name and that nobody had to make then: they go on as they did, with the default role's permissions.
pub(crate) fn ensure<R: Runners>(inner: &Inner<R>) -> Result<(), StoreError> {
    if inner.metadata.read(|view| view.setting(MADE))?.is_some() {
        return Ok(());
    }
    let (home, now) = (inner.config.home.clone(), inner.now());
    let made = inner.metadata.write_blocking(move |tx| {
        let mut wanted = named_by_projects(tx)?;
        wanted.insert(super::default_service_role(&home));
        let mut made = Vec::new();
        for role in wanted {
            if make(tx, &home, &role, now)? {
                made.push(role);
            }
        }
        tx.put_setting(MADE, "1")?;
        Ok(made)
    })?;
    for role in made.iter().filter(|role| **role != super::default_service_role(&inner.config.home)) {
        tracing::warn!(role, "a project names this role, which was not there: it was made like the default role");
    }
    Ok(())
}

/// ARNs of the roles that projects name.
fn named_by_projects(view: &View<'_>) -> Result<BTreeSet<String>, StoreError> {
    const PAGE: usize = 500;
    let mut roles = BTreeSet::new();
    let mut after = None;
    loop {
        let keys = view.project_names(ProjectSort::Name, Order::Ascending, after.as_ref(), PAGE)?;
        for key in &keys {
            roles.extend(projects::service_role(view, &key.name)?);
        }
        let Some(last) = keys.into_iter().nth(PAGE - 1) else { return Ok(roles) };
        after = Some(last);
    }
}

/// Makes one, if there is none of that name. False: it is there, or cannot be.
fn make(tx: &mut Tx<'_>, home: &Home, role: &str, now: Millis) -> Result<bool, StoreError> {
    let arn = home.role_arn(role);
    let own = format!("arn:{}:iam::{}:role/", home.partition(), home.account);
    let Some(resource) = arn.strip_prefix(&own) else { return Ok(false) };
    let (path, name) = match resource.rsplit_once('/') {
        Some((path, name)) => (format!("/{path}/"), name),
        None => ("/".to_owned(), resource),
    };
    if check_name("roleName", name, 64).is_err() || check_path(&path).is_err() {
        tracing::warn!(role, "a project names this role, which cannot be: its builds will fail until it names another");
        return Ok(false);
    }
    if tx.iam_entity(IamKind::Role, name)?.is_some() {
        return Ok(false);
    }
    let mut document = Identity::new(Vec::new());
    let text = policy(home);
    debug_assert!(Policy::parse(Kind::RoleInline, &text).is_ok());
    document.inline.insert(POLICY.to_owned(), text);
    document.role = Some(Role {
        trust: TRUST.to_owned(),
        bound: std::collections::BTreeMap::new(),
        description: Some("What builds may do whose projects name no role of their own".to_owned()),
        max_session_seconds: roles::AN_HOUR,
    });
    match users::insert(tx, (IamKind::Role, "AROA", roles::MOST), name.to_owned(), Some(path), now, &document) {
        Ok(_) => Ok(true),
        Err(Refused::Store(error)) => Err(error),
        // There are too many: what is missing is said when a build asks for it.
        Err(Refused::Iam(IamError::Refused { message, .. })) => {
            tracing::warn!(role, "a role that a project names cannot be made: {message}");
            Ok(false)
        }
        Err(Refused::Iam(IamError::Api(error))) => Err(StoreError::Invalid(error.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_default_role_has_are_policies() {
        let home = Home { region: "eu-central-1".to_owned(), account: "111122223333".to_owned() };
        Policy::parse(Kind::RoleInline, &policy(&home)).unwrap();
        Policy::parse(Kind::Trust, TRUST).unwrap();
    }
}
