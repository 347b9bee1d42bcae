//! What a request of git is for.

use http::{Method, StatusCode, header, request::Parts};
use kiln_model::service::GitService;

use super::answer::Refusal;
use crate::form;

/// What of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Which references there are.
    References(GitService),
    /// Objects, either way.
    Serve(GitService),
}

impl Part {
    pub(super) fn service(self) -> GitService {
        match self {
            Self::References(service) | Self::Serve(service) => service,
        }
    }
}

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Name of the repository, of letters that names of repositories have.
    pub(super) repository: String,
    /// What of it.
    pub(super) part: Part,
}

impl Target {
    /// The repository's path, which clients sign.
    pub(super) fn path(&self) -> String {
        format!("/v1/repos/{}", self.repository)
    }

    pub(super) fn of(parts: &Parts) -> Result<Self, Refusal> {
        let nothing = || Refusal::new(StatusCode::NOT_FOUND, "NotFound", "there is nothing of git at this address");
        let rest = parts.uri.path().strip_prefix("/v1/repos/").ok_or_else(nothing)?;
        let (name, rest) = rest.split_once('/').ok_or_else(nothing)?;
        // Of a location with a slash at its end.
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        let is_name = (1..=100).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            && !name.bytes().all(|b| b == b'.');
        if !is_name {
            return Err(nothing());
        }
        let wanted = || form::value(parts.uri.query().unwrap_or_default(), "service");
        let part = match (&parts.method, rest) {
            (&Method::GET, "info/refs") => match wanted().as_deref() {
                Some("git-upload-pack") => Part::References(GitService::UploadPack),
                Some("git-receive-pack") => Part::References(GitService::ReceivePack),
                _ => {
                    let text = "git's dumb protocol is not served: use a git of this century";
                    return Err(Refusal::new(StatusCode::FORBIDDEN, "AccessDeniedException", text));
                }
            },
            (&Method::POST, "git-upload-pack") => Part::Serve(GitService::UploadPack),
            (&Method::POST, "git-receive-pack") => Part::Serve(GitService::ReceivePack),
            _ => return Err(nothing()),
        };
        if let Part::Serve(service) = part {
            let expected = format!("application/x-{}-request", service.name());
            let given = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            if given != Some(expected.as_str()) {
                let text = format!("the content type should be {expected}");
                return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", &text));
            }
        }
        Ok(Self { repository: name.to_owned(), part })
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn target(method: &str, path: &str, kind: Option<&str>) -> Option<Target> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        Target::of(&request.body(()).unwrap().into_parts().0).ok()
    }

    #[test]
    fn repositories_are_named_by_the_second_part() {
        for slash in ["", "/"] {
            let path = format!("/v1/repos/a.b_c-9{slash}/info/refs?service=git-upload-pack");
            let found = target("GET", &path, None).unwrap();
            assert_eq!((found.repository.as_str(), found.path().as_str()), ("a.b_c-9", "/v1/repos/a.b_c-9"));
            assert_eq!(found.part, Part::References(GitService::UploadPack));
        }
        let kind = Some("application/x-git-receive-pack-request");
        let push = target("POST", "/v1/repos/a/git-receive-pack", kind).unwrap();
        assert_eq!(push.part, Part::Serve(GitService::ReceivePack));
    }

    #[test]
    fn nothing_else_is_served() {
        for path in [
            "/v1/repos/a",
            "/v1/repos/a/",
            "/v1/repos/a/HEAD",
            "/v1/repos/a/info/refs",
            "/v1/repos/a/info/refs?service=git-upload-archive",
            "/v1/repos/../info/refs?service=git-upload-pack",
            "/v1/repos/./info/refs?service=git-upload-pack",
            "/v1/repos/a/../b/info/refs?service=git-upload-pack",
            "/v1/repos/a%2f..%2fb/info/refs?service=git-upload-pack",
            "/v1/repos/--upload-pack=x/info/refs?service=git-upload-pack",
            "/v1/repos/a/objects/info/packs",
            "/v1/repos//info/refs?service=git-upload-pack",
        ] {
            assert_eq!(target("GET", path, None), None, "{path}");
        }
        assert_eq!(
            target("GET", &format!("/v1/repos/{}/info/refs?service=git-upload-pack", "a".repeat(101)), None),
            None
        );
        assert_eq!(target("POST", "/v1/repos/a/git-upload-pack", Some("text/plain")), None);
        assert_eq!(target("POST", "/v1/repos/a/git-upload-pack", None), None);
    }
}
