//! Any bytes as a report of any format: no panic, bounded results. The first byte chooses the format; others are found by
//! looking at the rest.
#![no_main]

use kiln_model::ReportFormat;
use kiln_runner::report::{MAX_CASES, MAX_FILES, MAX_MESSAGE, MAX_NAME, Report, detect, merge, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&first, text)) = data.split_first() else { return };
    let chosen = ReportFormat::ALL.get(usize::from(first) % ReportFormat::ALL.len()).copied();
    let found = ["a.xml", "a.json", ".resultset.json"].map(|name| detect(name, text));
    for format in found.into_iter().chain([chosen]).flatten() {
        let Ok(report) = parse(format, "a", &mut &*text) else { continue };
        check(&report);
        let twice = merge([report.clone(), report]).expect("of one kind").expect("two reports");
        check(&twice);
    }
});

fn check(report: &Report) {
    match report {
        Report::Test(report) => {
            assert!(report.cases.len() <= MAX_CASES);
            for case in &report.cases {
                assert!(case.name.chars().count() <= MAX_NAME && case.message.chars().count() <= MAX_MESSAGE);
            }
        }
        Report::Coverage(report) => assert!(report.files.len() <= MAX_FILES),
    }
}
