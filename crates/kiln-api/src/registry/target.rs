//! What a request asks for, by path and method.

use http::{Method, request::Parts};
use kiln_model::registry::{Digest, LayerUploadId, MOST_NAME, Reference, RegistryCode, RegistryError, is_path};
use serde_json::{Value, json};

use super::query;
use crate::form;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// `/v2/`.
    Base,
    /// `/v2/_catalog`.
    Catalog,
    /// `…/tags/list`.
    Tags(String),
    /// `…/manifests/…`.
    Manifest(String, Reference),
    /// `…/referrers/…`.
    Referrers(String, Digest),
    /// `…/blobs/…`.
    Layer(String, Digest),
    /// `…/blobs/uploads/`.
    Uploads(String),
    /// `…/blobs/uploads/…`.
    Upload(LayerUploadId),
}

fn no_digest(text: &str) -> RegistryError {
    let shown: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
    let message = format!("'{shown}' is no digest: sha256 and 64 hexadecimal digits in lower case are expected");
    RegistryError::new(RegistryCode::DigestInvalid, message)
}

fn digest(text: &str) -> Result<Digest, RegistryError> {
    Digest::parse(text).ok_or_else(|| no_digest(text))
}

/// The name of a repository.
pub(super) fn name(text: &str) -> Result<String, RegistryError> {
    if (2..=MOST_NAME).contains(&text.len()) && is_path(text) {
        return Ok(text.to_owned());
    }
    let message = format!(
        "the name of a repository has 2 to {MOST_NAME} lower-case letters, digits and single separators (. _ __ - /)"
    );
    Err(RegistryError::new(RegistryCode::NameInvalid, message))
}

impl Place {
    /// # Errors
    /// `NAME_INVALID`, `DIGEST_INVALID`, or a status of 404 for paths that are none of the specification's.
    pub(super) fn parse(path: &str) -> Result<Self, RegistryError> {
        let unknown = || {
            let message = "there is nothing at this path: the distribution specification has no such one";
            RegistryError::new(RegistryCode::Unsupported, message).with_status(404)
        };
        // A plus is a plus in a path.
        let path = form::decode(&path.replace('+', "%2B")).ok_or_else(unknown)?;
        let path = path.strip_prefix("/v2").ok_or_else(unknown)?;
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let of = |last: usize| name(&segments.get(..segments.len() - last).unwrap_or_default().join("/"));
        match segments.as_slice() {
            [] | [""] => Ok(Self::Base),
            ["_catalog"] => Ok(Self::Catalog),
            [_, .., "tags", "list"] => Ok(Self::Tags(of(2)?)),
            [_, .., "blobs", "uploads", ""] => Ok(Self::Uploads(of(3)?)),
            [_, .., "blobs", "uploads"] => Ok(Self::Uploads(of(2)?)),
            [_, .., "blobs", "uploads", id] => {
                Ok(Self::Upload(LayerUploadId { repository: of(3)?, id: id.to_ascii_lowercase() }))
            }
            [_, .., "blobs", text] => Ok(Self::Layer(of(2)?, digest(text)?)),
            [_, .., "referrers", text] => Ok(Self::Referrers(of(2)?, digest(text)?)),
            [_, .., "manifests", text] => {
                let repository = of(2)?;
                let reference = Reference::parse(text).ok_or_else(|| match text.contains(':') {
                    true => no_digest(text),
                    false => {
                        let message = "a tag has 1 to 128 letters, digits, underscores, points and hyphens";
                        RegistryError::new(RegistryCode::ManifestInvalid, message)
                    }
                })?;
                Ok(Self::Manifest(repository, reference))
            }
            _ => Err(unknown()),
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    /// Whether the registry is there, and the password is good.
    Base,
    /// Names of repositories.
    Catalog,
    /// Tags of one.
    Tags { repository: String },
    /// A manifest.
    Manifest { repository: String, reference: Reference, is_head: bool },
    /// Stores one.
    PutManifest { repository: String, reference: Reference },
    /// Deletes one.
    DeleteManifest { repository: String, reference: Reference },
    /// What is about an image.
    Referrers { repository: String, subject: Digest },
    /// A layer.
    Layer { repository: String, digest: Digest, is_head: bool },
    /// Deletes a layer.
    DeleteLayer { repository: String },
    /// Begins an upload.
    Begin {
        repository: String,
        /// The layer of another repository that may do instead.
        mount: Option<(Digest, String)>,
        /// The digest of the body, which is all of the layer.
        whole: Option<Digest>,
    },
    /// Something about an upload.
    Upload { upload: LayerUploadId, step: Step },
}

/// What is done with an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Says how far it is.
    State,
    /// Appends bytes.
    Append,
    /// Appends bytes, if there are any, and completes it.
    Complete(Digest),
    /// Gives it up.
    Cancel,
}

impl Call {
    /// # Errors
    /// `UNSUPPORTED` for methods that the place does not have, and for parameters that are missing or wrong.
    pub(super) fn of(place: &Place, parts: &Parts) -> Result<Self, RegistryError> {
        let method = &parts.method;
        let (is_head, is_get) = (method == Method::HEAD, method == Method::GET);
        let wanted = |name: &str| query(parts, name).map(|text| digest(&text)).transpose();
        let call = match place.clone() {
            Place::Base if is_get || is_head => Self::Base,
            Place::Catalog if is_get => Self::Catalog,
            Place::Tags(repository) if is_get => Self::Tags { repository },
            Place::Manifest(repository, reference) if is_get || is_head => {
                Self::Manifest { repository, reference, is_head }
            }
            Place::Manifest(repository, reference) if method == Method::PUT => {
                Self::PutManifest { repository, reference }
            }
            Place::Manifest(repository, reference) if method == Method::DELETE => {
                Self::DeleteManifest { repository, reference }
            }
            Place::Referrers(repository, subject) if is_get => Self::Referrers { repository, subject },
            Place::Layer(repository, digest) if is_get || is_head => Self::Layer { repository, digest, is_head },
            Place::Layer(repository, _) if method == Method::DELETE => Self::DeleteLayer { repository },
            Place::Uploads(repository) if method == Method::POST => {
                let mount = match (wanted("mount")?, query(parts, "from")) {
                    (Some(digest), Some(from)) => Some((digest, name(&from)?)),
                    _ => None,
                };
                Self::Begin { repository, mount, whole: wanted("digest")? }
            }
            Place::Upload(upload) if is_get => Self::Upload { upload, step: Step::State },
            Place::Upload(upload) if method == Method::PATCH => Self::Upload { upload, step: Step::Append },
            Place::Upload(upload) if method == Method::DELETE => Self::Upload { upload, step: Step::Cancel },
            Place::Upload(upload) if method == Method::PUT => {
                let Some(digest) = wanted("digest")? else {
                    let message = "an upload is completed with the digest of the layer: ?digest=sha256:…";
                    return Err(RegistryError::new(RegistryCode::DigestInvalid, message));
                };
                Self::Upload { upload, step: Step::Complete(digest) }
            }
            _ => {
                let message = "the distribution specification has no such method here";
                return Err(RegistryError::new(RegistryCode::Unsupported, message));
            }
        };
        Ok(call)
    }

    /// The actions that it needs.
    pub(super) fn actions(&self) -> &'static [&'static str] {
        match self {
            Self::Base => &[],
            Self::Catalog => &["ecr:DescribeRepositories"],
            Self::Tags { .. } => &["ecr:ListImages"],
            Self::Manifest { .. } => &["ecr:BatchGetImage"],
            Self::PutManifest { .. } => &["ecr:PutImage"],
            Self::DeleteManifest { .. } | Self::DeleteLayer { .. } => &["ecr:BatchDeleteImage"],
            Self::Referrers { .. } => &["ecr:ListImageReferrers"],
            Self::Layer { is_head: true, .. } => &["ecr:BatchCheckLayerAvailability"],
            Self::Layer { is_head: false, .. } => &["ecr:GetDownloadUrlForLayer"],
            Self::Begin { whole: None, .. } => &["ecr:InitiateLayerUpload"],
            Self::Begin { whole: Some(_), .. } => {
                &["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"]
            }
            Self::Upload { step: Step::Complete(_), .. } => &["ecr:UploadLayerPart", "ecr:CompleteLayerUpload"],
            Self::Upload { .. } => &["ecr:UploadLayerPart"],
        }
    }

    /// What the audit log calls it.
    pub(super) fn name(&self) -> &'static str {
        self.actions().last().and_then(|action| action.strip_prefix("ecr:")).unwrap_or("CheckPassword")
    }

    /// The repository that it is about.
    pub(super) fn repository(&self) -> Option<&str> {
        match self {
            Self::Base | Self::Catalog => None,
            Self::Tags { repository }
            | Self::Manifest { repository, .. }
            | Self::PutManifest { repository, .. }
            | Self::DeleteManifest { repository, .. }
            | Self::Referrers { repository, .. }
            | Self::Layer { repository, .. }
            | Self::DeleteLayer { repository }
            | Self::Begin { repository, .. } => Some(repository),
            Self::Upload { upload, .. } => Some(&upload.repository),
        }
    }

    /// Whether it may change something.
    pub(super) fn changes(&self) -> bool {
        match self {
            Self::PutManifest { .. } | Self::DeleteManifest { .. } | Self::DeleteLayer { .. } | Self::Begin { .. } => {
                true
            }
            Self::Upload { step, .. } => *step != Step::State,
            _ => false,
        }
    }

    /// What the audit log keeps of it, with ECR's names.
    pub(super) fn shown(&self) -> Value {
        let mut shown = json!({});
        if let Some(repository) = self.repository() {
            shown["repositoryName"] = repository.into();
        }
        match self {
            Self::Manifest { reference, .. }
            | Self::PutManifest { reference, .. }
            | Self::DeleteManifest { reference, .. } => match reference {
                Reference::Tag(tag) => shown["imageTag"] = tag.as_str().into(),
                Reference::Digest(digest) => shown["imageDigest"] = digest.as_str().into(),
            },
            Self::Referrers { subject: digest, .. } | Self::Layer { digest, .. } => {
                shown["layerDigest"] = digest.as_str().into();
            }
            Self::Begin { mount, whole, .. } => {
                if let Some((digest, from)) = mount {
                    (shown["layerDigest"], shown["from"]) = (digest.as_str().into(), from.as_str().into());
                }
                if let Some(digest) = whole {
                    shown["layerDigest"] = digest.as_str().into();
                }
            }
            Self::Upload { upload, step } => {
                shown["uploadId"] = upload.id.chars().take(64).collect::<String>().into();
                if let Step::Complete(digest) = step {
                    shown["layerDigest"] = digest.as_str().into();
                }
            }
            Self::Base | Self::Catalog | Self::Tags { .. } | Self::DeleteLayer { .. } => {}
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use kiln_iam::policy::table::table;

    use super::*;

    fn digest_text() -> String {
        Digest::of(&[7; 32]).into()
    }

    fn call(method: &str, target: &str) -> Result<Call, RegistryError> {
        let (parts, ()) = Request::builder().method(method).uri(target).body(()).unwrap().into_parts();
        Call::of(&Place::parse(parts.uri.path())?, &parts)
    }

    #[test]
    fn paths_are_read_from_their_end() {
        let digest = digest_text();
        let repository = "blobs/uploads/tags/list".to_owned();
        for (path, expected) in [
            ("/v2".to_owned(), Place::Base),
            ("/v2/".to_owned(), Place::Base),
            ("/v2/_catalog".to_owned(), Place::Catalog),
            (format!("/v2/{repository}/tags/list"), Place::Tags(repository.clone())),
            (
                format!("/v2/{repository}/manifests/latest"),
                Place::Manifest(repository.clone(), Reference::Tag("latest".to_owned())),
            ),
            (
                format!("/v2/{repository}/blobs/{digest}"),
                Place::Layer(repository.clone(), Digest::parse(&digest).unwrap()),
            ),
            (
                format!("/v2/{repository}/blobs/{}", digest.replace(':', "%3A")),
                Place::Layer(repository.clone(), Digest::parse(&digest).unwrap()),
            ),
            (
                format!("/v2/{repository}/referrers/{digest}"),
                Place::Referrers(repository.clone(), Digest::parse(&digest).unwrap()),
            ),
            (format!("/v2/{repository}/blobs/uploads/"), Place::Uploads(repository.clone())),
            (format!("/v2/{repository}/blobs/uploads"), Place::Uploads(repository.clone())),
            (
                format!("/v2/{repository}/blobs/uploads/A-1"),
                Place::Upload(LayerUploadId { repository, id: "a-1".to_owned() }),
            ),
        ] {
            assert_eq!(Place::parse(&path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn hostile_paths_are_none() {
        let digest = digest_text();
        for (path, code, status) in [
            ("/v2/x", RegistryCode::Unsupported, 404),
            ("/v2//tags/list", RegistryCode::NameInvalid, 400),
            ("/v2/../tags/list", RegistryCode::NameInvalid, 400),
            ("/v2/a/%2e%2e/b/tags/list", RegistryCode::NameInvalid, 400),
            ("/v2/a%2f..%2fb/tags/list", RegistryCode::NameInvalid, 400),
            ("/v2/a%00b/tags/list", RegistryCode::NameInvalid, 400),
            ("/v2/A/tags/list", RegistryCode::NameInvalid, 400),
            ("/v2/a/tags/list", RegistryCode::NameInvalid, 400),
            ("/v2/ab/tags/other", RegistryCode::Unsupported, 404),
            ("/v2/ab/blobs/sha256:abc", RegistryCode::DigestInvalid, 400),
            ("/v2/ab/blobs/..", RegistryCode::DigestInvalid, 400),
            ("/v2/ab/manifests/..", RegistryCode::ManifestInvalid, 400),
            ("/v2/ab/manifests/", RegistryCode::ManifestInvalid, 400),
            ("/v2/ab/manifests/sha256:..", RegistryCode::DigestInvalid, 400),
            ("/v2/%ff/tags/list", RegistryCode::Unsupported, 404),
        ] {
            let error = Place::parse(path).unwrap_err();
            assert_eq!((error.code, error.status), (code, status), "{path}");
        }
        let long = format!("/v2/{}/blobs/{digest}", "a".repeat(257));
        assert_eq!(Place::parse(&long).unwrap_err().code, RegistryCode::NameInvalid);
        assert!(Place::parse(&long.replacen('a', "", 1)).is_ok());
    }

    #[test]
    fn every_call_needs_actions_that_are_in_the_table_of_permissions() {
        let digest = digest_text();
        for (method, target, actions) in [
            ("GET", "/v2/".to_owned(), vec![]),
            ("GET", "/v2/_catalog".to_owned(), vec!["DescribeRepositories"]),
            ("GET", "/v2/ab/tags/list".to_owned(), vec!["ListImages"]),
            ("HEAD", "/v2/ab/manifests/t".to_owned(), vec!["BatchGetImage"]),
            ("PUT", "/v2/ab/manifests/t".to_owned(), vec!["PutImage"]),
            ("DELETE", "/v2/ab/manifests/t".to_owned(), vec!["BatchDeleteImage"]),
            ("GET", format!("/v2/ab/referrers/{digest}"), vec!["ListImageReferrers"]),
            ("HEAD", format!("/v2/ab/blobs/{digest}"), vec!["BatchCheckLayerAvailability"]),
            ("GET", format!("/v2/ab/blobs/{digest}"), vec!["GetDownloadUrlForLayer"]),
            ("POST", "/v2/ab/blobs/uploads/".to_owned(), vec!["InitiateLayerUpload"]),
            (
                "POST",
                format!("/v2/ab/blobs/uploads/?digest={digest}"),
                vec!["InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload"],
            ),
            ("PATCH", "/v2/ab/blobs/uploads/u".to_owned(), vec!["UploadLayerPart"]),
            (
                "PUT",
                format!("/v2/ab/blobs/uploads/u?digest={}", digest.replace(':', "%3A")),
                vec!["UploadLayerPart", "CompleteLayerUpload"],
            ),
        ] {
            let call = call(method, &target).unwrap();
            let needed: Vec<_> = call.actions().iter().map(|action| action.strip_prefix("ecr:").unwrap()).collect();
            assert_eq!(needed, actions, "{target}");
            for action in needed {
                assert!(table().operation("ecr", action).is_some(), "{action}");
            }
        }
        for (method, target) in [
            ("POST", "/v2/".to_owned()),
            ("PUT", format!("/v2/ab/blobs/{digest}")),
            ("PUT", "/v2/ab/tags/list".to_owned()),
            ("PUT", "/v2/ab/blobs/uploads/u".to_owned()),
            ("PATCH", "/v2/ab/manifests/t".to_owned()),
        ] {
            assert!(call(method, &target).is_err(), "{method} {target}");
        }
    }

    #[test]
    fn a_layer_is_mounted_from_a_repository() {
        let target = format!("/v2/ab/blobs/uploads/?mount={}&from=c/d", digest_text());
        let Ok(Call::Begin { mount: Some((digest, from)), whole: None, .. }) = call("POST", &target) else { panic!() };
        assert_eq!((digest.as_str(), from.as_str()), (digest_text().as_str(), "c/d"));
        assert!(call("POST", &target.replace("c/d", "../d")).is_err());
        assert!(matches!(call("POST", &target.replace("&from=c/d", "")), Ok(Call::Begin { mount: None, .. })));
    }
}
