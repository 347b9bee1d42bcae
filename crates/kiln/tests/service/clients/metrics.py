"""CloudWatch's metrics as boto3 sees them, in each of the protocols that clients speak.

Arguments: a project, and how many of its builds succeeded and failed."""

import copy
import datetime
import sys

import boto3
import botocore.session
from botocore.exceptions import ClientError

MINUTE = datetime.timedelta(minutes=1)
now = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)


def speaking(protocol):
    """A client of botocore's own code for that protocol: older versions knew that one only, newer ones may prefer it."""
    core = botocore.session.get_session()
    if protocol:
        loader = core.get_component("data_loader")
        load = loader.load_service_model

        def loaded(service, kind, api_version=None):
            model = load(service, kind, api_version)
            if kind == "service-2":
                model = copy.deepcopy(model)
                model["metadata"].update(protocol=protocol, protocols=[protocol])
                if protocol == "query":
                    model["metadata"].pop("awsQueryCompatible", None)
            return model

        loader.load_service_model = loaded
    seen = []
    client = boto3.Session(botocore_session=core).client("cloudwatch")
    client.meta.events.register("before-send", lambda request, **_: seen.append(request.headers) and None)
    return client, seen


def refused(code, call, **arguments):
    try:
        answer = call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400, error.response
        return error.response["Error"]["Message"]
    raise AssertionError(f"{arguments} was accepted: {answer}")


def header(headers, name):
    value = headers.get(name, b"")
    return value.decode() if isinstance(value, bytes) else value


def journey(protocol, kind):
    client, seen = speaking(protocol)
    namespace = f"app/{protocol}"
    of = [{"Name": "Value", "Value": "1"}, {"Name": "Stage", "Value": "a&b <ä>"}]
    client.put_metric_data(
        Namespace=namespace,
        MetricData=[
            {"MetricName": "latency", "Dimensions": of, "Timestamp": now, "Value": 2.5, "Unit": "Milliseconds"},
            {
                "MetricName": "latency",
                "Dimensions": list(reversed(of)),
                "Timestamp": now + datetime.timedelta(seconds=30),
                "Values": [1, 10.25],
                "Counts": [3, 1],
                "Unit": "Milliseconds",
            },
            {
                "MetricName": "set",
                "Timestamp": now,
                "StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 5},
            },
        ],
    )
    assert header(seen[0], "Content-Type").startswith(kind), seen[0]
    # A large request is compressed.
    many = [
        {"MetricName": f"many{n}", "Timestamp": now, "Value": n, "Dimensions": [{"Name": "n", "Value": "x" * 50}]}
        for n in range(400)
    ]
    client.put_metric_data(Namespace=namespace, MetricData=many)
    assert header(seen[1], "Content-Encoding") == "gzip", seen[1]

    got = client.get_metric_statistics(
        Namespace=namespace,
        MetricName="latency",
        Dimensions=of,
        StartTime=now,
        EndTime=now + MINUTE,
        Period=60,
        Statistics=["Sum", "Average", "Minimum", "Maximum", "SampleCount"],
    )
    assert got["Label"] == "latency", got
    expected = {"Sum": 15.75, "Average": 3.15, "Minimum": 1.0, "Maximum": 10.25, "SampleCount": 5.0}
    assert got["Datapoints"] == [{**expected, "Unit": "Milliseconds", "Timestamp": now}], got
    got = client.get_metric_statistics(
        Namespace=namespace,
        MetricName="latency",
        Dimensions=of,
        StartTime=now,
        EndTime=now + MINUTE,
        Period=60,
        ExtendedStatistics=["p50", "p99.5"],
    )
    assert got["Datapoints"][0]["ExtendedStatistics"] == {"p50": 1.0, "p99.5": 10.25}, got

    listed = [metric for page in client.get_paginator("list_metrics").paginate(Namespace=namespace) for metric in page["Metrics"]]
    assert len(listed) == 402, len(listed)
    named = client.list_metrics(Namespace=namespace, Dimensions=[{"Name": "Stage"}], RecentlyActive="PT3H")["Metrics"]
    assert [(m["MetricName"], m["Dimensions"]) for m in named] == [("latency", sorted(of, key=lambda d: d["Name"]))], named

    def stat(name, id, stat, **more):
        metric = {"Namespace": namespace, "MetricName": name, "Dimensions": more.pop("dimensions", [])}
        return {"Id": id, "MetricStat": {"Metric": metric, "Period": 60, "Stat": stat}, **more}

    queries = [
        stat("latency", "l", "Sum", dimensions=of, Label="of all"),
        stat("set", "s", "Average", ReturnData=False),
        {"Id": "e", "Expression": "l / s + 0.5", "Label": "ratio"},
    ]
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries,
        StartTime=now - 5 * MINUTE,
        EndTime=now + MINUTE,
        PaginationConfig={"PageSize": 1},
    )
    results = [result for page in pages for result in page["MetricDataResults"]]
    assert [(r["Id"], r["Label"], r["Values"], r["Timestamps"], r["StatusCode"]) for r in results] == [
        ("l", "of all", [15.75], [now], "Complete"),
        ("e", "ratio", [6.8], [now], "Complete"),
    ], results

    # Errors: codes are those that clients have always known.
    said = refused("InvalidParameterValue", client.put_metric_data, Namespace="AWS/X", MetricData=many[:1])
    assert said == "The value AWS/X for parameter Namespace is invalid.", said
    refused(
        "InvalidParameterCombination",
        client.put_metric_data,
        Namespace=namespace,
        MetricData=[{"MetricName": "m", "Value": 1, "Values": [1]}],
    )
    try:
        client.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "m"}])
        raise AssertionError("a metric without a value was accepted")
    except client.exceptions.MissingRequiredParameterException as error:
        assert error.response["Error"]["Code"] == "MissingParameter", error.response
    bad = [{"Id": "e", "Expression": "x +"}]
    said = refused("ValidationError", client.get_metric_data, MetricDataQueries=bad, StartTime=now - MINUTE, EndTime=now)
    assert said.startswith("Error in expression 'e': "), said


for protocol, kind in [
    (None, "application/x-amz-json-1.0"),
    ("json", "application/x-amz-json-1.0"),
    ("query", "application/x-www-form-urlencoded"),
    ("smithy-rpc-v2-cbor", "application/cbor"),
]:
    journey(protocol, kind)

# What builds left.
project, succeeded, failed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client, _ = speaking(None)


def total(name, dimensions, statistic="Sum"):
    got = client.get_metric_statistics(
        Namespace="AWS/CodeBuild",
        MetricName=name,
        Dimensions=dimensions,
        StartTime=now - 60 * MINUTE,
        EndTime=now + 60 * MINUTE,
        Period=7200,
        Statistics=[statistic],
    )
    return sum(point[statistic] for point in got["Datapoints"])


for dimensions in [[], [{"Name": "ProjectName", "Value": project}]]:
    assert total("Builds", dimensions) == succeeded + failed, dimensions
    assert total("SucceededBuilds", dimensions) == succeeded, dimensions
    assert total("FailedBuilds", dimensions) == failed, dimensions
    assert total("BuildDuration", dimensions, "SampleCount") == succeeded + failed, dimensions
    assert 0 < total("Duration", dimensions, "Maximum") < 120, dimensions
units = {
    metric["MetricName"]
    for metric in client.list_metrics(Namespace="AWS/CodeBuild", Dimensions=[{"Name": "ProjectName", "Value": project}])["Metrics"]
}
assert {"Builds", "Duration", "SubmittedDuration", "QueuedDuration", "ProvisioningDuration", "FinalizingDuration"} <= units, units
assert "CPUUtilized" not in units, "of builds that took less than a minute"
