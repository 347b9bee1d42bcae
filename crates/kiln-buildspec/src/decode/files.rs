//! `reports`, `artifacts`, `cache`: what selects files.

use super::{Decoder, fields::Fields};
use crate::{
    diagnostic::Code,
    display::quote,
    keys::{self, Section},
    model::{ArtifactSet, Artifacts, Cache, CacheAction, FileFormat, Report},
    yaml::NodeId,
};

/// `buildspec.md` 1.4.
const MAX_FALLBACK_KEYS: usize = 5;

impl Decoder<'_> {
    pub(super) fn reports(&mut self, root: &Fields) -> Vec<(String, Report)> {
        let Some((_, value)) = root.get("reports") else { return Vec::new() };
        let mut reports = Vec::new();
        for (group, key, report) in self.entries(value, "reports") {
            let path = format!("reports/{}", quote(&group));
            let fields = self.section(report, &keys::REPORT, &path);
            let report = Report {
                files: self.texts_field(&fields, "files"),
                file_format: self.file_format(&fields),
                base_directory: self.text_field(&fields, "base-directory"),
                discard_paths: self.switch_field(&fields, "discard-paths"),
            };
            if report.files.is_empty() && self.has_keys(&fields) {
                self.missing_files(key, &path);
            }
            reports.push((group, report));
        }
        reports
    }

    fn file_format(&mut self, fields: &Fields) -> FileFormat {
        let text = self.text_field(fields, "file-format");
        let Some(text) = text else { return FileFormat::Known(kiln_model::ReportFormat::JunitXml) };
        if let Ok(format) = text.trim().parse() {
            return FileFormat::Known(format);
        }
        if let Some((_, value)) = fields.get("file-format") {
            let message = format!("there is no report format '{}'", quote(&text));
            let hint = format!("use one of {}", keys::REPORT_FORMATS.join(", "));
            self.warn(Code::ReportFormat, self.document.span(value), message, hint);
        }
        FileFormat::Unknown(text)
    }

    fn missing_files(&mut self, key: NodeId, path: &str) {
        let message = format!("`{path}` selects no files");
        self.warn(Code::MissingFiles, self.document.span(key), message, "list them under `files`: - '**/*'");
    }

    pub(super) fn artifacts(&mut self, root: &Fields) -> Option<Artifacts> {
        let (key, value) = root.get("artifacts")?;
        if self.document.is_null(value) {
            self.missing_files(key, "artifacts");
            return None;
        }
        let fields = self.section(value, &keys::ARTIFACTS, "artifacts");
        let primary = self.artifact_set(&fields);
        let mut secondary = Vec::new();
        if let Some((_, value)) = fields.get("secondary-artifacts") {
            for (identifier, key, artifact) in self.entries(value, "artifacts/secondary-artifacts") {
                let set = self.secondary_artifact(&identifier, key, artifact);
                secondary.push((identifier, set));
            }
        }
        if primary.files.is_empty() && self.has_keys(&fields) {
            if secondary.is_empty() {
                self.missing_files(key, "artifacts");
            } else {
                self.warn(
                    Code::MissingFiles,
                    self.document.span(key),
                    "`artifacts` has secondary artifacts but no `files`, which AWS requires all the same",
                    "add `files` with at least one entry",
                );
            }
        }
        Some(Artifacts { primary, secondary })
    }

    fn secondary_artifact(&mut self, identifier: &str, key: NodeId, artifact: NodeId) -> ArtifactSet {
        const SECTION: &Section = &keys::SECONDARY_ARTIFACT;
        let path = format!("artifacts/secondary-artifacts/{}", quote(identifier));
        if !super::batch::is_identifier(identifier) {
            let message = format!("'{}' cannot be the identifier of an artifact", quote(identifier));
            self.warn(
                Code::WrongType,
                self.document.span(key),
                message,
                "identifiers have letters, digits and _, and fewer than 128 characters",
            );
        }
        let fields = self.section(artifact, SECTION, &path);
        let set = self.artifact_set(&fields);
        if set.files.is_empty() && self.has_keys(&fields) {
            self.missing_files(key, &path);
        }
        set
    }

    fn artifact_set(&mut self, fields: &Fields) -> ArtifactSet {
        ArtifactSet {
            files: self.texts_field(fields, "files"),
            name: self.text_field(fields, "name"),
            discard_paths: self.switch_field(fields, "discard-paths"),
            base_directory: self.text_field(fields, "base-directory"),
            exclude_paths: self.texts_field(fields, "exclude-paths"),
            enable_symlinks: self.switch_field(fields, "enable-symlinks"),
            s3_prefix: self.text_field(fields, "s3-prefix"),
        }
    }

    pub(super) fn cache(&mut self, root: &Fields) -> Option<Cache> {
        let fields = self.subsection(root, "cache", &keys::CACHE)?;
        if self.document.is_null(fields.node) {
            return None;
        }
        let key = self.text_field(&fields, "key");
        let mut fallback_keys = self.texts_field(&fields, "fallback-keys");
        if let Some((node, _)) = fields.get("fallback-keys") {
            let span = self.document.span(node);
            if key.is_none() {
                self.warn(
                    Code::CacheKeys,
                    span,
                    "`fallback-keys` are ignored without `key`",
                    "add `key`, or remove them",
                );
            }
            if fallback_keys.len() > MAX_FALLBACK_KEYS {
                let message =
                    format!("{} fallback keys: only the first {MAX_FALLBACK_KEYS} count", fallback_keys.len());
                self.warn(Code::CacheKeys, span, message, "remove the others");
                fallback_keys.truncate(MAX_FALLBACK_KEYS);
            }
        }
        Some(Cache {
            paths: self.texts_field(&fields, "paths"),
            key,
            fallback_keys,
            action: self.cache_action(&fields),
        })
    }

    fn cache_action(&mut self, fields: &Fields) -> CacheAction {
        let Some(text) = self.text_field(fields, "action") else { return CacheAction::Both };
        match text.to_ascii_lowercase().as_str() {
            "restore" => CacheAction::Restore,
            "save" => CacheAction::Save,
            _ => {
                if let Some((_, value)) = fields.get("action") {
                    let message = format!("the cache action '{}' is ignored", quote(&text));
                    let hint = "write restore or save; without `action` the cache is restored and saved";
                    self.warn(Code::CacheAction, self.document.span(value), message, hint);
                }
                CacheAction::Both
            }
        }
    }
}
