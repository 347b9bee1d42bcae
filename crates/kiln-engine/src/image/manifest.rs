//! OCI and docker documents: indexes, manifests, configurations (OCI image specification 1.1; docker image manifest
//! version 2, schema 2). All come from outside: they are bounded before they are parsed.

use serde::{Deserialize, Serialize};

use super::compose::Composition;
use super::digest::{Digest, chain_ids};
use super::error::ImageError;

/// Media types that we ask registries for, in order of preference.
pub(crate) const ACCEPTED_MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Largest manifest, index or configuration that is read. Registries take 4 MiB for manifests; configurations with long
/// histories stay below 1 MiB.
pub(crate) const MAX_DOCUMENT: u64 = 4 * 1024 * 1024;
/// Most layers of one image: overlayfs stacks 500 lower layers.
pub(crate) const MAX_LAYERS: usize = 500;

/// A pointer to content: what it is, its digest and size.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<std::collections::BTreeMap<String, String>>,
}

/// For which machines an image is made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Platform {
    /// Architecture in Go's spelling (`amd64`, `arm64`).
    pub architecture: String,
    /// Operating system (`linux`).
    pub os: String,
    /// Variant of the architecture (`v8`), if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// This machine.
    #[must_use]
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            "loongarch64" => "loong64",
            other => other,
        };
        Self { architecture: architecture.to_owned(), os: "linux".to_owned(), variant: None }
    }

    /// How well an image for `other` runs here: lower is better, `None` not at all.
    fn fit(&self, other: &Self) -> Option<u8> {
        if self.os != other.os || self.architecture != other.architecture {
            return None;
        }
        let base = match other.architecture.as_str() {
            "arm64" => "v8",
            "amd64" => "v1",
            _ => "",
        };
        match (&self.variant, &other.variant) {
            (wanted, has) if wanted == has => Some(0),
            (None, Some(has)) if has == base => Some(0),
            // An unknown or newer variant may need instructions that this machine lacks: taken only for want of better.
            (None, Some(_)) => Some(2),
            (Some(_), None) => Some(1),
            _ => None,
        }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if let Some(variant) = &self.variant {
            write!(f, "/{variant}")?;
        }
        Ok(())
    }
}

/// What a manifest URL or an `index.json` may hold.
#[derive(Debug)]
pub(crate) enum Document {
    Index(Vec<Descriptor>),
    Manifest(Manifest),
}

/// One image: its configuration and its layers, bottom first.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    schema_version: Option<u64>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    artifact_type: Option<String>,
    #[serde(rename = "fsLayers")]
    fs_layers: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Parses a manifest or an index; `what` names it in errors.
    pub(crate) fn parse(what: &str, bytes: &[u8]) -> Result<Self, ImageError> {
        let problem = |text: String| ImageError::document(what, text);
        let raw: RawDocument =
            serde_json::from_slice(bytes).map_err(|e| problem(format!("not a valid manifest: {e}")))?;
        if raw.fs_layers.is_some() || raw.schema_version == Some(1) {
            return Err(problem(
                "it is in docker's schema 1, which has been obsolete since 2017; push the image again with a current tool"
                    .to_owned(),
            ));
        }
        match (raw.manifests, raw.config, raw.layers) {
            (Some(manifests), None, None) => Ok(Self::Index(manifests)),
            (None, Some(config), Some(layers)) => {
                if let Some(kind) = raw.artifact_type {
                    return Err(problem(format!("it is an artifact of type `{}`, no image", kind.escape_debug())));
                }
                if layers.is_empty() {
                    return Err(problem("it has no layers, so there is nothing to run in".to_owned()));
                }
                if layers.len() > MAX_LAYERS {
                    return Err(problem(format!(
                        "it has {} layers; at most {MAX_LAYERS} can be stacked",
                        layers.len()
                    )));
                }
                for layer in &layers {
                    check_layer_type(&layer.media_type).map_err(problem)?;
                }
                Ok(Self::Manifest(Manifest { config, layers }))
            }
            // A document that reads as both can mean different things to different readers (CVE-2021-41190).
            (Some(_), _, _) => Err(problem("it claims to be an index and a manifest at once".to_owned())),
            _ => Err(problem("it is neither an image manifest nor an index".to_owned())),
        }
    }
}

fn check_layer_type(media_type: &str) -> Result<(), String> {
    let shown = media_type.escape_debug();
    if media_type.contains("foreign") || media_type.contains("nondistributable") {
        return Err(format!(
            "a layer of type `{shown}` is not kept in the registry (such layers belong to Windows images)"
        ));
    }
    if media_type.contains("+encrypted") {
        return Err(format!("a layer is encrypted (`{shown}`), which is not supported"));
    }
    // The compression is recognised from the content, as docker does: what the type says about it is often wrong.
    if media_type.is_empty() || media_type.contains(".tar") || media_type.contains("/tar") {
        Ok(())
    } else {
        Err(format!("a layer has type `{shown}`, which is no file system layer"))
    }
}

/// Picks the image for `platform` from an index.
pub(crate) fn select(reference: &str, index: &[Descriptor], platform: &Platform) -> Result<Descriptor, ImageError> {
    let best = index
        .iter()
        .filter_map(|d| {
            // An index entry without a platform fits any; build attestations say `unknown/unknown`.
            let fit = d.platform.as_ref().map_or(Some(3), |p| platform.fit(p))?;
            Some((fit, d))
        })
        .min_by_key(|(fit, _)| *fit);
    match best {
        Some((_, descriptor)) => Ok(descriptor.clone()),
        None => {
            let mut available: Vec<String> = index
                .iter()
                .filter_map(|d| d.platform.as_ref())
                .filter(|p| p.os != "unknown")
                .map(|p| p.to_string().escape_debug().to_string())
                .take(32)
                .collect();
            available.sort();
            available.dedup();
            let available = if available.is_empty() { "nothing".to_owned() } else { available.join(", ") };
            Err(ImageError::Platform { reference: reference.to_owned(), wanted: platform.to_string(), available })
        }
    }
}

/// An image's configuration, as far as running a build in it needs it. All of it was written by the image's author.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// `NAME=VALUE` entries, in order.
    pub env: Vec<String>,
    /// `user[:group]`, names or numbers; empty means root.
    pub user: String,
    /// Working directory; empty means `/`.
    pub working_dir: String,
    /// Entry point, before `cmd`.
    pub entrypoint: Vec<String>,
    /// Default command or arguments.
    pub cmd: Vec<String>,
    /// Labels.
    pub labels: std::collections::BTreeMap<String, String>,
    /// Signal that stops it (`SIGTERM`), if it names one.
    pub stop_signal: Option<String>,
    /// Architecture in Go's spelling.
    pub architecture: String,
    /// Operating system.
    pub os: String,
    /// When the image was made, as its configuration says (RFC 3339; not checked).
    pub created: Option<String>,
}

/// A parsed configuration and the layers that it lists.
#[derive(Clone, Debug)]
pub(crate) struct ParsedConfig {
    pub(crate) config: ImageConfig,
    /// Digests of the uncompressed layers, bottom first.
    pub(crate) diff_ids: Vec<Digest>,
    /// Names of the unpacked layers, bottom first.
    pub(crate) chain: Vec<Digest>,
}

#[derive(Deserialize, Serialize)]
struct RawConfig {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(default)]
    config: Option<RawRunConfig>,
    rootfs: Option<RawRootFs>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RawRunConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    env: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    working_dir: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entrypoint: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cmd: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<std::collections::BTreeMap<String, Option<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stop_signal: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct RawRootFs {
    #[serde(rename = "type", default)]
    kind: String,
    diff_ids: Vec<Digest>,
}

impl ParsedConfig {
    /// Parses a configuration; `what` names it in errors.
    pub(crate) fn parse(what: &str, bytes: &[u8]) -> Result<Self, ImageError> {
        let problem = |text: String| ImageError::document(what, text);
        let raw: RawConfig =
            serde_json::from_slice(bytes).map_err(|e| problem(format!("not a valid image configuration: {e}")))?;
        let rootfs = raw
            .rootfs
            .ok_or_else(|| problem("it lists no layers (`rootfs`): this is no container image".to_owned()))?;
        if !matches!(rootfs.kind.as_str(), "" | "layers") {
            return Err(problem(format!("its rootfs type `{}` is unknown", rootfs.kind.escape_debug())));
        }
        if rootfs.diff_ids.is_empty() || rootfs.diff_ids.len() > MAX_LAYERS {
            return Err(problem(format!("it lists {} layers; 1 to {MAX_LAYERS} are possible", rootfs.diff_ids.len())));
        }
        if !matches!(raw.os.as_str(), "" | "linux") {
            return Err(problem(format!("it is an image for {}, not for Linux", raw.os.escape_debug())));
        }
        let run = raw.config.unwrap_or_default();
        let config = ImageConfig {
            env: run.env.unwrap_or_default(),
            user: run.user.unwrap_or_default(),
            working_dir: run.working_dir.unwrap_or_default(),
            entrypoint: run.entrypoint.unwrap_or_default(),
            cmd: run.cmd.unwrap_or_default(),
            labels: run.labels.unwrap_or_default().into_iter().map(|(k, v)| (k, v.unwrap_or_default())).collect(),
            stop_signal: run.stop_signal.filter(|s| !s.is_empty()),
            architecture: raw.architecture,
            os: raw.os,
            created: raw.created,
        };
        // These end up in execve and chdir, where a NUL cannot stand.
        let texts = config.env.iter().chain(&config.entrypoint).chain(&config.cmd);
        if texts.chain([&config.user, &config.working_dir]).any(|text| text.contains('\0')) {
            return Err(problem("a value holds a NUL character".to_owned()));
        }
        let chain = chain_ids(&rootfs.diff_ids);
        Ok(Self { config, diff_ids: rootfs.diff_ids, chain })
    }
}

/// Writes the configuration of an image that came without one (a root file system archive). Equal content gives equal
/// bytes: there is no time in it.
pub(crate) fn root_fs_config(platform: &Platform, diff_id: Digest) -> Vec<u8> {
    let raw = RawConfig {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        created: None,
        config: Some(RawRunConfig {
            env: Some(vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()]),
            ..RawRunConfig::default()
        }),
        rootfs: Some(RawRootFs { kind: "layers".to_owned(), diff_ids: vec![diff_id] }),
    };
    to_json(&raw)
}

/// Writes the configuration of an image that is composed here, with these layers (bottom first). Equal content gives equal
/// bytes.
pub(crate) fn composed_config(platform: &Platform, composition: &Composition, diff_ids: Vec<Digest>) -> Vec<u8> {
    let raw = RawConfig {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        created: Some(composition.created.clone()),
        config: Some(RawRunConfig {
            env: Some(composition.env.clone()),
            entrypoint: Some(composition.entrypoint.clone()).filter(|words| !words.is_empty()),
            labels: Some(composition.labels.iter().map(|(k, v)| (k.clone(), Some(v.clone()))).collect()),
            ..RawRunConfig::default()
        }),
        rootfs: Some(RawRootFs { kind: "layers".to_owned(), diff_ids }),
    };
    to_json(&raw)
}

/// Writes a manifest for an image that came without one. Layer sizes are those of the uncompressed layers.
pub(crate) fn synthetic_manifest(config: &[u8], layers: &[(Digest, u64)]) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Out<'a> {
        schema_version: u8,
        media_type: &'a str,
        config: Descriptor,
        layers: Vec<Descriptor>,
    }
    let descriptor = |media_type: &str, digest, size| Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size,
        platform: None,
        annotations: None,
    };
    to_json(&Out {
        schema_version: 2,
        media_type: OCI_MANIFEST,
        config: descriptor(OCI_CONFIG, Digest::of(config), config.len() as u64),
        layers: layers.iter().map(|(digest, size)| descriptor(OCI_LAYER, *digest, *size)).collect(),
    })
}

/// Serialises one of the plain structures of this module, which cannot fail: they hold no maps with odd keys.
fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn manifests_and_indexes_are_told_apart() {
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"x","digest":"{D}","size":1}},
               "layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{D}","size":2}}]}}"#
        );
        assert!(matches!(Document::parse("m", manifest.as_bytes()), Ok(Document::Manifest(m)) if m.layers.len() == 1));
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{{"digest":"{D}","size":1}}]}}"#);
        assert!(matches!(Document::parse("m", index.as_bytes()), Ok(Document::Index(i)) if i.len() == 1));
        for (bad, says) in [
            ("{", "not a valid manifest"),
            ("{}", "neither"),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#, "schema 1"),
            (&manifest.replace("\"layers\"", "\"manifests\":[],\"layers\""), "at once"),
            (&manifest.replace("layer.v1.tar", "layer.nondistributable.v1.tar"), "not kept"),
            (&manifest.replace("tar+gzip", "tar+gzip+encrypted"), "encrypted"),
            (&manifest.replace("application/vnd.oci.image.layer.v1.tar+gzip", "text/plain"), "no file system layer"),
            (&manifest.replace(D, "sha512:00"), "sha256"),
        ] {
            let error = Document::parse("m", bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }

    #[test]
    fn the_image_for_this_machine_is_picked() {
        let entry = |os: &str, arch: &str, variant: Option<&str>, size| Descriptor {
            media_type: String::new(),
            digest: Digest::of(b""),
            size,
            platform: Some(Platform { architecture: arch.into(), os: os.into(), variant: variant.map(str::to_owned) }),
            annotations: None,
        };
        let index = [
            entry("windows", "amd64", None, 1),
            entry("linux", "amd64", Some("v3"), 2),
            entry("unknown", "unknown", None, 3),
            entry("linux", "amd64", None, 4),
            entry("linux", "arm64", Some("v8"), 5),
        ];
        let host = |arch: &str| Platform { architecture: arch.into(), os: "linux".into(), variant: None };
        assert_eq!(select("x", &index, &host("amd64")).unwrap().size, 4);
        assert_eq!(select("x", &index, &host("arm64")).unwrap().size, 5);
        let error = select("x", &index, &host("riscv64")).unwrap_err().to_string();
        assert!(
            error.contains("linux/riscv64") && error.contains("windows/amd64") && !error.contains("unknown"),
            "{error}"
        );
    }

    #[test]
    fn configurations_tolerate_nulls_and_refuse_what_cannot_run() {
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","config":{{"Env":["A=b"],"Cmd":null,"Labels":{{"x":null}},"User":"1"}},
                "rootfs":{{"type":"layers","diff_ids":["{D}"]}},"history":[{{"created_by":"x"}}]}}"#
        );
        let parsed = ParsedConfig::parse("c", text.as_bytes()).unwrap();
        assert_eq!(parsed.config.env, ["A=b"]);
        assert_eq!(parsed.chain, parsed.diff_ids);
        for (from, to, says) in [
            ("\"linux\"", "\"windows\"", "not for Linux"),
            ("A=b", "A=\\u0000", "NUL"),
            ("rootfs", "roofts", "no container image"),
        ] {
            let error = ParsedConfig::parse("c", text.replace(from, to).as_bytes()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn documents_made_here_read_back() {
        let diff = Digest::of(b"layer");
        let config = root_fs_config(&Platform::host(), diff);
        assert_eq!(ParsedConfig::parse("c", &config).unwrap().diff_ids, [diff]);
        let manifest = synthetic_manifest(&config, &[(diff, 5)]);
        let Document::Manifest(m) = Document::parse("m", &manifest).unwrap() else { panic!("not a manifest") };
        assert_eq!((m.config.digest, m.layers[0].digest), (Digest::of(&config), diff));
    }
}
