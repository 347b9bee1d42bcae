//! Payloads of each provider, every kind of filter, and what is heard of a branch in any order.

use kiln_core::webhook::{
    event::{self, Event, EventKind, Files, Payload, Provider, Told},
    filter::{self, Missing, Rules, Verdict},
    order::{self, Known, Once, Place},
};
use kiln_model::{
    ErrorCode,
    codebuild::{SourceType, WebhookFilter, WebhookFilterType as Kind},
};
use proptest::prelude::*;
use serde_json::Value;

fn payloads(text: &str) -> Vec<(String, Value)> {
    let all: Vec<Value> = serde_json::from_str(text).unwrap();
    all.into_iter().map(|one| (one["event"].as_str().unwrap().to_owned(), one["payload"].clone())).collect()
}

fn read(provider: Provider, event: &str, payload: &Value) -> Payload {
    event::read(provider, event, &serde_json::to_vec(payload).unwrap()).unwrap()
}

/// What is read of each payload: the kinds of its events and what they build.
fn told(provider: Provider, text: &str) -> Vec<String> {
    payloads(text)
        .iter()
        .flat_map(|(event, payload)| match read(provider, event, payload) {
            Payload::Events(events) => events
                .iter()
                .map(|event| {
                    let gone = if event.is_deletion { " removed" } else { "" };
                    format!("{} {}{gone}", event.kind.as_str(), event.trigger().unwrap_or_default())
                })
                .collect(),
            Payload::Approval(approval) => vec![format!("approval of pr/{} by {}", approval.number, approval.by.id)],
            Payload::Other(why) => vec![why],
        })
        .collect()
}

fn one(provider: Provider, text: &str, at: usize) -> Event {
    let (event, payload) = payloads(text).remove(at);
    let Payload::Events(mut events) = read(provider, &event, &payload) else { panic!("{event}") };
    events.remove(0)
}

const GITHUB: &str = include_str!("../../payloads/github.json");
const GITLAB: &str = include_str!("../../payloads/gitlab.json");
const BITBUCKET: &str = include_str!("../../payloads/bitbucket.json");
const GITEA: &str = include_str!("../../payloads/gitea.json");

#[test]
fn githubs_own_examples_are_understood() {
    assert_eq!(
        told(Provider::Github, GITHUB),
        [
            "PUSH tag/simple-tag",
            "PUSH tag/simple-tag removed",
            "PUSH tag/simple-tag removed",
            "PUSH tag/simple-tag removed",
            "PUSH branch/master",
            "PUSH branch/master",
            "PUSH tag/simple-tag removed",
            "a ping: the webhook works",
            "PULL_REQUEST_CREATED pr/2",
            "PULL_REQUEST_CLOSED pr/2",
            "pull_request labeled builds nothing",
            "PULL_REQUEST_REOPENED pr/2",
            "PULL_REQUEST_UPDATED pr/2",
            "release published builds nothing",
            "release created builds nothing",
            "release deleted builds nothing",
            "release edited builds nothing",
            "PRERELEASED tag/0.0.1",
            "RELEASED tag/0.0.1",
            "workflow_job in_progress builds nothing",
            "workflow_job completed builds nothing",
            "WORKFLOW_JOB_QUEUED branch/main",
            "workflow_job waiting builds nothing",
            "the comment approves no build of a pull request",
        ]
    );
    let push = one(Provider::Github, GITHUB, 4);
    assert_eq!((push.actor.id.as_str(), push.actor.handle.as_str()), ("21031067", "Codertocat"));
    assert_eq!((push.repository.as_str(), push.repository_name.as_str()), ("Codertocat/Hello-World", "Hello-World"));
    assert_eq!(push.commit.as_deref(), Some("6113728f27ae82c7b1a177c8d03f9e96e0adf246"));
    assert_eq!((push.before.as_deref(), push.at_ms), (None, Some(1_557_933_657_000)));
    assert_eq!(push.source_version(SourceType::Github), push.commit);
    let request = one(Provider::Github, GITHUB, 8);
    assert_eq!(request.source_version(SourceType::Github).as_deref(), Some("pr/2"));
    assert_eq!(request.head_ref.as_deref(), Some("refs/heads/changes"));
    assert_eq!(request.base_ref.as_deref(), Some("refs/heads/master"));
    let of = request.pull_request.clone().unwrap();
    assert!(!of.is_fork && of.is_of_owner);
    assert_eq!((request.files, request.message), (Told::Ask, Told::Ask));
}

#[test]
fn the_samples_of_the_others_are_understood() {
    assert_eq!(
        told(Provider::Gitlab, GITLAB),
        [
            "PUSH branch/master",
            "PUSH branch/master removed",
            "PUSH tag/v1.0.0",
            "PULL_REQUEST_CREATED pr/1",
            "PULL_REQUEST_MERGED pr/1",
            "approval of pr/1 by 1",
            "RELEASED tag/v1.1",
            "WORKFLOW_JOB_QUEUED branch/gitlab-script-trigger",
        ]
    );
    let tag = one(Provider::Gitlab, GITLAB, 2);
    assert_eq!(tag.commit.as_deref(), Some("5937ac0a7beb003549fc5fd26fc247adbce4a52e"), "not the tag's object");
    let push = one(Provider::Gitlab, GITLAB, 0);
    assert_eq!(push.message, Told::Known("fixed readme".to_owned()));
    let paths = vec!["CHANGELOG".to_owned(), "app/controller/application.rb".to_owned()];
    assert_eq!(push.files, Told::Known(Files { paths, is_cut: false }));
    let merged = one(Provider::Gitlab, GITLAB, 4);
    assert!(merged.pull_request.as_ref().unwrap().is_fork);
    assert!(merged.variables().iter().any(|(name, _)| name == "CODEBUILD_WEBHOOK_MERGE_COMMIT"));

    assert_eq!(
        told(Provider::Bitbucket, BITBUCKET),
        [
            "PUSH branch/name-of-branch",
            "PUSH tag/v1",
            "PUSH branch/gone removed",
            "PULL_REQUEST_CREATED pr/1",
            "PULL_REQUEST_MERGED pr/1",
            "PULL_REQUEST_CLOSED pr/1",
            "approval of pr/1 by 557058:c0b72ad0",
            "repo:fork builds nothing",
        ]
    );
    let request = one(Provider::Bitbucket, BITBUCKET, 1);
    assert_eq!(request.source_version(SourceType::Bitbucket).as_deref(), Some("d3022fc0ca3d"));
    assert!(one(Provider::Bitbucket, BITBUCKET, 2).pull_request.unwrap().is_fork, "of a fork that is gone");

    assert_eq!(
        told(Provider::Gitea, GITEA),
        [
            "PUSH branch/develop",
            "PULL_REQUEST_CREATED pr/4",
            "PULL_REQUEST_UPDATED pr/4",
            "approval of pr/4 by 1",
            "PRERELEASED tag/v2",
        ]
    );
    assert!(one(Provider::Gitea, GITEA, 1).pull_request.unwrap().is_fork);
}

#[test]
fn a_form_holds_the_same_as_its_json() {
    let (name, payload) = payloads(GITHUB).remove(4);
    let text = payload.to_string();
    let escaped: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let form = event::read(Provider::Github, &name, format!("payload={escaped}&x=1").as_bytes()).unwrap();
    assert_eq!(form, read(Provider::Github, &name, &payload));
    assert!(event::read(Provider::Github, &name, b"payload=%7").is_err());
}

fn with(kind: Kind, pattern: &str) -> WebhookFilter {
    WebhookFilter { r#type: kind, pattern: pattern.to_owned(), exclude_matched_pattern: Some(false) }
}

fn without(kind: Kind, pattern: &str) -> WebhookFilter {
    WebhookFilter { exclude_matched_pattern: Some(true), ..with(kind, pattern) }
}

fn verdict(event: &Event, filters: &[WebhookFilter]) -> Verdict {
    let mut group = vec![with(Kind::Event, event.kind.as_str())];
    group.extend_from_slice(filters);
    filter::decide(Rules::Groups(&[group]), event).0
}

fn passes(event: &Event, filter: WebhookFilter) -> bool {
    match verdict(event, &[filter]) {
        Verdict::Pass => true,
        Verdict::Fail => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_filter_looks_at_its_own() {
    let mut push = one(Provider::Github, GITHUB, 4);
    push.files = Told::Known(Files::of(["src/main.rs".to_owned(), "docs/a.md".to_owned()]));
    push.message = Told::Known("Mend it\n\n[skip]".to_owned());
    push.organization = Some("acme".to_owned());
    let mut request = one(Provider::Github, GITHUB, 8);
    request.files = push.files.clone();
    let release = one(Provider::Github, GITHUB, 18);
    let job = one(Provider::Github, GITHUB, 21);
    for (event, kind, good, bad) in [
        (&push, Kind::ActorAccountId, "^21031067$", "^2103$"),
        (&push, Kind::HeadRef, "^refs/heads/master$", "^refs/tags/"),
        (&push, Kind::FilePath, "^src/", r"\.py$"),
        (&push, Kind::CommitMessage, r"\[skip\]", "^skip"),
        (&push, Kind::RepositoryName, "^Hello-World$", "^Hello$"),
        (&push, Kind::OrganizationName, "acme", "other"),
        (&request, Kind::BaseRef, "^refs/heads/master$", "^refs/heads/main$"),
        (&request, Kind::HeadRef, "changes", "master"),
        (&request, Kind::FilePath, "main", "lib"),
        (&release, Kind::TagName, r"^0\.0\.", "^v"),
        (&release, Kind::HeadRef, "^refs/tags/0", "heads"),
        (&job, Kind::HeadRef, "main", "x"),
    ] {
        assert!(passes(event, with(kind, good)), "{kind} {good}");
        assert!(!passes(event, with(kind, bad)), "{kind} {bad}");
        assert!(!passes(event, without(kind, good)), "{kind} without {good}");
        assert!(passes(event, without(kind, bad)), "{kind} without {bad}");
    }
    let named = Event { release: Some("One".to_owned()), workflow: Some("ci".to_owned()), ..release.clone() };
    assert!(passes(&named, with(Kind::ReleaseName, "^One$")) && !passes(&named, with(Kind::ReleaseName, "Two")));
    assert!(passes(&named, with(Kind::WorkflowName, "^ci$")) && !passes(&named, with(Kind::WorkflowName, "cd")));
    // What an event does not have lets it pass neither way.
    for filter in [with(Kind::BaseRef, ""), without(Kind::BaseRef, "x"), with(Kind::TagName, "")] {
        assert!(!passes(&push, filter));
    }
    assert!(!passes(&release, with(Kind::FilePath, "")));
    // Anywhere in the value, as AWS has it.
    assert!(passes(&push, with(Kind::ActorAccountId, "3106")));
}

#[test]
fn groups_are_alternatives_and_filters_of_one_are_not() {
    let push = one(Provider::Github, GITHUB, 4);
    let master = vec![with(Kind::Event, "PULL_REQUEST_CREATED, PUSH"), with(Kind::HeadRef, "master$")];
    let tags = vec![with(Kind::Event, "PUSH"), with(Kind::HeadRef, "^refs/tags/")];
    let decided = |groups: &[Vec<WebhookFilter>]| filter::decide(Rules::Groups(groups), &push);
    assert_eq!(decided(&[tags.clone(), master]).0, Verdict::Pass);
    let (verdict, groups) = decided(&[tags, vec![with(Kind::Event, "RELEASED")]]);
    assert_eq!(verdict, Verdict::Fail);
    assert_eq!(groups.iter().map(|group| group.matched).collect::<Vec<_>>(), [false, false]);
    let told = &groups[0].filters[1];
    assert_eq!((told.matched, told.value.as_deref()), (Some(false), Some("refs/heads/master")));
    assert_eq!(told.reason, "the value does not match");
    for (rules, expected) in [
        (Rules::All, Verdict::Pass),
        (Rules::Branch("master|main"), Verdict::Pass),
        (Rules::Branch("mast"), Verdict::Fail),
        (Rules::of(Some(&[]), Some("")), Verdict::Pass),
    ] {
        assert_eq!(filter::decide(rules, &push).0, expected, "{rules:?}");
    }
    let closed = one(Provider::Github, GITHUB, 9);
    assert_eq!(filter::decide(Rules::All, &closed).0, Verdict::Fail);
}

#[test]
fn the_provider_is_asked_only_when_it_matters() {
    let request = one(Provider::Github, GITHUB, 8);
    let files = with(Kind::FilePath, "^src/");
    assert_eq!(verdict(&request, std::slice::from_ref(&files)), Verdict::Ask(Missing { files: true, message: false }));
    assert_eq!(verdict(&request, &[files.clone(), with(Kind::BaseRef, "^x$")]), Verdict::Fail);
    let other = vec![with(Kind::Event, "PULL_REQUEST_CREATED")];
    let groups = [vec![with(Kind::Event, "PULL_REQUEST_CREATED"), files.clone()], other];
    assert_eq!(filter::decide(Rules::Groups(&groups), &request).0, Verdict::Pass);
    let lost = Event { files: Told::Unavailable("no token".to_owned()), ..request };
    let Verdict::Unknown(why) = verdict(&lost, &[files]) else { panic!() };
    assert!(why.contains("no token"), "{why}");
}

#[test]
fn too_many_files_build_rather_than_not() {
    let many = Files::of((0..=event::MOST_FILES).map(|n| format!("f{n}")));
    assert!(many.is_cut && many.paths.len() == event::MOST_FILES);
    let event = Event { files: Told::Known(many), ..one(Provider::Github, GITHUB, 4) };
    assert!(passes(&event, with(Kind::FilePath, "^none$")) && passes(&event, without(Kind::FilePath, "^none$")));
}

#[test]
fn wrong_filters_are_refused_and_loose_ones_warned_of() {
    let refused = |group: Vec<WebhookFilter>| {
        let error = filter::check(&[group], None).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidInput);
        error.message
    };
    let event = || with(Kind::Event, "PUSH");
    assert!(refused(vec![]).contains("exactly one filter of the type EVENT"));
    assert!(refused(vec![event(), event()]).contains("exactly one"));
    assert!(refused(vec![with(Kind::Event, "PUSH, PULL")]).contains("'PULL' is not an event"));
    for (pattern, told) in [
        ("(?=x)", "look-around"),
        ("(?!x)", "look-around"),
        (r"(a)\1", "backreferences"),
        ("(", "unclosed group"),
        ("(a{1000}){1000}", "too large"),
        (&"x".repeat(5000), "more than 4096"),
    ] {
        let message = refused(vec![event(), with(Kind::HeadRef, pattern)]);
        assert!(message.contains(told), "{message}");
    }
    assert!(filter::check(&[], Some("(?=x)")).is_err());
    assert!(filter::check(&vec![vec![event()]; 501], None).is_err());
    for (kind, pattern, warns) in [
        (Kind::ActorAccountId, "123", true),
        (Kind::ActorAccountId, "^123$|456", true),
        (Kind::ActorAccountId, "^123|456$", true),
        (Kind::ActorAccountId, r"^123\$", true),
        (Kind::ActorAccountId, "^123$", false),
        (Kind::ActorAccountId, "^(123|456)$", false),
        (Kind::ActorAccountId, "^123$|^456$", false),
        (Kind::ActorAccountId, "^[|]$", false),
        (Kind::HeadRef, "^refs/heads/feature/", false),
        (Kind::HeadRef, "main", true),
        (Kind::FilePath, "main", false),
    ] {
        let warnings = filter::check(&[vec![event(), with(kind, pattern)]], None).unwrap();
        assert_eq!(!warnings.is_empty(), warns, "{kind} {pattern}: {warnings:?}");
    }
    assert!(filter::check(&[vec![event(), without(Kind::ActorAccountId, "1")]], None).unwrap().is_empty());
}

fn push(before: Option<&str>, after: Option<&str>, at_ms: Option<i64>) -> Event {
    let hash = |text: &str| text.repeat(40);
    Event {
        before: before.map(hash),
        after: after.map(hash),
        commit: after.map(hash),
        is_deletion: after.is_none(),
        at_ms,
        ..one(Provider::Github, GITHUB, 4)
    }
}

/// What each event is, heard one after the other a second apart.
fn places(events: &[Event]) -> Vec<Place> {
    let mut known = Known::default();
    let mut heard = std::collections::HashSet::new();
    let mut places = Vec::new();
    for (event, now) in events.iter().zip((1_000_000..).step_by(1000)) {
        let key = order::key(event);
        let again = key.as_ref().filter(|key| heard.contains(*key)).map(|_| Once::default());
        let place = known.place(event, again, now);
        known.note(event, &place, Some(&format!("build of {}", event.after.as_deref().unwrap_or("-"))), now);
        heard.extend(key);
        places.push(match place {
            Place::Again(_) => Place::Again(None),
            place => place,
        });
    }
    places
}

#[test]
fn pushes_are_heard_once_in_their_order() {
    use Place::{Again, Gone, Late, Newest, Removal};
    for with_time in [true, false] {
        let at = |seconds: i64| with_time.then_some(seconds * 1000);
        let new = push(None, Some("a"), at(1));
        let second = push(Some("a"), Some("b"), at(2));
        let third = push(Some("b"), Some("c"), at(3));
        let back = push(Some("b"), Some("a"), at(3));
        let gone = push(Some("b"), None, at(3));
        let anew = push(None, Some("d"), at(4));
        let all = |events: &[&Event]| places(&events.iter().map(|event| (*event).clone()).collect::<Vec<_>>());
        assert_eq!(all(&[&new, &second, &second, &new]), [Newest, Newest, Again(None), Again(None)], "{with_time}");
        assert_eq!(all(&[&new, &third, &second]), [Newest, Newest, Late], "{with_time}");
        let forth = push(Some("a"), Some("b"), at(5));
        assert_eq!(
            all(&[&new, &second, &back, &forth]),
            [Newest, Newest, Newest, Newest],
            "moved back and forth, {with_time}"
        );
        assert_eq!(all(&[&new, &gone, &second]), [Newest, Removal, Gone], "{with_time}");
        assert_eq!(all(&[&gone, &second, &new]), [Removal, Gone, if with_time { Gone } else { Newest }]);
        assert_eq!(all(&[&new, &second, &gone, &anew]), [Newest, Newest, Removal, Newest], "{with_time}");
        // The removal comes when the branch is there anew.
        let next = push(Some("d"), Some("e"), at(5));
        assert_eq!(
            all(&[&new, &second, &anew, &gone, &next]),
            [Newest, Newest, Newest, Removal, Newest],
            "{with_time}"
        );
    }
    // Long after the removal, whoever pushes is believed.
    let mut known = Known::default();
    let gone = push(Some("b"), None, None);
    known.note(&gone, &Place::Removal, None, 0);
    let later = push(Some("b"), Some("c"), None);
    assert_eq!(known.place(&later, None, 60_000), Gone);
    assert_eq!(known.place(&later, None, 3_600_000), Newest);
}

#[test]
fn pull_requests_build_each_commit_once() {
    let request = |kind, commit: &str, at: i64| Event {
        kind,
        commit: Some(commit.repeat(40)),
        at_ms: Some(at),
        ..one(Provider::Github, GITHUB, 8)
    };
    use EventKind::{PullRequestClosed as Closed, PullRequestCreated as Created};
    use EventKind::{PullRequestReopened as Reopened, PullRequestUpdated as Updated};
    use Place::{Again, Late, Newest};
    let events = [
        request(Created, "a", 1),
        request(Created, "a", 1),
        // A new title.
        request(Updated, "a", 2),
        request(Updated, "c", 4),
        request(Updated, "b", 3),
        request(Updated, "c", 4),
        request(Closed, "c", 5),
        request(Reopened, "c", 6),
        request(Updated, "a", 7),
    ];
    assert_eq!(places(&events), [Newest, Again(None), Again(None), Newest, Late, Again(None), Newest, Newest, Newest]);
}

proptest! {
    /// Whatever order and however often pushes of a branch are heard, each is new or late once.
    #[test]
    fn each_push_is_built_once(order in prop::collection::vec(0_usize..8, 1..60), with_time: bool) {
        let names = ["a", "b", "c", "d", "e", "f", "0a", "0b", "0c"];
        let chain: Vec<Event> = (0..8)
            .map(|n: usize| {
                let before = n.checked_sub(1).map(|n| names[n]);
                push(before, Some(names[n]), with_time.then_some(i64::try_from(n).unwrap() * 1000))
            })
            .collect();
        // Without times, what comes twice and in another order cannot always be told from what was moved back.
        let mut order = order;
        if !with_time {
            order.sort_unstable();
        }
        let heard: Vec<Event> = order.iter().map(|n| chain[*n].clone()).collect();
        let mut built = std::collections::HashMap::new();
        for (n, place) in order.iter().zip(places(&heard)) {
            prop_assert!(place != Place::Gone);
            if !matches!(place, Place::Again(_)) {
                *built.entry(*n).or_insert(0) += 1;
            }
        }
        prop_assert!(order.iter().all(|n| built.get(n) == Some(&1)), "{built:?}");
    }

    /// Nothing that is delivered makes a parser panic, or lets a name pass that git could not have.
    #[test]
    fn hostile_payloads_are_read_or_refused(
        at in 0_usize..24,
        place in 0_usize..4000,
        with in prop::collection::vec(any::<u8>(), 0..6),
    ) {
        for (provider, text) in [
            (Provider::Github, GITHUB),
            (Provider::Gitlab, GITLAB),
            (Provider::Bitbucket, BITBUCKET),
            (Provider::Gitea, GITEA),
        ] {
            let all = payloads(text);
            let (event, payload) = &all[at % all.len()];
            let mut bytes = payload.to_string().into_bytes();
            let place = place % bytes.len();
            let end = (place + with.len()).min(bytes.len());
            bytes.splice(place..end, with.iter().copied());
            if let Ok(Payload::Events(events)) = event::read(provider, event, &bytes) {
                for event in events {
                    let (_, groups) = filter::decide(Rules::All, &event);
                    prop_assert_eq!(groups.len(), 1);
                    for name in [&event.head_ref, &event.base_ref].into_iter().flatten() {
                        prop_assert!(name.starts_with("refs/") && !name.contains("..") && !name.contains(' '));
                    }
                    for commit in [&event.commit, &event.after, &event.before].into_iter().flatten() {
                        prop_assert!(commit.bytes().all(|byte| byte.is_ascii_hexdigit()));
                    }
                    prop_assert!(Known::default().place(&event, None, 0) != Place::Late);
                }
            }
        }
    }

    /// A pattern decides as the expression does, whichever way it is asked for.
    #[test]
    fn excluding_is_the_opposite(name in "[a-z/]{1,12}", pattern in "\\^?[a-z/]{0,4}\\$?") {
        let event = Event { head_ref: Some(format!("refs/heads/{name}")), ..one(Provider::Github, GITHUB, 4) };
        let expected = regex::Regex::new(&pattern).unwrap().is_match(event.head_ref.as_deref().unwrap());
        prop_assert_eq!(passes(&event, with(Kind::HeadRef, &pattern)), expected);
        prop_assert_eq!(passes(&event, without(Kind::HeadRef, &pattern)), !expected);
    }
}
