//! Users, roles, policies and sessions, with unmodified clients: who may what, and what the others are told.

use serde_json::{Value, json};

use crate::{
    clients::{client, command, run, script, text},
    server::Server,
    terraform::{Terraform, plugins},
};

#[test]
fn users_and_sessions_may_what_their_policies_say() {
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    let passwords = run(command(&server, &python.join("bin/python")).arg(script("access.py")));
    assert_eq!(passwords.lines().count(), 3, "{passwords}");
    passwords.lines().for_each(|password| server.secret(password));
    server.check(&[]);
}

#[test]
fn what_is_simulated_is_what_happens() {
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    run(command(&server, &python.join("bin/python")).arg(script("simulation.py")));

    // The same user, explained by the command.
    let simulate = |args: &[&str]| {
        let output = server.kiln(&["iam", "simulate"]).args(args).output().unwrap();
        (output.status.code(), text(&output))
    };
    let who = ["--principal", "arn:aws:iam::000000000000:user/alice"];
    let own = "arn:aws:codebuild:us-east-1:000000000000:project/own";
    let row = |said: &str, sid: &str| {
        let line = said.lines().find(|line| line.split_whitespace().nth(1) == Some(sid));
        line.unwrap_or_else(|| panic!("no {sid} in {said}")).split_whitespace().skip(2).collect::<Vec<_>>().join(" ")
    };
    let (status, said) = simulate(&[&["codebuild:StartBuild", own], &who[..]].concat());
    assert_eq!((status, said.lines().next()), (Some(0), Some("allowed")), "{said}");
    assert_eq!(row(&said, "Own"), "Allow yes");
    assert_eq!(row(&said, "NoDelete"), "Deny no: other actions");
    let (status, said) = simulate(&[&["codebuild:DeleteProject", own], &who[..]].concat());
    assert_eq!((status, said.lines().next()), (Some(1), Some("explicitDeny")), "{said}");
    assert!(said.contains("with an explicit deny in an identity-based policy"), "{said}");
    let (status, said) = simulate(&[&["codebuild:ListBuilds"], &who[..]].concat());
    assert_eq!(status, Some(1), "{said}");
    assert_eq!(row(&said, "Near"), "Allow no: IpAddress aws:sourceip: the call does not have it");
    assert_eq!(row(&said, "Own"), "Allow no: other resources");
    let (status, said) = simulate(&[&["codebuild:ListBuilds", "-c", "aws:SourceIp=10.0.0.1"], &who[..]].concat());
    assert_eq!(status, Some(1), "{said}");
    assert_eq!(row(&said, "Near"), "Allow no: IpAddress aws:sourceip: the call has 10.0.0.1");
    let (status, said) = simulate(&["codebuild:StartBuild", "--principal", "arn:aws:iam::000000000000:user/carol"]);
    assert!(
        status == Some(3) && said.contains("user/carol is not the ARN of a user or role of this account"),
        "{said}"
    );

    // Policies in files need no service.
    server.stop();
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str, action: &str| {
        let path = files.path().join(name);
        let statement = json!({ "Effect": "Allow", "Action": action, "Resource": "*" });
        std::fs::write(&path, json!({ "Version": "2012-10-17", "Statement": statement }).to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (policy, boundary) = (file("policy.json", "codebuild:*"), file("boundary.json", "s3:*"));
    let simulate = |args: &[&str]| {
        let output = server.kiln(&["iam", "simulate", "codebuild:StartBuild", own]).args(args).output().unwrap();
        (output.status.code(), text(&output))
    };
    assert_eq!(simulate(&["--policy", &policy]).0, Some(0));
    let (status, said) = simulate(&["--policy", &policy, "--boundary", &boundary, "--json"]);
    assert_eq!(status, Some(1), "{said}");
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&said["decision"], &said["statements"][1]["policyType"]),
        (&json!("implicitDeny"), &json!("permissions boundary"))
    );
    assert_eq!(said["statements"][1]["whyNot"], "other actions");
    std::fs::write(&policy, "{}").unwrap();
    assert_eq!(simulate(&["--policy", &policy]).0, Some(2));
    server.run();
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
