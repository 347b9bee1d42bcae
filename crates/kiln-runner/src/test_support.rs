//! A job for unit tests.

use crate::job::{BuildspecSource, EngineChoice, JOB_VERSION, Job, Keep, Network, Packaging, Source};

/// A job that runs `/src/app` with all defaults.
pub(crate) fn job() -> Job {
    Job {
        version: JOB_VERSION,
        id: "local:0f0e0d0c-1111-4222-8333-444455556666".parse().unwrap(),
        number: 7,
        initiator: "alice".into(),
        region: "us-east-1".into(),
        account: "000000000000".into(),
        submitted_ns: 1_768_471_200_000_000_000,
        data: "/data".into(),
        artifacts: "/data/runs/x/artifacts".into(),
        reports: "/data/runs/x/reports".into(),
        cache: None,
        docker_layers: None,
        source: Source { dir: "/src/app".into(), secondary: vec![], in_place: false },
        buildspec: BuildspecSource::Default,
        image: "host".into(),
        engine: EngineChoice::Native,
        compute: kiln_model::ComputeType::Small,
        network: Network::Private,
        network_allow: vec![],
        privileged: false,
        variables: vec![],
        timeout_secs: 3600,
        keep: Keep::OnFailure,
        resume: None,
        packaging: Packaging::Zip,
        source_date_epoch: None,
        max_log_bytes: u64::MAX,
        service: None,
    }
}
