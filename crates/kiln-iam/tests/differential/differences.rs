//! Where Kiln denies and the oracle allows: each for a reason.
//!
//! Where Kiln knows more than the oracle, the generator keeps away from it, since there is nothing to compare:
//!
//! * In policies of the version 2008-10-17 the oracle expands variables; to AWS and Kiln they are text.
//! * It does not know `${$}`, nor `${*}` and `${?}` in `StringEquals`, dates that are a year alone or seconds since 1970,
//!   the addresses `::ffff:a.b.c.d`, nor that root needs no policy (it is given one that allows everything). `?` is to it
//!   half of a character beyond U+FFFF, and `a.b.c.d/0` one address, where AWS means all.
//! * It matches the names of operators without regard to case, and `Null` with both values; Kiln refuses to store those.

use kiln_iam::policy::{Decision, Layer, Principal, Reason};
use serde_json::Value;

use crate::case::Case;

const OPEN_TYPE: &str = "a wildcard in the type of a resource denies, but allows nothing";

/// The reason for which Kiln alone denies a case; `None` if there is none.
pub(crate) fn reason(case: &Case, ours: &Decision) -> Option<&'static str> {
    let is_federated = matches!(case.principal, Principal::FederatedUser { .. });
    if is_federated && case.session.is_none() && matches!(ours.reason, Reason::Missing(_)) {
        return Some("a federated session has nothing without a policy");
    }
    let Reason::Denied(layer) = ours.reason else {
        return case.statements().filter(|statement| statement["Effect"] == "Allow").find_map(does_not_allow);
    };
    let cited = ours.statement.as_ref()?;
    let policy = match layer {
        Layer::Identity => case.identity.get(cited.policy)?,
        Layer::Resource | Layer::Trust => &case.resource_policy.as_ref()?.1,
        Layer::Boundary => case.boundary.as_ref()?,
        Layer::Session => case.session.as_ref()?,
    };
    let statement = &policy["Statement"][cited.statement];
    if statement.get("NotPrincipal").is_some() {
        return Some("NotPrincipal spares only those of whom account, role and session are named");
    }
    if statement.get("NotResource").is_some_and(|resources| resources.to_string().contains("${")) {
        return Some("NotResource denies for a variable without a value");
    }
    if has_open_type(statement) {
        return Some(OPEN_TYPE);
    }
    let conditions = statement.get("Condition").and_then(Value::as_object)?;
    for (operator, keys) in conditions {
        for key in keys.as_object()?.keys() {
            let value = case.context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value);
            let has_qualifier = operator.starts_with("For");
            if matches!(value, Some(Value::Array(_))) && !has_qualifier && operator != "Null" {
                return Some("without a qualifier, one of several values is enough to deny, and none to allow");
            }
            if value.is_none() && operator.starts_with("ForAnyValue:") && operator.ends_with("IfExists") {
                return Some("ForAnyValue with IfExists and no value: sources disagree");
            }
            if operator.contains("NotIpAddress") {
                return Some("NotIpAddress denies an address of the other version");
            }
            if operator.contains("Not") && keys[key].to_string().contains("${") {
                return Some("a negated operator holds for a variable without a value");
            }
        }
    }
    None
}

/// Why Kiln does not take a statement for one that allows, where the oracle does.
fn does_not_allow(statement: &Value) -> Option<&'static str> {
    if statement.get("NotResource").is_some() {
        if statement["NotResource"].to_string().contains("${") {
            return Some("all but a variable without a value is not allowed");
        }
        if has_open_type(statement) {
            return Some(OPEN_TYPE);
        }
    }
    let conditions = statement.get("Condition").and_then(Value::as_object)?;
    conditions.iter().filter(|(operator, _)| operator.contains("Not")).find_map(|(operator, keys)| {
        if operator.contains("NotIpAddress") {
            return Some("NotIpAddress does not allow an address of the other version");
        }
        keys.to_string().contains("${").then_some("a negated operator does not allow for a variable without a value")
    })
}

fn has_open_type(statement: &Value) -> bool {
    let resources = statement.get("Resource").or_else(|| statement.get("NotResource"));
    let resources = match resources {
        Some(Value::Array(resources)) => resources.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    resources.iter().filter_map(Value::as_str).filter_map(|text| text.splitn(6, ':').nth(5)).any(|resource| {
        let (wildcard, separator) = (resource.find(['*', '?', '$']), resource.find(['/', ':']));
        wildcard.is_some_and(|wildcard| separator.is_some_and(|separator| wildcard < separator))
    })
}
