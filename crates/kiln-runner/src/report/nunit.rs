//! NUnit 2 (`<test-results>`) and NUnit 3 (`<test-run>`).

use kiln_model::TestStatus;

use super::{
    MAX_NAME, ReportProblem,
    cases::{Case, Cases, SEARCHED},
    junit::join,
    nanoseconds,
    xml::Xml,
};

pub(super) fn read_2(xml: &mut Xml<'_>, cases: &mut Cases) -> Result<(), ReportProblem> {
    xml.root(&["test-results"])?;
    within(xml, cases, "", &status_2)
}

pub(super) fn read_3(xml: &mut Xml<'_>, cases: &mut Cases) -> Result<(), ReportProblem> {
    xml.root(&["test-run"])?;
    within(xml, cases, "", &status_3)
}

type Status = dyn Fn(&Xml<'_>) -> TestStatus;

fn status_2(xml: &Xml<'_>) -> TestStatus {
    match xml.attribute("result").map(str::to_ascii_lowercase).as_deref() {
        Some("success") => TestStatus::Succeeded,
        Some("failure") => TestStatus::Failed,
        Some("error" | "notrunnable" | "invalid" | "cancelled") => TestStatus::Error,
        Some("ignored" | "skipped" | "notrun") => TestStatus::Skipped,
        Some(_) => TestStatus::Unknown,
        // NUnit before 2.5 has no `result`.
        None => match (xml.attribute("executed"), xml.attribute("success")) {
            (Some("False" | "false"), _) => TestStatus::Skipped,
            (_, Some("True" | "true")) => TestStatus::Succeeded,
            (_, Some("False" | "false")) => TestStatus::Failed,
            _ => TestStatus::Unknown,
        },
    }
}

fn status_3(xml: &Xml<'_>) -> TestStatus {
    match (xml.attribute("result"), xml.attribute("label")) {
        (Some("Passed" | "Warning"), _) => TestStatus::Succeeded,
        (Some("Failed"), Some("Error" | "Cancelled" | "Invalid")) => TestStatus::Error,
        (Some("Failed"), _) => TestStatus::Failed,
        (Some("Skipped"), _) => TestStatus::Skipped,
        _ => TestStatus::Unknown,
    }
}

/// Reads what is in a run, a suite, or NUnit 2's `<results>`.
fn within(xml: &mut Xml<'_>, cases: &mut Cases, suite: &str, status: &Status) -> Result<(), ReportProblem> {
    while xml.child()?.is_some() {
        match xml.name() {
            "test-suite" => {
                let name = xml.text_attribute("name", MAX_NAME);
                within(xml, cases, &name, status)?;
            }
            "results" => within(xml, cases, suite, status)?,
            "test-case" => case(xml, cases, suite, status)?,
            _ => xml.skip()?,
        }
    }
    Ok(())
}

fn case(xml: &mut Xml<'_>, cases: &mut Cases, suite: &str, status: &Status) -> Result<(), ReportProblem> {
    // NUnit 3 gives both names and the class; in NUnit 2 `name` is the full one.
    let full = xml.text_attribute(if xml.attribute("fullname").is_some() { "fullname" } else { "name" }, 2 * MAX_NAME);
    let (prefix, name) = split(&full);
    let name = if xml.attribute("fullname").is_some() { xml.text_attribute("name", MAX_NAME) } else { name.to_owned() };
    let prefix = match xml.attribute("classname") {
        Some(_) => xml.text_attribute("classname", MAX_NAME),
        None => prefix.to_owned(),
    };
    let time = xml.attribute("duration").or(xml.attribute("time")).unwrap_or_default();
    let mut case = Case {
        prefix,
        name,
        suite: suite.to_owned(),
        status: Some(status(xml)),
        duration_ns: nanoseconds(time),
        ..Case::default()
    };
    while xml.child()?.is_some() {
        if !matches!(xml.name(), "failure" | "reason") {
            xml.skip()?;
            continue;
        }
        let mut message = String::new();
        while xml.child()?.is_some() {
            match xml.name() {
                "message" => message = xml.content(SEARCHED)?,
                "stack-trace" => case.details = xml.content(SEARCHED)?,
                _ => xml.skip()?,
            }
        }
        case.message = join(&message, &case.details);
    }
    cases.add(case);
    Ok(())
}

/// Splits `Namespace.Class.Method(1.5, "a.b")` in front of the method.
fn split(full: &str) -> (&str, &str) {
    let arguments = full.find('(').unwrap_or(full.len());
    match full.get(..arguments).and_then(|head| head.rfind('.')) {
        Some(dot) => (full.get(..dot).unwrap_or_default(), full.get(dot + 1..).unwrap_or_default()),
        None => ("", full),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_in_front_of_the_method() {
        assert_eq!(split("N.C.M"), ("N.C", "M"));
        assert_eq!(split("N.C.M(1.5,\"a.b\")"), ("N.C", "M(1.5,\"a.b\")"));
        assert_eq!(split("M"), ("", "M"));
        assert_eq!(split(""), ("", ""));
    }
}
