//! Test cases on their way into a report: everything is counted, a bounded part is kept.

use kiln_model::{TestCase, TestReport, TestStatus, TestSummary};

use super::{MAX_MESSAGE, MAX_NAME, cut, location};

/// Cases kept of a report (`buildspec.md` 11.3).
pub const MAX_CASES: usize = 500;
/// Characters that a format keeps of a failure's text: in them the failure's place is looked for.
pub(super) const SEARCHED: usize = 20_000;

/// One case as a format gives it; texts need not be cut.
#[derive(Debug, Default)]
pub(super) struct Case {
    pub(super) prefix: String,
    pub(super) name: String,
    pub(super) suite: String,
    pub(super) status: Option<TestStatus>,
    pub(super) duration_ns: u64,
    pub(super) message: String,
    /// Stack trace or output in which the failure's place may stand.
    pub(super) details: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
}

/// Cases of one report.
#[derive(Debug)]
pub(super) struct Cases {
    path: String,
    summary: TestSummary,
    /// Kept cases with their place among all, failed and broken ones apart: they are kept first.
    bad: Vec<(u64, TestCase)>,
    good: Vec<(u64, TestCase)>,
    seen: u64,
    dropped: bool,
}

impl Cases {
    /// For the cases of the file `path`.
    pub(super) fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            summary: TestSummary::default(),
            bad: Vec::new(),
            good: Vec::new(),
            seen: 0,
            dropped: false,
        }
    }

    /// Counts a case, and keeps it if there is room.
    pub(super) fn add(&mut self, case: Case) {
        let status = case.status.unwrap_or(TestStatus::Unknown);
        self.summary.add(status, case.duration_ns);
        let bad = is_bad(status);
        if !self.has_room(bad) {
            self.seen += 1;
            self.dropped = true;
            return;
        }
        let (mut file, mut line) = (case.file, case.line);
        if bad
            && line.is_none()
            && let Some(found) = location::find(file.as_deref(), &case.prefix, [&case.message, &case.details])
        {
            // What the report itself says of the file stands.
            file = file.or(Some(found.0));
            line = Some(found.1);
        }
        let kept = TestCase {
            prefix: cut(&case.prefix, MAX_NAME),
            name: cut(&case.name, MAX_NAME),
            test_suite_name: cut(&case.suite, MAX_NAME),
            status,
            duration_in_nano_seconds: case.duration_ns,
            message: cut(&case.message, MAX_MESSAGE),
            file: file.map(|f| cut(&f, MAX_NAME)),
            line,
            test_raw_data_path: self.path.clone(),
        };
        self.keep(kept);
    }

    /// Adds a finished report.
    pub(super) fn absorb(&mut self, report: TestReport) {
        let (mine, its) = (&mut self.summary, report.summary);
        for (sum, more) in [
            (&mut mine.total, its.total),
            (&mut mine.succeeded, its.succeeded),
            (&mut mine.failed, its.failed),
            (&mut mine.error, its.error),
            (&mut mine.skipped, its.skipped),
            (&mut mine.unknown, its.unknown),
            (&mut mine.duration_in_nano_seconds, its.duration_in_nano_seconds),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.dropped |= report.truncated;
        for case in report.cases {
            self.keep(case);
        }
    }

    /// Adds cases of a part of the same file.
    pub(super) fn absorb_own(&mut self, mut part: Self) {
        part.for_each(|case| case.test_raw_data_path.clone_from(&self.path));
        self.absorb(part.finish());
    }

    /// Changes every case that is kept.
    pub(super) fn for_each(&mut self, mut change: impl FnMut(&mut TestCase)) {
        self.bad.iter_mut().chain(&mut self.good).for_each(|(_, case)| change(case));
    }

    /// What was counted so far.
    pub(super) fn summary(&mut self) -> &mut TestSummary {
        &mut self.summary
    }

    pub(super) fn finish(mut self) -> TestReport {
        let room = MAX_CASES.saturating_sub(self.bad.len());
        self.dropped |= self.good.len() > room;
        self.good.truncate(room);
        let mut all = self.bad;
        all.append(&mut self.good);
        all.sort_by_key(|(place, _)| *place);
        TestReport {
            summary: self.summary,
            cases: all.into_iter().map(|(_, case)| case).collect(),
            truncated: self.dropped,
        }
    }

    fn has_room(&self, bad: bool) -> bool {
        let kept = if bad { &self.bad } else { &self.good };
        kept.len() < MAX_CASES
    }

    fn keep(&mut self, case: TestCase) {
        let bad = is_bad(case.status);
        if self.has_room(bad) {
            let kept = if bad { &mut self.bad } else { &mut self.good };
            kept.push((self.seen, case));
        } else {
            self.dropped = true;
        }
        self.seen += 1;
    }
}

fn is_bad(status: TestStatus) -> bool {
    matches!(status, TestStatus::Failed | TestStatus::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(n: u64, status: TestStatus) -> Case {
        Case { name: format!("{n}"), status: Some(status), duration_ns: 2, ..Case::default() }
    }

    #[test]
    fn failed_cases_are_kept_first_and_all_are_counted() {
        let mut cases = Cases::new("a.xml");
        for n in 0..2000 {
            cases.add(case(n, if n % 10 == 9 { TestStatus::Failed } else { TestStatus::Succeeded }));
        }
        let report = cases.finish();
        assert_eq!((report.cases.len(), report.truncated), (500, true));
        assert_eq!((report.summary.total, report.summary.failed), (2000, 200));
        assert_eq!(report.summary.duration_in_nano_seconds, 4000);
        assert_eq!(report.cases.iter().filter(|c| c.status == TestStatus::Failed).count(), 200);
        // In the order of the file.
        assert!(report.cases.is_sorted_by_key(|c| c.name.parse::<u64>().unwrap()));
        let mut cases = Cases::new("b.xml");
        (0..600).for_each(|n| cases.add(case(n, TestStatus::Error)));
        cases.absorb(report);
        let report = cases.finish();
        assert_eq!((report.summary.total, report.cases.len(), report.truncated), (2600, 500, true));
        assert!(report.cases.iter().all(|c| c.status == TestStatus::Error));
    }

    #[test]
    fn texts_are_cut() {
        let mut cases = Cases::new("a.xml");
        let long = "\u{20ac}".repeat(6000);
        cases.add(Case { prefix: long.clone(), name: long.clone(), message: long, ..Case::default() });
        let report = cases.finish();
        let c = &report.cases[0];
        assert_eq!((c.prefix.chars().count(), c.name.chars().count(), c.message.chars().count()), (1000, 1000, 5000));
        assert_eq!((c.status, report.summary.unknown), (TestStatus::Unknown, 1));
        assert!(!report.truncated);
    }
}
