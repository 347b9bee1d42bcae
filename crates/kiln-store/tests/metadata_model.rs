//! Metadata against a model: any sequence of operations, with opening again at any moment.

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::collections::BTreeMap;

use kiln_store::metadata::{
    ActiveBuilds, BucketRecord, BuildKey, BuildRecord, BuildState, Metadata, ObjectRecord, Order, ProjectKey,
    ProjectRecord, ProjectSort, TokenRecord,
};
use kiln_store::{StoreError, Tx};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Op {
    InsertProject(u8, i64),
    UpdateProject(u8, i64, bool),
    DeleteProject(u8),
    InsertBuild(u8),
    UpdateBuild(u8, u8, bool),
    DeleteBuild(u8),
    PutToken(u8, i64),
    PurgeTokens(i64),
    PutObject(u8, u8, u8),
    DeleteObject(u8, u8),
    Setting(u8, Option<u8>),
    /// These, and then an error: nothing of them may stay.
    Undone(Box<Op>),
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let simple = prop_oneof![
        (0u8..5, 0i64..4).prop_map(|(p, t)| Op::InsertProject(p, t)),
        (0u8..5, 0i64..4, any::<bool>()).prop_map(|(p, t, stale)| Op::UpdateProject(p, t, stale)),
        (0u8..5).prop_map(Op::DeleteProject),
        (0u8..5).prop_map(Op::InsertBuild),
        (0u8..5).prop_map(Op::InsertBuild),
        (any::<u8>(), 0u8..3, any::<bool>()).prop_map(|(b, s, stale)| Op::UpdateBuild(b, s, stale)),
        any::<u8>().prop_map(Op::DeleteBuild),
        (0u8..4, 0i64..9).prop_map(|(t, e)| Op::PutToken(t, e)),
        (0i64..9).prop_map(Op::PurgeTokens),
        (0u8..6, 0u8..2, any::<u8>()).prop_map(|(k, v, b)| Op::PutObject(k, v, b)),
        (0u8..6, 0u8..2).prop_map(|(k, v)| Op::DeleteObject(k, v)),
        (0u8..3, prop::option::of(any::<u8>())).prop_map(|(k, v)| Op::Setting(k, v)),
    ];
    let undone = simple.clone().prop_map(|op| Op::Undone(Box::new(op)));
    prop_oneof![12 => simple, 2 => undone, 1 => Just(Op::Reopen)]
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    projects: BTreeMap<String, ProjectRecord>,
    numbers: BTreeMap<String, i64>,
    /// In the order of acceptance.
    builds: Vec<BuildRecord>,
    tokens: BTreeMap<String, TokenRecord>,
    /// In the order in which they were put.
    objects: Vec<ObjectRecord>,
    settings: BTreeMap<String, String>,
}

const KEYS: [&str; 6] = ["demo", "demo/out/a.jar", "a//b", "a", "ä", "demo0"];

fn project(p: u8, time: i64, version: i64) -> ProjectRecord {
    ProjectRecord { name: format!("p{p}"), created_ms: time, modified_ms: 9 - time, version, doc: format!("{time}") }
}

fn state(s: u8) -> BuildState {
    [BuildState::Queued, BuildState::Running, BuildState::Ended][usize::from(s % 3)]
}

/// What an operation did, in words that model and store share.
type Outcome = Result<String, String>;
/// What the store is to do.
type Work = Box<dyn FnOnce(&mut Tx<'_>) -> Result<String, StoreError> + Send>;

fn told(error: &StoreError) -> String {
    match error {
        StoreError::Exists(_) => "exists".to_owned(),
        StoreError::Conflict(_) => "conflict".to_owned(),
        StoreError::NotFound(_) => "not found".to_owned(),
        other => format!("{other:?}"),
    }
}

impl Model {
    /// Does the operation here, and gives what the store is to do for it: the records that it needs are the model's.
    fn apply(&mut self, op: &Op, serial: u64) -> (Outcome, Work) {
        match op.clone() {
            Op::InsertProject(p, t) => {
                let record = project(p, t, 1);
                let outcome = if self.projects.contains_key(&record.name) {
                    Err("exists".to_owned())
                } else {
                    self.projects.insert(record.name.clone(), record.clone());
                    Ok(String::new())
                };
                (outcome, Box::new(move |tx| tx.insert_project(&record).map(|()| String::new())))
            }
            Op::UpdateProject(p, t, stale) => {
                let name = format!("p{p}");
                let version = self.projects.get(&name).map_or(1, |r| r.version) - i64::from(stale);
                let record = project(p, t, version);
                let outcome = match self.projects.get_mut(&name) {
                    None => Err("not found".to_owned()),
                    Some(_) if stale => Err("conflict".to_owned()),
                    Some(stored) => {
                        *stored = project(p, t, version + 1);
                        Ok((version + 1).to_string())
                    }
                };
                (outcome, Box::new(move |tx| tx.update_project(&record).map(|v| v.to_string())))
            }
            Op::DeleteProject(p) => {
                let name = format!("p{p}");
                let there = self.projects.remove(&name).is_some();
                (Ok(there.to_string()), Box::new(move |tx| tx.delete_project(&name).map(|t| t.to_string())))
            }
            Op::InsertBuild(p) => {
                let name = format!("p{p}");
                let number = self.numbers.entry(name.clone()).or_default();
                *number += 1;
                let mut record = BuildRecord {
                    uuid: format!("u{serial}"),
                    project: name.clone(),
                    number: *number,
                    state: BuildState::Queued,
                    status: "IN_PROGRESS".to_owned(),
                    submitted_ms: 1,
                    started_ms: None,
                    ended_ms: None,
                    version: 1,
                    doc: "{}".to_owned(),
                };
                self.builds.push(record.clone());
                (
                    Ok(number.to_string()),
                    Box::new(move |tx| {
                        record.number = tx.next_build_number(&name)?;
                        tx.insert_build(&record)?;
                        Ok(record.number.to_string())
                    }),
                )
            }
            Op::UpdateBuild(b, s, stale) => {
                let count = self.builds.len();
                let Some(stored) = self.builds.get_mut(usize::from(b) % count.max(1)) else {
                    return (Ok(String::new()), Box::new(|_| Ok(String::new())));
                };
                let mut record = BuildRecord {
                    state: state(s),
                    started_ms: (s > 0).then_some(5),
                    ended_ms: (s > 1).then_some(i64::from(b)),
                    doc: format!("{b}"),
                    ..stored.clone()
                };
                record.version -= i64::from(stale);
                let outcome = if stale {
                    Err("conflict".to_owned())
                } else {
                    *stored = BuildRecord { version: record.version + 1, ..record.clone() };
                    Ok(stored.version.to_string())
                };
                (outcome, Box::new(move |tx| tx.update_build(&record).map(|v| v.to_string())))
            }
            Op::DeleteBuild(b) => {
                if self.builds.is_empty() {
                    return (Ok("false".to_owned()), Box::new(|tx| tx.delete_build("none").map(|t| t.to_string())));
                }
                let gone = self.builds.remove(usize::from(b) % self.builds.len());
                (Ok("true".to_owned()), Box::new(move |tx| tx.delete_build(&gone.uuid).map(|t| t.to_string())))
            }
            Op::PutToken(t, expires_ms) => {
                let token = TokenRecord {
                    account: "0".to_owned(),
                    operation: "StartBuild".to_owned(),
                    token: format!("t{t}"),
                    request: vec![t],
                    subject: format!("{serial}"),
                    expires_ms,
                };
                self.tokens.insert(token.token.clone(), token.clone());
                (Ok(String::new()), Box::new(move |tx| tx.put_token(&token).map(|()| String::new())))
            }
            Op::PurgeTokens(now) => {
                let before = self.tokens.len();
                self.tokens.retain(|_, token| token.expires_ms > now);
                let purged = before - self.tokens.len();
                (Ok(purged.to_string()), Box::new(move |tx| tx.purge_tokens(now, 100).map(|n| n.to_string())))
            }
            Op::PutObject(k, v, b) => {
                let object = ObjectRecord {
                    bucket: "b".to_owned(),
                    key: KEYS[usize::from(k)].to_owned(),
                    version: format!("v{v}"),
                    blob: (b % 4 > 0).then(|| format!("blob{b}")),
                    upload: None,
                    size: i64::from(b),
                    etag: "e".to_owned(),
                    sha256: vec![b],
                    created_ms: 1,
                    doc: "{}".to_owned(),
                };
                let same = |o: &ObjectRecord| o.key == object.key && o.version == object.version;
                let before = self.objects.iter().position(same).map(|at| self.objects.remove(at));
                self.objects.push(object.clone());
                let outcome = Ok(format!("{before:?}"));
                (outcome, Box::new(move |tx| tx.put_object(&object).map(|before| format!("{before:?}"))))
            }
            Op::DeleteObject(k, v) => {
                let (key, version) = (KEYS[usize::from(k)], format!("v{v}"));
                let at = self.objects.iter().position(|o| o.key == key && o.version == version);
                let gone = at.map(|at| self.objects.remove(at));
                let outcome = Ok(format!("{gone:?}"));
                (outcome, Box::new(move |tx| tx.delete_object("b", key, &version).map(|o| format!("{o:?}"))))
            }
            Op::Setting(k, value) => {
                let key = format!("k{k}");
                match value {
                    Some(v) => {
                        self.settings.insert(key.clone(), v.to_string());
                        let set = move |tx: &mut Tx<'_>| tx.put_setting(&key, &v.to_string()).map(|()| String::new());
                        (Ok(String::new()), Box::new(set))
                    }
                    None => {
                        let there = self.settings.remove(&key).is_some();
                        (Ok(there.to_string()), Box::new(move |tx| tx.delete_setting(&key).map(|t| t.to_string())))
                    }
                }
            }
            Op::Undone(_) | Op::Reopen => (Ok(String::new()), Box::new(|_| Ok(String::new()))),
        }
    }

    fn project_names(&self, sort: ProjectSort, order: Order) -> Vec<ProjectKey> {
        let mut keys: Vec<ProjectKey> = self
            .projects
            .values()
            .map(|p| {
                let time_ms = match sort {
                    ProjectSort::Name => 0,
                    ProjectSort::Created => p.created_ms,
                    ProjectSort::Modified => p.modified_ms,
                };
                ProjectKey { time_ms, name: p.name.clone() }
            })
            .collect();
        keys.sort_by(|a, b| (a.time_ms, &a.name).cmp(&(b.time_ms, &b.name)));
        if order == Order::Descending {
            keys.reverse();
        }
        keys
    }

    fn active(&self, state: BuildState) -> Vec<BuildRecord> {
        self.builds.iter().filter(|b| b.state == state).cloned().collect()
    }

    fn newest_objects(&self, prefix: &str) -> Vec<ObjectRecord> {
        let mut newest = BTreeMap::new();
        for object in self.objects.iter().filter(|o| o.key.starts_with(prefix)) {
            newest.insert(object.key.clone(), object.clone());
        }
        newest.into_values().collect()
    }
}

/// Reads all pages of `limit` of a list.
fn pages<T: Clone>(limit: usize, mut page: impl FnMut(Option<&T>) -> Vec<T>) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    loop {
        let next = page(all.last());
        assert!(next.len() <= limit);
        if next.is_empty() {
            return all;
        }
        all.extend(next);
    }
}

fn compare(store: &Metadata, model: &Model) {
    store
        .read(|view| {
            for sort in [ProjectSort::Name, ProjectSort::Created, ProjectSort::Modified] {
                for order in [Order::Ascending, Order::Descending] {
                    let names = pages(2, |after| view.project_names(sort, order, after, 2).unwrap());
                    assert_eq!(names, model.project_names(sort, order));
                }
            }
            for (name, project) in &model.projects {
                assert_eq!(view.project(name)?.as_ref(), Some(project));
            }
            for order in [Order::Ascending, Order::Descending] {
                let found =
                    pages(3, |after: Option<&BuildKey>| view.build_ids(order, after.map(|k| k.position), 3).unwrap());
                let mut expected: Vec<_> = model.builds.iter().map(|b| b.uuid.as_str()).collect();
                if order == Order::Descending {
                    expected.reverse();
                }
                assert_eq!(found.iter().map(|k| k.uuid.as_str()).collect::<Vec<_>>(), expected);
                for p in 0..5 {
                    let name = format!("p{p}");
                    let found = pages(2, |after: Option<&BuildKey>| {
                        view.build_ids_of_project(&name, order, after.map(|k| k.position), 2).unwrap()
                    });
                    let mut expected: Vec<_> =
                        model.builds.iter().filter(|b| b.project == name).map(|b| (b.number, b.uuid.clone())).collect();
                    if order == Order::Descending {
                        expected.reverse();
                    }
                    assert_eq!(found.into_iter().map(|k| (k.position, k.uuid)).collect::<Vec<_>>(), expected);
                }
            }
            for build in &model.builds {
                assert_eq!(view.build(&build.uuid)?.as_ref(), Some(build));
                assert_eq!(view.build_by_number(&build.project, build.number)?.as_ref(), Some(build));
            }
            let mut counts = BTreeMap::<String, ActiveBuilds>::new();
            for state in [BuildState::Queued, BuildState::Running] {
                assert_eq!(view.active_builds(state, None, 1000)?, model.active(state));
                for build in model.active(state) {
                    let of = counts.entry(build.project).or_default();
                    if state == BuildState::Queued { of.queued += 1 } else { of.running += 1 }
                }
            }
            assert_eq!(view.active_counts()?, counts);
            let mut ended: Vec<_> = model.active(BuildState::Ended);
            ended.retain(|b| b.ended_ms < Some(100));
            ended.sort_by_key(|b| b.ended_ms);
            let found = view.builds_ended_before(100, 1000)?;
            assert_eq!(
                found.iter().map(|k| k.uuid.as_str()).collect::<Vec<_>>(),
                ended.iter().map(|b| b.uuid.as_str()).collect::<Vec<_>>()
            );
            for t in 0..4 {
                let token = format!("t{t}");
                assert_eq!(view.token("0", "StartBuild", &token)?.as_ref(), model.tokens.get(&token));
            }
            for prefix in ["", "a", "a/", "demo", "demo/", "ä", "x"] {
                let found = pages(2, |after: Option<&ObjectRecord>| {
                    view.objects("b", prefix, after.map(|o| o.key.as_str()), 2).unwrap()
                });
                assert_eq!(found, model.newest_objects(prefix), "prefix '{prefix}'");
            }
            for object in &model.objects {
                assert_eq!(view.object_version("b", &object.key, &object.version)?.as_ref(), Some(object));
                assert!(object.blob.as_deref().is_none_or(|blob| view.is_blob_used(blob).unwrap()));
            }
            for k in 0..3 {
                let key = format!("k{k}");
                assert_eq!(view.setting(&key)?.as_ref(), model.settings.get(&key));
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if std::env::var_os("KILN_SOAK").is_some() { 5000 } else { 150 }, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_the_model_does(ops in prop::collection::vec(op(), 1..60)) {
        let shm = std::path::Path::new("/dev/shm");
        let dir = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap();
        let mut store = Metadata::open(dir.path()).unwrap();
        let bucket = BucketRecord { name: "b".to_owned(), created_ms: 1, doc: "{}".to_owned() };
        store.write_blocking(move |tx| tx.insert_bucket(&bucket)).unwrap();
        let mut model = Model::default();
        for (op, serial) in ops.iter().zip(1..) {
            match op {
                Op::Reopen => {
                    drop(store);
                    store = Metadata::open(dir.path()).unwrap();
                    compare(&store, &model);
                }
                Op::Undone(op) => {
                    // The model's copy takes the change and is thrown away.
                    let (_, work) = model.clone().apply(op, serial);
                    let undone = store.write_blocking(move |tx| {
                        work(tx)?;
                        Err::<(), _>(StoreError::Invalid("no".to_owned()))
                    });
                    prop_assert!(undone.is_err());
                }
                op => {
                    let (expected, work) = model.apply(op, serial);
                    let done = store.write_blocking(work).map_err(|e| told(&e));
                    prop_assert_eq!(done, expected, "{:?}", op);
                }
            }
        }
        compare(&store, &model);
    }
}
