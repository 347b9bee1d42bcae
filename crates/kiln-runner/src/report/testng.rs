//! TestNG's `testng-results.xml`.

use kiln_model::TestStatus;

use super::{
    MAX_NAME, ReportProblem,
    cases::{Case, Cases, SEARCHED},
    junit::join,
    xml::Xml,
};

pub(super) fn read(xml: &mut Xml<'_>, cases: &mut Cases) -> Result<(), ReportProblem> {
    xml.root(&["testng-results"])?;
    while xml.child()?.is_some() {
        match xml.name() {
            "suite" => {
                let suite = xml.text_attribute("name", MAX_NAME);
                within(xml, cases, &suite, "")?;
            }
            _ => xml.skip()?,
        }
    }
    Ok(())
}

/// Reads what is in a suite, a test or a class.
fn within(xml: &mut Xml<'_>, cases: &mut Cases, suite: &str, class: &str) -> Result<(), ReportProblem> {
    while xml.child()?.is_some() {
        match xml.name() {
            "test" => within(xml, cases, suite, class)?,
            "class" => {
                let class = xml.text_attribute("name", MAX_NAME);
                within(xml, cases, suite, &class)?;
            }
            // Methods that prepare and clean up are no tests.
            "test-method" if xml.attribute("is-config") != Some("true") => method(xml, cases, suite, class)?,
            _ => xml.skip()?,
        }
    }
    Ok(())
}

fn method(xml: &mut Xml<'_>, cases: &mut Cases, suite: &str, class: &str) -> Result<(), ReportProblem> {
    let status = match xml.attribute("status") {
        Some("PASS") => TestStatus::Succeeded,
        Some("FAIL") => TestStatus::Failed,
        Some("SKIP") => TestStatus::Skipped,
        _ => TestStatus::Unknown,
    };
    let milliseconds: u64 = xml.attribute("duration-ms").and_then(|d| d.trim().parse().ok()).unwrap_or(0);
    let mut case = Case {
        prefix: class.to_owned(),
        name: xml.text_attribute("name", MAX_NAME),
        suite: suite.to_owned(),
        status: Some(status),
        duration_ns: milliseconds.saturating_mul(1_000_000),
        ..Case::default()
    };
    while xml.child()?.is_some() {
        if xml.name() != "exception" {
            xml.skip()?;
            continue;
        }
        let kind = xml.text_attribute("class", MAX_NAME);
        let mut message = String::new();
        while xml.child()?.is_some() {
            match xml.name() {
                "message" => message = xml.content(SEARCHED)?,
                "full-stacktrace" | "short-stacktrace" => case.details = xml.content(SEARCHED)?,
                _ => xml.skip()?,
            }
        }
        case.message = if case.details.is_empty() { join(&kind, &message) } else { join(&message, &case.details) };
    }
    cases.add(case);
    Ok(())
}
