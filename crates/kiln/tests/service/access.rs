//! Users, roles, policies and sessions, with unmodified clients: who may what, and what the others are told.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    clients::{client, command, run, script, text},
    server::Server,
};

#[test]
fn users_and_sessions_may_what_their_policies_say() {
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    run(command(&server, &python.join("bin/python")).arg(script("access.py")));
    server.check(&[]);
}

#[test]
fn terraform_makes_roles_users_and_policies_without_a_difference() {
    let Some(plugins) = client("terraform") else { return };
    let mut server = Server::start();
    let work = TempDir::new().unwrap();
    fs::copy(script("access.tf"), work.path().join("main.tf")).unwrap();
    let terraform = |args: &[&str]| {
        let mut terraform = command(&server, Path::new("terraform"));
        terraform
            .current_dir(work.path())
            .args(args)
            .env("TF_CLI_CONFIG_FILE", "/dev/null")
            .env("TF_IN_AUTOMATION", "1")
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_VAR_endpoint", format!("http://{}", server.address()));
        terraform
    };
    run(terraform(&["init", "-no-color", "-input=false"]).arg(format!("-plugin-dir={}", plugins.display())));
    for changed in ["changed=false", "changed=true"] {
        run(&mut terraform(&["apply", "-no-color", "-input=false", "-auto-approve", "-var", changed]));
        let plan = terraform(&["plan", "-no-color", "-input=false", "-detailed-exitcode", "-var", changed]).output();
        let plan = plan.unwrap();
        assert_eq!(plan.status.code(), Some(0), "a difference with {changed}:\n{}", text(&plan));
    }
    let project = server.client().retried("BatchGetProjects", &json!({ "names": ["by-terraform"] }));
    let role: &Value = &project["projects"][0]["serviceRole"];
    assert_eq!(role, "arn:aws:iam::000000000000:role/builds/build");
    run(&mut terraform(&["destroy", "-no-color", "-input=false", "-auto-approve", "-var", "changed=true"]));
    assert_eq!(server.client().retried("ListProjects", &json!({}))["projects"], json!([]));
    server.check(&[]);
}
