//! The image of a build that is in this registry: whether the build may have it, and what of it whoever starts containers
//! wants to read.

use std::io::{self, Read};

use kiln_model::{
    ApiError, ErrorCode,
    codebuild::ImagePullCredentialsType,
    ecr::ImageIdentifier,
    registry::{Digest, Reference},
};
use kiln_store::metadata::ImageRecord;

use super::{
    content,
    distribution::named,
    error::no_layer,
    find::{arn, find},
    images,
};
use crate::{
    core::Inner,
    document::Document,
    live::Live,
    runners::{RegistryImage, Runners},
    supervise::Failure,
};

/// What ECR asks for of whoever pulls an image.
const ACTIONS: [&str; 2] = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];

/// How a build's image went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is there, or none of this registry.
    Yes,
    /// The build is to be stopped, or the server stops.
    GivenUp,
}

/// An image as a project names it.
#[derive(Debug, PartialEq, Eq)]
struct Name<'a> {
    /// All of it.
    text: &'a str,
    repository: &'a str,
    reference: Reference,
}

impl<'a> Name<'a> {
    /// The name of an image of this registry, which goes by `hosts`; `None` for one of another. An error for what its host
    /// says is of this one, and names nothing.
    fn parse(text: &'a str, hosts: &[String]) -> Option<Result<Self, &'static str>> {
        let (host, rest) = text.split_once('/')?;
        if !hosts.iter().any(|own| own.eq_ignore_ascii_case(host)) {
            return None;
        }
        Some(Self::behind_host(text, rest))
    }

    fn behind_host(text: &'a str, rest: &'a str) -> Result<Self, &'static str> {
        const PROBLEM: &str = "invalid reference format";
        let (tagged, digest) = match rest.split_once('@') {
            Some((tagged, digest)) => (tagged, Some(Digest::parse(digest).ok_or(PROBLEM)?)),
            None => (rest, None),
        };
        let (repository, tag) = match tagged.split_once(':') {
            Some((repository, tag)) => (repository, tag),
            None => (tagged, "latest"),
        };
        // A digest says more than the tag beside it.
        let reference = match (digest, Reference::parse(tag)) {
            (Some(digest), Some(Reference::Tag(_))) => Reference::Digest(digest),
            (None, Some(tag @ Reference::Tag(_))) => tag,
            _ => return Err(PROBLEM),
        };
        if repository.is_empty() {
            return Err(PROBLEM);
        }
        Ok(Self { text, repository, reference })
    }
}

/// Has the image of a build at hand before its runner starts, if it is one of this registry.
///
/// # Errors
/// Why the build may not have it, or why it cannot be had (`buildspec.md` 6).
pub(crate) fn take<R: Runners>(inner: &Inner<R>, live: &Live, document: &Document) -> Result<Taken, Failure> {
    let name = match Name::parse(&document.build.environment.image, &inner.config.registry_names) {
        None => return Ok(Taken::Yes),
        Some(Ok(name)) => name,
        Some(Err(problem)) => return Err(Failure::image(&format!("Error response from daemon: {problem}"))),
    };
    let image = find_permitted(inner, document, &name).map_err(|e| match e.code.http_status() {
        500.. => Failure::fault(e.message),
        _ => Failure::image(&docker_says(&name, &e)),
    })?;
    let contents = OfBuild { inner, live, name: &name, image: &image };
    match inner.runners.take_image(&contents, inner.now()) {
        Ok(()) => Ok(Taken::Yes),
        Err(_) if contents.is_given_up() => Ok(Taken::GivenUp),
        Err(e) if e.disk_full => Err(Failure::fault(e.message)),
        Err(e) => Err(Failure::image(&e.message)),
    }
}

/// The image, if the build may have it. What it may not have it does not hear of.
fn find_permitted<R: Runners>(inner: &Inner<R>, document: &Document, name: &Name<'_>) -> Result<ImageRecord, ApiError> {
    let home = &inner.config.home;
    let resource = arn(home, name.repository);
    match document.build.environment.image_pull_credentials_type {
        Some(ImagePullCredentialsType::ServiceRole) => {
            inner.may_do(document, "ecr:GetAuthorizationToken", "*")?;
            ACTIONS.iter().try_for_each(|action| inner.may_do(document, action, &resource))?;
        }
        _ => {
            let project = &document.build.project_name;
            ACTIONS.iter().try_for_each(|action| inner.codebuild_may(project, action, &resource))?;
        }
    }
    let id: ImageIdentifier = named(&name.reference);
    let found = inner.look(|view| {
        find(view, home, None, name.repository)?;
        images::resolve(view, name.repository, &id)
    })?;
    let image = found.map_err(|(_, reason)| ApiError::new(ErrorCode::ImageNotFound, reason))?;
    images::note_pull(inner, &image)?;
    Ok(image)
}

/// Why Docker could not pull an image, as CodeBuild passes it on.
fn docker_says(name: &Name<'_>, error: &ApiError) -> String {
    let Name { text, .. } = name;
    let without_tag = text.split_once('/').map_or("", |(host, _)| host);
    let repository = format!("{without_tag}/{}", name.repository);
    match error.code {
        ErrorCode::AccessDenied => format!(
            "Error response from daemon: pull access denied for {repository}, repository does not exist or may require \
             'docker login': denied: {}",
            error.message
        ),
        ErrorCode::RepositoryNotFound => {
            format!("Error response from daemon: repository {repository} not found: name unknown: {}", error.message)
        }
        ErrorCode::ImageNotFound => {
            format!("Error response from daemon: manifest for {text} not found: manifest unknown: {}", error.message)
        }
        _ => format!("Error response from daemon: {}", error.message),
    }
}

/// The image of a build, for whoever unpacks it.
struct OfBuild<'a, R> {
    inner: &'a Inner<R>,
    live: &'a Live,
    name: &'a Name<'a>,
    image: &'a ImageRecord,
}

impl<R: Runners> RegistryImage for OfBuild<'_, R> {
    fn reference(&self) -> &str {
        self.name.text
    }

    fn open(&self, digest: Option<&str>) -> io::Result<Box<dyn Read + Send>> {
        let (repository, digest) = (&self.image.repository, digest.unwrap_or(&self.image.digest));
        let failed = |e: ApiError| io::Error::other(e.message);
        let found = self.inner.look(|view| content::find(view, repository, digest)).map_err(failed)?;
        let found = found.ok_or_else(|| failed(no_layer(digest, repository, &self.inner.config.home.account)))?;
        Ok(Box::new(found.reader(self.inner).map_err(failed)?))
    }

    fn is_given_up(&self) -> bool {
        self.inner.is_stopping() || self.live.with(|known| known.document.lifecycle.stop_requested)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Result<(String, String), &'static str>> {
        let hosts = ["127.0.0.1:5456".to_owned(), "Kiln.Example".to_owned()];
        let shown = |name: Name<'_>| {
            let reference = match name.reference {
                Reference::Tag(tag) => tag,
                Reference::Digest(digest) => digest.into(),
            };
            (name.repository.to_owned(), reference)
        };
        Name::parse(text, &hosts).map(|name| name.map(shown))
    }

    #[test]
    fn images_of_this_registry_are_told_from_others() {
        let digest = Digest::of(&[7; 32]).to_string();
        let of = |repository: &str, reference: &str| Some(Ok((repository.to_owned(), reference.to_owned())));
        assert_eq!(parse("127.0.0.1:5456/app"), of("app", "latest"));
        assert_eq!(parse("kiln.example/team/app:v1"), of("team/app", "v1"));
        assert_eq!(parse(&format!("127.0.0.1:5456/app@{digest}")), of("app", &digest));
        assert_eq!(parse(&format!("127.0.0.1:5456/app:v1@{digest}")), of("app", &digest));
        for other in ["host", "app:v1", "127.0.0.1/app", "127.0.0.1:5457/app", "kiln.example.evil/app", ""] {
            assert_eq!(parse(other), None, "{other}");
        }
        for bad in ["", ":v1", "app:", "app:a:b", "app@sha256:1", "app:..", "app:v1@", &format!("app:{digest}")] {
            assert!(matches!(parse(&format!("127.0.0.1:5456/{bad}")), Some(Err(_))), "{bad}");
        }
    }
}
