//! Coverage of files on its way into a report.

use std::collections::HashMap;

use kiln_model::{Counter, CoverageReport, FileCoverage};

use super::{ReportProblem, cut};

/// Files kept of a report; the totals count all.
pub const MAX_FILES: usize = 20_000;
/// Characters kept of a path.
const MAX_PATH: usize = 4_096;
/// Lines of source that one report may speak of.
const MAX_LINES: usize = 4_000_000;

/// Files of one report.
#[derive(Debug, Default)]
pub(super) struct Files {
    lines: Counter,
    branches: Counter,
    files: Vec<FileCoverage>,
    /// Where each path stands in `files`.
    places: HashMap<String, usize>,
    dropped: bool,
}

impl Files {
    /// Counts a file.
    pub(super) fn add(&mut self, path: &str, lines: Counter, branches: Counter) {
        self.lines.add(lines);
        self.branches.add(branches);
        self.keep(FileCoverage { file_path: cut(path, MAX_PATH), lines, branches });
    }

    /// Adds a finished report.
    pub(super) fn absorb(&mut self, report: CoverageReport) {
        self.lines.add(report.lines);
        self.branches.add(report.branches);
        self.dropped |= report.truncated;
        for file in report.files {
            self.keep(file);
        }
    }

    /// True when nothing was counted.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Sets the totals, for a report that names no files.
    pub(super) fn set_totals(&mut self, lines: Counter, branches: Counter) {
        (self.lines, self.branches) = (lines, branches);
    }

    pub(super) fn finish(self) -> CoverageReport {
        CoverageReport { lines: self.lines, branches: self.branches, files: self.files, truncated: self.dropped }
    }

    /// Keeps a file; of two with the same path the one with the better line, then branch coverage (`buildspec.md` 11.5).
    fn keep(&mut self, file: FileCoverage) {
        let old = self.places.get(&file.file_path).copied();
        if let Some(old) = old.and_then(|at| self.files.get_mut(at)) {
            let rank = |f: &FileCoverage| (f.lines.percentage(), f.branches.percentage());
            if rank(&file) > rank(old) {
                *old = file;
            }
        } else if self.files.len() < MAX_FILES {
            self.places.insert(file.file_path.clone(), self.files.len());
            self.files.push(file);
        } else {
            self.dropped = true;
        }
    }
}

/// Lines of one file, by number: a file may be spoken of in several places.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: HashMap<u32, Line>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Line {
    covered: bool,
    branches: u32,
    branches_covered: u32,
}

impl Lines {
    /// Counts a line; `total` is what all files of the report have, bounded.
    pub(super) fn add(
        &mut self,
        total: &mut usize,
        number: u32,
        covered: bool,
        branches: (u32, u32),
    ) -> Result<(), ReportProblem> {
        let count = self.lines.len();
        self.take(number, Line { covered, branches: branches.1, branches_covered: branches.0 });
        *total += self.lines.len() - count;
        if *total > MAX_LINES {
            return Err(ReportProblem::Limit { what: "lines of source", limit: MAX_LINES as u64 });
        }
        Ok(())
    }

    /// Adds the lines of another part of the file.
    pub(super) fn absorb(&mut self, other: Self) {
        for (number, line) in other.lines {
            self.take(number, line);
        }
    }

    fn take(&mut self, number: u32, new: Line) {
        let line = self.lines.entry(number).or_default();
        line.covered |= new.covered;
        line.branches = line.branches.max(new.branches);
        line.branches_covered = line.branches_covered.max(new.branches_covered).min(line.branches);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Lines and branches.
    pub(super) fn counters(&self) -> (Counter, Counter) {
        let (mut lines, mut branches) = (Counter::default(), Counter::default());
        for line in self.lines.values() {
            lines.add(Counter { covered: u64::from(line.covered), missed: u64::from(!line.covered) });
            let covered = u64::from(line.branches_covered);
            branches.add(Counter { covered, missed: u64::from(line.branches).saturating_sub(covered) });
        }
        (lines, branches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_entry_of_a_file_is_kept_and_counts_are_summed() {
        let c = |covered, missed| Counter { covered, missed };
        let mut files = Files::default();
        files.add("a", c(1, 1), c(0, 0));
        files.add("b", c(1, 0), c(0, 0));
        files.add("a", c(2, 1), c(0, 2));
        files.add("a", c(4, 2), c(1, 1));
        files.add("a", c(0, 9), c(9, 0));
        let report = files.finish();
        assert_eq!((report.lines, report.branches), (c(8, 13), c(10, 3)));
        assert_eq!(report.files.len(), 2);
        assert_eq!((report.files[0].lines, report.files[0].branches), (c(4, 2), c(1, 1)));
    }
}
