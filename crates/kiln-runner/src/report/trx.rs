//! Visual Studio's test results (`.trx`).

use std::collections::HashMap;

use kiln_model::TestStatus;

use super::{
    MAX_NAME, ReportProblem,
    cases::{Case, Cases, SEARCHED},
    from_seconds,
    junit::join,
    xml::Xml,
};

/// Test definitions that are taken.
const MAX_DEFINITIONS: usize = 500_000;

pub(super) fn read(xml: &mut Xml<'_>, cases: &mut Cases) -> Result<(), ReportProblem> {
    xml.root(&["TestRun"])?;
    let suite = xml.text_attribute("name", MAX_NAME);
    // Results name a test by an id, and stand before or behind the definitions with the class names.
    let mut classes = HashMap::new();
    while xml.child()?.is_some() {
        match xml.name() {
            "Results" => {
                results(xml, cases, &suite)?;
            }
            "TestDefinitions" => definitions(xml, &mut classes)?,
            _ => xml.skip()?,
        }
    }
    cases.for_each(|case| {
        // Until here the id stands in place of the class.
        let class = classes.get(case.prefix.as_str()).cloned().unwrap_or_default();
        if let Some(name) = case.name.strip_prefix(class.as_str()).and_then(|n| n.strip_prefix('.'))
            && !name.is_empty()
        {
            case.name = name.to_owned();
        }
        case.prefix = class;
    });
    Ok(())
}

fn definitions(xml: &mut Xml<'_>, classes: &mut HashMap<String, String>) -> Result<(), ReportProblem> {
    while xml.child()?.is_some() {
        let id = xml.text_attribute("id", MAX_NAME);
        while xml.child()?.is_some() {
            if xml.name() == "TestMethod" && classes.len() < MAX_DEFINITIONS {
                // Older ones append the assembly: `N.C, Assembly, Version=…`.
                let class = xml.attribute("className").unwrap_or_default().split(',').next().unwrap_or_default();
                classes.insert(id.clone(), super::cut(class.trim(), MAX_NAME));
            }
            xml.skip()?;
        }
    }
    Ok(())
}

/// Reads results; returns how many.
fn results(xml: &mut Xml<'_>, cases: &mut Cases, suite: &str) -> Result<u64, ReportProblem> {
    let mut count = 0;
    while xml.child()?.is_some() {
        if xml.name().ends_with("TestResult") || xml.name() == "TestResultAggregation" {
            result(xml, cases, suite)?;
            count += 1;
        } else {
            xml.skip()?;
        }
    }
    Ok(count)
}

fn result(xml: &mut Xml<'_>, cases: &mut Cases, suite: &str) -> Result<(), ReportProblem> {
    let status = match xml.attribute("outcome").unwrap_or_default() {
        "Passed" | "PassedButRunAborted" | "Warning" => TestStatus::Succeeded,
        "Failed" => TestStatus::Failed,
        "Error" | "Timeout" | "Aborted" | "NotRunnable" | "Disconnected" => TestStatus::Error,
        "NotExecuted" => TestStatus::Skipped,
        _ => TestStatus::Unknown,
    };
    let mut case = Case {
        prefix: xml.text_attribute("testId", MAX_NAME),
        name: xml.text_attribute("testName", MAX_NAME),
        suite: suite.to_owned(),
        status: Some(status),
        duration_ns: duration(xml.attribute("duration").unwrap_or_default()),
        ..Case::default()
    };
    let mut inner = 0;
    while xml.child()?.is_some() {
        match xml.name() {
            "Output" => output(xml, &mut case)?,
            "InnerResults" => inner += results(xml, cases, suite)?,
            _ => xml.skip()?,
        }
    }
    // A data-driven test is the sum of its rows, which are cases of their own.
    if inner == 0 {
        cases.add(case);
    }
    Ok(())
}

fn output(xml: &mut Xml<'_>, case: &mut Case) -> Result<(), ReportProblem> {
    while xml.child()?.is_some() {
        if xml.name() != "ErrorInfo" {
            xml.skip()?;
            continue;
        }
        let mut message = String::new();
        while xml.child()?.is_some() {
            match xml.name() {
                "Message" => message = xml.content(SEARCHED)?,
                "StackTrace" => case.details = xml.content(SEARCHED)?,
                _ => xml.skip()?,
            }
        }
        case.message = join(&message, &case.details);
    }
    Ok(())
}

/// `hours:minutes:seconds.fraction`, in nanoseconds; 0 for anything else. Days stand in front: `1.02:03:04`.
fn duration(text: &str) -> u64 {
    let mut parts = text.trim().splitn(3, ':');
    let (Some(hours), Some(minutes), Some(seconds)) = (parts.next(), parts.next(), parts.next()) else { return 0 };
    let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
    let number = |text: &str| text.parse::<u32>().map(f64::from);
    let (Ok(days), Ok(hours), Ok(minutes), Ok(seconds)) =
        (number(days), number(hours), number(minutes), seconds.parse::<f64>())
    else {
        return 0;
    };
    from_seconds(((days * 24.0 + hours) * 60.0 + minutes) * 60.0 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ns) in [
            ("00:00:00.0123000", 12_300_000),
            ("01:02:03", 3_723_000_000_000),
            ("1.00:00:00", 86_400_000_000_000),
            ("", 0),
            ("1:2", 0),
            ("a:b:c", 0),
            ("00:00:-5", 0),
        ] {
            assert_eq!(duration(text), ns, "{text}");
        }
    }
}
