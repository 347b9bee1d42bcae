//! The published service models, and values of their shapes. The test of malformed requests in the crate `kiln` reads this
//! file too.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    sync::{LazyLock, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

/// The model of a service; `None` where it cannot be had, said in the form that `scripts/test` counts.
pub(crate) fn model(service: &str) -> Option<&'static Value> {
    static MODELS: LazyLock<Mutex<BTreeMap<String, Result<&'static Value, String>>>> = LazyLock::new(Mutex::default);
    let mut models = MODELS.lock().unwrap();
    let model = models.entry(service.to_owned()).or_insert_with(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let script = root.join("scripts/botocore");
        let output = Command::new(script).arg(service).output().map_err(|error| format!("skipped: {error}"))?;
        let text = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        assert!(output.status.success(), "scripts/botocore: {}", String::from_utf8_lossy(&output.stderr));
        if text.starts_with("skipped:") {
            Err(text)
        } else {
            Ok(Box::leak(Box::new(serde_json::from_slice(&fs::read(text).unwrap()).unwrap())))
        }
    });
    model.as_ref().inspect_err(|reason| println!("{reason}")).ok().copied()
}

pub(crate) fn shape<'a>(model: &'a Value, name: &str) -> &'a Value {
    let shape = &model["shapes"][name];
    assert!(shape.is_object(), "the model has no shape {name}");
    shape
}

/// A value of a shape with every member, as small as the constraints allow but for one item in each list.
pub(crate) fn sample(model: &Value, name: &str) -> Value {
    let shape = shape(model, name);
    match shape["type"].as_str().unwrap() {
        "structure" => members(shape)
            .map(|(member, of)| match member {
                // A plain string in the model, but what it says is the name of a phase.
                "currentPhase" => (member.to_owned(), json!("COMPLETED")),
                _ => (member.to_owned(), sample(model, of)),
            })
            .collect(),
        "list" => json!([sample(model, shape["member"]["shape"].as_str().unwrap())]),
        "string" => match shape["enum"].as_array() {
            Some(values) => values[0].clone(),
            None => json!(text(shape, smallest(shape).max(1), "a")),
        },
        "blob" => json!(BASE64.encode("a")),
        // As many members as there must be: a, aa, …
        "map" => (1..=smallest(shape).max(1)).map(|n| ("a".repeat(n), json!("b"))).collect(),
        "integer" | "long" => json!(shape["min"].as_i64().unwrap_or(0).max(1)),
        "double" => json!(1.5),
        "boolean" => json!(true),
        "timestamp" => json!(1_556_839_783.274),
        other => panic!("{name} has the type {other}"),
    }
}

pub(crate) fn members(shape: &Value) -> impl Iterator<Item = (&str, &str)> {
    shape["members"].as_object().unwrap().iter().map(|(name, of)| (name.as_str(), of["shape"].as_str().unwrap()))
}

pub(crate) fn smallest(shape: &Value) -> usize {
    usize::try_from(shape["min"].as_u64().unwrap_or(0)).unwrap()
}

/// A text of about that length, longer where the form of the shape begins with more.
pub(crate) fn text(shape: &Value, length: usize, letter: &str) -> String {
    if shape["pattern"] == UPLOAD {
        return "01234567-89ab-cdef-0123-456789abcdef".to_owned();
    }
    if shape["pattern"] == REGISTRY {
        return "1".repeat(12);
    }
    if shape["pattern"] == ACCOUNT {
        return "1".repeat(length);
    }
    if shape["pattern"] == REGION {
        return format!("{}-1", "a".repeat(length.saturating_sub(2).max(1)));
    }
    let begin = match shape["pattern"].as_str() {
        // The names of tags are of any length, what else is compared is not.
        Some(PARAMETER_FILTER) => "tag:",
        Some(LAYER_DIGEST) => "sha256:",
        Some(EVENT_ENDPOINT) => "a.",
        Some(SOURCE_ARN) => "arn:aws:s3:us-east-1:000000000000:",
        Some(SERVICE_PRINCIPAL) => "a.b.",
        _ => "",
    };
    format!("{begin}{}", letter.repeat(length.saturating_sub(begin.len()).max(usize::from(!begin.is_empty()))))
}

pub(crate) const SOURCE_ARN: &str = r"^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$";
pub(crate) const ACCOUNT: &str = r"^\d{12}$";
pub(crate) const REGISTRY: &str = "[0-9]{12}";
pub(crate) const LAYER_DIGEST: &str = "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+";
pub(crate) const EVENT_ENDPOINT: &str = r"^[A-Za-z0-9\-]+[\.][A-Za-z0-9\-]+$";
pub(crate) const UPLOAD: &str = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";
pub(crate) const REGION: &str = r"^([a-z]+-)+\d+$";
pub(crate) const PARAMETER_FILTER: &str = "^(tag:.+|Name|Type|KeyId|Path|Label|Tier|DataType)$";
pub(crate) const SERVICE_PRINCIPAL: &str = r"^([A-Za-z0-9\-]+)\.([A-Za-z0-9\-]+)(\.[A-Za-z0-9\-]+)+$";

/// A place in a value: JSON pointer.
pub(crate) type Pointer = String;

/// Every place in the sample of a structure, with the name of the shape that is there.
pub(crate) fn places(model: &Value, name: &str, at: &str, found: &mut Vec<(Pointer, String)>) {
    let shape = shape(model, name);
    found.push((at.to_owned(), name.to_owned()));
    match shape["type"].as_str().unwrap() {
        "structure" => members(shape).for_each(|(member, of)| places(model, of, &format!("{at}/{member}"), found)),
        "list" => places(model, shape["member"]["shape"].as_str().unwrap(), &format!("{at}/0"), found),
        _ => {}
    }
}
