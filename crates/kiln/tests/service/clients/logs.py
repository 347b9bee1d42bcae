"""CloudWatch Logs through boto3: the log of a build while it runs, as `aws logs tail --follow` reads it, and afterwards in
both directions. `logs.py GROUP STREAM`: prints the whole log when its last line is there."""

import sys
import time

import boto3
from botocore.exceptions import ClientError

group, stream = sys.argv[1:3]
logs = boto3.client("logs")
codebuild = boto3.client("codebuild")


def build():
    return codebuild.batch_get_builds(ids=[f"{group.rsplit('/', 1)[1]}:{stream}"])["builds"][0]


def refused(code, text, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert text in error.response["Error"]["Message"], error
    else:
        raise AssertionError(f"{call.__name__} was not refused")


# What `aws logs tail --follow` does: all pages, then again from the newest event's time on, told apart by their ids.
lines, seen, start, was_part = [], set(), 0, False
deadline = time.monotonic() + 120
while True:
    over = build()["buildComplete"]
    token = {}
    while True:
        page = logs.filter_log_events(logGroupName=group, startTime=start, interleaved=True, **token)
        for event in page["events"]:
            assert event["logStreamName"] == stream and event["ingestionTime"] >= event["timestamp"], event
            if event["eventId"] not in seen:
                seen.add(event["eventId"])
                lines.append(event["message"])
                start = max(start, event["timestamp"])
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    if over:
        break
    was_part |= bool(lines)
    assert time.monotonic() < deadline, lines
    time.sleep(0.05)
assert was_part, "nothing was to be seen while the build ran"
whole = "".join(lines)


def everything(from_head, limit):
    token, pages = {}, []
    while True:
        page = logs.get_log_events(
            logGroupName=group, logStreamName=stream, startFromHead=from_head, limit=limit, **token
        )
        pages.append("".join(event["message"] for event in page["events"]))
        next_token = page["nextForwardToken" if from_head else "nextBackwardToken"]
        if token.get("nextToken") == next_token:
            return "".join(pages if from_head else pages[::-1])
        token = {"nextToken": next_token}


for limit in (1000, 7):
    for from_head in (True, False):
        assert everything(from_head, limit) == whole, (limit, from_head)
paginated = logs.get_paginator("filter_log_events").paginate(
    logGroupName=group, logStreamNames=[stream], PaginationConfig={"PageSize": 11}
)
assert "".join(event["message"] for page in paginated for event in page["events"]) == whole

(described,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
assert described["storedBytes"] > 0 and described["arn"].endswith(f":log-group:{group}:*"), described
(described,) = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True)["logStreams"]
assert described["logStreamName"] == stream, described
where = build()["logs"]
assert (where["groupName"], where["streamName"]) == (group, stream), where
assert where["cloudWatchLogsArn"] == described["arn"], where

logs.create_log_group(logGroupName="own", tags={"team": "a"})
logs.put_retention_policy(logGroupName="own", retentionInDays=14)
refused("ResourceAlreadyExistsException", "already exists", logs.create_log_group, logGroupName="own")
refused("InvalidParameterException", "retentionInDays", logs.put_retention_policy, logGroupName="own", retentionInDays=2)
(own,) = logs.describe_log_groups(logGroupNamePattern="own")["logGroups"]
arn = own["arn"].removesuffix(":*")
assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "a"}
logs.create_log_stream(logGroupName="own", logStreamName="s")
refused(
    "ResourceNotFoundException",
    "The specified log stream does not exist.",
    logs.get_log_events,
    logGroupName="own",
    logStreamName="x",
)
assert logs.describe_subscription_filters(logGroupName="own")["subscriptionFilters"] == []
refused("InvalidOperationException", "not available", logs.describe_queries)
logs.delete_log_group(logGroupName="own")
refused(
    "ResourceNotFoundException",
    "The specified log group does not exist.",
    logs.describe_log_streams,
    logGroupName="own",
)
sys.stdout.write(whole)
