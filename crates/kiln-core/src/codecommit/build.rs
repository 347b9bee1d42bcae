//! Repositories as the sources of builds.

use std::path::PathBuf;

use kiln_model::{ApiError, arn::Home};

use super::find::{arn, find};
use crate::{core::Inner, document::Document, runners::Runners};

/// The name of the repository that a location names: `https://git-codecommit.<region>.amazonaws.com/v1/repos/<name>`, or a
/// URL of this service with such a path.
///
/// # Errors
/// `InvalidInputException` for other texts, and for other regions.
pub(super) fn repository_in<'a>(home: &Home, location: &'a str) -> Result<&'a str, ApiError> {
    let invalid =
        |why: &str| ApiError::invalid_input(format!("Invalid CODECOMMIT source location '{location}': {why}"));
    let rest = location.strip_prefix("https://").or_else(|| location.strip_prefix("http://"));
    let (host, path) = rest.and_then(|rest| rest.split_once('/')).ok_or_else(|| invalid("it is no URL"))?;
    if let Some(region) = host.strip_prefix("git-codecommit.").and_then(|rest| rest.split('.').next())
        && region != home.region
    {
        return Err(invalid(&format!("this service has the region {}", home.region)));
    }
    let name = path.strip_prefix("v1/repos/").map(|name| name.strip_suffix('/').unwrap_or(name));
    let is_name =
        |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    name.filter(is_name).ok_or_else(|| invalid("its path should be /v1/repos/ and the name of a repository"))
}

/// Where the repository is that a build takes its source from, as its service role may pull it. It is for git to read, and
/// for nothing to write.
///
/// # Errors
/// `InvalidInputException` for a location that names none, `RepositoryDoesNotExistException`, `AccessDeniedException`.
pub(crate) fn repository_for_build<R: Runners>(
    inner: &Inner<R>,
    document: &Document,
    location: &str,
) -> Result<PathBuf, ApiError> {
    let home = &inner.config.home;
    let name = repository_in(home, location)?;
    inner.may_do(document, "codecommit:GitPull", &arn(home, name))?;
    let (record, _) = inner.look(|view| find(view, name))?;
    Ok(inner.repos.path(&record.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_name_repositories_of_this_region() {
        let home = Home { region: "us-east-1".to_owned(), account: "000000000000".to_owned() };
        let name = |location: &str| repository_in(&home, location).ok().map(str::to_owned);
        for good in [
            "https://git-codecommit.us-east-1.amazonaws.com/v1/repos/demo",
            "https://git-codecommit.us-east-1.amazonaws.com/v1/repos/demo/",
            "http://127.0.0.1:5456/v1/repos/demo",
        ] {
            assert_eq!(name(good).as_deref(), Some("demo"), "{good}");
        }
        for bad in [
            "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/demo",
            "https://git-codecommit.us-east-1.amazonaws.com/v1/repos/",
            "https://git-codecommit.us-east-1.amazonaws.com/v1/repos/../x",
            "https://git-codecommit.us-east-1.amazonaws.com/v1/repos/a/b",
            "https://git-codecommit.us-east-1.amazonaws.com/v1/repos/a%2fb",
            "ssh://git-codecommit.us-east-1.amazonaws.com/v1/repos/demo",
            "demo",
            "",
        ] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }
}
