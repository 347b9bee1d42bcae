//! The arrows between crates are those that `ARCHITECTURE.md` and the design name; `unsafe` stays where it is allowed.

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// For each crate, the crates of this workspace that it may use (tests aside).
const ALLOWED: [(&str, &[&str]); 13] = [
    ("kiln-model", &[]),
    ("kiln-buildspec", &["kiln-model"]),
    ("kiln-wire", &["kiln-model"]),
    ("kiln-agent", &["kiln-wire"]),
    ("kiln-engine", &[]),
    ("kiln-environments", &[]),
    ("kiln-runner", &["kiln-buildspec", "kiln-engine", "kiln-model", "kiln-wire"]),
    ("kiln-iam", &["kiln-model"]),
    ("kiln-store", &["kiln-model", "kiln-wire"]),
    ("kiln-core", &["kiln-buildspec", "kiln-iam", "kiln-model", "kiln-runner", "kiln-store", "kiln-wire"]),
    ("kiln-api", &["kiln-iam", "kiln-model", "kiln-wire"]),
    (
        "kiln",
        &[
            "kiln-api",
            "kiln-buildspec",
            "kiln-core",
            "kiln-engine",
            "kiln-environments",
            "kiln-iam",
            "kiln-model",
            "kiln-runner",
            "kiln-store",
            "kiln-wire",
        ],
    ),
    ("kiln-check", &["kiln-core", "kiln-model", "kiln-store", "kiln-wire"]),
];

/// Crates that compute and never reach out: no crate that does I/O for them.
const PURE: [&str; 3] = ["kiln-model", "kiln-buildspec", "kiln-wire"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Names of each workspace crate's ordinary dependencies.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let ordinary = package["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
            (text(&package["name"]), ordinary.map(|d| text(&d["name"])).collect())
        })
        .collect()
}

#[test]
fn crates_use_only_what_their_place_allows() {
    let dependencies = dependencies();
    let known: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    assert_eq!(dependencies.keys().map(String::as_str).collect::<BTreeSet<_>>(), known, "every crate has a row");
    for (name, allowed) in ALLOWED {
        for used in &dependencies[name] {
            let ours = known.contains(used.as_str());
            assert!(!ours || allowed.contains(&used.as_str()), "{name} must not use {used}");
        }
    }
}

#[test]
fn pure_crates_have_no_way_to_the_outside() {
    let dependencies = dependencies();
    for name in PURE {
        for forbidden in ["rustix", "libc", "ureq", "tempfile", "kiln-engine"] {
            assert!(!dependencies[name].contains(forbidden), "{name} must not use {forbidden}");
        }
        for file in rust_files(&root().join("crates").join(name).join("src")) {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for forbidden in ["std::fs", "std::net", "std::process", "std::env"] {
                assert!(!code.contains(forbidden), "{} uses {forbidden}", file.display());
            }
        }
    }
}

#[test]
fn unsafe_stands_in_one_module_each() {
    for file in rust_files(&root().join("crates")) {
        let path = file.display().to_string();
        let allowed = path.contains("kiln-engine/src/sys") || path.contains("kiln-agent/src/sys");
        let source = path.contains("/src/");
        let text = fs::read_to_string(&file).unwrap();
        let has = text.lines().any(|l| l.trim_start().starts_with("unsafe ") || l.contains(" unsafe {"));
        assert!(allowed || !source || !has, "{path} has unsafe code");
    }
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}
