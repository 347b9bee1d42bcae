//! Which format a file is, for report auto-discovery (`buildspec.md` 11.4).

use kiln_model::ReportFormat;

use super::xml::{Token, Xml};

/// Guesses a file's format from its name and its first bytes (64 KiB are plenty). `None` for everything else: a guess
/// must be sure, since any file of the project may be looked at.
#[must_use]
pub fn detect(path: &str, head: &[u8]) -> Option<ReportFormat> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    if name.ends_with(".xml") || name.ends_with(".trx") {
        detect_xml(head)
    } else if name.ends_with(".json") {
        detect_json(&name, head)
    } else {
        None
    }
}

fn detect_xml(head: &[u8]) -> Option<ReportFormat> {
    let mut input = head;
    let mut xml = Xml::new(&mut input);
    if !matches!(xml.next(), Ok(Token::Start)) {
        return None;
    }
    match xml.name() {
        "testsuites" | "testsuite" => Some(ReportFormat::JunitXml),
        "test-results" => Some(ReportFormat::NunitXml),
        "test-run" => Some(ReportFormat::Nunit3Xml),
        "testng-results" => Some(ReportFormat::TestngXml),
        "TestRun" => Some(ReportFormat::VisualStudioTrx),
        "coverage" => match first_child(&mut xml, &["project", "packages", "sources"])?.as_str() {
            "project" => Some(ReportFormat::CloverXml),
            _ => Some(ReportFormat::CoberturaXml),
        },
        "report" => {
            first_child(&mut xml, &["sessioninfo", "package", "counter", "group"]).map(|_| ReportFormat::JacocoXml)
        }
        _ => None,
    }
}

/// The first element within the root, if it is one of these.
fn first_child(xml: &mut Xml<'_>, names: &[&str]) -> Option<String> {
    let child = loop {
        match xml.next() {
            Ok(Token::Start) => break xml.name().to_owned(),
            Ok(Token::Text) => {}
            _ => return None,
        }
    };
    names.contains(&child.as_str()).then_some(child)
}

fn detect_json(name: &str, head: &[u8]) -> Option<ReportFormat> {
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let has = |key: &str| text.contains(key);
    let simplecov = match name {
        ".resultset.json" => has("\"coverage\""),
        "coverage.json" => has("\"simplecov_version\""),
        _ => false,
    };
    if simplecov && text.starts_with('{') {
        Some(ReportFormat::SimpleCov)
    } else if text.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with('{'))
        && has("\"elements\"")
        && has("\"keyword\"")
        && (has("\"steps\"") || has("\"uri\""))
    {
        Some(ReportFormat::CucumberJson)
    } else {
        None
    }
}
