//! Variables, secrets, shells, users (`buildspec.md` 1.5 to 1.7, 2 and 7).

use crate::project::{Project, not_root};

#[test]
fn codebuild_variables() {
    let project = Project::commands(&["env | sort"]);
    let outcome = project.run(&[]).expect(0);
    for line in [
        "AWS_DEFAULT_REGION=us-east-1",
        "AWS_REGION=us-east-1",
        "CODEBUILD_BUILD_IMAGE=host",
        "CODEBUILD_BUILD_NUMBER=1",
        "CODEBUILD_BUILD_SUCCEEDING=1",
        "CODEBUILD_CI=true",
        "CODEBUILD_LOCAL_BUILD=true",
        "HOME=/root",
        &format!("CODEBUILD_BUILD_ID=local:{}", outcome.id),
        &format!("CODEBUILD_BUILD_ARN=arn:aws:codebuild:us-east-1:000000000000:build/local:{}", outcome.id),
        &format!("CODEBUILD_LOG_PATH={}", outcome.id),
    ] {
        outcome.expect_line(line);
    }
    assert!(outcome.log.lines().any(|l| l.starts_with("PATH=") && l.ends_with(":/codebuild/user/bin")));
    assert_eq!(project.run(&[]).log.matches("CODEBUILD_BUILD_NUMBER=2").count(), 1);
}

#[test]
fn nothing_of_the_callers_environment_reaches_the_build() {
    let project = Project::commands(&["env"]);
    let output = project.run_command(&[]).env("MY_TOKEN", "from-the-terminal").output().unwrap();
    assert!(!project.outcome(&output).expect(0).log.contains("from-the-terminal"));
}

const SECRET_SPEC: &str = "version: 0.2\nenv:\n  parameter-store:\n    DB_PASSWORD: /app/db\n  secrets-manager:\n    TOKEN: app:token\nphases:\n  build:\n    commands:\n      - echo \"password is $DB_PASSWORD\"\n      - printf '%s' \"$TOKEN\" | base64 -w0\n      - for c in c o r r e c t - h o r s e; do printf %s $c; done; echo\n      - echo \"$TOKEN\" >&2; false $DB_PASSWORD\n";

#[test]
fn checklist_18_secrets_masked() {
    let secrets = ["correct-horse", "t0ken-with-30-characters-in-it"];
    let project = Project::new(SECRET_SPEC).with_secrets(&secrets);
    let outcome =
        project.run(&["-e", "DB_PASSWORD=correct-horse", "-e", "TOKEN=t0ken-with-30-characters-in-it"]).expect(1);
    outcome.expect_line("password is ***");
    assert!(!outcome.log.contains("dDBrZW4"), "base64 of the token:\n{}", outcome.log);
    for text in [&outcome.log, &outcome.summary, &format!("{:?}", outcome.events)] {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in\n{text}");
        }
    }
}

#[test]
fn secret_not_given() {
    let outcome = Project::new(SECRET_SPEC).run(&["-e", "TOKEN=t0ken"]).expect(1);
    outcome.expect_text("env/parameter-store DB_PASSWORD (from '/app/db')").expect_text("-e DB_PASSWORD=VALUE");
    assert_eq!(outcome.phases()[1], "DOWNLOAD_SOURCE FAILED");
}

#[test]
fn env_file() {
    let project = Project::commands(&["echo \"[$A] [$B]\""]);
    let file = project.file("vars.env", "# comment\n\nA=\"quotes stay\"\nB=x=y\n");
    project.run(&["--env-file", file.to_str().unwrap()]).expect(0).expect_line("[\"quotes stay\"] [x=y]");
}

#[test]
fn stdin_is_empty() {
    Project::commands(&["cat; echo \"end $?\""]).run(&[]).expect(0).expect_line("end 0");
}

#[test]
fn run_as() {
    if not_root() {
        return;
    }
    let project = Project::new(
        "version: 0.2\nrun-as: nobody\nphases:\n  install:\n    run-as: root\n    commands: ['id -un']\n  build:\n    commands:\n      - id -un\n      - cat buildspec.yml > /dev/null && echo readable\n      - echo home=$HOME\n",
    );
    let outcome = project.run(&[]).expect(0);
    outcome.expect_line("root").expect_line("nobody").expect_line("readable").expect_line("home=/root");
    let unknown =
        Project::new("version: 0.2\nrun-as: alice-x\nphases:\n  build:\n    commands: ['id']\n").run(&[]).expect(1);
    unknown.expect_text("alice-x");
}

#[test]
fn secondary_sources() {
    let project = Project::commands(&["cat \"$CODEBUILD_SRC_DIR_lib/data.txt\""]);
    let other = Project::empty();
    other.file("data.txt", "from the library\n");
    let argument = format!("lib={}", other.source().display());
    project.run(&["--secondary-source", &argument]).expect(0).expect_line("from the library");
}
