//! `runtime-versions` and what an image says of its runtimes (`buildspec.md` 1.9, 13.2).

use kiln_wire::event::{Event, Section};

use crate::{
    environments::tarball,
    project::{Outcome, Project, not_root},
};

/// Of the form that published images have; a runtime is set up by a link and a variable.
const RUNTIMES: &str = r#"
version: 0.1
runtimes:
  tool:
    versions:
      3.9:
        commands:
          - echo "Installing tool version 3.9 ..."
          - export TOOL_HOME=/opt/tool-3.9
      3.10:
        commands:
          - echo "Installing tool version 3.10 ..."
          - export TOOL_HOME=/opt/tool-3.10
          - ln -s /opt/tool-3.10/bin/tool /bin/tool
      default:
        commands:
          - echo "Installing custom tool version $VERSION ..."
          - export TOOL_HOME="/opt/tool-$VERSION"
  other:
    versions:
      1: { requires: { tool: ["3.10"] }, commands: [ echo other 1 in $TOOL_HOME ] }
      2: { commands: [ echo other 2, 'false', echo never ] }
"#;

/// Runs a build that asks for `wanted` (lines of YAML) in an image with [`RUNTIMES`]; `None` where it cannot be.
/// It ends with `status`.
fn build(wanted: &[&str], env: &str, commands: &[&str], status: i32) -> Option<Outcome> {
    if not_root() {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let also = format!(
        "cp \"$(command -v ln)\" bin/; mkdir -p codebuild/image/config opt/tool-3.10/bin; \
         printf '#!/bin/sh\\necho tool 3.10\\n' > opt/tool-3.10/bin/tool; chmod 755 opt/tool-3.10/bin/tool; \
         cat > codebuild/image/config/runtimes.yml <<'END'\n{RUNTIMES}\nEND\n"
    );
    let tar = tarball(dir.path(), &also);
    let wanted: String = wanted.iter().map(|line| format!("      {line}\n")).collect();
    let commands: String = commands.iter().map(|command| format!("      - {command}\n")).collect();
    let project = Project::new(&format!(
        "version: 0.2\n{env}phases:\n  install:\n    runtime-versions:\n{wanted}  build:\n    commands:\n{commands}"
    ));
    let import = project.kiln(&["image", "import", tar.to_str().unwrap(), "--name", "runtimes:1"]).output().unwrap();
    assert!(import.status.success(), "{import:?}");
    Some(project.run(&["--image", "runtimes:1"]).expect(status))
}

/// What the log says from the variables on until the sources' directory, without times.
fn selection(outcome: &Outcome) -> Vec<String> {
    let lines = outcome.lines().into_iter().map(|line| match line.strip_prefix("[Container] ") {
        Some(rest) => rest.to_owned(),
        None => line,
    });
    lines
        .skip_while(|line| line != "Processing environment variables")
        .skip(1)
        .take_while(|line| !line.starts_with("Moving to directory") && !line.starts_with("Phase complete"))
        .collect()
}

#[test]
fn runtime_versions_on_an_image_without_runtimes_are_a_line_in_the_log() {
    let spec = "version: 0.2\nphases:\n  install:\n    runtime-versions:\n      python: 3.10\n  build:\n    commands:\n      - echo built\n";
    let outcome = Project::new(spec).run(&[]).expect(0);
    outcome.expect_text("Skipping install of runtimes. Runtime version selection is not supported by this build image");
    outcome.expect_line("built");
}

#[test]
fn a_runtime_is_set_up_by_the_images_own_commands_before_the_build() {
    let Some(outcome) = build(&["tool: 3.x"], "", &["tool", "echo home $TOOL_HOME"], 0) else { return };
    assert_eq!(
        selection(&outcome),
        [
            "Selecting 'tool' runtime version '3.x' based on manual selections...",
            "Running command echo \"Installing tool version 3.10 ...\"",
            "Installing tool version 3.10 ...",
            "",
            "Running command export TOOL_HOME=/opt/tool-3.10",
            "",
            "Running command ln -s /opt/tool-3.10/bin/tool /bin/tool",
            "",
        ]
    );
    outcome.expect_line("tool 3.10").expect_line("home /opt/tool-3.10");
    let ours = outcome.events.iter().filter_map(|event| match event {
        Event::CommandStarted(c) => Some((c.phase.as_str(), c.section, c.index, c.line > 0)),
        _ => None,
    });
    assert_eq!(
        ours.collect::<Vec<_>>(),
        [
            ("DOWNLOAD_SOURCE", Section::Runtimes, 0, false),
            ("DOWNLOAD_SOURCE", Section::Runtimes, 1, false),
            ("DOWNLOAD_SOURCE", Section::Runtimes, 2, false),
            ("BUILD", Section::Commands, 0, true),
            ("BUILD", Section::Commands, 1, true),
        ]
    );
}

#[test]
fn any_version_is_the_images_to_install_and_the_builds_variables_stay() {
    let env = "env:\n  variables:\n    WANTED: 4.2\n    VERSION: it's mine\n";
    let Some(outcome) = build(&["tool: $WANTED"], env, &["echo $TOOL_HOME, $VERSION"], 0) else { return };
    outcome
        .expect_text("Selecting 'tool' runtime version '4.2' based on manual selections...")
        .expect_line("Installing custom tool version 4.2 ...")
        .expect_line("/opt/tool-4.2, it's mine");
    let Some(outcome) = build(&["tool: 5"], "", &["echo version ${VERSION-unset}"], 0) else { return };
    outcome.expect_line("Installing custom tool version 5 ...").expect_line("version unset");
}

#[test]
fn what_a_runtime_needs_is_set_up_first() {
    let Some(outcome) = build(&["other: 1"], "", &["true"], 0) else { return };
    outcome
        .expect_text("Selecting 'other' runtime version '1' based on manual selections...")
        .expect_text("Selecting 'tool' runtime version '3.10' as required by 'other'...")
        .expect_line("other 1 in /opt/tool-3.10");
    let Some(outcome) = build(&["tool: 3.9", "other: 1"], "", &["true"], 2) else { return };
    outcome.expect_text(
        "Phase context status code: YAML_FILE_ERROR Message: The runtime other 1 requires tool 3.10, but tool 3.9 was selected",
    );
}

#[test]
fn a_runtime_or_version_that_the_image_lacks_fails_with_what_it_has() {
    let Some(outcome) = build(&["tool: 3.9", "perl: 5"], "", &["true"], 2) else { return };
    assert_eq!(
        selection(&outcome),
        [
            "Selecting 'tool' runtime version '3.9' based on manual selections...",
            "Selecting 'perl' runtime version '5' based on manual selections...",
        ]
    );
    outcome.expect_text(
        "Phase context status code: YAML_FILE_ERROR Message: Unknown runtime named 'perl'. This build image has the following \
         runtimes: other, tool",
    );
    assert_eq!(outcome.phases()[1], "DOWNLOAD_SOURCE FAILED");
    let Some(outcome) = build(&["other: 3"], "", &["true"], 2) else { return };
    outcome
        .expect_text("Unknown runtime version named '3' of other. This build image has the following versions: 1, 2");
}

#[test]
fn a_runtime_that_cannot_be_set_up_fails_the_build_with_its_command() {
    let Some(outcome) = build(&["other: 2"], "", &["echo never"], 1) else { return };
    outcome
        .expect_line("other 2")
        .expect_text("Command did not exit successfully false exit status 1")
        .expect_text("COMMAND_EXECUTION_ERROR Message: Error while executing command: false. Reason: exit status 1");
    assert_eq!(outcome.phases()[1], "DOWNLOAD_SOURCE FAILED");
    assert!(!outcome.lines().iter().any(|line| line == "never"));
}
