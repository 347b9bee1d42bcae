//! Where the bytes of objects are kept.

use std::path::{Path, PathBuf};

use kiln_core::external::ExternalS3;
use kiln_store::remote::{Patience, RemoteEncryption, RemoteSettings};

use super::{Problem, Reader};

/// What `storage.blobs` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BlobsIn {
    /// In the data directory.
    Data,
    /// In another directory.
    Directory(PathBuf),
    /// In a bucket of another S3.
    Bucket(Box<RemoteSettings>),
}

/// Keys that say how a bucket is reached.
const REACHED: [&str; 5] = ["endpoint", "region", "access_key_id", "secret_access_key", "path_style"];

impl Reader {
    pub(super) fn blobs(&mut self, base: &Path, region: &str) -> BlobsIn {
        let reached = REACHED.iter().find_map(|key| Some((key, self.raw.origin(&format!("storage.{key}"))?)));
        let blobs = self.text("storage.blobs", String::new(), filled);
        let Some(rest) = blobs.strip_prefix("s3://") else {
            if let Some((key, origin)) = reached {
                let text = format!("storage.{key}: is for storage.blobs = \"s3://BUCKET\" only");
                self.problems.push(Problem { origin, text });
            }
            return if blobs.is_empty() { BlobsIn::Data } else { BlobsIn::Directory(base.join(blobs)) };
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let settings = self.reached("storage", region);
        BlobsIn::Bucket(Box::new(RemoteSettings {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            ..settings
        }))
    }

    pub(super) fn external(&mut self, region: &str) -> Vec<ExternalS3> {
        let mut external = Vec::new();
        for (origin, raw) in self.raw.take_external() {
            let mut table = Self { raw, problems: Vec::new() };
            let buckets = table.list("external_s3.buckets", filled);
            if buckets.is_empty() {
                let text = "external_s3: name its 'buckets', e.g. [\"releases\", \"team-*\"]".to_owned();
                table.problems.push(Problem { origin, text });
            }
            external.push(ExternalS3 { buckets, settings: table.reached("external_s3", region) });
            self.problems.append(&mut table.problems);
        }
        external
    }

    /// How a bucket is reached, as a table says.
    fn reached(&mut self, table: &str, region: &str) -> RemoteSettings {
        let key = |name: &str| format!("{table}.{name}");
        let origin = ["access_key_id", "secret_access_key"].iter().find_map(|name| self.raw.origin(&key(name)));
        let id = self.text(&key("access_key_id"), None, |text| filled(text).map(Some));
        let secret = self.text(&key("secret_access_key"), None, |text| filled(text).map(Some));
        if let Some(origin) = origin
            && id.is_some() != secret.is_some()
        {
            let text = format!("{table}: access_key_id and secret_access_key need each other");
            self.problems.push(Problem { origin, text });
        }
        let endpoint = self.text(&key("endpoint"), None, |text| endpoint(text).map(Some));
        RemoteSettings {
            bucket: String::new(),
            prefix: String::new(),
            // What is not AWS's seldom has a name in the DNS for each bucket.
            path_style: self.flag(&key("path_style")).unwrap_or(endpoint.is_some()),
            endpoint,
            region: self.text(&key("region"), region.to_owned(), filled),
            credentials: id.zip(secret).map(|(id, secret)| (id, secret.into())),
            encryption: RemoteEncryption::Bucket,
            patience: Patience::default(),
        }
    }
}

fn filled(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn endpoint(text: &str) -> Result<String, String> {
    let host =
        text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).map(|rest| rest.trim_end_matches('/'));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', '@']) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(format!("'{text}' is not an endpoint, e.g. https://s3.example:9000")),
    }
}
