//! Where artifacts go: the key of `buildspec.md` 9.2.

use kiln_model::codebuild::{ArtifactNamespace, ArtifactPackaging, ArtifactsType, ProjectArtifacts};

/// What a buildspec says about the place of an artifact, evaluated.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said<'a> {
    /// `name`; counts where the project lets the buildspec decide.
    pub name: Option<&'a str>,
    /// `s3-prefix`; counts where the project puts the build's id into the path.
    pub prefix: Option<&'a str>,
}

/// Bucket and key of an artifact. `None`: the build has no such artifact. An empty key: the bucket's root (only for a
/// tree of files).
#[must_use]
pub fn location(settings: &ProjectArtifacts, project: &str, uuid: &str, said: Said<'_>) -> Option<(String, String)> {
    if settings.r#type != ArtifactsType::S3 {
        return None;
    }
    let bucket = bucket(settings.location.as_deref()?)?;
    let own = settings.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(project);
    let name = said.name.filter(|_| settings.override_artifact_name == Some(true)).unwrap_or(own);
    let build_id = (settings.namespace_type == Some(ArtifactNamespace::BuildId)).then_some(uuid);
    let mut parts: Vec<&str> = Vec::new();
    let prefix = said.prefix.filter(|_| build_id.is_some());
    for text in [settings.path.as_deref(), prefix, build_id, Some(name)].into_iter().flatten() {
        parts.extend(text.split('/').filter(|part| !part.is_empty()));
    }
    Some((bucket, parts.join("/")))
}

/// The location that a build shows before its artifact is there.
#[must_use]
pub fn planned_location(settings: &ProjectArtifacts, project: &str, uuid: &str) -> Option<(String, String)> {
    location(settings, project, uuid, Said::default())
}

/// A bucket's name, which may be given as an ARN.
fn bucket(location: &str) -> Option<String> {
    let name = match location.strip_prefix("arn:") {
        Some(rest) => rest.split_once(":s3:::")?.1,
        None => location,
    };
    let name = name.trim_end_matches('/');
    (!name.is_empty()).then(|| name.to_owned())
}

/// True when an artifact is stored as one ZIP.
#[must_use]
pub fn is_zip(settings: &ProjectArtifacts) -> bool {
    settings.packaging == Some(ArtifactPackaging::Zip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str, by_build: bool, name: &str, override_name: Option<&str>) -> String {
        key_with(path, by_build, name, Said { name: override_name, prefix: None })
    }

    fn key_with(path: &str, by_build: bool, name: &str, said: Said<'_>) -> String {
        let settings = ProjectArtifacts {
            r#type: ArtifactsType::S3,
            location: Some("arn:aws:s3:::out".to_owned()),
            path: Some(path.to_owned()),
            namespace_type: Some(if by_build { ArtifactNamespace::BuildId } else { ArtifactNamespace::None }),
            name: Some(name.to_owned()),
            override_artifact_name: Some(said.name.is_some()),
            ..ProjectArtifacts::default()
        };
        let (bucket, key) = location(&settings, "demo", "U", said).unwrap();
        assert_eq!(bucket, "out");
        key
    }

    /// The table of `buildspec.md` 9.2, row by row.
    #[test]
    fn keys_are_those_of_the_table() {
        assert_eq!(key("MyArtifacts", false, "MyArtifact.zip", None), "MyArtifacts/MyArtifact.zip");
        assert_eq!(key("MyArtifacts", true, "MyArtifact.zip", None), "MyArtifacts/U/MyArtifact.zip");
        assert_eq!(key("", false, "/", None), "");
        assert_eq!(key("MyArtifacts", true, "/", None), "MyArtifacts/U");
        assert_eq!(key("", false, "", None), "demo");
        assert_eq!(key("p", false, "app", Some("app-2026-01-15")), "p/app-2026-01-15");
        assert_eq!(key("", false, "out", None), "out");
        let prefix = Said { name: None, prefix: Some("pre") };
        assert_eq!(key_with("", true, "a.zip", prefix), "pre/U/a.zip");
        assert_eq!(key_with("", false, "a.zip", prefix), "a.zip", "it is for builds with their id in the path");
        assert_eq!(key("/a//b/", false, "/c/", None), "a/b/c");
    }

    #[test]
    fn other_types_have_no_place() {
        assert_eq!(location(&ProjectArtifacts::default(), "demo", "U", Said::default()), None);
        let nowhere = ProjectArtifacts { r#type: ArtifactsType::S3, ..ProjectArtifacts::default() };
        assert_eq!(location(&nowhere, "demo", "U", Said::default()), None);
    }
}
