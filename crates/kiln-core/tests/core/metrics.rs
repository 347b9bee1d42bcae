//! CloudWatch's metrics: what is put comes back, by its rules, and builds leave theirs.

use std::time::Duration;

use kiln_core::Core;
use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    cloudwatch::*,
    codebuild::StopBuildInput,
    service::{CloudWatch as _, CodeBuild as _},
};

use crate::{
    fake::FakeRunners,
    place::{Place, context},
};

/// When the places' clocks begin: a whole hour.
const NOW: i64 = 1_800_000_000;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn dimension(name: &str, value: &str) -> Dimension {
    Dimension { name: name.to_owned(), value: value.to_owned() }
}

fn datum(name: &str, at: i64) -> MetricDatum {
    MetricDatum { metric_name: name.to_owned(), timestamp: Some(time(at)), ..Default::default() }
}

fn value(name: &str, at: i64, value: f64) -> MetricDatum {
    MetricDatum { value: Some(value), ..datum(name, at) }
}

async fn put(core: &Core<FakeRunners>, data: Vec<MetricDatum>) -> Result<(), ApiError> {
    let input = PutMetricDataInput { namespace: "app".to_owned(), metric_data: Some(data), ..Default::default() };
    core.put_metric_data(&context(), input).await.map(drop)
}

fn asked(name: &str, start: i64, end: i64, period: i64) -> GetMetricStatisticsInput {
    GetMetricStatisticsInput {
        namespace: "app".to_owned(),
        metric_name: name.to_owned(),
        start_time: time(start),
        end_time: time(end),
        period,
        statistics: Some(Statistic::ALL.to_vec()),
        ..Default::default()
    }
}

async fn statistics(core: &Core<FakeRunners>, input: GetMetricStatisticsInput) -> Vec<Datapoint> {
    core.get_metric_statistics(&context(), input).await.unwrap().datapoints.unwrap()
}

/// Begin, sum and count of each point.
fn sums(points: &[Datapoint]) -> Vec<(i64, f64, f64)> {
    points.iter().map(|p| (p.timestamp.unwrap().millis() / 1000, p.sum.unwrap(), p.sample_count.unwrap())).collect()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>, code: ErrorCode, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(text), "{error}");
}

#[tokio::test]
async fn values_come_back_by_periods_whatever_form_they_were_put_in() {
    let place = Place::new();
    let core = place.serve();
    let set = StatisticSet { sample_count: 4.0, sum: 20.0, minimum: 2.0, maximum: 9.0 };
    put(
        &core,
        vec![
            value("m", NOW - 59, 1.0),
            value("m", NOW - 1, 3.0),
            MetricDatum { values: Some(vec![5.0, 7.0]), counts: Some(vec![2.0, 1.0]), ..datum("m", NOW + 30) },
            MetricDatum { statistic_values: Some(set), ..datum("m", NOW + 90) },
            // Without a time: now.
            MetricDatum { timestamp: None, ..value("m", 0, 100.0) },
            MetricDatum { unit: Some(StandardUnit::Seconds), ..value("m", NOW, 0.5) },
            MetricDatum { dimensions: Some(vec![dimension("a", "b")]), ..value("m", NOW, 9.0) },
        ],
    )
    .await
    .unwrap();
    let none = Some(StandardUnit::None);
    let by_minute =
        statistics(&core, GetMetricStatisticsInput { unit: none, ..asked("m", NOW - 60, NOW + 120, 60) }).await;
    assert_eq!(sums(&by_minute), [(NOW - 60, 4.0, 2.0), (NOW, 117.0, 4.0), (NOW + 60, 20.0, 4.0)]);
    let last = &by_minute[2];
    assert_eq!((last.minimum, last.maximum, last.average, last.unit), (Some(2.0), Some(9.0), Some(5.0), none));
    let all = statistics(&core, asked("m", NOW - 60, NOW + 120, 300)).await;
    assert_eq!(sums(&all), [(NOW - 60, 141.0, 10.0), (NOW - 60, 0.5, 1.0)], "units stay apart");
    // The end is no part of it, and the begin of periods is the rounded start.
    let some = statistics(&core, GetMetricStatisticsInput { unit: none, ..asked("m", NOW + 7, NOW + 60, 60) }).await;
    assert_eq!(sums(&some), [(NOW, 117.0, 4.0)]);
    let own = GetMetricStatisticsInput { dimensions: Some(vec![dimension("a", "b")]), ..asked("m", NOW, NOW + 60, 60) };
    assert_eq!(sums(&statistics(&core, own).await), [(NOW, 9.0, 1.0)]);
    assert_eq!(statistics(&core, asked("other", NOW, NOW + 60, 60)).await, []);
    // What was answered is there after a restart.
    core.stop();
    drop(core);
    let core = place.serve();
    assert_eq!(statistics(&core, asked("m", NOW - 60, NOW + 120, 300)).await, all);
    place.checked(core);
}

#[tokio::test]
async fn percentiles_are_those_of_the_values() {
    let place = Place::new();
    let core = place.serve();
    put(&core, (1..=200).map(|n| value("m", NOW + n % 60, f64::from(i32::try_from(n).unwrap()))).collect())
        .await
        .unwrap();
    let percentiles = |names: &[&str]| GetMetricStatisticsInput {
        statistics: None,
        extended_statistics: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        ..asked("m", NOW, NOW + 60, 60)
    };
    let points = statistics(&core, percentiles(&["p50", "p99", "p99.5", "p0", "p100"])).await;
    let found = points[0].extended_statistics.as_ref().unwrap();
    let expected = [("p0", 1.0), ("p100", 200.0), ("p50", 100.0), ("p99", 198.0), ("p99.5", 199.0)];
    assert_eq!(found.iter().map(|(name, value)| (name.as_str(), *value)).collect::<Vec<_>>(), expected);
    assert_eq!((points.len(), points[0].sum), (1, None), "only what was asked for");
    let set = StatisticSet { sample_count: 4.0, sum: 20.0, minimum: 2.0, maximum: 9.0 };
    put(&core, vec![MetricDatum { statistic_values: Some(set), ..datum("m", NOW) }]).await.unwrap();
    assert_eq!(statistics(&core, percentiles(&["p50"])).await, [], "the values of a set are not known");
    place.checked(core);
}

#[tokio::test]
async fn what_cannot_be_put_is_refused_as_a_whole() {
    let place = Place::new();
    let core = place.serve();
    let (wrong, both, lacks) =
        (ErrorCode::InvalidParameterValue, ErrorCode::InvalidParameterCombination, ErrorCode::MissingRequiredParameter);
    let set = |count, minimum, maximum| MetricDatum {
        statistic_values: Some(StatisticSet { sample_count: count, sum: 1.0, minimum, maximum }),
        ..datum("m", NOW)
    };
    let values = |values: usize, counts: Vec<f64>| MetricDatum {
        values: Some(vec![1.0; values]),
        counts: Some(counts),
        ..datum("m", NOW)
    };
    for (bad, code, text) in [
        (datum("m", NOW), lacks, "MetricData.member.2.Value is required"),
        (MetricDatum { value: Some(1.0), ..set(1.0, 1.0, 1.0) }, both, "are mutually exclusive"),
        (value("m", NOW - 14 * DAY - 1, 1.0), wrong, "two weeks in the past"),
        (value("m", NOW + 2 * HOUR + 1, 1.0), wrong, "two hours in the future"),
        (value("m", NOW, 1e200), wrong, "The value 1e200 for parameter MetricData.member.2.Value is invalid."),
        (set(0.0, 1.0, 2.0), wrong, "SampleCount must be greater than 0"),
        (set(1.0, 2.0, 1.0), wrong, "Maximum must be greater than or equal to"),
        (values(2, vec![1.0]), wrong, "must be of the same size"),
        (values(151, vec![1.0; 151]), wrong, "must not have a size greater than 150"),
        (values(0, vec![]), wrong, "must not have a size less than 1"),
        (values(1, vec![-1.0]), wrong, "Counts.member.1 must be greater than 0"),
        (MetricDatum { counts: Some(vec![1.0]), ..value("m", NOW, 1.0) }, both, "must be used with"),
        (MetricDatum { storage_resolution: Some(30), ..value("m", NOW, 1.0) }, wrong, "in the set [ 1, 60 ]"),
        (
            MetricDatum { dimensions: Some(vec![dimension("a", "1"), dimension("a", "2")]), ..value("m", NOW, 1.0) },
            wrong,
            "two members of one name",
        ),
    ] {
        refused(put(&core, vec![value("m", NOW, 1.0), bad]).await, code, text);
    }
    refused(put(&core, vec![]).await, lacks, "MetricData is required");
    refused(put(&core, vec![value("m", NOW, 1.0); 1001]).await, wrong, "greater than 1000");
    for namespace in ["AWS/CodeBuild", ":x"] {
        let input = PutMetricDataInput {
            namespace: namespace.to_owned(),
            metric_data: Some(vec![value("m", NOW, 1.0)]),
            ..Default::default()
        };
        refused(core.put_metric_data(&context(), input).await, wrong, &format!("The value {namespace} for parameter"));
    }
    assert_eq!(statistics(&core, asked("m", NOW - DAY, NOW + DAY, HOUR)).await, [], "nothing was stored");
    place.checked(core);
}

#[tokio::test]
async fn statistics_have_cloudwatchs_limits() {
    let place = Place::new();
    let core = place.serve();
    let (wrong, both) = (ErrorCode::InvalidParameterValue, ErrorCode::InvalidParameterCombination);
    let plain = || asked("m", NOW, NOW + 60, 60);
    let extended = |name: &str| GetMetricStatisticsInput {
        statistics: None,
        extended_statistics: Some(vec![name.to_owned()]),
        ..plain()
    };
    for (input, code, text) in [
        (asked("m", NOW, NOW, 60), wrong, "StartTime must be less than"),
        (asked("m", NOW, NOW + 60, 90), wrong, "multiple of 60"),
        (asked("m", NOW, NOW + 1441 * 60, 60), both, "up to 1,441 datapoints, which exceeds the limit of 1,440"),
        (GetMetricStatisticsInput { statistics: None, ..plain() }, both, "At least one of the parameters"),
        (
            GetMetricStatisticsInput { extended_statistics: Some(vec!["p1".to_owned()]), ..plain() },
            both,
            "mutually exclusive",
        ),
        (extended("tm90"), wrong, "The value tm90 for parameter ExtendedStatistics.member.1"),
    ] {
        refused(core.get_metric_statistics(&context(), input).await, code, text);
    }
    assert_eq!(statistics(&core, asked("m", NOW, NOW + 1440 * 60, 60)).await, []);
    place.checked(core);
}

fn query(id: &str, name: &str, stat: &str) -> MetricDataQuery {
    MetricDataQuery {
        id: id.to_owned(),
        metric_stat: Some(MetricStat {
            metric: Metric { namespace: Some("app".to_owned()), metric_name: Some(name.to_owned()), dimensions: None },
            period: 60,
            stat: stat.to_owned(),
            unit: None,
        }),
        ..Default::default()
    }
}

fn expression(id: &str, text: &str) -> MetricDataQuery {
    MetricDataQuery { id: id.to_owned(), expression: Some(text.to_owned()), ..Default::default() }
}

fn data(queries: Vec<MetricDataQuery>) -> GetMetricDataInput {
    GetMetricDataInput {
        metric_data_queries: queries,
        start_time: time(NOW),
        end_time: time(NOW + HOUR),
        scan_by: Some(ScanBy::TimestampAscending),
        ..Default::default()
    }
}

fn points(result: &MetricDataResult) -> Vec<(i64, f64)> {
    let times = result.timestamps.as_ref().unwrap().iter().map(|time| time.millis() / 1000 - NOW);
    times.zip(result.values.clone().unwrap()).collect()
}

#[tokio::test]
async fn data_are_metrics_and_expressions_of_them() {
    let place = Place::new();
    let core = place.serve();
    let (errors, requests) = ([(0, 1.0), (60, 3.0), (180, 0.0)], [(0, 10.0), (60, 30.0), (120, 40.0), (180, 0.0)]);
    put(&core, errors.iter().map(|(at, v)| value("errors", NOW + at, *v)).collect()).await.unwrap();
    put(&core, requests.iter().map(|(at, v)| value("requests", NOW + at, *v)).collect()).await.unwrap();
    let hidden = |query: MetricDataQuery| MetricDataQuery { return_data: Some(false), ..query };
    let input = data(vec![
        MetricDataQuery { label: Some("share".to_owned()), ..expression("e1", "100 * errors / requests") },
        hidden(query("errors", "errors", "Sum")),
        query("requests", "requests", "Maximum"),
        expression("e2", "SUM(METRICS())"),
        expression("e3", "FILL(errors, 0) + e2"),
    ]);
    let answer = core.get_metric_data(&context(), input.clone()).await.unwrap();
    let results = answer.metric_data_results.unwrap();
    let found: Vec<_> = results.iter().map(|r| (r.id.as_deref().unwrap(), r.label.as_deref().unwrap())).collect();
    assert_eq!(found, [("e1", "share"), ("requests", "requests"), ("e2", "e2"), ("e3", "e3")]);
    assert_eq!(points(&results[0]), [(0, 10.0), (60, 10.0)]);
    assert_eq!(points(&results[1]), requests);
    assert_eq!(points(&results[2]), [(0, 11.0), (60, 33.0), (120, 40.0), (180, 0.0)]);
    assert_eq!(points(&results[3]), [(0, 12.0), (60, 36.0), (120, 40.0), (180, 0.0)]);
    assert!(results.iter().all(|r| r.status_code == Some(StatusCode::Complete)) && answer.next_token.is_none());

    // In pages of any size, in both orders, the same points.
    for order in [ScanBy::TimestampAscending, ScanBy::TimestampDescending] {
        for most in 1..12 {
            let mut input = GetMetricDataInput { max_datapoints: Some(most), scan_by: Some(order), ..input.clone() };
            let mut collected: Vec<(String, Vec<(i64, f64)>)> = Vec::new();
            loop {
                let page = core.get_metric_data(&context(), input.clone()).await.unwrap();
                let mut count = 0;
                for result in page.metric_data_results.unwrap() {
                    count += result.values.as_ref().unwrap().len();
                    let id = result.id.clone().unwrap();
                    match collected.last_mut().filter(|(last, _)| *last == id) {
                        Some((_, known)) => known.extend(points(&result)),
                        None => collected.push((id, points(&result))),
                    }
                }
                assert!(count <= usize::try_from(most).unwrap());
                input.next_token = page.next_token;
                if input.next_token.is_none() {
                    break;
                }
            }
            for (result, (id, mut all)) in results.iter().zip(collected) {
                if order == ScanBy::TimestampDescending {
                    all.reverse();
                }
                assert_eq!((result.id.as_ref(), points(result)), (Some(&id), all), "{order}, {most} a page");
            }
        }
    }
    place.checked(core);
}

#[tokio::test]
async fn wrong_queries_are_told() {
    let place = Place::new();
    let core = place.serve();
    put(&core, vec![value("a", NOW, 1.0)]).await.unwrap();
    let a = || query("a", "a", "Sum");
    let one = |query: MetricDataQuery| data(vec![query]);
    for (input, text) in [
        (data(vec![]), "must not have a size less than 1"),
        (data(vec![a(); 501]), "must not have a size greater than 500"),
        (data(vec![a(), a()]), "stands twice"),
        (one(query("A", "a", "Sum")), "is not matching the expected pattern"),
        (one(query("a-b", "a", "Sum")), "is not matching the expected pattern"),
        (one(MetricDataQuery { expression: Some("1".to_owned()), ..a() }), "exactly one of MetricStat and Expression"),
        (one(query("a", "a", "sum")), "The value sum for parameter MetricDataQueries.member.1.MetricStat.Stat"),
        (one(MetricDataQuery { return_data: Some(false), ..a() }), "At least one of"),
        (data(vec![a(), expression("e", "a +")]), "Error in expression 'e': something is missing at character 4"),
        (data(vec![a(), expression("e", "b")]), "Error in expression 'e': there is no query with the id 'b'"),
        (data(vec![a(), expression("e", "SUM(a)")]), "must be a series"),
        (data(vec![a(), expression("e", "f + 1"), expression("f", "e * 2")]), "refers to itself"),
        (data(vec![expression("e", "e")]), "refers to itself"),
        (GetMetricDataInput { end_time: time(NOW), ..one(a()) }, "StartTime must be less"),
        (GetMetricDataInput { max_datapoints: Some(100_801), ..one(a()) }, "between 1 and 100800"),
    ] {
        refused(core.get_metric_data(&context(), input).await, ErrorCode::Validation, text);
    }
    let foreign = GetMetricDataInput { next_token: Some("x".to_owned()), ..one(a()) };
    refused(core.get_metric_data(&context(), foreign).await, ErrorCode::InvalidNextToken, "not that of a page");
    place.checked(core);
}

async fn list(core: &Core<FakeRunners>, mut input: ListMetricsInput) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let page = core.list_metrics(&context(), input.clone()).await.unwrap();
        let metrics = page.metrics.unwrap();
        assert!(metrics.len() <= 500);
        names.extend(metrics.into_iter().map(|metric| {
            let dimensions = metric.dimensions.unwrap();
            let of = dimensions.iter().map(|d| format!(" {}={}", d.name, d.value)).collect::<String>();
            format!("{}{of}", metric.metric_name.unwrap())
        }));
        input.next_token = page.next_token;
        if input.next_token.is_none() {
            // CloudWatch says nothing of their order.
            names.sort_unstable();
            return names;
        }
    }
}

#[tokio::test]
async fn metrics_are_listed_by_what_they_are_of() {
    let place = Place::new();
    let core = place.serve();
    let of = |name: &str, at: i64, dimensions: &[(&str, &str)]| MetricDatum {
        dimensions: Some(dimensions.iter().map(|(name, value)| dimension(name, value)).collect()),
        ..value(name, at, 1.0)
    };
    put(
        &core,
        vec![
            of("a", NOW, &[]),
            of("a", NOW, &[("p", "1")]),
            of("a", NOW, &[("q", "2"), ("p", "1")]),
            of("b", NOW - 4 * HOUR, &[("p", "2")]),
        ],
    )
    .await
    .unwrap();
    let all = || ListMetricsInput { namespace: Some("app".to_owned()), ..Default::default() };
    assert_eq!(list(&core, all()).await, ["a", "a p=1", "a p=1 q=2", "b p=2"]);
    let filter = |name: &str, value: Option<&str>| ListMetricsInput {
        dimensions: Some(vec![DimensionFilter { name: name.to_owned(), value: value.map(str::to_owned) }]),
        ..all()
    };
    assert_eq!(list(&core, filter("p", None)).await, ["a p=1", "a p=1 q=2", "b p=2"]);
    assert_eq!(list(&core, filter("p", Some("1"))).await, ["a p=1", "a p=1 q=2"]);
    assert_eq!(list(&core, filter("q", Some("1"))).await, [""; 0]);
    let named = ListMetricsInput { metric_name: Some("b".to_owned()), ..Default::default() };
    assert_eq!(list(&core, named).await, ["b p=2"]);
    let recent = ListMetricsInput { recently_active: Some(RecentlyActive::ThreeHours), ..all() };
    assert_eq!(list(&core, recent).await, ["a", "a p=1", "a p=1 q=2"]);
    assert_eq!(list(&core, ListMetricsInput { namespace: Some("ap".to_owned()), ..all() }).await, [""; 0]);
    let other = ListMetricsInput { owning_account: Some("111111111111".to_owned()), ..all() };
    assert_eq!(list(&core, other).await, [""; 0]);
    // Several pages, each metric once.
    put(&core, (0..1000).map(|n| of(&format!("n{n:04}"), NOW, &[])).collect()).await.unwrap();
    put(&core, (1000..1300).map(|n| of(&format!("n{n:04}"), NOW, &[])).collect()).await.unwrap();
    let mut found = list(&core, all()).await;
    found.dedup();
    assert_eq!(found.len(), 1304);
    refused(
        core.list_metrics(&context(), ListMetricsInput { next_token: Some("x".to_owned()), ..all() }).await,
        ErrorCode::InvalidParameterValue,
        "NextToken",
    );
    place.advance(Duration::from_secs(15 * 24 * 60 * 60));
    assert_eq!(list(&core, all()).await, [""; 0], "nothing for two weeks");
    place.checked(core);
}

/// The sum of a metric of builds over the day.
async fn of_builds(core: &Core<FakeRunners>, name: &str, project: Option<&str>) -> f64 {
    let input = GetMetricStatisticsInput {
        namespace: "AWS/CodeBuild".to_owned(),
        dimensions: project.map(|project| vec![dimension("ProjectName", project)]),
        ..asked(name, NOW - DAY, NOW + DAY, HOUR)
    };
    statistics(core, input).await.iter().map(|point| point.sum.unwrap()).sum()
}

#[tokio::test]
async fn each_build_is_counted_once() {
    let place = Place::with_builds(1);
    let core = place.serve();
    place.project(&core, "good", "ok").await;
    place.project(&core, "bad", "fail").await;
    place.project(&core, "long", "wait").await;
    for project in ["good", "good", "bad"] {
        let build = place.start(&core, project).await;
        place.end(&core, &build.id).await;
    }
    // One runs, one waits; the second is stopped without ever having run, the first while there is no server.
    let running = place.start(&core, "long").await;
    place.begun(&core, &running.id).await;
    let waiting = place.start(&core, "long").await;
    core.stop_build(&context(), StopBuildInput { id: waiting.id.clone() }).await.unwrap();
    place.end(&core, &waiting.id).await;
    assert_eq!(of_builds(&core, "Builds", None).await, 4.0);
    core.stop();
    drop(core);
    place.world.tell(running.id.split(':').next_back().unwrap(), kiln_runner::job::Control::Kill);
    let core = place.serve();
    place.end(&core, &running.id).await;
    for _ in 0..2 {
        for (name, project, sum) in [
            ("Builds", None, 5.0),
            ("Builds", Some("good"), 2.0),
            ("SucceededBuilds", None, 3.0),
            ("FailedBuilds", None, 1.0),
            ("FailedBuilds", Some("bad"), 1.0),
            ("FailedBuilds", Some("good"), 0.0),
            ("Builds", Some("long"), 2.0),
        ] {
            let core = &core;
            assert_eq!(of_builds(core, name, project).await, sum, "{name} of {project:?}");
        }
    }
    // The fake's phases take a millisecond or some.
    assert!(of_builds(&core, "Duration", Some("good")).await > 0.0);
    let counted = |name: &'static str| {
        let core = &core;
        async move {
            let input = GetMetricStatisticsInput {
                namespace: "AWS/CodeBuild".to_owned(),
                ..asked(name, NOW - DAY, NOW + DAY, HOUR)
            };
            statistics(core, input).await.iter().map(|point| point.sample_count.unwrap()).sum::<f64>()
        }
    };
    for (name, count) in [
        ("SubmittedDuration", 5.0),
        ("QueuedDuration", 5.0),
        ("ProvisioningDuration", 4.0),
        ("BuildDuration", 4.0),
        ("FinalizingDuration", 3.0),
        ("InstallDuration", 0.0),
    ] {
        assert_eq!(counted(name).await, count, "{name}");
    }
    assert_eq!(of_builds(&core, "CPUUtilized", Some("good")).await, 0.0, "short builds have none");
    place.checked(core);
}

#[tokio::test]
async fn long_builds_say_what_they_used() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "samples 150").await;
    let build = place.start(&core, "demo").await;
    place.end(&core, &build.id).await;
    let read = |name: &'static str, dimensions: Vec<Dimension>| {
        let core = &core;
        async move {
            let input = GetMetricStatisticsInput {
                namespace: "AWS/CodeBuild".to_owned(),
                dimensions: Some(dimensions),
                ..asked(name, NOW - HOUR, NOW + HOUR, 60)
            };
            statistics(core, input).await
        }
    };
    let project = dimension("ProjectName", "demo");
    let own = vec![dimension("BuildNumber", "1"), project.clone(), dimension("BuildId", &build.id)];
    for dimensions in [vec![project], own] {
        // The fake uses half a processor, a gigabyte of four, and writes 1,000 bytes a second.
        for (name, value, unit) in [
            ("CPUUtilized", 512.0, StandardUnit::None),
            ("CPUUtilizedPercent", 25.0, StandardUnit::Percent),
            ("MemoryUtilized", 1_073.741_824, StandardUnit::Megabytes),
            ("MemoryUtilizedPercent", 25.0, StandardUnit::Percent),
            ("StorageReadBytes", 0.0, StandardUnit::BytesPerSecond),
            ("StorageWriteBytes", 1000.0, StandardUnit::BytesPerSecond),
        ] {
            let points = read(name, dimensions.clone()).await;
            assert_eq!(points.len(), 3, "{name}: {points:?}");
            assert_eq!(points.iter().map(|point| point.sample_count.unwrap()).sum::<f64>(), 149.0, "{name}");
            for point in &points {
                let average = point.average.unwrap();
                assert!((average - value).abs() < 1e-6 && point.unit == Some(unit), "{name}: {point:?}");
            }
        }
    }
    assert_eq!(read("CPUUtilized", vec![]).await, [], "the account has none");
    place.checked(core);
}

#[tokio::test]
async fn values_become_coarser_with_time_and_then_go() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "ok").await;
    let fast = |at: i64, v: f64| MetricDatum { storage_resolution: Some(1), ..value("m", at, v) };
    put(&core, (0..100).map(|n| fast(NOW + n, 1.0)).chain([value("m", NOW + 3000, 5.0)]).collect()).await.unwrap();
    let found = |period: i64| {
        let core = &core;
        async move {
            // A period that covers everything, or the first minutes of it.
            let end = NOW + if period < 60 { 600 } else { HOUR };
            let points = statistics(core, asked("m", NOW, end, period)).await;
            (points.len(), sums(&points).iter().map(|(_, sum, _)| sum).sum::<f64>())
        }
    };
    assert_eq!(found(1).await, (100, 100.0));
    assert_eq!(found(60).await, (3, 105.0));
    let mut day = 0;
    for (days, finest, coarser) in [(1, 60, 1), (17, 300, 60), (66, 3600, 300)] {
        place.advance(Duration::from_secs((days - day) * 24 * 60 * 60));
        day = days;
        let build = place.start(&core, "demo").await;
        place.end(&core, &build.id).await;
        let look = async {
            while !statistics(&core, asked("m", NOW, NOW + 600, coarser)).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), look).await.expect("values stay as fine as they were");
        let (_, sum) = found(finest).await;
        assert_eq!(sum, 105.0, "nothing is lost or doubled by day {days}");
    }
    place.advance(Duration::from_secs(420 * 24 * 60 * 60));
    let build = place.start(&core, "demo").await;
    place.end(&core, &build.id).await;
    let look = async {
        while !statistics(&core, asked("m", NOW, NOW + HOUR, 3600)).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), look).await.expect("old values stay");
    place.checked(core);
}
