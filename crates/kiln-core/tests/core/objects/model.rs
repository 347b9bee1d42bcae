//! The store of objects against a simple model: random puts, deletes and versions, and every list of them.

use std::collections::{BTreeMap, BTreeSet};

use kiln_model::{
    s3::{BucketSetting, ListObjectsInput, ListVersionsInput, Versioning},
    service::Objects as _,
};
use proptest::{prelude::*, test_runner::TestRunner};

use super::{Service, blobs, get, put, versions::delete, with_bucket};
use crate::place::{Place, context};

#[derive(Debug, Clone)]
enum Op {
    Put(usize, u8),
    Delete(usize),
    DeleteVersion(usize, usize),
    Versioning(bool),
}

fn keys() -> Vec<String> {
    let mut keys: Vec<String> =
        ["demo", "demo/", "demo/out", "demo/out/a.jar", "demo0", "a//b", "a/", "ä/ü", "\u{10ffff}/x", "z"]
            .map(str::to_owned)
            .to_vec();
    keys.push(format!("a/{}", "k".repeat(1022)));
    keys
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..keys().len();
    prop_oneof![
        6 => (key.clone(), any::<u8>()).prop_map(|(key, byte)| Op::Put(key, byte)),
        3 => key.clone().prop_map(Op::Delete),
        2 => (key, 0usize..4).prop_map(|(key, nth)| Op::DeleteVersion(key, nth)),
        1 => any::<bool>().prop_map(Op::Versioning),
    ]
}

/// Versions of each key, newest first: id, and content or a delete marker.
#[derive(Default)]
struct Model(BTreeMap<String, Vec<(String, Option<u8>)>>);

impl Model {
    fn add(&mut self, key: &str, version: &str, content: Option<u8>) {
        let versions = self.0.entry(key.to_owned()).or_default();
        versions.retain(|(id, _)| id != version);
        versions.insert(0, (version.to_owned(), content));
    }

    fn remove(&mut self, key: &str, version: &str) {
        if let Some(versions) = self.0.get_mut(key) {
            versions.retain(|(id, _)| id != version);
        }
        self.0.retain(|_, versions| !versions.is_empty());
    }

    fn list(&self, prefix: &str, delimiter: Option<&str>, versions: bool) -> BTreeSet<String> {
        let there = self.0.iter().filter(|(_, v)| versions || v.first().is_some_and(|v| v.1.is_some()));
        there
            .filter_map(|(key, _)| Some((key, key.strip_prefix(prefix)?)))
            .map(|(key, rest)| match delimiter.and_then(|d| rest.find(d).map(|at| at + d.len())) {
                Some(end) => format!("{prefix}{} +", &rest[..end]),
                None => key.clone(),
            })
            .collect()
    }
}

async fn lists_agree(core: &Service, model: &Model) {
    for prefix in ["", "a", "a/", "demo", "demo/", "demo/out", "ä", "none"] {
        for delimiter in [None, Some("/"), Some("out"), Some("//")] {
            let mut input = ListObjectsInput {
                bucket: "bucket".to_owned(),
                prefix: prefix.to_owned(),
                delimiter: delimiter.map(str::to_owned),
                after: None,
                limit: 2,
            };
            let mut found = Vec::new();
            loop {
                let page = core.list_objects(&context(), input.clone()).await.unwrap();
                found.extend(page.objects.into_iter().map(|object| object.key));
                found.extend(page.common_prefixes.into_iter().map(|prefix| format!("{prefix} +")));
                match page.next {
                    Some(next) => input.after = Some(next),
                    None => break,
                }
            }
            let distinct: BTreeSet<String> = found.iter().cloned().collect();
            assert_eq!(distinct.len(), found.len(), "something comes twice: {found:?}");
            assert_eq!(distinct, model.list(prefix, delimiter, false), "{prefix} {delimiter:?}");

            let mut input = ListVersionsInput {
                bucket: "bucket".to_owned(),
                prefix: prefix.to_owned(),
                delimiter: delimiter.map(str::to_owned),
                limit: 2,
                ..ListVersionsInput::default()
            };
            let (mut versions, mut prefixes) = (Vec::new(), BTreeSet::new());
            loop {
                let page = core.list_versions(&context(), input.clone()).await.unwrap();
                versions.extend(page.versions);
                prefixes.extend(page.common_prefixes);
                match page.next {
                    Some((key, version)) => (input.key_marker, input.version_id_marker) = (Some(key), version),
                    None => break,
                }
            }
            let mut keys: BTreeSet<String> = versions.iter().map(|v| v.object.key.clone()).collect();
            keys.extend(prefixes.into_iter().map(|prefix| format!("{prefix} +")));
            assert_eq!(keys, model.list(prefix, delimiter, true), "versions of {prefix} {delimiter:?}");
            for (key, expected) in &model.0 {
                let of_key: Vec<_> = versions.iter().filter(|v| v.object.key == *key).collect();
                if of_key.is_empty() {
                    continue;
                }
                let ids: Vec<_> = of_key.iter().map(|v| (v.version_id.clone(), v.delete_marker)).collect();
                let wanted: Vec<_> = expected.iter().map(|(id, content)| (id.clone(), content.is_none())).collect();
                assert_eq!(ids, wanted);
                assert!(of_key.iter().enumerate().all(|(n, v)| v.is_latest == (n == 0)));
            }
        }
    }
}

async fn play(ops: Vec<Op>) {
    let place = Place::new();
    let core = with_bucket(&place).await;
    let (mut model, keys, mut versioned) = (Model::default(), keys(), false);
    for op in ops {
        match op {
            Op::Versioning(enabled) => {
                let versioning = if enabled { Versioning::Enabled } else { Versioning::Suspended };
                core.set_bucket(&context(), "bucket", BucketSetting::Versioning(versioning)).await.unwrap();
                versioned = true;
            }
            Op::Put(key, byte) => {
                let stored = put(&core, "bucket", &keys[key], &[byte]).await;
                model.add(&keys[key], stored.version_id.as_deref().unwrap_or("null"), Some(byte));
            }
            Op::Delete(key) => {
                let deleted = core.delete_object(&context(), delete(&keys[key], None)).await.unwrap();
                match deleted.version_id {
                    Some(version) if versioned => model.add(&keys[key], &version, None),
                    _ => model.remove(&keys[key], "null"),
                }
            }
            Op::DeleteVersion(key, nth) => {
                let version = model.0.get(&keys[key]).and_then(|versions| versions.get(nth)).map(|v| v.0.clone());
                if let Some(version) = version {
                    core.delete_object(&context(), delete(&keys[key], Some(&version))).await.unwrap();
                    model.remove(&keys[key], &version);
                }
            }
        }
    }
    for key in &keys {
        let newest = model.0.get(key).and_then(|versions| versions.first()?.1);
        assert_eq!(get(&core, "bucket", key).await.ok(), newest.map(|byte| vec![byte]), "{key}");
    }
    lists_agree(&core, &model).await;
    let contents = model.0.values().flatten().filter(|(_, content)| content.is_some()).count();
    assert_eq!(blobs(&place), contents);
    place.checked(core);
}

#[test]
fn any_sequence_of_changes_is_as_in_the_model() {
    let cases = if std::env::var_os("KILN_SOAK").is_some() { 500 } else { 12 };
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runner
        .run(&prop::collection::vec(op(), 1..30), |ops| {
            runtime.block_on(play(ops));
            Ok(())
        })
        .unwrap();
}
