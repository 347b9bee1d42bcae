//! Cobertura's XML, also written by coverage.py, gcovr, istanbul, coverlet and many others.

use std::collections::HashMap;

use kiln_model::ReportFormat;

use super::{
    ReportProblem,
    coverage::{Files, Lines},
    xml::Xml,
};

/// Source files that one report may name.
const MAX_SOURCES: usize = 200_000;

pub(super) fn read(xml: &mut Xml<'_>, files: &mut Files) -> Result<(), ReportProblem> {
    xml.root(&["coverage"])?;
    // Classes of one file (inner ones, partial ones) may stand far apart.
    let mut lines: Vec<(String, Lines)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut lines_read = 0;
    while xml.child()?.is_some() {
        match xml.name() {
            "packages" => {}
            "project" => {
                let (expected, found) = (ReportFormat::CoberturaXml, ReportFormat::CloverXml);
                return Err(ReportProblem::OtherFormat { expected, found });
            }
            _ => {
                xml.skip()?;
                continue;
            }
        }
        while xml.child()?.is_some() {
            // A package; gcovr and others put nothing between it and its classes that matters.
            while xml.child()?.is_some() {
                if xml.name() != "classes" {
                    xml.skip()?;
                    continue;
                }
                while xml.child()?.is_some() {
                    let file = xml.text_attribute("filename", 4096);
                    let next = lines.len();
                    let at = *places.entry(file.clone()).or_insert(next);
                    if at == next {
                        if next >= MAX_SOURCES {
                            return Err(ReportProblem::Limit { what: "files", limit: MAX_SOURCES as u64 });
                        }
                        lines.push((file, Lines::default()));
                    }
                    if let Some((_, lines)) = lines.get_mut(at) {
                        class(xml, lines, &mut lines_read)?;
                    }
                }
            }
        }
    }
    for (file, lines) in lines {
        let (lines, branches) = lines.counters();
        files.add(&file, lines, branches);
    }
    Ok(())
}

/// Reads the lines of a class. Those of its methods count only for writers that list none for the class itself: others
/// repeat them there, or leave a method's declaration out (istanbul).
fn class(xml: &mut Xml<'_>, lines: &mut Lines, lines_read: &mut usize) -> Result<(), ReportProblem> {
    let mut of_methods = Lines::default();
    let mut listed = false;
    while xml.child()?.is_some() {
        match xml.name() {
            "lines" => listed |= line_list(xml, lines, lines_read)?,
            "methods" => {
                while xml.child()?.is_some() {
                    while xml.child()?.is_some() {
                        if xml.name() == "lines" {
                            line_list(xml, &mut of_methods, lines_read)?;
                        } else {
                            xml.skip()?;
                        }
                    }
                }
            }
            _ => xml.skip()?,
        }
    }
    if !listed {
        lines.absorb(of_methods);
    }
    Ok(())
}

/// Reads lines; true when there were some.
fn line_list(xml: &mut Xml<'_>, lines: &mut Lines, lines_read: &mut usize) -> Result<bool, ReportProblem> {
    let mut some = false;
    while xml.child()?.is_some() {
        if xml.name() == "line" {
            let number = u32::try_from(xml.count("number")?).unwrap_or(u32::MAX);
            let covered = xml.count("hits")? > 0;
            let branches = xml.attribute("condition-coverage").and_then(conditions).unwrap_or((0, 0));
            lines.add(lines_read, number, covered, branches)?;
            some = true;
        }
        xml.skip()?;
    }
    Ok(some)
}

/// Covered and all branches out of `50% (1/2)`.
fn conditions(text: &str) -> Option<(u32, u32)> {
    let (covered, all) = text.split_once('(')?.1.split_once(')')?.0.split_once('/')?;
    Some((covered.trim().parse().ok()?, all.trim().parse().ok()?))
}
