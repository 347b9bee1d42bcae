//! The parameters and secrets that a build names (`buildspec.md` 1.5, 1.6): which of them the service is asked for, and
//! what becomes of its answers. Values are in the runner's memory and in the container only.

use kiln_buildspec::Buildspec;
use kiln_model::build_secret::{BuildSecret, BuildSecretAnswer, HiddenText};

use crate::{build::Failure, job::Job};

/// A variable whose value is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Its name.
    pub(crate) name: String,
    /// What it names.
    pub(crate) secret: BuildSecret,
    /// Where it stands, e.g. `env/parameter-store`.
    place: &'static str,
    /// What it names, as it is written there.
    reference: String,
}

/// A variable that has got its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// Its name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: HiddenText,
    /// What the log must hide beside it.
    pub(crate) hidden: Vec<HiddenText>,
}

/// Names of the variables for which the buildspec names parameters and secrets.
pub(crate) fn named(buildspec: &Buildspec) -> impl Iterator<Item = &str> {
    let parameters = buildspec.env.parameter_store.iter().map(|(name, _)| name.as_str());
    parameters.chain(buildspec.env.secrets_manager.iter().map(|(name, _)| name.as_str()))
}

/// The variables whose values are to be asked for: those of the project and of the start, and those of the buildspec
/// without a value there. Parameters come first, as the service resolves them.
pub(crate) fn wanted(job: &Job, buildspec: &Buildspec) -> Vec<Wanted> {
    let of_start = job.service.iter().flat_map(|service| &service.secret_variables);
    let given: Vec<&str> = job
        .variables
        .iter()
        .map(|(name, _)| name.as_str())
        .chain(of_start.clone().map(|(name, _)| name.as_str()))
        .collect();
    let parameters = buildspec.env.parameter_store.iter().map(|(name, parameter)| Wanted {
        name: name.clone(),
        secret: BuildSecret::Parameter { name: parameter.clone() },
        place: "env/parameter-store",
        reference: parameter.clone(),
    });
    let secrets = buildspec.env.secrets_manager.iter().map(|(name, reference)| Wanted {
        name: name.clone(),
        secret: reference.clone().into(),
        place: "env/secrets-manager",
        reference: reference.to_string(),
    });
    let of_buildspec = parameters.chain(secrets).filter(|wanted| !given.contains(&wanted.name.as_str()));
    let of_start = of_start.map(|(name, secret)| Wanted {
        name: name.clone(),
        secret: secret.clone(),
        place: "the environment variable",
        reference: match secret {
            BuildSecret::Parameter { name } => name.clone(),
            BuildSecret::Secret { id, .. } => id.clone(),
        },
    });
    let mut wanted: Vec<Wanted> = of_buildspec.chain(of_start).collect();
    wanted.sort_by_key(|wanted| matches!(wanted.secret, BuildSecret::Secret { .. }));
    wanted
}

/// There is nobody to ask.
pub(crate) fn nobody_to_ask(job: &Job, wanted: &[Wanted]) -> Failure {
    let list: Vec<String> = wanted
        .iter()
        .map(|Wanted { name, place, reference, .. }| format!("{place} {name} (from '{reference}')"))
        .collect();
    let example = wanted.first().map_or("NAME", |wanted| wanted.name.as_str());
    let remedy = if job.service.is_some() {
        "the build was started by an older Kiln, which had no parameter or secret store. Start it again".to_owned()
    } else {
        format!(
            "a local run reads no parameter or secret store. Give it with -e {example}=VALUE, or in a file with --env-file"
        )
    };
    Failure::new("CLIENT_ERROR", format!("no value for {}: {remedy}", list.join(", ")))
}

/// The values, if the service has told all of them; else why the build fails, in AWS's words (`buildspec.md` 11).
pub(crate) fn resolve(wanted: Vec<Wanted>, answers: Vec<BuildSecretAnswer>) -> Result<Vec<Resolved>, Failure> {
    let of_service = |answer: BuildSecretAnswer, wanted: &Wanted| match answer {
        BuildSecretAnswer::Value { value, hidden } => Ok(Resolved { name: wanted.name.clone(), value, hidden }),
        BuildSecretAnswer::Refused { code, message } => Err(match &wanted.secret {
            BuildSecret::Parameter { name } if code == "ParameterNotFound" => {
                Failure::new("Decrypted Variables Error", format!("parameter does not exist: {name}"))
            }
            BuildSecret::Parameter { .. } => Failure::new("Decrypted Variables Error", format!("{code}: {message}")),
            // The message does not say which one.
            BuildSecret::Secret { .. } => Failure::new(
                "Secrets Manager Error",
                format!("{code}: {message} ({} {} from '{}')", wanted.place, wanted.name, wanted.reference),
            ),
        }),
    };
    wanted.iter().zip(answers).map(|(wanted, answer)| of_service(answer, wanted)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{job::ServiceSettings, test_support::job};

    fn buildspec() -> Buildspec {
        let text = "version: 0.2\nenv:\n  secrets-manager:\n    TOKEN: app:token\n    GIVEN: x\n  parameter-store:\n    DB: /app/db\n    TYPED: /old\nphases:\n  build:\n    commands: [a]\n";
        kiln_buildspec::parse(text.as_bytes(), kiln_buildspec::ParseOptions::default()).unwrap().buildspec
    }

    fn parameter(name: &str) -> BuildSecret {
        BuildSecret::Parameter { name: name.to_owned() }
    }

    #[test]
    fn what_the_start_gives_is_not_asked_for_and_what_it_names_is() {
        let mut job = job();
        job.variables = vec![("GIVEN".into(), "value".into())];
        job.service = Some(ServiceSettings {
            secret_variables: vec![("TYPED".into(), parameter("/new"))],
            ..ServiceSettings::default()
        });
        let wanted = wanted(&job, &buildspec());
        let names: Vec<_> = wanted.iter().map(|wanted| (wanted.name.as_str(), wanted.reference.as_str())).collect();
        assert_eq!(names, [("DB", "/app/db"), ("TYPED", "/new"), ("TOKEN", "app:token")]);
        assert_eq!(named(&buildspec()).collect::<Vec<_>>(), ["DB", "TYPED", "TOKEN", "GIVEN"]);
    }

    #[test]
    fn where_nobody_can_be_asked_the_option_is_named() {
        let mut job = job();
        job.variables = vec![("TOKEN".into(), "t0ken-value".into())];
        let missing = wanted(&job, &buildspec());
        let failure = nobody_to_ask(&job, &missing);
        assert!(failure.context.message.contains("env/parameter-store DB (from '/app/db')"), "{failure:?}");
        assert!(
            failure.context.message.contains("-e DB=VALUE") && !failure.context.message.contains("TOKEN"),
            "{failure:?}"
        );
        job.service = Some(ServiceSettings::default());
        assert!(nobody_to_ask(&job, &missing).context.message.contains("older Kiln"));
    }

    #[test]
    fn refusals_are_told_in_the_words_of_the_service() {
        let wanted = || {
            let mut job = job();
            job.variables = vec![("GIVEN".into(), "value".into()), ("TYPED".into(), "value".into())];
            super::wanted(&job, &buildspec())
        };
        let value = || BuildSecretAnswer::Value { value: "value".to_owned().into(), hidden: vec![] };
        let refused = |code: &str| BuildSecretAnswer::Refused { code: code.to_owned(), message: "why".to_owned() };
        assert_eq!(resolve(wanted(), vec![value(), value()]).unwrap().len(), 2);
        for (answers, status, message) in [
            (
                vec![refused("ParameterNotFound"), value()],
                "Decrypted Variables Error",
                "parameter does not exist: /app/db",
            ),
            (
                vec![refused("AccessDeniedException"), value()],
                "Decrypted Variables Error",
                "AccessDeniedException: why",
            ),
            (
                vec![value(), refused("ResourceNotFoundException")],
                "Secrets Manager Error",
                "ResourceNotFoundException: why (env/secrets-manager TOKEN from 'app:token')",
            ),
        ] {
            let failure = resolve(wanted(), answers).unwrap_err();
            assert_eq!((failure.context.status_code.as_str(), failure.context.message.as_str()), (status, message));
        }
    }
}
