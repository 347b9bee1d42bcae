//! Which builds keep the layers of a Docker daemon for each other (`buildspec.md` 10.5).

use std::path::PathBuf;

use kiln_model::{
    codebuild::{CacheMode, CacheType, InvalidateProjectCacheInput, ProjectCache, StartBuildInput, StopBuildInput},
    service::CodeBuild as _,
};
use kiln_runner::job::Job;

use crate::{
    fake::FakeRunners,
    place::{Place, context},
};

/// Where a build that starts now keeps its layers.
async fn layers(
    place: &Place,
    core: &kiln_core::Core<FakeRunners>,
    project: &str,
    privileged: Option<bool>,
) -> Option<PathBuf> {
    let input = StartBuildInput {
        project_name: project.to_owned(),
        privileged_mode_override: privileged,
        ..Default::default()
    };
    let build = core.start_build(&context(), input).await.unwrap().build;
    place.begun(core, &build.id).await;
    let uuid = build.id.split(':').next_back().unwrap();
    let job = Job::read(&place.data().join("builds").join(uuid)).unwrap();
    core.stop_build(&context(), StopBuildInput { id: build.id.clone() }).await.unwrap();
    place.end(core, &build.id).await;
    job.docker_layers
}

#[tokio::test]
async fn the_layer_cache_is_one_for_each_project_and_gone_when_it_is_invalidated() {
    let place = Place::new();
    let core = place.serve();
    for (name, modes) in [
        ("one", vec![CacheMode::DockerLayers]),
        ("other", vec![CacheMode::Custom, CacheMode::DockerLayers]),
        ("custom", vec![CacheMode::Custom]),
    ] {
        let mut input = Place::input(name, "wait");
        input.environment.privileged_mode = Some(true);
        input.cache = Some(ProjectCache { r#type: CacheType::Local, modes: Some(modes), ..Default::default() });
        core.create_project(&context(), input).await.unwrap();
    }
    let one = layers(&place, &core, "one", None).await.unwrap();
    assert!(one.starts_with(place.data().join("layers")), "{}", one.display());
    assert_eq!(layers(&place, &core, "one", None).await.as_ref(), Some(&one));
    assert_ne!(layers(&place, &core, "other", None).await.unwrap(), one);
    assert_eq!(layers(&place, &core, "custom", None).await, None);
    assert_eq!(layers(&place, &core, "one", Some(false)).await, None);
    let input = InvalidateProjectCacheInput { project_name: "one".to_owned() };
    core.invalidate_project_cache(&context(), input).await.unwrap();
    assert_ne!(layers(&place, &core, "one", None).await.unwrap(), one);
    place.checked(core);
}
