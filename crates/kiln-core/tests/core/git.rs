//! Git repositories: the operations, what follows from a push, and that nothing of it is lost.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

use kiln_core::Core;
use kiln_model::{
    ApiError, ErrorCode,
    codebuild::{BatchGetBuildsInput, Build, CreateProjectInput, ListBuildsInput},
    codecommit::*,
    git::{PushHead, push_head, taken},
    service::{ByteSource, CodeBuild as _, CodeCommit as _, Context, GitCall, GitHost as _, GitService},
};

use crate::{
    fake::FakeRunners,
    place::{Place, context},
};

mod changes;

type Server = Core<FakeRunners>;

const PROJECT: &str = "arn:aws:codebuild:us-east-1:000000000000:project/demo";

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>, code: ErrorCode) {
    let error = result.unwrap_err();
    assert_eq!(error.code, code, "{error}");
}

/// Pieces of a body; one without bytes is where it breaks off.
struct Pieces(Vec<Vec<u8>>);

impl ByteSource for Pieces {
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        if self.0.is_empty() {
            return None;
        }
        let piece = self.0.remove(0);
        Some(if piece.is_empty() { Err(io::Error::other("cut")) } else { Ok(piece) })
    }
}

async fn create(core: &Server, name: &str) -> RepositoryMetadata {
    let input = CreateRepositoryInput { repository_name: name.to_owned(), ..Default::default() };
    core.create_repository(&context(), input).await.unwrap().repository_metadata.unwrap()
}

async fn get(core: &Server, name: &str) -> Result<RepositoryMetadata, ApiError> {
    let input = GetRepositoryInput { repository_name: name.to_owned() };
    core.get_repository(&context(), input).await.map(|answer| answer.repository_metadata.unwrap())
}

/// Puts a file into the branch `main`; the commit.
async fn put(core: &Server, path: &str, text: &str, parent: Option<&str>) -> Result<String, ApiError> {
    let input = PutFileInput {
        repository_name: "demo".to_owned(),
        branch_name: "main".to_owned(),
        file_content: text.as_bytes().to_vec().into(),
        file_path: path.to_owned(),
        file_mode: None,
        parent_commit_id: parent.map(str::to_owned),
        commit_message: Some("message".to_owned()),
        name: None,
        email: Some("a@b".to_owned()),
    };
    core.put_file(&context(), input).await.map(|answer| answer.commit_id)
}

async fn tip(core: &Server, branch: &str) -> Result<String, ApiError> {
    let input = GetBranchInput { repository_name: Some("demo".to_owned()), branch_name: Some(branch.to_owned()) };
    core.get_branch(&context(), input).await.map(|answer| answer.branch.unwrap().commit_id.unwrap())
}

async fn branches(core: &Server) -> Vec<String> {
    let input = ListBranchesInput { repository_name: "demo".to_owned(), next_token: None };
    core.list_branches(&context(), input).await.unwrap().branches.unwrap()
}

fn directory(place: &Place, repository: &RepositoryMetadata) -> PathBuf {
    place.data().join("repos").join(format!("{}.git", repository.repository_id.as_deref().unwrap()))
}

/// Git in a bare repository of the service's, as an operator could call it.
fn git(directory: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
    use std::{io::Write as _, process::Stdio};
    let mut child = Command::new("git")
        .arg("--git-dir")
        .arg(directory)
        .args(["-c", "user.name=a", "-c", "user.email=a@b"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{args:?}");
    output.stdout
}

/// A commit that no reference names, in that repository: of a file, after a parent.
fn commit(directory: &Path, text: &str, parent: Option<&str>) -> String {
    let one = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    let blob = one(git(directory, &["hash-object", "-w", "--stdin"], text.as_bytes()));
    let tree = one(git(directory, &["mktree"], format!("100644 blob {blob}\tfile\n").as_bytes()));
    let mut args = vec!["commit-tree", &tree, "-m", text];
    if let Some(parent) = parent {
        args.extend(["-p", parent]);
    }
    one(git(directory, &args, b""))
}

fn line(text: &str) -> Vec<u8> {
    format!("{:04x}{text}", text.len() + 4).into_bytes()
}

/// The body of a push of objects that the repository has.
fn push_body(directory: &Path, updates: &[(&str, Option<&str>, Option<&str>)]) -> Vec<u8> {
    let none = "0".repeat(40);
    let mut body = Vec::new();
    for (number, (name, old, new)) in updates.iter().enumerate() {
        let capabilities = if number == 0 { "\0 report-status side-band-64k" } else { "" };
        let (old, new) = (old.unwrap_or(&none), new.unwrap_or(&none));
        body.extend(line(&format!("{old} {new} {name}{capabilities}")));
    }
    body.extend(b"0000");
    if updates.iter().any(|(_, _, new)| new.is_some()) {
        body.extend(git(directory, &["pack-objects", "--stdout", "--quiet"], b""));
    }
    body
}

async fn send(core: &Server, who: &Context, body: Vec<Vec<u8>>) -> Result<(Vec<u8>, PushHead), ApiError> {
    let (head, _) = push_head(&body.concat()).unwrap().unwrap();
    let mut output = core.git(who, "demo", GitCall::Push(head.clone()), 0, Pieces(body)).await?;
    let mut answer = Vec::new();
    while let Some(piece) = output.next().await {
        answer.extend(piece.unwrap());
    }
    Ok((answer, head))
}

/// Pushes; the references that were taken.
async fn push(core: &Server, body: Vec<u8>) -> Vec<String> {
    let (answer, head) = send(core, &context(), vec![body]).await.unwrap();
    taken(&answer, &head)
}

fn project() -> CreateProjectInput {
    Place::input("demo", "true")
}

fn trigger(name: &str, branches: &[&str], events: &[RepositoryTriggerEventEnum]) -> RepositoryTrigger {
    RepositoryTrigger {
        name: name.to_owned(),
        destination_arn: PROJECT.to_owned(),
        custom_data: None,
        branches: Some(branches.iter().map(|branch| (*branch).to_owned()).collect()),
        events: events.to_vec(),
    }
}

async fn set_triggers(core: &Server, triggers: Vec<RepositoryTrigger>) -> Result<(), ApiError> {
    let input = PutRepositoryTriggersInput { repository_name: "demo".to_owned(), triggers };
    core.put_repository_triggers(&context(), input).await.map(drop)
}

/// The builds that were started, oldest first.
async fn builds(core: &Server) -> Vec<Build> {
    let ids = core.list_builds(&context(), ListBuildsInput::default()).await.unwrap().ids;
    if ids.is_empty() {
        return Vec::new();
    }
    let mut found = core.batch_get_builds(&context(), BatchGetBuildsInput { ids }).await.unwrap().builds;
    found.sort_by_key(|build| build.build_number);
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_live_and_go() {
    let place = Place::new();
    let core = place.serve();
    let made = create(&core, "demo").await;
    assert_eq!(made.arn.as_deref(), Some("arn:aws:codecommit:us-east-1:000000000000:demo"));
    assert_eq!(made.clone_url_http.as_deref(), Some("http://127.0.0.1:5456/v1/repos/demo"));
    assert_eq!(made.default_branch, None);
    assert_eq!(get(&core, "demo").await.unwrap(), made);
    let again = CreateRepositoryInput { repository_name: "demo".to_owned(), ..Default::default() };
    refused(core.create_repository(&context(), again.clone()).await, ErrorCode::RepositoryNameExists);
    for bad in ["x.git", "..", "."] {
        let input = CreateRepositoryInput { repository_name: bad.to_owned(), ..Default::default() };
        refused(core.create_repository(&context(), input).await, ErrorCode::InvalidRepositoryName);
    }
    let keyed = CreateRepositoryInput { kms_key_id: Some("alias/x".to_owned()), ..again };
    refused(core.create_repository(&context(), keyed).await, ErrorCode::OperationNotAllowed);
    refused(get(&core, "other").await, ErrorCode::RepositoryDoesNotExist);

    create(&core, "second").await;
    let input = UpdateRepositoryNameInput { old_name: "second".to_owned(), new_name: "demo".to_owned() };
    refused(core.update_repository_name(&context(), input).await, ErrorCode::RepositoryNameExists);
    let input = UpdateRepositoryNameInput { old_name: "second".to_owned(), new_name: "another".to_owned() };
    core.update_repository_name(&context(), input).await.unwrap();
    let input = UpdateRepositoryDescriptionInput {
        repository_name: "another".to_owned(),
        repository_description: Some("what it is for".to_owned()),
    };
    core.update_repository_description(&context(), input).await.unwrap();
    let names = ["another", "demo", "nothing"].map(str::to_owned).to_vec();
    let input = BatchGetRepositoriesInput { repository_names: names };
    let batch = core.batch_get_repositories(&context(), input).await.unwrap();
    let found = batch.repositories.unwrap();
    assert_eq!(found[0].repository_description.as_deref(), Some("what it is for"));
    assert_eq!((found.len(), batch.repositories_not_found), (2, Some(vec!["nothing".to_owned()])));
    for (order, expected) in [(OrderEnum::Ascending, ["another", "demo"]), (OrderEnum::Descending, ["demo", "another"])]
    {
        let input = ListRepositoriesInput { order: Some(order), ..Default::default() };
        let listed = core.list_repositories(&context(), input).await.unwrap().repositories.unwrap();
        assert_eq!(listed.iter().map(|pair| pair.repository_name.as_deref().unwrap()).collect::<Vec<_>>(), expected);
    }

    let tags = TagResourceInput {
        resource_arn: made.arn.clone().unwrap(),
        tags: [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into(),
    };
    core.tag_resource(&context(), tags.clone()).await.unwrap();
    let untag = UntagResourceInput { resource_arn: tags.resource_arn.clone(), tag_keys: vec!["a".to_owned()] };
    core.untag_resource(&context(), untag).await.unwrap();
    let list = ListTagsForResourceInput { resource_arn: tags.resource_arn.clone(), next_token: None };
    let listed = core.list_tags_for_resource(&context(), list).await.unwrap().tags.unwrap();
    assert_eq!(listed.into_iter().collect::<Vec<_>>(), [("b".to_owned(), "2".to_owned())]);
    let system = TagResourceInput { tags: [("aws:x".to_owned(), String::new())].into(), ..tags.clone() };
    refused(core.tag_resource(&context(), system).await, ErrorCode::InvalidSystemTagUsage);
    let other = TagResourceInput { resource_arn: "arn:aws:s3:::demo".to_owned(), ..tags };
    refused(core.tag_resource(&context(), other).await, ErrorCode::InvalidResourceArn);

    let path = directory(&place, &made);
    assert!(path.is_dir());
    let delete = DeleteRepositoryInput { repository_name: "demo".to_owned() };
    let deleted = core.delete_repository(&context(), delete.clone()).await.unwrap();
    assert_eq!(deleted.repository_id, made.repository_id);
    assert!(!path.exists());
    assert_eq!(core.delete_repository(&context(), delete).await.unwrap().repository_id, None);
    core.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_are_taken_and_recorded() {
    let place = Place::new();
    let core = place.serve();
    let path = directory(&place, &create(&core, "demo").await);
    let first = commit(&path, "one", None);
    let second = commit(&path, "two", Some(&first));
    let body = push_body(&path, &[("refs/heads/trunk", None, Some(&first)), ("refs/tags/v1", None, Some(&first))]);
    assert_eq!(push(&core, body).await, ["refs/heads/trunk", "refs/tags/v1"]);
    // The first branch is the one that clones check out.
    assert_eq!(get(&core, "demo").await.unwrap().default_branch.as_deref(), Some("trunk"));
    assert_eq!(std::fs::read_to_string(path.join("HEAD")).unwrap(), "ref: refs/heads/trunk\n");
    assert_eq!((branches(&core).await, tip(&core, "trunk").await.unwrap()), (vec!["trunk".to_owned()], first.clone()));
    // Somebody else was faster.
    let stale = push_body(&path, &[("refs/heads/trunk", Some(&second), Some(&first))]);
    assert!(push(&core, stale).await.is_empty());
    let body = push_body(&path, &[("refs/heads/trunk", Some(&first), Some(&second))]);
    assert_eq!(push(&core, body).await, ["refs/heads/trunk"]);
    assert_eq!(tip(&core, "trunk").await.unwrap(), second);
    // The default branch stays; another goes.
    let body = push_body(&path, &[("refs/heads/trunk", Some(&second), None)]);
    assert!(push(&core, body).await.is_empty());
    let body = push_body(&path, &[("refs/heads/x", None, Some(&first))]);
    push(&core, body).await;
    let body = push_body(&path, &[("refs/heads/x", Some(&first), None)]);
    assert_eq!(push(&core, body).await, ["refs/heads/x"]);
    assert_eq!(branches(&core).await, ["trunk"]);
    // One that breaks off has changed nothing, and nothing of it stays.
    let body = push_body(&path, &[("refs/heads/y", None, Some(&first))]);
    let cut = vec![body.get(..body.len() - 10).unwrap().to_vec(), Vec::new()];
    assert!(send(&core, &context(), cut).await.is_err());
    assert_eq!(branches(&core).await, ["trunk"]);
    let missing =
        core.git(&context(), "other", GitCall::Advertise(GitService::UploadPack), 2, Pieces(Vec::new())).await;
    assert_eq!(missing.unwrap_err().code, ErrorCode::RepositoryDoesNotExist);
    core.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_pushes_wins() {
    let place = Place::new();
    let core = place.serve();
    let path = directory(&place, &create(&core, "demo").await);
    let first = put(&core, "a", "1", None).await.unwrap();
    for round in 0..5 {
        let parent = tip(&core, "main").await.unwrap();
        let commits: Vec<String> = (0..4).map(|n| commit(&path, &format!("{round} {n}"), Some(&parent))).collect();
        let mut pushes = tokio::task::JoinSet::new();
        for commit in &commits {
            let body = push_body(&path, &[("refs/heads/main", Some(&parent), Some(commit))]);
            let core = core.clone();
            pushes.spawn(async move { push(&core, body).await.len() });
        }
        let won: usize = pushes.join_all().await.into_iter().sum();
        assert_eq!(won, 1);
        assert!(commits.contains(&tip(&core, "main").await.unwrap()));
    }
    assert_ne!(tip(&core, "main").await.unwrap(), first);
    core.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_objects_are_refused() {
    let place = Place::new();
    let core = place.serve();
    let path = directory(&place, &create(&core, "demo").await);
    let first = put(&core, "a", "1", None).await.unwrap();
    let blob = String::from_utf8(git(&path, &["hash-object", "-w", "--stdin"], b"x")).unwrap();
    let id: Vec<u8> = (0..20).map(|n| u8::from_str_radix(&blob[2 * n..2 * n + 2], 16).unwrap()).collect();
    for name in [".git", "..", "", "a/b"] {
        // A folder that no git makes, in another repository, so that it has to be sent.
        let other = tempfile::tempdir().unwrap();
        let other = other.path().join("other.git");
        assert!(Command::new("git").args(["init", "--quiet", "--bare"]).arg(&other).status().unwrap().success());
        let mut tree = format!("100644 {name}\0").into_bytes();
        tree.extend(&id);
        git(&other, &["hash-object", "-w", "--stdin"], b"x");
        let args = ["hash-object", "-t", "tree", "-w", "--stdin", "--literally"];
        let tree = String::from_utf8(git(&other, &args, &tree)).unwrap().trim().to_owned();
        let bad = String::from_utf8(git(&other, &["commit-tree", &tree, "-m", "bad"], b"")).unwrap().trim().to_owned();
        let mut body = line(&format!("{} {bad} refs/heads/bad\0 report-status side-band-64k", "0".repeat(40)));
        body.extend(b"0000");
        let all = format!("{bad}\n{tree}\n{}\n", blob.trim());
        body.extend(git(&other, &["pack-objects", "--stdout", "--quiet"], all.as_bytes()));
        let (answer, head) = send(&core, &context(), vec![body]).await.unwrap();
        assert!(taken(&answer, &head).is_empty(), "{name:?}");
        assert!(String::from_utf8_lossy(&answer).contains("fsck error"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!((branches(&core).await, tip(&core, "main").await.unwrap()), (vec!["main".to_owned()], first));
    core.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_start_builds_of_what_was_pushed() {
    let place = Place::new();
    let core = place.serve();
    let repository = create(&core, "demo").await;
    let path = directory(&place, &repository);
    core.create_project(&context(), project()).await.unwrap();
    set_triggers(
        &core,
        vec![
            trigger("main", &["main"], &[RepositoryTriggerEventEnum::All]),
            trigger("new", &[], &[RepositoryTriggerEventEnum::CreateReference]),
        ],
    )
    .await
    .unwrap();
    let first = put(&core, "a", "1", None).await.unwrap();
    let initiators = async || builds(&core).await.into_iter().map(|build| build.initiator.unwrap()).collect::<Vec<_>>();
    assert_eq!(initiators().await, ["trigger/main", "trigger/new"]);
    // Another branch is new only once.
    let side = commit(&path, "side", Some(&first));
    push(&core, push_body(&path, &[("refs/heads/side", None, Some(&first))])).await;
    push(&core, push_body(&path, &[("refs/heads/side", Some(&first), Some(&side))])).await;
    assert_eq!(initiators().await.len(), 3);
    let next = commit(&path, "next", Some(&first));
    push(&core, push_body(&path, &[("refs/heads/main", Some(&first), Some(&next))])).await;
    assert_eq!(initiators().await.last().unwrap(), "trigger/main");
    // What is gone cannot be built.
    push(&core, push_body(&path, &[("refs/heads/side", Some(&side), None)])).await;
    assert_eq!(initiators().await.len(), 4);
    // A project that is gone does not keep anybody from pushing.
    let delete = kiln_model::codebuild::DeleteProjectInput { name: "demo".to_owned() };
    core.delete_project(&context(), delete).await.unwrap();
    let last = commit(&path, "last", Some(&next));
    assert_eq!(push(&core, push_body(&path, &[("refs/heads/main", Some(&next), Some(&last))])).await.len(), 1);
    core.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_are_checked() {
    let place = Place::new();
    let core = place.serve();
    create(&core, "demo").await;
    let all = [RepositoryTriggerEventEnum::All];
    let good = trigger("t", &["main"], &all);
    set_triggers(&core, vec![good.clone()]).await.unwrap();
    let input = GetRepositoryTriggersInput { repository_name: "demo".to_owned() };
    assert_eq!(core.get_repository_triggers(&context(), input).await.unwrap().triggers, Some(vec![good.clone()]));
    let with = |destination: &str| RepositoryTrigger { destination_arn: destination.to_owned(), ..good.clone() };
    for (triggers, code) in [
        (vec![good.clone(); 2], ErrorCode::InvalidRepositoryTriggerName),
        (vec![with("arn:aws:sns:us-east-1:000000000000:topic")], ErrorCode::InvalidRepositoryTriggerDestinationArn),
        (vec![with("demo")], ErrorCode::InvalidRepositoryTriggerDestinationArn),
        (vec![with(&PROJECT.replace("east-1", "west-2"))], ErrorCode::InvalidRepositoryTriggerRegion),
        (vec![trigger("t", &["a b"], &all)], ErrorCode::InvalidRepositoryTriggerBranchName),
        (vec![trigger("t", &["b"; 11], &all)], ErrorCode::MaximumBranchesExceeded),
        (vec![trigger("t", &[], &[])], ErrorCode::RepositoryTriggerEventsListRequired),
        ((0..11).map(|n| trigger(&n.to_string(), &[], &all)).collect(), ErrorCode::MaximumRepositoryTriggersExceeded),
    ] {
        refused(set_triggers(&core, triggers).await, code);
    }
    let test = TestRepositoryTriggersInput { repository_name: "demo".to_owned(), triggers: vec![good] };
    let tested = core.test_repository_triggers(&context(), test.clone()).await.unwrap();
    assert_eq!(tested.failed_executions.unwrap()[0].trigger.as_deref(), Some("t"));
    core.create_project(&context(), project()).await.unwrap();
    let tested = core.test_repository_triggers(&context(), test).await.unwrap();
    assert_eq!(tested.successful_executions, Some(vec!["t".to_owned()]));
    core.stop();
}

/// What git did and a server did not live to record has its effect at the next start, once.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_recorded_is_found_at_the_start() {
    let place = Place::new();
    let core = place.serve();
    let path = directory(&place, &create(&core, "demo").await);
    core.create_project(&context(), project()).await.unwrap();
    let first = put(&core, "a", "1", None).await.unwrap();
    set_triggers(&core, vec![trigger("t", &[], &[RepositoryTriggerEventEnum::All])]).await.unwrap();
    core.stop();
    drop(core);
    // As if the server had died between git's change and the record of it.
    let next = commit(&path, "next", Some(&first));
    git(&path, &["update-ref", "refs/heads/main", &next], b"");
    git(&path, &["update-ref", "refs/heads/new", &next], b"");
    std::fs::write(path.join("refs/heads/main.lock"), "").unwrap();
    // And in the middle of making another, and of removing one.
    std::fs::create_dir_all(place.data().join("repos/0f0e0d0c-1111-4222-8333-444455556666.git")).unwrap();
    for restart in 0..2 {
        let core = place.serve();
        let last = commit(&path, &format!("last {restart}"), Some(&tip_of(&path)));
        // A change waits until everything was looked at.
        let body = push_body(&path, &[("refs/heads/main", Some(&tip_of(&path)), Some(&last))]);
        assert_eq!(push(&core, body).await, ["refs/heads/main"]);
        assert_eq!(builds(&core).await.len(), 3 + restart, "two that were late, one for each push");
        assert_eq!(branches(&core).await, ["main", "new"]);
        core.stop();
    }
    assert_eq!(std::fs::read_dir(place.data().join("repos")).unwrap().count(), 1);
}

fn tip_of(path: &Path) -> String {
    String::from_utf8(git(path, &["rev-parse", "refs/heads/main"], b"")).unwrap().trim().to_owned()
}
