//! `AWS/CodeBuild`: what a build leaves behind when it is over (`api.md` 5.1, 5.2).
//!
//! Called in the transaction that ends the build, so that each build is counted once, whatever becomes of the server.

use kiln_model::{
    BuildStatus, PhaseType,
    cloudwatch::{Dimension, StandardUnit},
    kiln::ResourceSample,
};
use kiln_store::{StoreError, Tx};

use super::{key::key, level, points::Points};
use crate::{document::Document, job};

const NAMESPACE: &str = "AWS/CodeBuild";
/// Builds that took longer have metrics of what they used (`api.md` 5.2).
const LONG_MS: i64 = 60_000;
const MINUTE_MS: i64 = 60_000;

/// A metric of a build: name, unit, and values with their times in milliseconds.
type Metric = (&'static str, StandardUnit, Vec<(i64, Points)>);

/// Records the metrics of a build that has just ended. `memory_bytes`: of the machine, beyond which no build comes.
///
/// Damage among the metrics does not keep a build from its end: it is told, and the rest is recorded.
///
/// # Errors
/// When the database cannot be written.
pub(crate) fn record_end(
    tx: &mut Tx<'_>,
    document: &Document,
    samples: &[ResourceSample],
    memory_bytes: u64,
) -> Result<(), StoreError> {
    let Some(ended) = document.lifecycle.ended_ms else { return Ok(()) };
    let dimension = |name: &str, value: String| Dimension { name: name.to_owned(), value };
    let project = dimension("ProjectName", document.build.project_name.clone());
    let own = vec![
        dimension("BuildId", document.build.id.clone()),
        dimension("BuildNumber", document.build.build_number.unwrap_or_default().to_string()),
        project.clone(),
    ];
    let outcome = outcome(document, ended);
    let used = used(document, samples, ended, memory_bytes);
    let sets = [(vec![], &outcome), (vec![project.clone()], &outcome), (vec![project], &used), (own, &used)];
    for (dimensions, metrics) in sets {
        for (name, unit, values) in metrics {
            let Some(key) = key(NAMESPACE, name, &dimensions) else { continue };
            match level::store(tx, &key, unit.as_str(), false, values, ended) {
                Err(error @ (StoreError::Damaged { .. } | StoreError::Invalid(_))) => {
                    tracing::error!(build.id = %document.build.id, metric = name, error = %error, "a metric of a build is lost");
                }
                other => other?,
            }
        }
    }
    Ok(())
}

/// How it went, and how long it took.
fn outcome(document: &Document, ended: i64) -> Vec<Metric> {
    let life = &document.lifecycle;
    let mut metrics = Vec::new();
    let mut add = |name, unit, value: f64| {
        let points = Points::of([(value, 1.0)]);
        metrics.push((name, unit, points.into_iter().map(|points| (ended, points)).collect()));
    };
    add("Builds", StandardUnit::Count, 1.0);
    match life.status {
        BuildStatus::Succeeded => add("SucceededBuilds", StandardUnit::Count, 1.0),
        // "Because of a client error or because of a timeout": not faults of the service, nor stopped builds.
        BuildStatus::Failed | BuildStatus::TimedOut => add("FailedBuilds", StandardUnit::Count, 1.0),
        _ => {}
    }
    let seconds = |from: i64, to: i64| (to - from).max(0) as f64 / 1000.0;
    add("Duration", StandardUnit::Seconds, seconds(life.submitted_ms, ended));
    for phase in &life.phases {
        if let (Some(name), Some(end)) = (metric_of(phase.phase), phase.end_ms) {
            add(name, StandardUnit::Seconds, seconds(phase.start_ms, end));
        }
    }
    metrics
}

fn metric_of(phase: PhaseType) -> Option<&'static str> {
    Some(match phase {
        PhaseType::Submitted => "SubmittedDuration",
        PhaseType::Queued => "QueuedDuration",
        PhaseType::Provisioning => "ProvisioningDuration",
        PhaseType::DownloadSource => "DownloadSourceDuration",
        PhaseType::Install => "InstallDuration",
        PhaseType::PreBuild => "PreBuildDuration",
        PhaseType::Build => "BuildDuration",
        PhaseType::PostBuild => "PostBuildDuration",
        PhaseType::UploadArtifacts => "UploadArtifactsDuration",
        PhaseType::Finalizing => "FinalizingDuration",
        _ => return None,
    })
}

/// What it used, by the minute.
fn used(document: &Document, samples: &[ResourceSample], ended: i64, memory_bytes: u64) -> Vec<Metric> {
    if ended - document.lifecycle.submitted_ms <= LONG_MS {
        return Vec::new();
    }
    let compute = job::compute(document);
    let memory = compute.memory_bytes().min(memory_bytes).max(1) as f64;
    let values = |value: &dyn Fn(&ResourceSample, &ResourceSample, f64) -> f64| {
        let pairs = samples.iter().zip(samples.iter().skip(1));
        let timed = pairs.filter_map(|(before, sample)| {
            let seconds = (sample.time.millis() - before.time.millis()) as f64 / 1000.0;
            (seconds > 0.0).then(|| (sample.time.millis(), value(before, sample, seconds)))
        });
        by_minute(timed)
    };
    // 1,024 units are one vCPU.
    let cpus = |a: &ResourceSample, b: &ResourceSample, seconds: f64| {
        b.cpu_milliseconds.saturating_sub(a.cpu_milliseconds) as f64 / 1000.0 / seconds
    };
    let rate = |a: u64, b: u64, seconds: f64| b.saturating_sub(a) as f64 / seconds;
    let metrics: Vec<Metric> = vec![
        ("CPUUtilized", StandardUnit::None, values(&|a, b, seconds| cpus(a, b, seconds) * 1024.0)),
        (
            "CPUUtilizedPercent",
            StandardUnit::Percent,
            values(&|a, b, seconds| cpus(a, b, seconds) / f64::from(compute.vcpus()) * 100.0),
        ),
        ("MemoryUtilized", StandardUnit::Megabytes, values(&|_, b, _| b.memory_bytes as f64 / 1e6)),
        ("MemoryUtilizedPercent", StandardUnit::Percent, values(&|_, b, _| b.memory_bytes as f64 / memory * 100.0)),
        (
            "StorageReadBytes",
            StandardUnit::BytesPerSecond,
            values(&|a, b, seconds| rate(a.read_bytes, b.read_bytes, seconds)),
        ),
        (
            "StorageWriteBytes",
            StandardUnit::BytesPerSecond,
            values(&|a, b, seconds| rate(a.written_bytes, b.written_bytes, seconds)),
        ),
    ];
    metrics.into_iter().filter(|(.., values)| !values.is_empty()).collect()
}

fn by_minute(values: impl Iterator<Item = (i64, f64)>) -> Vec<(i64, Points)> {
    let mut minutes: Vec<(i64, Vec<(f64, f64)>)> = Vec::new();
    for (time, value) in values {
        let minute = time - time.rem_euclid(MINUTE_MS);
        match minutes.last_mut().filter(|(last, _)| *last == minute) {
            Some((_, known)) => known.push((value, 1.0)),
            None => minutes.push((minute, vec![(value, 1.0)])),
        }
    }
    minutes.into_iter().filter_map(|(minute, values)| Some((minute, Points::of(values)?))).collect()
}
