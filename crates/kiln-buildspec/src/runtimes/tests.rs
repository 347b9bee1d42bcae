use super::*;

/// Of the form that published images have (`buildspec.md` 13.2).
const FILE: &str = r#"
version: 0.1
runtimes:
  java:
    versions:
      corretto8:
        commands: [ 'export JAVA_HOME="$JAVA_8_HOME"' ]
      corretto17:
        commands:
          - echo "Installing Corretto(OpenJDK) version 17 ..."
          - export JAVA_HOME="$JAVA_17_HOME"
  nodejs:
    versions:
      18: { commands: [ n 18 ] }
      20: { commands: n 20 }
  python:
    versions:
      3.9: { commands: [ pyenv global 3.9 ] }
      3.10: { commands: [ pyenv global 3.10 ] }
      3.2: { commands: [ pyenv global 3.2 ] }
      default:
        commands:
          - pyenv install $VERSION
  android:
    versions:
      28:
        requires: { java: [ "corretto8" ] }
        commands: [ sdk 28 ]
      29:
        requires:
          java: corretto17
          nodejs:
        commands:
  kotlin:
    versions:
      1: { requires: { android: [ 28 ] } }
"#;

fn requested(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted.iter().map(|(runtime, version)| ((*runtime).to_owned(), (*version).to_owned())).collect()
}

/// `runtime version` of each, with `=VERSION` and `<who needs it` where there are any.
fn select(file: &str, wanted: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let runtimes = Runtimes::parse(file.as_bytes()).unwrap();
    let selected = runtimes.select(&requested(wanted)).map_err(|e| e.to_string())?;
    let shown = selected.iter().map(|s| {
        let variable = s.version_variable.as_ref().map(|v| format!(" ={v}")).unwrap_or_default();
        let needed = s.required_by.as_ref().map(|v| format!(" <{v}")).unwrap_or_default();
        format!("{} {}{variable}{needed}", s.runtime, s.version)
    });
    Ok(shown.collect())
}

fn chosen(wanted: &[(&str, &str)]) -> Vec<String> {
    select(FILE, wanted).unwrap()
}

#[test]
fn versions_are_exact_highest_of_a_major_or_highest_of_all() {
    assert_eq!(chosen(&[("python", "3.9"), ("nodejs", "20")]), ["python 3.9", "nodejs 20"]);
    assert_eq!(chosen(&[("python", "3.x")]), ["python 3.10"]);
    assert_eq!(chosen(&[("python", "latest")]), ["python 3.10"]);
    assert_eq!(chosen(&[("nodejs", "18.x")]), ["nodejs 18"]);
    assert_eq!(chosen(&[("java", "latest")]), ["java corretto17"]);
    assert_eq!(chosen(&[]), Vec::<String>::new());
}

#[test]
fn a_version_that_is_not_listed_goes_to_whoever_installs_any() {
    assert_eq!(chosen(&[("python", "3.8.1")]), ["python default =3.8.1"]);
    assert_eq!(chosen(&[("python", "4.x")]), ["python default =4.x"]);
    assert_eq!(chosen(&[("python", "default")]), ["python default"]);
}

#[test]
fn what_there_is_not_is_told_with_what_there_is() {
    assert_eq!(
        select(FILE, &[("perl", "5")]).unwrap_err(),
        "Unknown runtime named 'perl'. This build image has the following runtimes: android, java, kotlin, nodejs, python"
    );
    assert_eq!(
        select(FILE, &[("java", "corretto11")]).unwrap_err(),
        "Unknown runtime version named 'corretto11' of java. This build image has the following versions: corretto8, \
         corretto17"
    );
    assert_eq!(
        select(FILE, &[("nodejs", "1.x")]).unwrap_err(),
        "Unknown runtime version named '1.x' of nodejs. This build image has the following versions: 18, 20"
    );
}

#[test]
fn what_is_needed_comes_first_and_once() {
    assert_eq!(chosen(&[("android", "28")]), ["java corretto8 <android", "android 28"]);
    assert_eq!(
        chosen(&[("kotlin", "1")]),
        ["java corretto8 <android", "android 28 <kotlin", "kotlin 1"],
        "through another"
    );
    assert_eq!(
        chosen(&[("android", "29"), ("java", "corretto17")]),
        ["nodejs 20 <android", "android 29", "java corretto17"],
        "what was asked for stays where it was asked for; any version does for the other"
    );
    assert_eq!(
        select(FILE, &[("java", "corretto17"), ("android", "28")]).unwrap_err(),
        "The runtime android 28 requires java corretto8, but java corretto17 was selected"
    );
    assert_eq!(
        select(FILE, &[("android", "29"), ("kotlin", "1")]).unwrap_err(),
        "The runtime kotlin 1 requires android 28, but android 29 was selected"
    );
}

#[test]
fn circles_and_long_chains_end() {
    let circle = "runtimes: {a: {versions: {1: {requires: {b: 1}}}}, b: {versions: {1: {requires: {a: 1}}}}}";
    assert_eq!(select(circle, &[("a", "1")]).unwrap(), ["b 1 <a", "a 1"]);
    let unknown = "runtimes: {a: {versions: {1: {requires: {b: 1}}}}}";
    assert!(select(unknown, &[("a", "1")]).unwrap_err().starts_with("Unknown runtime named 'b'"));
    let mut chain = "runtimes:\n".to_owned();
    for n in 0..4000 {
        chain += &format!("  r{n}: {{versions: {{1: {{requires: {{r{}: 1}}}}}}}}\n", n + 1);
    }
    let error = select(&chain, &[("r0", "1")]).unwrap_err();
    assert_eq!(error, "The runtimes of this build image need one another in too long a chain, up to r17");
}

#[test]
fn commands_keep_their_text_and_place() {
    let runtimes = Runtimes::parse(FILE.as_bytes()).unwrap();
    let selected = runtimes.select(&requested(&[("java", "corretto17"), ("nodejs", "20")])).unwrap();
    let commands: Vec<(u32, &str)> =
        selected.iter().flat_map(|s| &s.commands).map(|c| (c.line, c.text.as_str())).collect();
    assert_eq!(
        commands,
        [
            (10, "echo \"Installing Corretto(OpenJDK) version 17 ...\""),
            (11, "export JAVA_HOME=\"$JAVA_17_HOME\""),
            (15, "n 20")
        ]
    );
}

#[test]
fn a_file_that_is_none_is_told_with_its_line() {
    let error = |text: &str| Runtimes::parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(error(""), "line 1: it is empty");
    assert_eq!(error("version: 0.1\n"), "line 1: it has no `runtimes`");
    assert_eq!(error("runtimes:\n  a:\n    x: y\n"), "line 3: a has no `versions`");
    assert_eq!(error("runtimes:\n  - a\n"), "line 2: a mapping is expected here");
    assert_eq!(error("runtimes: {a: {versions: {1: {commands: [[x]]}}}}"), "line 1: a text is expected here");
    assert!(error("runtimes: [").starts_with("line 1: "));
    assert_eq!(Runtimes::parse(b"runtimes:\n").unwrap(), Runtimes::default());
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a-z:{}\\[\\], \n.0-9-]{0,200}", asked in "[a-z0-9.]{0,8}") {
        if let Ok(runtimes) = Runtimes::parse(text.as_bytes()) {
            let _unknown = runtimes.select(&[("a".to_owned(), asked)]);
        }
    }
}
