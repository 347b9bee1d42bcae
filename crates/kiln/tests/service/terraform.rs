//! Terraform with its AWS provider, where that is installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    clients::{client, command, run, script, text},
    server::Server,
};

/// A configuration in a directory of its own, against a server.
pub(crate) struct Terraform<'a> {
    server: &'a Server,
    work: TempDir,
}

/// Where the provider is; says why it is skipped where it is not.
pub(crate) fn plugins() -> Option<PathBuf> {
    client("terraform")
}

/// What a resource of CodeBuild needs around it.
const PROVIDER: &str = r#"terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" {
  type = string
}

provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
    codebuild = var.endpoint
  }
}

"#;

impl<'a> Terraform<'a> {
    /// A configuration of one resource, ready.
    #[track_caller]
    pub(crate) fn of_resource(server: &'a Server, plugins: &Path, resource: &str) -> Self {
        let terraform = Self { server, work: TempDir::new().unwrap() };
        fs::write(terraform.work.path().join("main.tf"), format!("{PROVIDER}{resource}")).unwrap();
        run(terraform.command("init", &[]).arg(format!("-plugin-dir={}", plugins.display())));
        terraform
    }

    /// Takes over what is there already, by its id; a plan after that shows no difference.
    #[track_caller]
    pub(crate) fn import(&self, address: &str, id: &str) {
        run(self.command("import", &[]).args([address, id]));
        let plan = self.command("plan", &[]).arg("-detailed-exitcode").output().unwrap();
        assert_eq!(plan.status.code(), Some(0), "a difference after import of {id}:\n{}", text(&plan));
    }

    /// The configuration `name` of this test's clients, ready.
    #[track_caller]
    pub(crate) fn init(server: &'a Server, plugins: &Path, name: &str) -> Self {
        let terraform = Self { server, work: TempDir::new().unwrap() };
        fs::copy(script(name), terraform.work.path().join("main.tf")).unwrap();
        run(terraform.command("init", &[]).arg(format!("-plugin-dir={}", plugins.display())));
        terraform
    }

    /// With these variables, `name=value`.
    fn command(&self, verb: &str, variables: &[&str]) -> Command {
        let mut terraform = command(self.server, Path::new("terraform"));
        terraform
            .current_dir(self.work.path())
            .args([verb, "-no-color", "-input=false"])
            .args(variables.iter().flat_map(|variable| ["-var", variable]))
            .env("TF_CLI_CONFIG_FILE", "/dev/null")
            .env("TF_IN_AUTOMATION", "1")
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_VAR_endpoint", format!("http://{}", self.server.address()));
        terraform
    }

    /// Applies it; a plan after that shows no difference.
    #[track_caller]
    pub(crate) fn apply(&self, variables: &[&str]) {
        run(self.command("apply", variables).arg("-auto-approve"));
        let plan = self.command("plan", variables).arg("-detailed-exitcode").output().unwrap();
        assert_eq!(plan.status.code(), Some(0), "a difference after apply with {variables:?}:\n{}", text(&plan));
    }

    /// Destroys what it made.
    #[track_caller]
    pub(crate) fn destroy(&self, variables: &[&str]) {
        run(self.command("destroy", variables).arg("-auto-approve"));
    }
}
