//! Traces of builds, with a collector that remembers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use kiln_core::traces::TraceSink;
use kiln_model::{
    BuildStatus,
    codebuild::{EnvironmentVariable, StartBuildInput, StopBuildInput},
    service::{CodeBuild as _, Context},
    trace::{Kind, Outcome, Span, Traceparent, Value},
};
use kiln_runner::job::Control;

use crate::place::{Place, context};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01";

/// Outlives the servers of a test, as files do.
#[derive(Debug, Default)]
struct Collected {
    kept: Mutex<BTreeMap<String, Vec<Span>>>,
    sent: Mutex<Vec<(String, Vec<Span>)>>,
}

impl TraceSink for Collected {
    fn keep(&self, uuid: &str, spans: &[Span]) {
        self.kept.lock().unwrap().insert(uuid.to_owned(), spans.to_vec());
    }

    fn send(&self, uuid: &str) {
        if let Some(spans) = self.kept.lock().unwrap().remove(uuid) {
            self.sent.lock().unwrap().push((uuid.to_owned(), spans));
        }
    }

    fn kept(&self) -> Vec<String> {
        self.kept.lock().unwrap().keys().cloned().collect()
    }

    fn forget(&self, uuid: &str) {
        self.kept.lock().unwrap().remove(uuid);
    }
}

fn place() -> (Place, Arc<Collected>) {
    let collected = Arc::<Collected>::default();
    (Place::new().collected_by(Arc::clone(&collected) as Arc<dyn TraceSink>), collected)
}

fn called_by(traceparent: &str) -> Context {
    Context { traceparent: Some(traceparent.parse().unwrap()), ..context() }
}

fn attribute<'a>(span: &'a Span, name: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

fn text(span: &Span, name: &str) -> String {
    match attribute(span, name) {
        Some(Value::Text(text)) => text.clone(),
        other => panic!("{name} is {other:?} in {span:?}"),
    }
}

/// What was sent of one build, once.
fn of(collected: &Collected, id: &str) -> Vec<Span> {
    let uuid = id.split(':').next_back().unwrap();
    let sent = collected.sent.lock().unwrap();
    let found: Vec<_> = sent.iter().filter(|(known, _)| known == uuid).collect();
    assert_eq!(found.len(), 1, "sent once");
    found[0].1.clone()
}

#[tokio::test]
async fn a_build_is_a_trace_of_its_phases() {
    let (place, collected) = place();
    let core = place.serve();
    place.project(&core, "demo", "fail").await;
    let build = place.start(&core, "demo").await;
    place.end(&core, &build.id).await;
    place.checked(core);
    let spans = of(&collected, &build.id);
    let root = &spans[0];
    assert_eq!((root.name.as_str(), root.kind, root.parent), ("BUILD demo", Kind::Server, None));
    assert_eq!(text(root, "cicd.pipeline.run.id"), build.id);
    assert_eq!((text(root, "cicd.pipeline.result"), text(root, "error.type")), ("failure".into(), "failure".into()));
    assert!(matches!(&root.outcome, Outcome::Error(why) if why.contains("exit status 1")), "{:?}", root.outcome);
    let uuid = build.id.split(':').next_back().unwrap().replace('-', "");
    assert!(root.id.to_string().starts_with(&format!("00-{uuid}-")), "the build's own trace");
    let names: Vec<&str> = spans[1..].iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["SUBMITTED", "QUEUED", "PROVISIONING", "BUILD"]);
    for span in &spans[1..] {
        assert_eq!((span.parent, span.id.trace, span.kind), (Some(root.id.span), root.id.trace, Kind::Internal));
        assert!(
            root.start_ns <= span.start_ns && span.start_ns <= span.end_ns && span.end_ns <= root.end_ns,
            "{span:?}"
        );
    }
    assert_eq!(text(&spans[4], "cicd.pipeline.task.run.result"), "failure");
    assert_eq!(text(&spans[4], "error.type"), "COMMAND_EXECUTION_ERROR");
    assert_eq!(spans[3].outcome, Outcome::Unset);
}

#[tokio::test]
async fn a_build_is_a_part_of_what_started_it() {
    let (place, collected) = place();
    let core = place.serve();
    place.project(&core, "demo", "ok").await;
    let started = async |context: &Context, variable: Option<&str>| {
        let variables = variable.map(|value| {
            vec![EnvironmentVariable { name: "TRACEPARENT".to_owned(), value: value.to_owned(), r#type: None }]
        });
        let input = StartBuildInput {
            project_name: "demo".to_owned(),
            environment_variables_override: variables,
            ..Default::default()
        };
        let build = core.start_build(context, input).await.unwrap().build;
        place.end(&core, &build.id).await;
        build.id
    };
    let parent = |text: &str| text.parse::<Traceparent>().unwrap();
    let unsampled = PARENT.replace("-01", "-00");
    let by_call = started(&called_by(PARENT), None).await;
    let by_variable = started(&called_by(PARENT), Some(OTHER)).await;
    let not_valid = started(&called_by(PARENT), Some("mine")).await;
    let silent = started(&called_by(&unsampled), None).await;
    place.checked(core);
    for (id, wanted) in [(by_call, PARENT), (by_variable, OTHER), (not_valid, PARENT)] {
        let root = of(&collected, &id)[0].clone();
        assert_eq!((root.id.trace, root.parent), (parent(wanted).trace, Some(parent(wanted).span)));
    }
    let sent = collected.sent.lock().unwrap();
    assert!(!sent.iter().any(|(uuid, _)| silent.ends_with(uuid)), "whoever does not record itself wants no parts");
}

#[tokio::test]
async fn a_build_that_never_ran_has_a_trace_too() {
    let collected = Arc::<Collected>::default();
    let place = Place::with_builds(1).collected_by(Arc::clone(&collected) as Arc<dyn TraceSink>);
    let core = place.serve();
    place.project(&core, "demo", "wait").await;
    let running = place.start(&core, "demo").await;
    place.begun(&core, &running.id).await;
    let waiting = place.start(&core, "demo").await;
    core.stop_build(&context(), StopBuildInput { id: waiting.id.clone() }).await.unwrap();
    place.world.tell(running.id.split(':').next_back().unwrap(), Control::Kill);
    place.end(&core, &running.id).await;
    place.checked(core);
    let root = of(&collected, &waiting.id)[0].clone();
    assert_eq!((text(&root, "cicd.pipeline.result").as_str(), &root.outcome), ("cancellation", &Outcome::Unset));
    assert_eq!(of(&collected, &running.id)[0].outcome, Outcome::Unset);
}

#[tokio::test]
async fn the_next_server_sends_what_was_kept_of_builds_that_ended_and_nothing_else() {
    let (place, collected) = place();
    let core = place.serve();
    place.project(&core, "demo", "ok").await;
    let ended = place.start(&core, "demo").await;
    place.end(&core, &ended.id).await;
    place.project(&core, "long", "wait").await;
    let running = place.start(&core, "long").await;
    place.begun(&core, &running.id).await;
    core.stop();
    drop(core);
    // As if it had been killed before it could send one, and before it could record the end of another.
    let uuid = |id: &str| id.split(':').next_back().unwrap().to_owned();
    let spans = collected.sent.lock().unwrap().pop().unwrap().1;
    collected.keep(&uuid(&ended.id), &spans);
    collected.keep(&uuid(&running.id), &spans);
    collected.keep("of-no-build", &spans);
    let core = place.serve();
    assert_eq!(of(&collected, &ended.id), spans);
    assert_eq!(collected.kept(), Vec::<String>::new());
    place.world.tell(&uuid(&running.id), Control::Kill);
    let end = place.end(&core, &running.id).await;
    assert_eq!(end.build_status, Some(BuildStatus::Succeeded));
    place.checked(core);
    assert_eq!(text(&of(&collected, &running.id)[0], "cicd.pipeline.run.id"), running.id);
}
