//! The variables of a build (`buildspec.md` 1.5 and section 7).

use std::collections::BTreeMap;

use kiln_buildspec::Buildspec;
use kiln_wire::agent::HELPER_DIR;

use crate::{
    job::Job,
    layout::Layout,
    mask::Masker,
    secrets::{self, Resolved},
};

/// PATH where the image sets none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables, and which values are secret.
#[derive(Debug)]
pub(crate) struct Environment {
    /// Every variable of the build.
    pub(crate) variables: BTreeMap<String, String>,
    /// Values that the log must not show.
    pub(crate) secrets: Vec<String>,
    /// Names whose values come from Parameter Store or Secrets Manager: never exported.
    pub(crate) secret_names: Vec<String>,
    /// Names of secrets that are too short or too common to be masked.
    pub(crate) unmasked: Vec<String>,
}

/// Puts the variables together; of a name set in several places the later one wins: image, service, buildspec, start.
/// `resolved`: what the service has for the parameters and secrets that [`secrets::wanted`] found.
pub(crate) fn compose(
    job: &Job,
    layout: &Layout,
    image: &[(String, String)],
    buildspec: &Buildspec,
    resolved_version: Option<&str>,
    resolved: &[Resolved],
) -> Environment {
    let mut variables: BTreeMap<String, String> = image.iter().cloned().collect();
    variables.extend(service(job, layout, resolved_version));
    variables.extend(buildspec.env.variables.iter().cloned());

    let (mut secrets, mut secret_names, mut unmasked) = (vec![], vec![], vec![]);
    let mut hide = |name: &str, value: &str| {
        if Masker::is_unmaskable(value) {
            unmasked.push(name.to_owned());
        }
        secrets.push(value.to_owned());
        secret_names.push(name.to_owned());
    };
    // Values given at start in place of what the buildspec names are secret as well.
    let given: BTreeMap<&str, &str> = job.variables.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    for name in secrets::named(buildspec) {
        if let Some(value) = given.get(name) {
            hide(name, value);
        }
    }
    for Resolved { name, value, .. } in resolved {
        hide(name, &value.0);
        variables.insert(name.clone(), value.0.clone());
    }
    secrets.extend(resolved.iter().flat_map(|one| one.hidden.iter().map(|text| text.0.clone())));
    variables.extend(job.variables.iter().cloned());

    // Appended to PATH wherever it came from (`buildspec.md` 2.1, 7.2).
    let path = variables.entry("PATH".to_owned()).or_insert_with(|| DEFAULT_PATH.to_owned());
    path.push(':');
    path.push_str(HELPER_DIR);
    Environment { variables, secrets, secret_names, unmasked }
}

/// What the service sets (`buildspec.md` 7.1, 7.2); of a local run, as far as it makes sense there.
fn service(job: &Job, layout: &Layout, resolved_version: Option<&str>) -> Vec<(String, String)> {
    let Job { id, region, account, .. } = job;
    let go_path = layout.go_path();
    let mut variables = vec![
        ("AWS_DEFAULT_REGION", region.clone()),
        ("AWS_REGION", region.clone()),
        ("CODEBUILD_BUILD_ARN", format!("arn:aws:codebuild:{region}:{account}:build/{id}")),
        ("CODEBUILD_BUILD_ID", id.to_string()),
        ("CODEBUILD_BUILD_IMAGE", job.image.clone()),
        ("CODEBUILD_BUILD_NUMBER", job.number.to_string()),
        ("CODEBUILD_BUILD_SUCCEEDING", "1".to_owned()),
        ("CODEBUILD_CI", "true".to_owned()),
        ("CODEBUILD_CONTAINER_NAME", "default".to_owned()),
        ("CODEBUILD_EXECUTION_ROLE_BUILD", String::new()),
        ("CODEBUILD_GOPATH", go_path.clone()),
        ("CODEBUILD_INITIATOR", job.initiator.clone()),
        ("CODEBUILD_KMS_KEY_ID", format!("arn:aws:kms:{region}:{account}:alias/aws/s3")),
        ("CODEBUILD_LAST_EXIT", "0".to_owned()),
        ("CODEBUILD_LOG_PATH", id.uuid().to_owned()),
        ("CODEBUILD_SOURCE_VERSION", String::new()),
        ("CODEBUILD_SRC_DIR", layout.source_dir().to_owned()),
        ("CODEBUILD_START_TIME", (job.submitted_ns / 1_000_000).to_string()),
        ("GOPATH", format!("/go:{go_path}")),
        ("HOME", "/root".to_owned()),
    ];
    if job.service.is_none() {
        variables.extend([
            ("CODEBUILD_BUILD_URL", format!("file://{}", job.artifacts.display())),
            ("CODEBUILD_LOCAL_BUILD", "true".to_owned()),
            ("CODEBUILD_SOURCE_REPO_URL", format!("file://{}", job.source.dir.display())),
        ]);
    }
    if let Some(commit) = resolved_version {
        variables.push(("CODEBUILD_RESOLVED_SOURCE_VERSION", commit.to_owned()));
    }
    let mut variables: Vec<(String, String)> = variables.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
    for ((id, dir), inside) in job.source.secondary.iter().zip(layout.secondary_dirs()) {
        variables.push((format!("CODEBUILD_SRC_DIR_{id}"), inside.clone()));
        variables.push((format!("CODEBUILD_SOURCE_VERSION_{id}"), String::new()));
        if job.service.is_none() {
            variables.push((format!("CODEBUILD_SOURCE_REPO_URL_{id}"), format!("file://{}", dir.display())));
        }
    }
    for (name, value) in job.service.iter().flat_map(|service| &service.variables) {
        variables.retain(|(known, _)| known != name);
        variables.extend(value.as_ref().map(|value| (name.clone(), value.clone())));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{job::ServiceSettings, test_support::job};

    fn buildspec(text: &str) -> Buildspec {
        kiln_buildspec::parse(text.as_bytes(), kiln_buildspec::ParseOptions::default()).unwrap().buildspec
    }

    fn value(env: &Environment, name: &str) -> String {
        env.variables.get(name).cloned().unwrap_or_default()
    }

    #[test]
    fn the_start_wins_over_the_buildspec_and_that_over_the_image() {
        let mut job = job();
        job.variables = vec![("C".into(), "start".into())];
        let spec = buildspec(
            "version: 0.2\nenv:\n  variables:\n    B: spec\n    C: spec\n    V: 3.10\n    PATH: \"/x:$PATH\"\nphases:\n  build:\n    commands: [a]\n",
        );
        let image = ["A", "B", "C"].map(|n| (n.to_owned(), "image".to_owned()));
        let env = compose(&job, &Layout::new(&job), &image, &spec, Some("abc"), &[]);
        assert_eq!([value(&env, "A"), value(&env, "B"), value(&env, "C")], ["image", "spec", "start"]);
        assert_eq!(value(&env, "V"), "3.10");
        // Nothing is expanded (`buildspec.md` 17, row 17).
        assert_eq!(value(&env, "PATH"), "/x:$PATH:/codebuild/user/bin");
        assert_eq!(value(&env, "CODEBUILD_RESOLVED_SOURCE_VERSION"), "abc");
        assert_eq!(value(&env, "CODEBUILD_BUILD_ID"), job.id.to_string());
    }

    #[test]
    fn the_service_decides_what_a_local_run_makes_up() {
        let mut job = job();
        let spec = buildspec(
            "version: 0.2\nenv:\n  parameter-store:\n    DB: /app/db\nphases:\n  build:\n    commands: [a]\n",
        );
        job.source.secondary = vec![("lib".into(), "/data/builds/x/source/secondary-0".into())];
        job.service = Some(ServiceSettings {
            variables: vec![
                ("CODEBUILD_SOURCE_REPO_URL".into(), Some("bucket/key.zip".into())),
                ("CODEBUILD_LOG_PATH".into(), None),
            ],
            ..ServiceSettings::default()
        });
        job.variables.push(("DB".into(), "db-value-1".into()));
        let env = compose(&job, &Layout::new(&job), &[], &spec, None, &[]);
        assert_eq!(
            (env.secrets.as_slice(), env.secret_names.as_slice()),
            (&["db-value-1".to_owned()][..], &["DB".to_owned()][..])
        );
        assert_eq!(value(&env, "CODEBUILD_SOURCE_REPO_URL"), "bucket/key.zip");
        for name in ["CODEBUILD_LOG_PATH", "CODEBUILD_LOCAL_BUILD", "CODEBUILD_BUILD_URL"] {
            assert!(!env.variables.contains_key(name), "{name}");
        }
        assert!(!env.variables.values().any(|v| v.contains("/data/")), "{:?}", env.variables);
    }

    #[test]
    fn what_the_service_resolved_is_secret_and_has_its_place_in_the_order() {
        let mut job = job();
        job.variables = vec![("C".into(), "start".into())];
        let spec = buildspec(
            "version: 0.2\nenv:\n  variables:\n    A: spec\n  parameter-store:\n    A: /a\n    C: /c\nphases:\n  build:\n    commands: [a]\n",
        );
        let resolved = [
            Resolved { name: "A".into(), value: "of the parameter".to_owned().into(), hidden: vec![] },
            Resolved {
                name: "B".into(),
                value: "no".to_owned().into(),
                hidden: vec!["{\"B\":\"no\"}".to_owned().into()],
            },
        ];
        let env = compose(&job, &Layout::new(&job), &[], &spec, None, &resolved);
        assert_eq!([value(&env, "A"), value(&env, "B"), value(&env, "C")], ["of the parameter", "no", "start"]);
        assert_eq!(env.secret_names, ["C", "A", "B"]);
        assert_eq!(env.secrets, ["start", "of the parameter", "no", "{\"B\":\"no\"}"]);
        assert_eq!(env.unmasked, ["B"]);
    }
}
