//! Users, roles, policies and sessions, with unmodified clients: who may what, and what the others are told.

use serde_json::{Value, json};

use crate::{
    clients::{client, command, run, script},
    server::Server,
    terraform::{Terraform, plugins},
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
    let Some(plugins) = plugins() else { return };
    let mut server = Server::start();
    let terraform = Terraform::init(&server, &plugins, "access.tf");
    for changed in ["changed=false", "changed=true"] {
        terraform.apply(&[changed]);
    }
    let project = server.client().retried("BatchGetProjects", &json!({ "names": ["by-terraform"] }));
    let role: &Value = &project["projects"][0]["serviceRole"];
    assert_eq!(role, "arn:aws:iam::000000000000:role/builds/build");
    terraform.destroy(&["changed=true"]);
    assert_eq!(server.client().retried("ListProjects", &json!({}))["projects"], json!([]));
    server.check(&[]);
}
