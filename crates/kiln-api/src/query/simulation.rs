//! Policy simulation: what it is asked with, and what it answers.

use kiln_model::iam::{ContextEntry, Evaluation, IamCode, IamError, MatchedStatement, Simulation};

use super::{params::Form, xml::Xml};

/// `ContextKeyTypeEnum`; with `List` behind it the key may have several values.
const TYPES: [&str; 6] = ["string", "numeric", "boolean", "ip", "binary", "date"];

/// What a simulation is asked with.
pub(super) fn simulation(operation: &str, form: &Form) -> Result<Simulation, IamError> {
    // What would change the decision must not be left out in silence.
    for name in ["PolicyExclusionList", "OrderedOrganizationPolicyInputList"] {
        if form.has_any(name) {
            let message = format!("{name} is not available in this version of Kiln");
            return Err(IamError::new(IamCode::InvalidInput, message));
        }
    }
    let is_principals = operation.ends_with("PrincipalPolicy");
    let policies = form.list("PolicyInputList", "");
    if !is_principals && policies.is_empty() {
        form.required("PolicyInputList")?;
    }
    let actions = form.list("ActionNames", "");
    if operation.starts_with("Simulate") && actions.is_empty() {
        form.required("ActionNames")?;
    }
    let boundaries = form.list("PermissionsBoundaryPolicyInputList", "");
    if boundaries.len() > 1 {
        let constraint = "Member must have length less than or equal to 1";
        return Err(IamError::validation("permissionsBoundaryPolicyInputList", constraint));
    }
    let names = form.list("ContextEntries", ".ContextKeyName");
    Ok(Simulation {
        source: is_principals.then(|| form.required("PolicySourceArn")).transpose()?,
        policies,
        boundary: boundaries.into_iter().next(),
        actions,
        resources: form.list("ResourceArns", ""),
        resource_policy: form.optional("ResourcePolicy"),
        caller: form.optional("CallerArn"),
        owner: form.optional("ResourceOwner"),
        context: names.into_iter().zip(1..).map(|(name, at)| entry(name, at, form)).collect::<Result<_, _>>()?,
    })
}

fn entry(name: String, at: usize, form: &Form) -> Result<ContextEntry, IamError> {
    let values = form.list(&format!("ContextEntries.member.{at}.ContextKeyValues"), "");
    let kind = form.get(&format!("ContextEntries.member.{at}.ContextKeyType")).unwrap_or("string");
    let (plain, is_list) = kind.strip_suffix("List").map_or((kind, false), |plain| (plain, true));
    let refused = |member: &str, constraint: &str| {
        IamError::validation(&format!("contextEntries.{at}.member.{member}"), constraint)
    };
    if !TYPES.contains(&plain) {
        let each: Vec<String> = TYPES.iter().flat_map(|kind| [(*kind).to_owned(), format!("{kind}List")]).collect();
        let constraint = format!("Member must satisfy enum value set: [{}]", each.join(", "));
        return Err(refused("contextKeyType", &constraint));
    }
    if !is_list && values.len() > 1 {
        return Err(refused("contextKeyValues", "Member must have one value, or a type of lists"));
    }
    Ok(ContextEntry { name, values, is_list })
}

/// An `EvaluationResult`.
pub(super) fn evaluation(xml: &mut Xml, one: &Evaluation) {
    xml.text("EvalActionName", &one.action);
    xml.text("EvalResourceName", &one.resource);
    xml.text("EvalDecision", one.decision);
    reasons(xml, one);
    if one.is_specific {
        xml.members("ResourceSpecificResults", &[one], |xml, one| {
            xml.text("EvalResourceName", &one.resource);
            xml.text("EvalResourceDecision", one.decision);
            reasons(xml, one);
        });
    }
}

fn reasons(xml: &mut Xml, one: &Evaluation) {
    xml.members("MatchedStatements", &one.matched, statement);
    xml.texts("MissingContextValues", &one.missing);
    if let Some(allowed) = one.allowed_by_boundary {
        xml.within("PermissionsBoundaryDecisionDetail", |xml| {
            xml.text("AllowedByPermissionsBoundary", if allowed { "true" } else { "false" });
        });
    }
}

fn statement(xml: &mut Xml, one: &MatchedStatement) {
    xml.text("SourcePolicyId", &one.policy);
    xml.text("SourcePolicyType", one.kind);
    for (name, (line, column)) in [("StartPosition", one.start), ("EndPosition", one.end)] {
        xml.within(name, |xml| {
            xml.text("Line", &line.to_string());
            xml.text("Column", &column.to_string());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(operation: &str, form: &str) -> Result<Simulation, String> {
        simulation(operation, &Form::parse(form).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_simulation_has_what_it_needs() {
        let entries = "&ContextEntries.member.1.ContextKeyName=aws:SourceIp&ContextEntries.member.1.ContextKeyType=ip\
                       &ContextEntries.member.1.ContextKeyValues.member.1=10.0.0.1\
                       &ContextEntries.member.2.ContextKeyName=aws:TagKeys\
                       &ContextEntries.member.2.ContextKeyType=stringList\
                       &ContextEntries.member.2.ContextKeyValues.member.1=a";
        let custom = format!("PolicyInputList.member.1=p&ActionNames.member.1=a&PolicySourceArn=s{entries}");
        let read_one = read("SimulateCustomPolicy", &custom).unwrap();
        assert_eq!((read_one.source, read_one.policies.len(), read_one.actions.len()), (None, 1, 1));
        let lists: Vec<bool> = read_one.context.iter().map(|entry| entry.is_list).collect();
        assert_eq!(lists, [false, true], "{:?}", read_one.context);
        assert_eq!(read_one.context[1].values, ["a"]);
        for (operation, form, place) in [
            ("SimulateCustomPolicy", "ActionNames.member.1=a", "policyInputList"),
            ("SimulateCustomPolicy", "PolicyInputList.member.1=p", "actionNames"),
            ("GetContextKeysForCustomPolicy", "", "policyInputList"),
            ("GetContextKeysForPrincipalPolicy", "", "policySourceArn"),
            ("SimulatePrincipalPolicy", "ActionNames.member.1=a", "policySourceArn"),
            ("SimulatePrincipalPolicy", "PolicySourceArn=s", "actionNames"),
        ] {
            let error = read(operation, form).unwrap_err();
            assert!(error.contains(&format!("Value null at '{place}'")), "{operation}: {error}");
        }
        let two = format!(
            "{custom}&PermissionsBoundaryPolicyInputList.member.1=b&PermissionsBoundaryPolicyInputList.member.2=b"
        );
        assert!(read("SimulateCustomPolicy", &two).unwrap_err().contains("permissionsBoundaryPolicyInputList"));
        for name in
            ["PolicyExclusionList.member.1", "OrderedOrganizationPolicyInputList.member.1.PolicyInputList.member.1"]
        {
            let error = read("SimulateCustomPolicy", &format!("{custom}&{name}=x")).unwrap_err();
            assert!(error.contains("is not available in this version of Kiln"), "{error}");
        }
        let wrong = custom.replace("=stringList", "=text");
        assert!(read("SimulateCustomPolicy", &wrong).unwrap_err().contains("'contextEntries.2.member.contextKeyType'"));
        let several = format!("{custom}&ContextEntries.member.1.ContextKeyValues.member.2=10.0.0.2");
        assert!(
            read("SimulateCustomPolicy", &several).unwrap_err().contains("'contextEntries.1.member.contextKeyValues'")
        );
    }
}
