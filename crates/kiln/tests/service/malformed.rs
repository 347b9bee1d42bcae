//! Requests that are wrong in every member of every operation, made from the published service model: fault test 22 of
//! `reliability.md`. What is wrong below that (framing, targets, bodies that are no JSON) is shown in `kiln-api`.

#[path = "../../../kiln-model/tests/botocore/samples.rs"]
mod samples;

use std::collections::{BTreeMap, BTreeSet};

use kiln_model::operations::OPERATIONS;
use samples::{Pointer, model, places, sample};
use serde_json::{Value, json};

use crate::{
    client::Client,
    server::{Server, not_root, open_files, resident_kib, rounds, wait_for},
};

/// Stands where a member is to be given twice.
const TWICE: &str = "~twice~";
/// What may be refused whatever the model says of an operation.
const COMMON: [&str; 2] = ["InvalidInputException", "SerializationException"];
/// Resident memory may grow by this much, KiB: about what one body at the limit takes on its way.
const GROWTH: u64 = 32 << 10;

fn wrong_values() -> Vec<Value> {
    let deep = (0..120).fold(json!(1), |inner, n| if n % 2 == 0 { json!([inner]) } else { json!({ "a": inner }) });
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("\u{0}"),
        json!("é\u{202e}\u{1f600}"),
        json!("x".repeat(70_000)),
        json!([]),
        json!({}),
        json!([null]),
        json!([[], {}]),
        json!({ "a": { "": [] } }),
        json!(vec![json!("x"); 2000]),
        deep,
    ]
}

/// Every body for one place: another value there, none, and two.
fn bodies(full: &Value, place: &str) -> Vec<String> {
    let with = |value: Value| {
        let mut input = full.clone();
        *input.pointer_mut(place).unwrap() = value;
        input
    };
    let mut bodies: Vec<String> = wrong_values().into_iter().map(|value| with(value).to_string()).collect();
    if let Some((parent, member)) = place.rsplit_once('/') {
        let mut without = full.clone();
        if let Some(object) = without.pointer_mut(parent).and_then(Value::as_object_mut) {
            object.remove(member);
            bodies.push(without.to_string());
            let marked = with(json!(TWICE)).to_string();
            let was = full.pointer(place).unwrap();
            bodies.push(marked.replace(&format!("\"{TWICE}\""), &format!("{was},\"{member}\":{was}")));
            bodies.push(marked.replace(&format!("\"{TWICE}\""), &format!("{was},\"{member}\":[[]]")));
        }
    }
    bodies
}

/// Every operation with each of its bodies.
fn requests(model: &Value) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    for operation in OPERATIONS.iter().map(|operation| operation.name) {
        let Some(shape) = model["operations"][operation]["input"]["shape"].as_str() else {
            all.extend(wrong_values().into_iter().map(|value| (operation, value.to_string())));
            continue;
        };
        let full = sample(model, shape);
        let mut found: Vec<(Pointer, String)> = Vec::new();
        places(model, shape, "", &mut found);
        for (place, _) in found {
            all.extend(bodies(&full, &place).into_iter().map(|body| (operation, body)));
        }
    }
    all
}

/// What an operation may answer.
fn documented<'a>(model: &'a Value, operation: &str) -> BTreeSet<&'a str> {
    let errors = model["operations"][operation]["errors"].as_array();
    COMMON.into_iter().chain(errors.into_iter().flatten().filter_map(|error| error["shape"].as_str())).collect()
}

fn send(client: &Client, operation: &str, body: &str) -> (u16, Value) {
    let target = format!("CodeBuild_20161006.{operation}");
    let (status, answer) = client.exchange("codebuild", &target, body.as_bytes()).unwrap_or_else(|e| {
        panic!("{operation}: no answer to {body:.300}: {e}");
    });
    (status, serde_json::from_slice(&answer).unwrap_or_else(|e| panic!("{operation}: {e}: {answer:?}")))
}

#[test]
fn every_member_of_every_operation_may_be_wrong() {
    let (false, Some(model)) = (not_root(), model("codebuild")) else { return };
    let mut server = Server::with(&[("KILN_NETWORK_MODE", "none")]);
    let client = server.client();
    let mut all = requests(model);
    let count = all.len();
    assert!(count > 10_000, "{count} requests");
    fastrand::Rng::with_seed(22).shuffle(&mut all);
    all.truncate(rounds(2500, count));

    // What is allocated once is allocated by the first tenth.
    let (first, rest) = all.split_at(all.len() / 10);
    let mut codes: BTreeMap<String, usize> = BTreeMap::new();
    let mut try_all = |requests: &[(&str, String)]| {
        for (operation, body) in requests {
            let (status, answer) = send(&client, operation, body);
            if status == 200 {
                *codes.entry("200".to_owned()).or_default() += 1;
                continue;
            }
            let code = answer["__type"].as_str().unwrap_or_default();
            let code = code.rsplit('#').next().unwrap_or_default().to_owned();
            let message = answer["message"].as_str().unwrap_or_default();
            assert_eq!(status, 400, "{operation}: {answer} to {body:.300}");
            assert!(documented(model, operation).contains(code.as_str()), "{operation}: {answer} to {body:.300}");
            assert!((1..5000).contains(&message.chars().count()), "{operation}: {answer:.300} to {body:.300}");
            *codes.entry(code).or_default() += 1;
        }
    };
    try_all(first);
    let (memory, files) = (resident_kib(server.pid()), open_files(server.pid()));
    try_all(rest);
    println!("{} of {count} requests: {codes:?}", all.len());
    let grown = resident_kib(server.pid()).saturating_sub(memory);
    assert!(grown < GROWTH, "memory grew by {grown} KiB");
    wait_for("connections to be closed", || (open_files(server.pid()) <= files + 2).then_some(()));
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
    // Some may have been good enough for a build.
    wait_for("builds to be over", || {
        let queue = client.kiln("DescribeQueue", &json!({})).ok()?;
        (queue["capacity"]["queuedBuilds"] == 0 && queue["capacity"]["runningBuilds"] == 0).then_some(())
    });
    server.check(&[]);
}
