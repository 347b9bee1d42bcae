//! Takes the artifacts that a runner left into the store of objects. They become visible with the record of the build's
//! end, in the same transaction: an artifact that is not complete is not there (`reliability.md` I6).

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use kiln_model::{ApiError, BuildStatus, PhaseContext, codebuild::ProjectArtifacts};
use kiln_store::metadata::ObjectRecord;
use kiln_wire::event::Artifact;

use crate::{
    artifact::{self, Said},
    behalf::{self, Behalf},
    core::Inner,
    document::{Document, StoredArtifact},
    kms,
    objects::{self, Sealed},
    places::{self, PlaceError, Target},
    runners::Runners,
};

/// Artifacts whose bytes are stored, and whose records are not yet.
#[derive(Debug, Default)]
pub(crate) struct Adopted {
    pub(crate) stored: Vec<StoredArtifact>,
    pub(crate) objects: Vec<ObjectRecord>,
}

/// Why artifacts are not stored, for the build's record.
#[derive(Debug)]
pub(crate) struct NotStored {
    /// What becomes of a build that had succeeded.
    pub(crate) status: BuildStatus,
    /// What its phase UPLOAD_ARTIFACTS says.
    pub(crate) context: PhaseContext,
}

/// Of one artifact.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The key that the project names cannot be used.
    Key(ApiError),
    /// The bucket, or the server that has it, does not take it.
    Place(PlaceError),
    /// Something of Kiln's own.
    Own(String),
}

impl From<String> for Cause {
    fn from(what: String) -> Self {
        Self::Own(what)
    }
}

impl From<PlaceError> for Cause {
    fn from(error: PlaceError) -> Self {
        Self::Place(error)
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(error) => write!(f, "KMS.{}: {}", error.code, error.message),
            Self::Place(error) => error.fmt(f),
            Self::Own(what) => f.write_str(what),
        }
    }
}

impl Cause {
    fn tell(self, name: &str) -> NotStored {
        match self {
            Self::Place(error) if !error.is_outside() => Self::Own(error.to_string()).tell(name),
            // The project names what cannot be used, or the bucket's server is away (`buildspec.md` 4.4).
            Self::Key(_) | Self::Place(_) => NotStored {
                status: BuildStatus::Failed,
                context: PhaseContext::new("CLIENT_ERROR", format!("Error in UPLOAD_ARTIFACTS phase: {self}")),
            },
            Self::Own(what) => NotStored {
                status: BuildStatus::Fault,
                context: PhaseContext::new(
                    "INTERNAL_ERROR",
                    format!("The {name} artifact could not be stored: {what}"),
                ),
            },
        }
    }
}

/// Seals the artifacts of a build, with the key that its project names.
pub(crate) fn adopt<R: Runners>(
    inner: &Inner<R>,
    document: &Document,
    artifacts: &[Artifact],
) -> Result<Adopted, NotStored> {
    let mut adopted = Adopted::default();
    for artifact in artifacts {
        if let Err(e) = adopt_one(inner, document, artifact, &mut adopted) {
            // Nothing refers to what was stored so far.
            objects::give_up(inner, &adopted.objects.iter().filter_map(|o| o.blob.clone()).collect::<Vec<_>>());
            return Err(e.tell(artifact.identifier.as_deref().unwrap_or("primary")));
        }
    }
    Ok(adopted)
}

fn adopt_one<R: Runners>(
    inner: &Inner<R>,
    document: &Document,
    artifact: &Artifact,
    adopted: &mut Adopted,
) -> Result<(), Cause> {
    let identifier = artifact.identifier.as_deref();
    let Some(settings) = settings(document, identifier) else { return Ok(()) };
    let project = &document.build.project_name;
    let said = Said { name: artifact.name.as_deref(), prefix: artifact.prefix.as_deref() };
    let Some((bucket, key)) = artifact::location(settings, project, document.uuid(), said) else {
        return Ok(());
    };
    let path = Path::new(&artifact.path);
    let zip = artifact::is_zip(settings);
    let metadata: BTreeMap<String, String> = [
        ("codebuild-buildarn", Some(document.build.arn.clone())),
        ("codebuild-content-md5", artifact.md5.clone()),
        ("codebuild-content-sha256", artifact.sha256.clone()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect();
    let target = target(inner, document, &bucket, settings.encryption_disabled == Some(true), metadata)?;
    let mut store = |key: &str, path: &Path| -> Result<(), Cause> {
        let file = fs::File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
        adopted.objects.extend(places::store(inner, &target, key, &file)?);
        Ok(())
    };
    if zip {
        if key.is_empty() {
            return Err("its name is empty: a ZIP needs one".to_owned().into());
        }
        store(&key, path)?;
    } else {
        for file in files(path).map_err(|e| format!("{}: {e}", path.display()))? {
            let relative = file.strip_prefix(path).unwrap_or(&file).to_string_lossy().into_owned();
            let key = if key.is_empty() { relative } else { format!("{key}/{relative}") };
            store(&key, &file)?;
        }
    }
    adopted.stored.push(StoredArtifact {
        identifier: artifact.identifier.clone(),
        external: places::is_external(inner, &bucket),
        bucket,
        key,
        zip,
        files: artifact.files,
        bytes: artifact.bytes,
        sha256: artifact.sha256.clone(),
        md5: artifact.md5.clone(),
    });
    Ok(())
}

/// Where and how an object of a build is stored: with the key that its project names, unless it is to be plain.
pub(crate) fn target<'a, R: Runners>(
    inner: &Inner<R>,
    document: &'a Document,
    bucket: &'a str,
    plain: bool,
    metadata: BTreeMap<String, String>,
) -> Result<Target<'a>, Cause> {
    let own = inner.config.home.default_key_arn();
    let named = document.build.encryption_key.as_deref().filter(|key| *key != own);
    let external = places::is_external(inner, bucket);
    let sealed = match plain || external {
        true => Sealed::plain(),
        false => {
            let key = kms::usable(inner, named.unwrap_or(&own)).map_err(Cause::Key)?;
            behalf::check_key(inner, document, &key).map_err(Cause::Key)?;
            Sealed::with(key)
        }
    };
    let behalf = Behalf::Build(document);
    Ok(Target { behalf, bucket, sealed, external_key: named.filter(|_| !plain), metadata })
}

/// The project's settings for an artifact of that name.
pub(crate) fn settings<'d>(document: &'d Document, identifier: Option<&str>) -> Option<&'d ProjectArtifacts> {
    match identifier {
        None => Some(&document.artifacts),
        Some(_) => document.secondary_artifacts.iter().find(|a| a.artifact_identifier.as_deref() == identifier),
    }
}

/// Regular files below a directory that the runner wrote, sorted. Links are not followed: the runner wrote none that it
/// was not asked to keep.
fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut todo = vec![directory.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                todo.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
