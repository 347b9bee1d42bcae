//! `kiln webhook test`: what the filters of a webhook say of a delivery, one by one.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use kiln_core::webhook::{
    event::{self, Provider},
    explain,
};
use kiln_model::{
    codebuild::{BatchGetProjectsInput, BatchGetProjectsOutput, Webhook},
    kiln::{DeliveryStatus, EventDecision},
};
use serde_json::Value;

use crate::{
    app::App,
    client::{Client, Operation, access::Listen},
    exit::{self, usage},
};

/// What `kiln webhook` is told.
#[derive(Debug, Args)]
pub(crate) struct WebhookArgs {
    #[command(subcommand)]
    command: WebhookCommand,
}

#[derive(Debug, Subcommand)]
enum WebhookCommand {
    /// Say whether a delivery would start a build, and what each filter has to do with it; exit status 1: it would not
    Test(TestArgs),
}

#[derive(Debug, Args)]
struct TestArgs {
    /// A project of the service; or a file with its description, as `aws codebuild batch-get-projects` prints it, or with a
    /// webhook's: no service is needed then
    project: String,

    /// The body of the delivery, in a file; - for the standard input
    payload: PathBuf,

    /// What the provider calls the event, as its header says; by default what the body looks like
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,

    /// Whose delivery it is; by default what the body looks like
    #[arg(long, value_name = "PROVIDER", value_parser = ["github", "gitlab", "bitbucket", "gitea"])]
    provider: Option<String>,

    /// Print the decisions as JSON (docs/kiln-api.md, GetWebhookDelivery)
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    listen: Listen,
}

/// Runs `kiln webhook …`.
pub(crate) fn run(args: &WebhookArgs, app: &App) -> anyhow::Result<ExitCode> {
    let WebhookCommand::Test(args) = &args.command;
    let webhook = match described(&args.project)? {
        Some(webhook) => webhook,
        None => of_service(args, app)?,
    };
    let body = read(&args.payload)?;
    let Ok(value) = serde_json::from_slice::<Value>(&body) else { usage!("{}: no JSON", args.payload.display()) };
    let (provider, name) = kind(&value, args.provider.as_deref(), args.event.as_deref());
    let Some(name) = name else {
        usage!("{}: --event says what the provider calls it, e.g. --event push", args.payload.display())
    };
    let payload = match event::read(provider, &name, &body) {
        Ok(payload) => payload,
        Err(why) => usage!("{}: {why}", args.payload.display()),
    };
    let decisions = explain(&webhook, &payload);
    if args.json {
        println!("{}", serde_json::to_string(&decisions)?);
    } else {
        decisions.iter().for_each(|decision| print!("{}", text(decision)));
    }
    let builds = decisions.iter().any(|decision| decision.status == DeliveryStatus::Started);
    Ok(if builds { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut body = Vec::new();
        io::stdin().read_to_end(&mut body)?;
        return Ok(body);
    }
    match fs::read(path) {
        Ok(body) => Ok(body),
        Err(e) => usage!("cannot read {}: {e}", path.display()),
    }
}

/// The webhook that a file describes; `None`: it is no file.
fn described(project: &str) -> anyhow::Result<Option<Webhook>> {
    if !Path::new(project).is_file() {
        return Ok(None);
    }
    let text = read(Path::new(project))?;
    let Ok(value) = serde_json::from_slice::<Value>(&text) else { usage!("{project}: no JSON") };
    let places = ["/projects/0/webhook", "/project/webhook", "/webhook", ""];
    let found = places.iter().filter_map(|place| value.pointer(place)).find(|value| value.is_object());
    let webhook = found.cloned().map(serde_json::from_value::<Webhook>);
    match webhook {
        Some(Ok(webhook)) => Ok(Some(webhook)),
        Some(Err(e)) => usage!("{project}: {e}"),
        None => usage!("{project} describes no webhook"),
    }
}

fn of_service(args: &TestArgs, app: &App) -> anyhow::Result<Webhook> {
    let input = BatchGetProjectsInput { names: vec![args.project.clone()] };
    let client = Client::at(app, &args.listen)?;
    let output: BatchGetProjectsOutput = client.call(Operation::CodeBuild("BatchGetProjects"), &input)?;
    match output.projects.into_iter().next() {
        None => usage!("there is no project {}", args.project),
        Some(project) => match project.webhook {
            Some(webhook) => Ok(webhook),
            None => usage!("project {} has no webhook", args.project),
        },
    }
}

/// Whose delivery it is, and what it is called.
fn kind(body: &Value, provider: Option<&str>, event: Option<&str>) -> (Provider, Option<String>) {
    let is_there = |pointer: &str| body.pointer(pointer).is_some_and(|value| !value.is_null());
    let provider = match provider {
        Some("gitlab") => Provider::Gitlab,
        Some("bitbucket") => Provider::Bitbucket,
        Some("gitea") => Provider::Gitea,
        Some(_) => Provider::Github,
        None if is_there("/object_kind") => Provider::Gitlab,
        None if is_there("/push/changes") || is_there("/pullrequest") => Provider::Bitbucket,
        None => Provider::Github,
    };
    let seems = match provider {
        Provider::Gitlab => body["object_kind"].as_str(),
        Provider::Bitbucket if is_there("/push/changes") => Some("repo:push"),
        Provider::Bitbucket if is_there("/comment") => Some("pullrequest:comment_created"),
        Provider::Bitbucket => match body["pullrequest"]["state"].as_str() {
            Some("MERGED") => Some("pullrequest:fulfilled"),
            Some("DECLINED") => Some("pullrequest:rejected"),
            _ => None,
        },
        Provider::Github | Provider::Gitea => [
            ("/zen", "ping"),
            ("/comment", "issue_comment"),
            ("/pull_request", "pull_request"),
            ("/workflow_job", "workflow_job"),
            ("/release", "release"),
            ("/after", "push"),
        ]
        .into_iter()
        .find_map(|(pointer, name)| is_there(pointer).then_some(name)),
    };
    (provider, event.or(seems).map(str::to_owned))
}

fn text(decision: &EventDecision) -> String {
    let mut text = String::new();
    let told = [&decision.event, &decision.trigger, &decision.commit];
    let told: Vec<&str> = told.into_iter().flatten().map(String::as_str).collect();
    text.push_str(&format!("{}{}{}\n", told.join(" "), if told.is_empty() { "" } else { ": " }, decision.message));
    for (number, group) in decision.groups.iter().enumerate() {
        let does = if group.matched { "matches" } else { "does not match" };
        text.push_str(&format!("  group {} {does}\n", number + 1));
        for filter in &group.filters {
            let mark = match filter.matched {
                Some(true) => "yes",
                Some(false) => "no ",
                None => "?  ",
            };
            let not = if filter.exclude_matched_pattern { "not " } else { "" };
            let value = filter.value.as_ref().map(|value| format!(" ({})", value.escape_debug())).unwrap_or_default();
            let (kind, pattern, reason) = (filter.r#type, filter.pattern.escape_debug(), &filter.reason);
            text.push_str(&format!("    {mark} {not}{kind} {pattern}: {reason}{value}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn deliveries_are_known_by_their_looks() {
        let seen = |body: Value| {
            let (provider, name) = kind(&body, None, None);
            (provider, name.unwrap_or_default())
        };
        let is = |provider, name: &str| (provider, name.to_owned());
        assert_eq!(seen(json!({ "after": "x", "ref": "y" })), is(Provider::Github, "push"));
        assert_eq!(seen(json!({ "pull_request": {}, "action": "opened" })), is(Provider::Github, "pull_request"));
        assert_eq!(seen(json!({ "issue": {}, "comment": {} })), is(Provider::Github, "issue_comment"));
        assert_eq!(seen(json!({ "object_kind": "merge_request" })), is(Provider::Gitlab, "merge_request"));
        assert_eq!(seen(json!({ "push": { "changes": [] } })), is(Provider::Bitbucket, "repo:push"));
        assert_eq!(seen(json!({ "pullrequest": { "state": "OPEN" } })), is(Provider::Bitbucket, ""));
        assert_eq!(kind(&json!({}), Some("gitea"), Some("push")), (Provider::Gitea, Some("push".to_owned())));
        assert_eq!(seen(json!([])), is(Provider::Github, ""));
    }
}
