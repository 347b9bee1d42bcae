//! Servers that are gone while builds run.

use kiln_model::{
    BuildStatus, codebuild::StopBuildInput, kiln::GetBuildLogInput, service::CodeBuild as _, service::KilnService as _,
};
use kiln_runner::job::Control;

use crate::place::{Place, context};

#[tokio::test]
async fn a_new_server_follows_on() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "lines 500\nwait\nlines 500").await;
    let build = place.start(&core, "demo").await;
    place.begun(&core, &build.id).await;
    core.stop();
    drop(core);
    let core = place.serve();
    place.world.tell(build.id.split(':').next_back().unwrap(), Control::Kill);
    let ended = place.end(&core, &build.id).await;
    assert_eq!(ended.build_status, Some(BuildStatus::Succeeded));
    let input = GetBuildLogInput { id: build.id.clone(), max_lines: Some(10_000), ..Default::default() };
    let log = core.get_build_log(&context(), input).await.unwrap();
    let expected: Vec<String> = (0..500).chain(0..500).map(|n| format!("line {n}")).collect();
    assert_eq!(log.lines.iter().map(|l| l.text.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(place.world.starts(build.id.split(':').next_back().unwrap()), 1);
    place.checked(core);
}

#[tokio::test]
async fn a_build_that_ended_meanwhile_is_closed() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "wait").await;
    let build = place.start(&core, "demo").await;
    place.begun(&core, &build.id).await;
    core.stop();
    drop(core);
    place.world.tell(build.id.split(':').next_back().unwrap(), Control::Kill);
    let core = place.serve();
    let ended = place.end(&core, &build.id).await;
    assert_eq!(ended.build_status, Some(BuildStatus::Succeeded));
    place.checked(core);
}

#[tokio::test]
async fn what_waits_goes_on_waiting() {
    let place = Place::with_builds(1);
    let core = place.serve();
    place.project(&core, "demo", "wait").await;
    let mut builds = Vec::new();
    for _ in 0..5 {
        builds.push(place.start(&core, "demo").await.id);
    }
    place.begun(&core, &builds[0]).await;
    core.stop();
    drop(core);
    let core = place.serve();
    for id in &builds {
        place.begun(&core, id).await;
        place.world.tell(id.split(':').next_back().unwrap(), Control::Kill);
        assert_eq!(place.end(&core, id).await.build_status, Some(BuildStatus::Succeeded));
        assert_eq!(place.world.starts(id.split(':').next_back().unwrap()), 1);
    }
    place.checked(core);
}

#[tokio::test]
async fn a_build_that_waited_too_long_times_out() {
    let place = Place::with_builds(1);
    let core = place.serve();
    let mut input = Place::input("demo", "wait");
    input.queued_timeout_in_minutes = Some(5);
    core.create_project(&context(), input).await.unwrap();
    let first = place.start(&core, "demo").await;
    place.begun(&core, &first.id).await;
    let second = place.start(&core, "demo").await;
    core.stop();
    drop(core);
    // The server is away for six minutes.
    place.advance(std::time::Duration::from_secs(360));
    let core = place.serve();
    let ended = place.end(&core, &second.id).await;
    assert_eq!(ended.build_status, Some(BuildStatus::TimedOut));
    assert_eq!(ended.phases[1].phase_status.unwrap().as_str(), "TIMED_OUT");
    core.stop_build(&context(), StopBuildInput { id: first.id }).await.unwrap();
    place.checked(core);
}
