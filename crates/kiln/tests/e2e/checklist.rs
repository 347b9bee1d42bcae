//! The conformance checklist of `buildspec.md` section 17, row by row, as far as it concerns one build.

use kiln_model::{BuildStatus, PhaseType};
use kiln_wire::event::Event;

use crate::project::Project;

#[test]
fn checklist_01_cwd_kept() {
    let project = Project::new(
        "version: 0.2\nphases:\n  install:\n    commands:\n      - mkdir sub && cd sub\n  build:\n    commands:\n      - basename \"$PWD\"\n",
    );
    project.run(&[]).expect(0).expect_line("sub");
}

#[test]
fn checklist_02_variables_kept() {
    let project = Project::new(
        "version: 0.2\nphases:\n  install:\n    commands:\n      - X=1\n      - export Y='a b'\n  build:\n    commands:\n      - echo \"$X-$Y\"\n      - env | grep -c '^X=1$'\n",
    );
    project.run(&[]).expect(0).expect_line("1-a b").expect_line("1");
}

#[test]
fn checklist_03_functions_not_kept() {
    let project = Project::new(
        "version: 0.2\nenv:\n  shell: bash\nphases:\n  build:\n    commands:\n      - 'f() { :; }'\n      - f\n",
    );
    let outcome = project.run(&[]).expect(1);
    outcome.expect_text("/codebuild/output/tmp/script.sh: line 4: f: command not found");
    outcome.expect_text("Command did not exit successfully f exit status 127");
}

#[test]
fn checklist_04_options_not_kept() {
    Project::commands(&["set -e", "false; echo on"]).run(&[]).expect(0).expect_line("on");
}

#[test]
fn checklist_05_last_line_decides() {
    Project::commands(&["false\ntrue"]).run(&[]).expect(0);
}

#[test]
fn checklist_06_post_build_after_failure() {
    let project = Project::new(
        "version: 0.2\nphases:\n  build:\n    commands: [\"false\"]\n  post_build:\n    commands:\n      - echo succeeding=$CODEBUILD_BUILD_SUCCEEDING\n",
    );
    let outcome = project.run(&[]).expect(1);
    outcome.expect_line("succeeding=0");
    assert_eq!(
        outcome.phases(),
        [
            "PROVISIONING SUCCEEDED",
            "DOWNLOAD_SOURCE SUCCEEDED",
            "INSTALL SUCCEEDED",
            "PRE_BUILD SUCCEEDED",
            "BUILD FAILED",
            "POST_BUILD SUCCEEDED",
            "UPLOAD_ARTIFACTS SUCCEEDED",
            "FINALIZING SUCCEEDED"
        ]
    );
}

#[test]
fn checklist_07_pre_build_ends_it() {
    let project = Project::new(
        "version: 0.2\nphases:\n  pre_build:\n    commands: [\"exit 3\"]\n  build:\n    commands: [\"echo never\"]\n",
    );
    let outcome = project.run(&[]).expect(1);
    assert!(!outcome.printed("never"));
    let phases = outcome.phases();
    assert_eq!(phases[phases.len() - 2..], ["PRE_BUILD FAILED", "FINALIZING SUCCEEDED"]);
    let context = outcome.end().context.unwrap();
    assert_eq!(context.status_code, "COMMAND_EXECUTION_ERROR");
    assert_eq!(context.message, "Error while executing command: exit 3. Reason: exit status 3");
}

#[test]
fn checklist_08_finally() {
    let project = Project::new(
        "version: 0.2\nphases:\n  build:\n    commands:\n      - \"false\"\n      - echo rest\n    finally:\n      - echo cleaned\n",
    );
    let outcome = project.run(&[]).expect(1);
    outcome.expect_line("cleaned");
    assert!(!outcome.printed("rest"));
    assert_eq!(outcome.end().phase, Some(PhaseType::Build));
}

#[test]
fn checklist_09_no_buildspec() {
    let project = Project::empty();
    project.file("buildspec.yaml", "version: 0.2\n");
    let outcome = project.run(&[]).expect(2);
    let end = outcome.end();
    assert_eq!((end.status, end.phase), (BuildStatus::Failed, Some(PhaseType::DownloadSource)));
    assert_eq!(end.context.unwrap().status_code, "YAML_FILE_ERROR");
    outcome.expect_text("Phase context status code: YAML_FILE_ERROR Message: YAML file does not exist");
}

#[test]
fn checklist_10_colon_in_command() {
    let project =
        Project::new("version: 0.2\nphases:\n  build:\n    commands:\n      - echo one\n      - echo \"Status: ok\"\n");
    let outcome = project.run(&[]).expect(2);
    let message = outcome.end().context.unwrap().message;
    assert!(
        message.contains("Expected Commands[1] to be of string type: found subkeys instead at line 6"),
        "{message}"
    );
    outcome.expect_text("echo \"Status: ok\"");
    let lint = format!("kiln lint {}/buildspec.yml", project.source().display());
    assert!(outcome.summary.contains(&lint), "{}", outcome.summary);
}

#[test]
fn checklist_16_precedence() {
    let project = Project::new(
        "version: 0.2\nenv:\n  variables:\n    A: spec\n    B: spec\nphases:\n  build:\n    commands: ['echo $A-$B']\n",
    );
    project.run(&["-e", "B=start"]).expect(0).expect_line("spec-start");
}

#[test]
fn checklist_17_values_are_literal() {
    let project = Project::new(
        "version: 0.2\nenv:\n  variables:\n    MY_PATH: \"/x:$PATH\"\nphases:\n  build:\n    commands: ['echo \"$MY_PATH\"']\n",
    );
    project.run(&[]).expect(0).expect_line("/x:$PATH");
}

#[test]
fn checklist_19_exported() {
    let project = Project::new(
        "version: 0.2\nenv:\n  exported-variables: [X, NEVER, AWS_REGION]\nphases:\n  build:\n    commands: [X=1]\n  post_build:\n    commands: [X=2]\n",
    );
    let outcome = project.run(&[]).expect(0);
    let exported = outcome.events.iter().find_map(|e| match e {
        Event::Exported { variables } => Some(variables.clone()),
        _ => None,
    });
    assert_eq!(exported.unwrap().into_iter().collect::<Vec<_>>(), [("X".to_owned(), "2".to_owned())]);
}

#[test]
fn checklist_23_scalar_text_kept() {
    let project = Project::new(
        "version: 0.2\nenv:\n  variables:\n    V: 3.10\n    Y: yes\n    O: 010\nphases:\n  install:\n    runtime-versions:\n      python: 3.10\n  build:\n    commands: ['echo $V $Y $O']\n",
    );
    let outcome = project.run(&[]).expect(0);
    outcome.expect_line("3.10 yes 010");
    outcome.expect_text("Skipping install of runtimes. Runtime version selection is not supported by this build image");
}
