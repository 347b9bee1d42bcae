//! Reports of real tools, reports that are odd, broken or hostile. `fixtures/reports` holds what the tools named by each
//! file wrote for small programs of our own.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::{fs, io::Read, path::Path};

use kiln_model::{Counter, CoverageReport, ReportFormat, TestCase, TestReport, TestStatus};
use kiln_runner::report::{MAX_CASES, MAX_FILES, MAX_MESSAGE, MAX_NAME, Report, ReportError, detect, merge, parse};
use proptest::prelude::*;

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reports").join(name)).unwrap()
}

fn read(format: ReportFormat, bytes: &[u8]) -> Result<Report, ReportError> {
    parse(format, "reports/r.xml", &mut &*bytes)
}

fn tests(format: ReportFormat, bytes: impl AsRef<[u8]>) -> TestReport {
    match read(format, bytes.as_ref()).unwrap() {
        Report::Test(report) => report,
        Report::Coverage(_) => panic!("tests expected"),
    }
}

fn coverage(format: ReportFormat, bytes: impl AsRef<[u8]>) -> CoverageReport {
    match read(format, bytes.as_ref()).unwrap() {
        Report::Coverage(report) => report,
        Report::Test(_) => panic!("coverage expected"),
    }
}

fn message(format: ReportFormat, bytes: &str) -> String {
    read(format, bytes.as_bytes()).unwrap_err().to_string()
}

/// `[total, succeeded, failed, error, skipped, unknown]`.
fn counts(report: &TestReport) -> [u64; 6] {
    let s = &report.summary;
    [s.total, s.succeeded, s.failed, s.error, s.skipped, s.unknown]
}

fn case<'r>(report: &'r TestReport, name: &str) -> &'r TestCase {
    report.cases.iter().find(|c| c.name == name).unwrap_or_else(|| panic!("{name}: {report:#?}"))
}

fn place(case: &TestCase) -> String {
    format!("{}:{}", case.file.as_deref().unwrap_or("-"), case.line.unwrap_or(0))
}

const fn of(covered: u64, missed: u64) -> Counter {
    Counter { covered, missed }
}

#[test]
fn pytest() {
    let report = tests(ReportFormat::JunitXml, fixture("pytest.xml"));
    assert_eq!(counts(&report), [7, 3, 1, 1, 2, 0]);
    assert_eq!(report.cases.len(), 7);
    let wrong = case(&report, "test_wrong");
    assert_eq!((wrong.prefix.as_str(), wrong.test_suite_name.as_str()), ("tests.test_calc", "pytest"));
    assert_eq!((wrong.status, wrong.duration_in_nano_seconds), (TestStatus::Failed, 6_000_000));
    assert!(
        wrong.message.starts_with("AssertionError: half is not three quarters <&>\nassert 0.5 == 0.75"),
        "{wrong:?}"
    );
    assert_eq!(place(wrong), "tests/test_calc.py:11");
    assert_eq!(place(case(&report, "test_error")), "tests/test_calc.py:16");
    assert_eq!(case(&report, "test_skipped").status, TestStatus::Skipped);
    assert_eq!(wrong.test_raw_data_path, "reports/r.xml");
    assert!(!report.summary.is_success() && !report.truncated);

    let old = tests(ReportFormat::JunitXml, fixture("pytest-xunit1.xml"));
    assert_eq!(counts(&old), counts(&report));
    assert!(place(case(&old, "test_wrong")).ends_with("tests/test_calc.py:9"), "the test's own line");
}

#[test]
fn surefire_with_reruns() {
    let report = tests(ReportFormat::JunitXml, fixture("surefire.xml"));
    // With reruns Surefire's attributes are those of the last run alone; the service takes them as they are.
    assert_eq!((counts(&report), report.cases.len()), ([3, 1, 1, 1, 0, 0], 5));
    assert_eq!(case(&report, "flaky").status, TestStatus::Succeeded);
    let errs = case(&report, "errs");
    assert_eq!((errs.status, place(errs).as_str()), (TestStatus::Error, "CalcTest.java:13"));
    assert_eq!(errs.message.matches("nothing to divide by").count(), 1);
    assert_eq!(place(case(&report, "fails")), "CalcTest.java:11");
    assert_eq!(case(&report, "skipped").message, "not today");
}

#[test]
fn javascript_and_go() {
    let report = tests(ReportFormat::JunitXml, fixture("jest.xml"));
    // jest does not count the test that is to be written.
    assert_eq!((counts(&report), report.cases.len()), ([3, 1, 1, 0, 1, 0], 4));
    assert_eq!(place(case(&report, "sum is wrong")), "sum.test.js:4");
    // A suite within a suite, counted in both.
    let report = tests(ReportFormat::JunitXml, fixture("node.xml"));
    assert_eq!(counts(&report), [3, 1, 1, 0, 1, 0]);
    assert_eq!(case(&report, "deep").test_suite_name, "nested");
    assert_eq!(place(case(&report, "fails")), "/src/node.test.mjs:5");
    let report = tests(ReportFormat::JunitXml, fixture("go-junit-report.xml"));
    assert_eq!(counts(&report), [4, 2, 1, 0, 1, 0]);
    let failed = case(&report, "TestFails");
    assert_eq!((failed.message.as_str(), place(failed).as_str()), ("Failed\ncalc_test.go:9: got 3", "calc_test.go:9"));
}

#[test]
fn testng() {
    let report = tests(ReportFormat::TestngXml, fixture("testng.xml"));
    assert_eq!(counts(&report), [5, 2, 2, 0, 1, 0]);
    let fails = case(&report, "fails");
    assert_eq!((fails.prefix.as_str(), fails.test_suite_name.as_str()), ("org.example.NgTest", "Surefire suite"));
    assert!(fails.message.contains("one is not two"));
    assert_eq!(place(fails), "NgTest.java:12");
    assert!(report.cases.iter().all(|c| c.name != "prepare"));
}

#[test]
fn cucumber() {
    let report = tests(ReportFormat::CucumberJson, fixture("cucumber-js.json"));
    assert_eq!(counts(&report), [4, 1, 1, 1, 1, 0]);
    let failed = case(&report, "adding wrongly");
    assert_eq!((failed.prefix.as_str(), place(failed).as_str()), ("Sums", "features/sum.feature:9"));
    assert!(failed.message.contains("AssertionError"), "{failed:?}");
    assert_eq!(case(&report, "not defined").status, TestStatus::Error);
    assert!(case(&report, "not defined").message.contains("I do something unheard of"));
    assert!(failed.duration_in_nano_seconds > 0);

    // The background's failure is the scenario's (cucumber-jvm and -ruby write it as an element of its own).
    let json = r#"[{"uri":"a.feature","name":"F","elements":[
        {"type":"background","steps":[{"keyword":"Given ","name":"x","result":{"status":"failed","error_message":"no","duration":5}}]},
        {"type":"scenario","name":"s","line":3,"steps":[{"result":{"status":"skipped"}}]},
        {"type":"scenario","name":"t","steps":[{"result":{"status":"passed","duration":1.5}},{"result":null}],"after":null},
        {"type":"scenario","name":"u","steps":[{"result":{"status":"passed","error_message":["a","b"]}}]}]},
      {"name":null}]"#;
    let report = tests(ReportFormat::CucumberJson, json);
    assert_eq!(counts(&report), [3, 1, 1, 0, 0, 1]);
    assert_eq!((case(&report, "s").message.as_str(), place(case(&report, "s")).as_str()), ("no", "a.feature:3"));
    assert_eq!(case(&report, "t").duration_in_nano_seconds, 1_500_000_000);
}

#[test]
fn nunit() {
    // NUnit 2.5's schema.
    let xml = r#"<?xml version="1.0" encoding="utf-8" standalone="no"?>
<test-results name="T.dll" total="5" errors="1" failures="1" not-run="1" inconclusive="1" ignored="1" skipped="0" invalid="0">
  <environment nunit-version="2.5.8.0" /><culture-info current-culture="en-US" />
  <test-suite type="Assembly" name="T.dll" executed="True" result="Failure"><results>
    <test-suite type="TestFixture" name="MockTestFixture" executed="True" result="Failure"><results>
      <test-case name="NUnit.Tests.MockTestFixture.Passes" executed="True" result="Success" success="True" time="0.016" asserts="0" />
      <test-case name="NUnit.Tests.MockTestFixture.Fails" executed="True" result="Failure" success="False" time="0,003" asserts="0">
        <failure><message><![CDATA[Intentional failure]]></message><stack-trace><![CDATA[at NUnit.Tests.MockTestFixture.Fails() in /src/MockTestFixture.cs:line 21]]></stack-trace></failure>
      </test-case>
      <test-case name="NUnit.Tests.MockTestFixture.Throws(1.5,&quot;a.b&quot;)" executed="True" result="Error" success="False" />
      <test-case name="NUnit.Tests.MockTestFixture.Ignored" executed="False" result="Ignored"><reason><message>later</message></reason></test-case>
      <test-case name="NUnit.Tests.MockTestFixture.Unsure" executed="True" result="Inconclusive" success="False" />
      <test-case name="Old" executed="False" />
    </results></test-suite></results></test-suite>
</test-results>"#;
    let report = tests(ReportFormat::NunitXml, xml);
    assert_eq!(counts(&report), [6, 1, 1, 1, 2, 1]);
    let fails = case(&report, "Fails");
    assert_eq!(fails.prefix, "NUnit.Tests.MockTestFixture");
    assert_eq!((fails.duration_in_nano_seconds, place(fails).as_str()), (3_000_000, "/src/MockTestFixture.cs:21"));
    assert_eq!(case(&report, "Throws(1.5,\"a.b\")").prefix, "NUnit.Tests.MockTestFixture");
    assert_eq!(case(&report, "Ignored").message, "later");

    // NUnit 3's schema.
    let xml = r#"<test-run id="2" testcasecount="4" result="Failed" total="4" passed="1" failed="2">
  <test-suite type="Assembly" id="0-1" name="T.dll" fullname="/src/T.dll" result="Failed">
   <test-suite type="TestFixture" name="FooTests" fullname="N.FooTests" classname="N.FooTests">
    <failure><message>One or more child tests had errors</message></failure>
    <test-case id="1" name="Passes" fullname="N.FooTests.Passes" methodname="Passes" classname="N.FooTests" result="Passed" duration="0.012" />
    <test-case id="2" name="Fails" fullname="N.FooTests.Fails" classname="N.FooTests" result="Failed" duration="0.5">
      <failure><message><![CDATA[no]]></message><stack-trace><![CDATA[   at N.FooTests.Fails() in /src/FooTests.cs:line 9]]></stack-trace></failure></test-case>
    <test-case id="3" name="Throws" fullname="N.FooTests.Throws" result="Failed" label="Error" />
    <test-case id="4" name="Skips" fullname="N.FooTests.Skips" result="Skipped" label="Ignored"><reason><message>later</message></reason></test-case>
   </test-suite></test-suite></test-run>"#;
    let report = tests(ReportFormat::Nunit3Xml, xml);
    assert_eq!(counts(&report), [4, 1, 1, 1, 1, 0]);
    assert_eq!(place(case(&report, "Fails")), "/src/FooTests.cs:9");
    assert_eq!(case(&report, "Throws").prefix, "N.FooTests");
    assert_eq!(report.summary.duration_in_nano_seconds, 512_000_000);
}

#[test]
fn visual_studio() {
    // The 2010 schema, with results before definitions as `dotnet test` writes them, in UTF-16 as older ones did.
    let xml = r#"<?xml version="1.0" encoding="utf-16"?>
<TestRun id="r" name="run" xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010">
  <Results>
    <UnitTestResult executionId="e1" testId="t1" testName="N.FooTests.Passes" duration="00:00:00.0120000" outcome="Passed" />
    <UnitTestResult executionId="e2" testId="t2" testName="Fails" duration="00:00:01" outcome="Failed">
      <Output><StdOut>noise</StdOut><ErrorInfo><Message>Assert.Equal() Failure</Message><StackTrace>   at N.FooTests.Fails() in /src/FooTests.cs:line 7</StackTrace></ErrorInfo></Output>
    </UnitTestResult>
    <UnitTestResult executionId="e3" testId="t3" testName="Rows" outcome="Failed">
      <InnerResults>
        <UnitTestResult testId="t3" testName="Rows (1)" outcome="Passed" />
        <UnitTestResult testId="t3" testName="Rows (2)" outcome="Timeout" />
      </InnerResults>
    </UnitTestResult>
    <UnitTestResult testId="t4" testName="Skips" outcome="NotExecuted" />
    <UnitTestResult testId="t4" testName="Unsure" outcome="Inconclusive" />
  </Results>
  <TestDefinitions>
    <UnitTest name="Passes" id="t1"><TestMethod className="N.FooTests" name="Passes" /></UnitTest>
    <UnitTest name="Fails" id="t2"><Execution id="e2" /><TestMethod className="N.FooTests, Assembly, Version=1.0.0.0" name="Fails" /></UnitTest>
  </TestDefinitions>
</TestRun>"#;
    let utf16: Vec<u8> = format!("\u{feff}{xml}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [xml.as_bytes(), &utf16] {
        let report = tests(ReportFormat::VisualStudioTrx, bytes);
        assert_eq!(counts(&report), [6, 2, 1, 1, 1, 1]);
        assert_eq!(case(&report, "Passes").prefix, "N.FooTests");
        let fails = case(&report, "Fails");
        assert_eq!((fails.prefix.as_str(), fails.test_suite_name.as_str()), ("N.FooTests", "run"));
        assert_eq!(place(fails), "/src/FooTests.cs:7");
        assert!(fails.message.starts_with("Assert.Equal() Failure\n"));
    }
}

#[test]
fn coverage_formats() {
    let report = coverage(ReportFormat::JacocoXml, fixture("jacoco.xml"));
    assert_eq!((report.lines, report.branches), (of(3, 3), of(2, 0)));
    assert_eq!(report.files.len(), 1);
    assert_eq!(report.files[0].file_path, "org/example/Calc.java");

    let report = coverage(ReportFormat::CoberturaXml, fixture("coveragepy.xml"));
    assert_eq!((report.lines, report.branches), (of(25, 4), of(2, 2)));
    let files: Vec<_> = report.files.iter().map(|f| (f.file_path.as_str(), f.lines)).collect();
    assert_eq!(files, [("calc.py", of(6, 2)), ("tests/test_calc.py", of(19, 2))]);

    for (format, file) in
        [(ReportFormat::CoberturaXml, "istanbul-cobertura.xml"), (ReportFormat::CloverXml, "istanbul-clover.xml")]
    {
        let report = coverage(format, fixture(file));
        assert_eq!((report.lines, report.branches), (of(3, 1), of(2, 2)), "{file}");
    }

    // OpenClover's own: packages, method lines that are no statements, no metrics for the file.
    let xml = r#"<coverage clover="4.4.1" generated="1"><project name="p"><package name="org.example">
        <file name="A.java" path="/src/A.java"><class name="A"><metrics statements="9"/></class>
          <line num="1" type="method" count="3"/><line num="2" type="stmt" count="3"/><line num="3" type="stmt" count="0"/>
          <line num="4" type="cond" truecount="1" falsecount="0"/><line num="4" type="stmt" count="1"/></file>
        <file name="/src/B.php"><metrics statements="4" coveredstatements="1" conditionals="0"/></file>
      </package></project><testproject name="t"><file name="T.java"><line num="1" type="stmt" count="1"/></file></testproject></coverage>"#;
    let report = coverage(ReportFormat::CloverXml, xml);
    assert_eq!((report.lines, report.branches), (of(3, 4), of(1, 1)));
    assert_eq!(report.files[0].file_path, "/src/A.java");

    // Classes of one file apart from each other, lines in methods only, conditions without figures.
    let xml = r#"<coverage line-rate="0.5"><packages><package name="p"><classes>
        <class name="A" filename="a.cs"><lines><line number="1" hits="1"/><line number="2" hits="0" branch="True" condition-coverage="0%"/></lines></class>
        <class name="B" filename="b.cs"><methods><method name="m"><lines><line number="5" hits="2" condition-coverage="100% (2/2)"/></lines></method></methods><lines/></class>
        <class name="A/Inner" filename="a.cs"><lines><line number="2" hits="3"/><line number="9" hits="0"/></lines></class>
      </classes></package></packages></coverage>"#;
    let report = coverage(ReportFormat::CoberturaXml, xml);
    assert_eq!((report.lines, report.branches), (of(3, 1), of(2, 0)));
    assert_eq!(report.files.len(), 2);

    // Groups, and a report without source files.
    let xml = r#"<report name="all"><group name="m"><package name="p"><sourcefile name="A.kt"><line nr="1" mi="0" ci="1" mb="0" cb="0"/>
        <counter type="LINE" missed="1" covered="9"/></sourcefile></package></group><counter type="LINE" missed="1" covered="9"/></report>"#;
    assert_eq!(coverage(ReportFormat::JacocoXml, xml).lines, of(9, 1));
    let xml = r#"<report><package name="p"><class name="p/A"/></package><counter type="BRANCH" missed="2" covered="1"/></report>"#;
    assert_eq!(coverage(ReportFormat::JacocoXml, xml).branches, of(1, 2));
}

#[test]
fn simplecov() {
    let old = r#"{"RSpec":{"coverage":{"/src/a.rb":[1,null,0,5]},"timestamp":1}}"#;
    assert_eq!(coverage(ReportFormat::SimpleCov, old).lines, of(2, 1));
    // Two commands cover different parts; branches have names.
    let set = r#"{"RSpec":{"coverage":{"/src/a.rb":{"lines":[1,null,0],"branches":{"[:if, 0, 3]":{"[:then, 1]":1,"[:else, 2]":0}}}},"timestamp":1},
        "Minitest":{"timestamp":2,"coverage":{"/src/a.rb":{"branches":{"[:if, 0, 3]":{"[:then, 1]":0,"[:else, 2]":0}},"lines":[0,null,4]},"/src/b.rb":{"lines":[0]}}}}"#;
    let report = coverage(ReportFormat::SimpleCov, set);
    assert_eq!((report.lines, report.branches, report.files.len()), (of(2, 1), of(1, 1), 2));
    let json = r#"{"meta":{"simplecov_version":"0.22.0"},"coverage":{"/src/a.rb":{"lines":[1,"ignored",null,0],
        "branches":[{"type":"then","start_line":1,"end_line":1,"coverage":1},{"type":"else","coverage":0},{"coverage":"ignored"}]}},"groups":{}}"#;
    let report = coverage(ReportFormat::SimpleCov, json);
    assert_eq!((report.lines, report.branches), (of(1, 1), of(1, 1)));
    for other in
        [r#"{"result":{"line":93.3}}"#, r#"{"timestamp":1,"command_name":"RSpec","files":[],"metrics":{"x":1}}"#]
    {
        assert!(message(ReportFormat::SimpleCov, other).contains("no member 'coverage'"), "{other}");
    }
}

#[test]
fn refusals_are_the_services() {
    // `buildspec.md` 17, row 22.
    assert_eq!(
        parse(ReportFormat::JunitXml, "reports/clover.xml", &mut fixture("istanbul-clover.xml").as_slice())
            .unwrap_err()
            .to_string(),
        "reports/clover.xml: expected element type <testsuite> but have <coverage>"
    );
    let suite = r#"<testsuite name="s" tests="2" failures="2" errors="1" skipped="0"/>"#;
    assert_eq!(
        message(ReportFormat::JunitXml, suite),
        "reports/r.xml: InvalidInputException: test suite 's' has 2 tests, but 2 failures, 1 errors and 0 skipped"
    );
    assert_eq!(
        message(ReportFormat::JunitXml, r#"<testsuite tests="two"/>"#),
        "reports/r.xml: <testsuite>: the attribute tests=\"two\" is not a number"
    );
    for (format, root) in [
        (ReportFormat::NunitXml, "test-results"),
        (ReportFormat::Nunit3Xml, "test-run"),
        (ReportFormat::TestngXml, "testng-results"),
        (ReportFormat::VisualStudioTrx, "TestRun"),
        (ReportFormat::CloverXml, "coverage"),
        (ReportFormat::CoberturaXml, "coverage"),
        (ReportFormat::JacocoXml, "report"),
    ] {
        let expected = format!("reports/r.xml: expected element type <{root}> but have <html>");
        assert_eq!(message(format, "<!DOCTYPE html><html/>"), expected);
        assert_eq!(message(format, " \n"), "reports/r.xml: EOF: the file is empty");
        let broken = message(format, &format!("<{root}>\n<a>"));
        assert!(broken.starts_with("reports/r.xml: syntax error on line 2: "), "{broken}");
        let broken = message(format, &format!("<{root}>\n<a></b></{root}>"));
        assert!(broken.starts_with("reports/r.xml: syntax error on line 2: "), "{broken}");
    }
    let clover = String::from_utf8(fixture("istanbul-clover.xml")).unwrap();
    assert_eq!(
        message(ReportFormat::CoberturaXml, &clover),
        "reports/r.xml: expected a COBERTURAXML report but have a CLOVERXML report: set file-format: CLOVERXML"
    );
    let cobertura = String::from_utf8(fixture("coveragepy.xml")).unwrap();
    assert!(message(ReportFormat::CloverXml, &cobertura).contains("set file-format: COBERTURAXML"));
    for format in [ReportFormat::CucumberJson, ReportFormat::SimpleCov] {
        assert_eq!(message(format, ""), "reports/r.xml: EOF: the file is empty");
        let broken = message(format, "[{]");
        assert!(broken.starts_with("reports/r.xml: syntax error on line 1: "), "{broken}");
    }
    let broken = message(ReportFormat::CucumberJson, "{}");
    assert!(broken.contains("expected an array"), "{broken}");
}

#[test]
fn oddities_do_not_fail_a_build() {
    // Things that people have had: no counts, empty counts, odd times, ampersands, controls, unknown elements and entities,
    // text before and after the root, doubled attributes, ISO-8859-1, a byte order mark, `skips`, gtest's `notrun`.
    let xml = "\u{feff}warning: something\n<?xml version=\"1.0\"?><testsuites time=\"x\"><properties/>\
        <testsuite name=\"a\"><testcase name=\"x &amp; y & z &nbsp;\" name=\"other\" time=\"1,234.5\" status=\"notrun\"/>\
        <testcase name=\"&#x41;&#0;\" time=\"\"><system-out>\u{1}\u{1b}[31m<b>x</b></system-out></testcase></testsuite>\
        <testsuite name=\"b\" tests=\"\" failures=\"\"/><testsuite tests=\"3\" skips=\"1\" disabled=\"1\"/>\
        <testcase name=\"alone\"><failure/></testcase></testsuites>\ntrailing <<<";
    let report = tests(ReportFormat::JunitXml, xml);
    assert_eq!(counts(&report), [6, 2, 1, 0, 3, 0]);
    assert_eq!(case(&report, "x & y & z &nbsp;").duration_in_nano_seconds, 1_234_500_000_000);
    assert_eq!(case(&report, "A&#0;").status, TestStatus::Succeeded);
    assert_eq!(case(&report, "alone").status, TestStatus::Failed);
    let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><testsuite><testcase name='\xfc'/></testsuite>";
    assert_eq!(tests(ReportFormat::JunitXml, latin).cases[0].name, "\u{fc}");
    assert_eq!(counts(&tests(ReportFormat::JunitXml, "<testsuites/>")), [0; 6]);
    // A tool that leaves the suites in it out of a suite's counts.
    let nested = r#"<testsuite tests="1"><testcase name="a"/><testsuite tests="2"><testcase name="b"/><testcase name="c"/></testsuite></testsuite>"#;
    assert_eq!(counts(&tests(ReportFormat::JunitXml, nested))[0], 3);
}

#[test]
fn entities_are_neither_expanded_nor_fetched() {
    let laughs: String = (1..30).map(|n| format!("<!ENTITY l{n} \"&l{};&l{};\">", n - 1, n - 1)).collect();
    let xml = format!(
        "<!DOCTYPE testsuite [<!ENTITY l0 \"ha\">{laughs}<!ENTITY x SYSTEM \"file:///etc/passwd\">]>\
         <testsuite><testcase name=\"&l29;\"><failure message=\"&x;\">&x; &l29;</failure></testcase></testsuite>"
    );
    let report = tests(ReportFormat::JunitXml, &xml);
    assert_eq!(report.cases[0].name, "&l29;");
    assert_eq!(report.cases[0].message, "&x; &l29;");
}

#[test]
fn hostile_sizes_are_bounded() {
    let deep = format!("<testsuite>{}", "<testsuite>".repeat(1_000_000));
    assert!(message(ReportFormat::JunitXml, &deep).contains("there are more than 128 nested elements"));
    let deep = format!("<testsuite><a>{}", "<a>".repeat(1_000_000));
    assert!(message(ReportFormat::JunitXml, &deep).contains("there are more than 128 nested elements"));
    let wide: String = (0..1000).map(|n| format!(" a{n}=''")).collect();
    let wide = message(ReportFormat::JunitXml, &format!("<testsuite{wide}/>"));
    assert!(wide.contains("there are more than 256 attributes of an element"), "{wide}");
    for json in ["[".repeat(1_000_000), "[{\"elements\":".repeat(1_000_000), "{\"coverage\":".repeat(1_000_000)] {
        assert!(read(ReportFormat::CucumberJson, json.as_bytes()).is_err());
        assert!(read(ReportFormat::SimpleCov, json.as_bytes()).is_err());
    }
    // A text, and a file, without end.
    let mut endless = (&b"<testsuite><testcase name='a'><failure>"[..]).chain(std::io::repeat(b'x'));
    let e = parse(ReportFormat::JunitXml, "r", &mut endless).unwrap_err();
    assert_eq!(
        e.to_string(),
        "r: one element or text in it is too large (a report file may have 128 MiB, one text in it 32 MiB)"
    );
    let e = parse(ReportFormat::SimpleCov, "r", &mut std::io::repeat(b' ')).unwrap_err();
    assert!(e.to_string().starts_with("r: the file is too large"), "{e}");
    // Sums of what a report claims do not overflow.
    let n = u64::MAX;
    let xml = format!("<testsuites>{}</testsuites>", format!("<testsuite tests='{n}' time='1e19'/>").repeat(3));
    assert_eq!(counts(&tests(ReportFormat::JunitXml, xml))[0], n);
    let xml = format!("<report>{}</report>", format!("<package name='p'><sourcefile name='a'><counter type='LINE' missed='{n}' covered='{n}'/></sourcefile></package>").repeat(3));
    assert_eq!(coverage(ReportFormat::JacocoXml, xml).lines, of(n, n));
}

#[test]
fn content_that_breaks_off_is_not_a_syntax_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the file was removed"))
        }
    }
    for format in ReportFormat::ALL {
        let e = parse(format, "r", &mut Broken).unwrap_err();
        assert_eq!(e.to_string(), "r: it could not be read: the file was removed");
    }
}

#[test]
fn files_of_a_group_are_put_together() {
    assert!(merge([]).unwrap().is_none());
    let files = ["pytest.xml", "surefire.xml", "jest.xml"].map(|f| read(ReportFormat::JunitXml, &fixture(f)).unwrap());
    let Some(Report::Test(all)) = merge(files).unwrap() else { panic!() };
    assert_eq!(counts(&all), [13, 5, 3, 2, 3, 0]);
    assert_eq!(all.cases.len(), 16);
    assert_eq!(all.cases[0].name, "test_divide");
    let covers = || {
        [(ReportFormat::CoberturaXml, "coveragepy.xml"), (ReportFormat::CloverXml, "istanbul-clover.xml")]
            .map(|(format, f)| read(format, &fixture(f)).unwrap())
    };
    let Some(Report::Coverage(all)) = merge(covers()).unwrap() else { panic!() };
    assert_eq!((all.lines, all.branches, all.files.len()), (of(28, 5), of(4, 4), 3));
    let mixed = [read(ReportFormat::JunitXml, &fixture("jest.xml")).unwrap()].into_iter().chain(covers());
    assert_eq!(merge(mixed).unwrap_err().to_string(), "a report group holds either tests or coverage, not both");
}

#[test]
fn formats_are_detected_and_other_files_are_not() {
    use ReportFormat as F;
    for (file, format) in [
        ("pytest.xml", F::JunitXml),
        ("surefire.xml", F::JunitXml),
        ("testng.xml", F::TestngXml),
        ("coveragepy.xml", F::CoberturaXml),
        ("istanbul-cobertura.xml", F::CoberturaXml),
        ("istanbul-clover.xml", F::CloverXml),
        ("jacoco.xml", F::JacocoXml),
        ("cucumber-js.json", F::CucumberJson),
    ] {
        assert_eq!(detect(&format!("target/{file}"), &fixture(file)), Some(format), "{file}");
        // The beginning is enough; other names are not looked into.
        assert_eq!(detect(file, fixture(file).get(..700).unwrap_or(&fixture(file))), Some(format), "{file}");
        assert_eq!(detect("page.html", &fixture(file)), None);
    }
    for (file, text, format) in [
        ("a.trx", "<TestRun/>", Some(F::VisualStudioTrx)),
        ("a.xml", "<test-results/>", Some(F::NunitXml)),
        ("a.xml", "\u{feff}<test-run/>", Some(F::Nunit3Xml)),
        ("coverage/.resultset.json", "{\"RSpec\":{\"coverage\":{}}}", Some(F::SimpleCov)),
        ("coverage/coverage.json", "{\"meta\":{\"simplecov_version\":\"0.22\"}}", Some(F::SimpleCov)),
        ("coverage/coverage.json", "{\"total\":{}}", None),
        ("package.json", "{\"coverage\":1}", None),
        ("data.json", "[{\"keyword\":1}]", None),
        ("pom.xml", "<project/>", None),
        ("report.xml", "<report><title/></report>", None),
        ("coverage.xml", "<coverage><other/></coverage>", None),
        ("broken.xml", "<", None),
        ("empty.xml", "", None),
    ] {
        assert_eq!(detect(file, text.as_bytes()), format, "{file}: {text}");
    }
}

/// What no report may break, whatever it was read from.
fn check(report: &Report) {
    match report {
        Report::Test(r) => {
            assert!(r.cases.len() <= MAX_CASES);
            for case in &r.cases {
                let long = |text: &str, most| text.chars().count() > most;
                assert!(
                    !long(&case.name, MAX_NAME) && !long(&case.prefix, MAX_NAME) && !long(&case.message, MAX_MESSAGE)
                );
            }
        }
        Report::Coverage(r) => {
            assert!(r.files.len() <= MAX_FILES);
            assert!(r.files.iter().all(|f| (0.0..=100.0).contains(&f.lines.percentage())));
        }
    }
}

/// Pieces that reports are made of, in any order.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "<testsuites>",
        "<testsuite tests='3'>",
        "</testsuite>",
        "</testsuites>",
        "<testcase name='a' time='1'>",
        "</testcase>",
        "<failure message='m'>",
        "</failure>",
        "<skipped/>",
        "<test-results>",
        "<results>",
        "<test-suite>",
        "<test-case name='a.b'>",
        "<test-run>",
        "<testng-results>",
        "<suite>",
        "<class name='c'>",
        "<test-method status='FAIL'>",
        "<exception>",
        "<message>",
        "<TestRun>",
        "<Results>",
        "<UnitTestResult outcome='Failed' testId='1'>",
        "<Output>",
        "<ErrorInfo>",
        "<coverage>",
        "<project>",
        "<file name='f'>",
        "<line num='1' type='cond' truecount='1'/>",
        "<metrics statements='2'/>",
        "<packages>",
        "<package name='p'>",
        "<classes>",
        "<class filename='f'>",
        "<lines>",
        "<line number='1' hits='1' condition-coverage='50% (1/2)'/>",
        "<report>",
        "<sourcefile name='s'>",
        "<counter type='LINE' missed='1' covered='2'/>",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "&amp;",
        "&#x10ffff;",
        "&",
        "text",
        "\u{20ac}",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "\"coverage\":",
        "\"lines\":",
        "\"branches\":",
        "null",
        "1",
        "\"elements\":",
        "\"steps\":",
        "\"result\":",
        "\"status\":\"failed\"",
        "\"a\":",
        "\"ignored\"",
        "a/b.py:12: E",
        "<",
        ">",
        "'",
        "\"",
    ]);
    prop::collection::vec(prop_oneof![9 => words.prop_map(|w| w.as_bytes().to_vec()), 1 => any::<Vec<u8>>()], 0..60)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_panic(bytes in prop_oneof![any::<Vec<u8>>(), pieces()]) {
        for format in ReportFormat::ALL {
            if let Ok(report) = read(format, &bytes) {
                check(&report);
                let twice = merge([report.clone(), report]).unwrap().unwrap();
                check(&twice);
            }
        }
        prop_assert_ne!(detect("a.xml", &bytes), Some(ReportFormat::SimpleCov));
        prop_assert_ne!(detect("a.json", &bytes), Some(ReportFormat::JunitXml));
    }

    /// Real reports, with bytes changed or cut off.
    #[test]
    fn damaged_reports_do_not_panic(which in 0usize..12, changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..8), cut: usize) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reports");
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let mut bytes = fixture(&names[which % names.len()]);
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if cut % 3 == 0 {
            bytes.truncate(cut % bytes.len());
        }
        for format in ReportFormat::ALL {
            if let Ok(report) = read(format, &bytes) {
                check(&report);
            }
        }
    }
}
