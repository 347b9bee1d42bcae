//! JaCoCo's XML.

use kiln_model::Counter;

use super::{MAX_NAME, ReportProblem, coverage::Files, xml::Xml};

pub(super) fn read(xml: &mut Xml<'_>, files: &mut Files) -> Result<(), ReportProblem> {
    xml.root(&["report"])?;
    let mut totals = Counters::default();
    while xml.child()?.is_some() {
        match xml.name() {
            "counter" => totals.take(xml)?,
            _ => part(xml, files)?,
        }
    }
    // Without the classes' debug information no source file is named; the totals are all there is.
    if files.is_empty() {
        files.set_totals(totals.lines, totals.branches);
    }
    Ok(())
}

/// Reads a group (of a module, which may hold groups), a package, or anything else.
fn part(xml: &mut Xml<'_>, files: &mut Files) -> Result<(), ReportProblem> {
    match xml.name() {
        "group" => {
            while xml.child()?.is_some() {
                part(xml, files)?;
            }
            Ok(())
        }
        "package" => {
            let package = xml.text_attribute("name", 4 * MAX_NAME);
            while xml.child()?.is_some() {
                if xml.name() == "sourcefile" {
                    source(xml, files, &package)?;
                } else {
                    xml.skip()?;
                }
            }
            Ok(())
        }
        _ => xml.skip(),
    }
}

fn source(xml: &mut Xml<'_>, files: &mut Files, package: &str) -> Result<(), ReportProblem> {
    let name = xml.text_attribute("name", MAX_NAME);
    let mut counters = Counters::default();
    while xml.child()?.is_some() {
        match xml.name() {
            "counter" => counters.take(xml)?,
            _ => xml.skip()?,
        }
    }
    let path = if package.is_empty() { name } else { format!("{package}/{name}") };
    files.add(&path, counters.lines, counters.branches);
    Ok(())
}

#[derive(Debug, Default)]
struct Counters {
    lines: Counter,
    branches: Counter,
}

impl Counters {
    fn take(&mut self, xml: &mut Xml<'_>) -> Result<(), ReportProblem> {
        let counter = Counter { covered: xml.count("covered")?, missed: xml.count("missed")? };
        match xml.attribute("type") {
            Some("LINE") => self.lines = counter,
            Some("BRANCH") => self.branches = counter,
            _ => {}
        }
        xml.skip()
    }
}
