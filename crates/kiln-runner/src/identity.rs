//! The variables by which AWS's clients in a build of the service find its role's credentials and Kiln's API
//! (`security.md` 5.2, DESIGN decision 8).

use std::collections::BTreeSet;

use kiln_buildspec::Buildspec;

use crate::{
    environment::Environment,
    job::Job,
    relay::{ENDPOINT, Relay},
};

/// The SDKs need not look for a machine's role: no build reaches such a service.
const NO_METADATA: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");

/// Adds them, as far as the project does not say otherwise.
pub(crate) fn add(environment: &mut Environment, relay: &Relay, job: &Job, buildspec: &Buildspec) {
    add_variables(environment, relay.variables(), &named(job, buildspec));
    environment.secrets.extend(relay.secret().map(str::to_owned));
}

/// Variables that project, buildspec or start set.
fn named<'a>(job: &'a Job, buildspec: &'a Buildspec) -> BTreeSet<&'a str> {
    let env = &buildspec.env;
    let given = job.variables.iter().chain(&env.variables).chain(&env.parameter_store).map(|(name, _)| name.as_str());
    let of_service = job.service.iter().flat_map(|service| &service.secret_variables).map(|(name, _)| name.as_str());
    given.chain(env.secrets_manager.iter().map(|(name, _)| name.as_str())).chain(of_service).collect()
}

fn add_variables(environment: &mut Environment, own: &[(String, String)], named: &BTreeSet<&str>) {
    let endpoint = own.iter().find(|(name, _)| name == ENDPOINT).map(|(_, value)| value.as_str());
    let said = |name: &str| {
        let value = environment.variables.get(name).filter(|_| named.contains(name))?;
        (!value.is_empty()).then_some(value.as_str())
    };
    // Whoever has keys or an endpoint of their own, or wants no endpoint, means AWS itself or another service: Kiln's
    // credentials are of no use there, and its endpoint knows no keys of theirs.
    let is_elsewhere = said("AWS_ACCESS_KEY_ID").is_some()
        || said(ENDPOINT).is_some_and(|given| Some(given.trim_end_matches('/')) != endpoint)
        || said("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|given| given.eq_ignore_ascii_case("true"));
    let (name, value) = NO_METADATA;
    if !named.contains(name) {
        environment.variables.insert(name.to_owned(), value.to_owned());
    }
    if is_elsewhere {
        return;
    }
    for (name, value) in own.iter().filter(|(name, _)| !named.contains(name.as_str())) {
        environment.variables.insert(name.clone(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What a build sees that sets these variables.
    fn seen(set: &[(&str, &str)]) -> BTreeMap<String, String> {
        let mut variables: BTreeMap<String, String> =
            [(ENDPOINT, "http://of-the-image")].map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        variables.extend(set.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        let mut environment =
            Environment { variables, secrets: Vec::new(), secret_names: Vec::new(), unmasked: Vec::new() };
        let own =
            [("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x"), (ENDPOINT, "http://169.254.170.2:5456")]
                .map(|(n, v)| (n.to_owned(), v.to_owned()));
        add_variables(&mut environment, &own, &set.iter().map(|(name, _)| *name).collect());
        environment.variables
    }

    #[test]
    fn clients_of_a_build_find_kiln() {
        for set in [
            &[][..],
            &[(ENDPOINT, "http://169.254.170.2:5456/")],
            &[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false")],
            &[("AWS_ACCESS_KEY_ID", "")],
        ] {
            let seen = seen(set);
            assert!(seen[ENDPOINT].starts_with("http://169.254.170.2:5456"), "{set:?}");
            assert_eq!(seen["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"], "/v2/credentials/x", "{set:?}");
            assert_eq!(seen["AWS_EC2_METADATA_DISABLED"], "true");
        }
    }

    #[test]
    fn who_means_aws_itself_is_not_led_to_kiln() {
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", "AKIA…"),
            ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
            (ENDPOINT, "https://s3.example"),
        ] {
            let seen = seen(&[(name, value)]);
            assert_eq!(seen[name], value);
            assert!(!seen.contains_key("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), "{name}");
            assert_ne!(seen[ENDPOINT], "http://169.254.170.2:5456", "{name}");
        }
        assert_eq!(seen(&[("AWS_EC2_METADATA_DISABLED", "false")])["AWS_EC2_METADATA_DISABLED"], "false");
    }
}
