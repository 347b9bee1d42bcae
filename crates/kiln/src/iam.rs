//! `kiln iam simulate`: what policies say about a call, statement by statement.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use kiln_core::iam::explained;
use kiln_iam::policy::{Context, Kind, Layer, Policies, Policy, Principal, Request, is_arn};
use kiln_model::kiln::{ExplainAccessInput, ExplainAccessOutput, KeyValues};

use crate::{
    app::App,
    client::{Client, Operation, access::Listen},
    exit::{self, usage},
    terminal::{table::aligned, text},
};

/// What `kiln iam` is told.
#[derive(Debug, Args)]
pub(crate) struct IamArgs {
    #[command(subcommand)]
    command: IamCommand,
}

#[derive(Debug, Subcommand)]
enum IamCommand {
    /// Say whether somebody may do something, and what each statement of each policy has to do with it; exit status 1: no
    Simulate(SimulateArgs),
}

#[derive(Debug, Args)]
struct SimulateArgs {
    /// What would be done, e.g. codebuild:StartBuild
    action: String,

    /// ARN of what it would be done to
    resource: Option<String>,

    /// ARN of the user or role of the service who would do it, with all policies that count there
    #[arg(long, value_name = "ARN", required_unless_present = "policy", conflicts_with_all = ["policy", "boundary"])]
    principal: Option<String>,

    /// A policy in a file, instead of those that somebody has; may be given several times. No service is needed
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,

    /// A permissions boundary in a file, with --policy
    #[arg(long, value_name = "FILE")]
    boundary: Option<PathBuf>,

    /// A condition key that the call would have, e.g. aws:SourceIp=10.0.0.1; several times for several values
    #[arg(long, short, value_name = "KEY=VALUE")]
    context: Vec<String>,

    /// Print the answer as JSON (docs/kiln-api.md, ExplainAccess)
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    listen: Listen,
}

/// Runs `kiln iam …`.
pub(crate) fn run(args: &IamArgs, app: &App) -> anyhow::Result<ExitCode> {
    let IamCommand::Simulate(args) = &args.command;
    let context = given(&args.context)?;
    let output = match &args.principal {
        Some(principal) => {
            let input = ExplainAccessInput {
                principal: principal.clone(),
                action: args.action.clone(),
                resource: args.resource.clone(),
                context,
            };
            Client::at(app, &args.listen)?.call(Operation::Kiln("ExplainAccess"), &input)?
        }
        None => of_files(args, &context)?,
    };
    if args.json {
        println!("{}", serde_json::to_string(&output)?);
    } else {
        print!("{}", table(&output));
    }
    Ok(if output.decision == "allowed" { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

/// The condition keys of the command line.
fn given(texts: &[String]) -> anyhow::Result<Vec<KeyValues>> {
    let mut context: Vec<KeyValues> = Vec::new();
    for given in texts {
        let Some((key, value)) = given.split_once('=').filter(|(key, _)| key.contains(':')) else {
            usage!("--context {given}: write KEY=VALUE, e.g. aws:SourceIp=10.0.0.1")
        };
        match context.iter_mut().find(|known| known.key.eq_ignore_ascii_case(key)) {
            Some(known) => known.values.push(value.to_owned()),
            None => context.push(KeyValues { key: key.to_owned(), values: vec![value.to_owned()] }),
        }
    }
    Ok(context)
}

/// What policies in files say of it, by the same rules as the service's.
fn of_files(args: &SimulateArgs, given: &[KeyValues]) -> anyhow::Result<ExplainAccessOutput> {
    let resource = args.resource.as_deref().unwrap_or("*");
    if resource != "*" && !is_arn(resource) {
        usage!("{resource} is no ARN: write e.g. arn:aws:codebuild:us-east-1:000000000000:project/demo")
    }
    // The longest text that somebody may have is a role's inline policy.
    let read: Vec<Policy> =
        args.policy.iter().map(|path| policy(Kind::RoleInline, path)).collect::<anyhow::Result<_>>()?;
    let boundary = args.boundary.as_deref().map(|path| policy(Kind::Managed, path)).transpose()?;
    let mut context = Context::new();
    for key in given {
        match key.values.as_slice() {
            [value] => context.set(&key.key, value.clone()),
            values => context.set_many(&key.key, values.iter().map(String::as_str)),
        }
    }
    let account = resource.split(':').nth(4).filter(|account| !account.is_empty()).unwrap_or("000000000000");
    let arn = format!("arn:aws:iam::{account}:user/simulated");
    let request = Request {
        principal: &Principal::User { account: account.to_owned(), arn: arn.clone() },
        action: &args.action,
        resource,
        account,
        context: &context,
    };
    let identity: Vec<&Policy> = read.iter().collect();
    let policies = Policies { identity: &identity, boundary: boundary.as_ref(), ..Policies::default() };
    let name = |layer: Layer, at: usize| {
        let path = if layer == Layer::Boundary { args.boundary.as_ref() } else { args.policy.get(at) };
        path.map(|path| path.display().to_string())
    };
    match explained(&request, &policies, &arn, name) {
        Some(output) => Ok(output),
        None => usage!("{} is no action: write e.g. codebuild:StartBuild", args.action),
    }
}

fn policy(kind: Kind, path: &Path) -> anyhow::Result<Policy> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => usage!("cannot read {}: {error}", path.display()),
    };
    match Policy::parse(kind, &text) {
        Ok(policy) => Ok(policy),
        Err(error) => usage!("{}: {error}", path.display()),
    }
}

fn table(output: &ExplainAccessOutput) -> String {
    let mut rows = vec![["POLICY", "STATEMENT", "EFFECT", "APPLIES"].map(str::to_owned)];
    for one in &output.statements {
        let policy = match &one.policy {
            Some(policy) if one.policy_type == Layer::Boundary.name() => format!("{policy} (boundary)"),
            Some(policy) => policy.clone(),
            None => one.policy_type.clone(),
        };
        let applies = one.why_not.as_ref().map_or_else(|| "yes".to_owned(), |why| format!("no: {why}"));
        rows.push([policy, one.statement.clone(), one.effect.clone(), applies].map(|cell| text::one_line(&cell)));
    }
    let message = output.message.as_ref().map(|message| format!("{}\n", text::one_line(message))).unwrap_or_default();
    format!("{}\n{message}{}", output.decision, if rows.len() > 1 { aligned(&rows, &[]) } else { String::new() })
}

#[cfg(test)]
mod tests {
    use kiln_model::kiln::ExplainedStatement;

    use super::*;

    #[test]
    fn a_decision_is_explained_line_by_line() {
        let statement = ExplainedStatement {
            policy_type: "identity-based policy".to_owned(),
            policy: Some("mine".to_owned()),
            statement: "1".to_owned(),
            effect: "Allow".to_owned(),
            applies: false,
            why_not: Some("other \u{1b}actions".to_owned()),
        };
        let boundary = ExplainedStatement { policy_type: Layer::Boundary.name().to_owned(), ..statement.clone() };
        let output = ExplainAccessOutput {
            decision: "implicitDeny".to_owned(),
            message: Some("User: x is not authorized".to_owned()),
            resource: "*".to_owned(),
            statements: vec![statement, boundary],
        };
        let shown = table(&output);
        assert!(shown.starts_with("implicitDeny\nUser: x is not authorized\nPOLICY"), "{shown}");
        assert!(shown.contains("no: other") && !shown.contains('\u{1b}'), "{shown}");
        assert!(shown.contains("\nmine (boundary)  1 "), "{shown}");
    }

    #[test]
    fn keys_are_gathered_and_have_a_service() {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let keys = given(&texts(&["aws:TagKeys=a", "aws:tagkeys=b=c", "aws:SourceIp=10.0.0.1"])).unwrap();
        assert_eq!((keys.len(), keys[0].values.as_slice()), (2, texts(&["a", "b=c"]).as_slice()));
        for wrong in ["aws:SourceIp", "SourceIp=1", "=x"] {
            assert_eq!(exit::of_error(&given(&texts(&[wrong])).unwrap_err()), exit::USAGE, "{wrong}");
        }
    }
}
