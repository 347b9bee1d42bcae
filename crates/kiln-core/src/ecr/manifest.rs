//! Manifests: what an image is made of. They come from whoever may push, and are read as what is hostile.

use std::collections::{BTreeMap, BTreeSet};

use kiln_model::registry::Digest;
use serde::Deserialize;

/// An image of the Open Container Initiative.
pub(super) const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// An index of such images.
pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An image of Docker.
pub(super) const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A list of such images.
pub(super) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Descriptors of a manifest, at most.
const MOST: usize = 4096;
/// Bytes of annotations that are kept for lists.
const MOST_ANNOTATIONS: usize = 16 << 10;

/// What a manifest says, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) media_type: String,
    /// Configuration and layers, with the sizes that the manifest gives them, each once.
    pub(super) contents: BTreeMap<Digest, u64>,
    /// Images of an index, each once.
    pub(super) images: BTreeSet<Digest>,
    /// The image that it is about, which need not be there.
    pub(super) subject: Option<Digest>,
    /// What kind of artifact it is.
    pub(super) artifact_type: Option<String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// Bytes of its layers.
    pub(super) size: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: Option<String>,
    digest: String,
    size: u64,
    urls: Option<Vec<String>>,
}

impl Descriptor {
    fn digest(&self) -> Result<Digest, String> {
        Digest::parse(&self.digest).ok_or_else(|| {
            let shown: String = self.digest.chars().filter(|c| !c.is_control()).take(100).collect();
            format!("'{shown}' is no digest: sha256 and 64 hexadecimal digits are expected")
        })
    }

    /// A layer that registries are not to have, but others.
    fn is_elsewhere(&self) -> bool {
        let kind = self.media_type.as_deref().unwrap_or_default();
        (kind.contains(".foreign.") || kind.contains(".nondistributable."))
            && self.urls.as_ref().is_some_and(|urls| !urls.is_empty())
    }
}

/// Reads a manifest. `said`: its media type, as its sender says.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(bytes: &[u8], said: Option<&str>) -> Result<Manifest, String> {
    let written: Written = serde_json::from_slice(bytes).map_err(|e| format!("the manifest cannot be read: {e}"))?;
    // What follows the media type belongs to HTTP.
    let said = said.and_then(|said| said.split(';').next()).map(str::trim).filter(|said| !said.is_empty());
    // What says nothing of the kind is said by many clients.
    let said = said.filter(|said| !matches!(*said, "application/json" | "application/octet-stream"));
    let media_type = match (written.media_type.as_deref(), said) {
        (Some(own), Some(said)) if own != said => {
            return Err(format!("the manifest says that it is {own}, its sender that it is {said}"));
        }
        (Some(kind), _) | (None, Some(kind)) => kind,
        (None, None) if written.manifests.is_some() => OCI_INDEX,
        (None, None) => OCI_IMAGE,
    };
    if written.schema_version != Some(2) {
        return Err("only manifests with schemaVersion 2 are taken".to_owned());
    }
    let media_type = media_type.to_owned();
    let mut manifest = Manifest {
        media_type,
        contents: BTreeMap::new(),
        images: BTreeSet::new(),
        subject: written.subject.as_ref().map(Descriptor::digest).transpose()?,
        artifact_type: written.artifact_type.filter(|kind| kind.len() <= 255),
        annotations: written.annotations.unwrap_or_default(),
        size: 0,
    };
    let room: usize = manifest.annotations.iter().map(|(name, value)| name.len() + value.len()).sum();
    if room > MOST_ANNOTATIONS {
        manifest.annotations.clear();
    }
    match manifest.media_type.as_str() {
        OCI_IMAGE | DOCKER_IMAGE => {
            if written.manifests.is_some() {
                return Err("an image has layers, an index has manifests: not both".to_owned());
            }
            let config = written.config.ok_or("the manifest of an image has a config")?;
            let layers = written.layers.ok_or("the manifest of an image has layers")?;
            if layers.len() > MOST {
                return Err(format!("the manifest has {} layers; at most {MOST} are taken", layers.len()));
            }
            if manifest.artifact_type.is_none() {
                manifest.artifact_type = config.media_type.clone().filter(|kind| kind.len() <= 255);
            }
            for (n, part) in std::iter::once(&config).chain(&layers).enumerate() {
                let digest = part.digest()?;
                if part.is_elsewhere() {
                    continue;
                }
                match manifest.contents.insert(digest, part.size) {
                    Some(other) if other != part.size => {
                        return Err(format!("{} has two sizes: {other} and {}", part.digest, part.size));
                    }
                    Some(_) => {}
                    None if n > 0 => manifest.size = manifest.size.saturating_add(part.size),
                    None => {}
                }
            }
        }
        OCI_INDEX | DOCKER_LIST => {
            if written.layers.is_some() || written.config.is_some() {
                return Err("an image has layers, an index has manifests: not both".to_owned());
            }
            let images = written.manifests.ok_or("an index has manifests")?;
            if images.len() > MOST {
                return Err(format!("the index has {} manifests; at most {MOST} are taken", images.len()));
            }
            for image in &images {
                manifest.images.insert(image.digest()?);
            }
        }
        other => {
            let shown: String = other.chars().filter(|c| !c.is_control()).take(200).collect();
            return Err(format!(
                "'{shown}' is no media type of manifests that are taken here: {OCI_IMAGE}, {OCI_INDEX}, \
                 {DOCKER_IMAGE}, {DOCKER_LIST}"
            ));
        }
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn digest(n: u8) -> String {
        Digest::of(&[n; 32]).into()
    }

    fn image(layers: &Value) -> Value {
        json!({
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(1), "size": 7 },
            "layers": layers,
        })
    }

    fn layer(n: u8, size: u64) -> Value {
        json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(n), "size": size })
    }

    fn parse(value: &Value, said: Option<&str>) -> Result<Manifest, String> {
        read(value.to_string().as_bytes(), said)
    }

    #[test]
    fn images_and_indexes() {
        let read = parse(&image(&json!([layer(2, 10), layer(3, 5), layer(2, 10)])), Some(OCI_IMAGE)).unwrap();
        assert_eq!((read.size, read.contents.len(), read.images.len()), (15, 3, 0));
        assert_eq!(read.artifact_type.as_deref(), Some("application/vnd.oci.image.config.v1+json"));
        let index = json!({
            "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [layer(4, 1), layer(5, 1)],
            "subject": layer(6, 1), "annotations": { "a": "b" },
        });
        let read = parse(&index, None).unwrap();
        assert_eq!((read.contents.len(), read.images.len()), (0, 2));
        assert_eq!(read.subject, Digest::parse(&digest(6)));
        assert_eq!(read.annotations["a"], "b");
    }

    #[test]
    fn the_media_type_is_said_once_or_twice_the_same() {
        let mut plain = image(&json!([]));
        assert!(parse(&plain, Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8")).is_ok());
        assert!(parse(&plain, Some("application/json")).is_ok());
        assert!(parse(&plain, Some(DOCKER_IMAGE)).unwrap_err().contains("its sender"));
        plain.as_object_mut().unwrap().remove("mediaType");
        assert_eq!(parse(&plain, None).unwrap().media_type, OCI_IMAGE);
        assert_eq!(parse(&plain, Some(DOCKER_IMAGE)).unwrap().media_type, DOCKER_IMAGE);
        assert!(parse(&plain, Some("text/html")).unwrap_err().contains("no media type"));
    }

    #[test]
    fn layers_of_others_are_not_needed() {
        let mut foreign = layer(2, 10);
        foreign["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
        let needed = |layer: &Value| parse(&image(&json!([layer])), None).unwrap().contents.len();
        assert_eq!(needed(&foreign), 2, "nobody says where it is");
        foreign["urls"] = json!(["https://example.com/layer"]);
        assert_eq!(needed(&foreign), 1);
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let with = |name: &str, value: Value| {
            let mut changed = image(&json!([layer(2, 10)]));
            changed[name] = value;
            changed
        };
        for bad in [
            json!(null),
            json!([]),
            json!({}),
            with("schemaVersion", json!(1)),
            with("config", json!(null)),
            with("layers", json!({})),
            with("manifests", json!([])),
            with("layers", json!([{ "digest": "sha256:../../etc", "size": 1 }])),
            with("layers", json!([{ "digest": digest(2), "size": -1 }])),
            with("layers", json!([layer(2, 10), layer(2, 11)])),
            with("subject", json!({ "digest": "x", "size": 1 })),
            with("annotations", json!({ "a": 1 })),
            with("layers", json!(vec![layer(2, 1); MOST + 1])),
        ] {
            assert!(parse(&bad, None).is_err(), "{}", bad.to_string().chars().take(300).collect::<String>());
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(deep.as_bytes(), None).is_err());
        assert!(read(b"\xff\xfe", None).is_err());
    }
}
