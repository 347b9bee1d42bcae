//! Clover's XML, also written by istanbul and PHPUnit.

use kiln_model::{Counter, ReportFormat};

use super::{
    ReportProblem,
    coverage::{Files, Lines},
    xml::Xml,
};

pub(super) fn read(xml: &mut Xml<'_>, files: &mut Files) -> Result<(), ReportProblem> {
    xml.root(&["coverage"])?;
    let mut lines_read = 0;
    while xml.child()?.is_some() {
        match xml.name() {
            "project" => within(xml, files, &mut lines_read)?,
            "packages" => {
                let (expected, found) = (ReportFormat::CloverXml, ReportFormat::CoberturaXml);
                return Err(ReportProblem::OtherFormat { expected, found });
            }
            // `testproject` holds the tests' own sources.
            _ => xml.skip()?,
        }
    }
    Ok(())
}

/// Reads a project or a package.
fn within(xml: &mut Xml<'_>, files: &mut Files, lines_read: &mut usize) -> Result<(), ReportProblem> {
    while xml.child()?.is_some() {
        match xml.name() {
            "package" => within(xml, files, lines_read)?,
            "file" => file(xml, files, lines_read)?,
            _ => xml.skip()?,
        }
    }
    Ok(())
}

fn file(xml: &mut Xml<'_>, files: &mut Files, lines_read: &mut usize) -> Result<(), ReportProblem> {
    // `path` is the whole one where there is one; PHPUnit has it in `name`.
    let path = xml.text_attribute(if xml.attribute("path").is_some() { "path" } else { "name" }, 4096);
    let mut lines = Lines::default();
    let mut metrics: Option<(Counter, Counter)> = None;
    while xml.child()?.is_some() {
        match xml.name() {
            // A method's line is its declaration, which is no statement (nor do Clover and PHPUnit count it as one).
            "line" if matches!(xml.attribute("type"), Some("stmt" | "cond")) => {
                let (when_true, when_false) = (xml.count("truecount")?, xml.count("falsecount")?);
                let covered = xml.count("count")? > 0 || when_true > 0 || when_false > 0;
                let number = u32::try_from(xml.count("num")?).unwrap_or(u32::MAX);
                let branches = match xml.attribute("type") {
                    Some("cond") => (u32::from(when_true > 0) + u32::from(when_false > 0), 2),
                    _ => (0, 0),
                };
                lines.add(lines_read, number, covered, branches)?;
                xml.skip()?;
            }
            "metrics" => {
                metrics = Some((
                    counter(xml, "coveredstatements", "statements")?,
                    counter(xml, "coveredconditionals", "conditionals")?,
                ));
                xml.skip()?;
            }
            _ => xml.skip()?,
        }
    }
    let (counted_lines, counted_branches) = lines.counters();
    let (stated_lines, stated_branches) = metrics.unwrap_or((counted_lines, counted_branches));
    // Lines are counted; what `truecount` means differs between writers, so branches are taken from the metrics.
    files.add(&path, if lines.is_empty() { stated_lines } else { counted_lines }, stated_branches);
    Ok(())
}

fn counter(xml: &Xml<'_>, covered: &str, total: &str) -> Result<Counter, ReportProblem> {
    let (covered, total) = (xml.count(covered)?, xml.count(total)?);
    Ok(Counter { covered, missed: total.saturating_sub(covered) })
}
