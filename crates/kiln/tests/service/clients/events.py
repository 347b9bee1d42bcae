"""EventBridge as boto3 sees it: rules and targets through their lives, and an event that starts a build."""

import datetime
import json

import boto3
from botocore.exceptions import ClientError

events = boto3.client("events")
project = "arn:aws:codebuild:us-east-1:000000000000:project/demo"
role = "arn:aws:iam::000000000000:role/starter"


def refused(code, call, **arguments):
    try:
        answer = call(**arguments)
    except ClientError as error:
        said = error.response["Error"]
        assert said["Code"] == code, said
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400, error.response
        return said["Message"]
    raise AssertionError(f"{arguments} was accepted: {answer}")


# The bus.
bus = events.describe_event_bus()
assert (bus["Name"], bus["Arn"]) == ("default", "arn:aws:events:us-east-1:000000000000:event-bus/default"), bus
assert [one["Name"] for one in events.list_event_buses()["EventBuses"]] == ["default"]
refused("ResourceNotFoundException", events.describe_event_bus, Name="other")
refused("OperationDisabledException", events.create_event_bus, Name="other")

# Rules, in pages.
for number in range(5):
    events.put_rule(Name=f"list-{number}", ScheduleExpression="rate(1 day)", Tags=[{"Key": "n", "Value": str(number)}])
first = events.list_rules(NamePrefix="list-", Limit=3)
second = events.list_rules(NamePrefix="list-", Limit=3, NextToken=first["NextToken"])
names = [rule["Name"] for rule in first["Rules"] + second["Rules"]]
assert names == [f"list-{number}" for number in range(5)] and "NextToken" not in second, names
arn = first["Rules"][0]["Arn"]
events.tag_resource(ResourceARN=arn, Tags=[{"Key": "k", "Value": "v"}])
events.untag_resource(ResourceARN=arn, TagKeys=["n"])
assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
for number in range(5):
    events.delete_rule(Name=f"list-{number}")
assert events.list_rules()["Rules"] == []

# A rule for events.
pattern = {"source": ["my.git"], "detail": {"branch": ["main", {"prefix": "release/"}]}}
message = refused("InvalidEventPatternException", events.put_rule, Name="x", EventPattern='{"source": "my.git"}')
assert message.startswith("Event pattern is not valid. Reason: "), message
refused("ValidationException", events.put_rule, Name="x")
refused("ValidationException", events.put_rule, Name="x", ScheduleExpression="cron(* * * * * *)")
event = {
    "id": "1",
    "account": "000000000000",
    "source": "my.git",
    "time": "2026-11-27T07:00:00Z",
    "region": "us-east-1",
    "resources": [],
    "detail-type": "Push",
    "detail": {"branch": "release/1"},
}
tested = events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))
assert tested["Result"] is True, tested
events.put_rule(Name="on-push", EventPattern=json.dumps(pattern), Description="of boto3")
described = events.describe_rule(Name="on-push")
assert json.loads(described["EventPattern"]) == pattern and described["State"] == "ENABLED", described
transformer = {
    "InputPathsMap": {"greeting": "$.detail.greeting"},
    "InputTemplate": '{"environmentVariablesOverride": [{"name": "GREETING", "value": <greeting>}]}',
}
put = events.put_targets(
    Rule="on-push",
    Targets=[
        {"Id": "build", "Arn": project, "RoleArn": role, "InputTransformer": transformer},
        {"Id": "queue", "Arn": "arn:aws:sqs:us-east-1:000000000000:q"},
    ],
)
assert put["FailedEntryCount"] == 1 and put["FailedEntries"][0]["TargetId"] == "queue", put
targets = events.list_targets_by_rule(Rule="on-push")["Targets"]
assert [target["Id"] for target in targets] == ["build"] and targets[0]["InputTransformer"] == transformer, targets
refused("ValidationException", events.delete_rule, Name="on-push")

# Events: one that it is for, and two that it is not for.
now = datetime.datetime.now(datetime.timezone.utc)
entry = {"Source": "my.git", "DetailType": "Push", "Time": now}
put = events.put_events(
    Entries=[
        {**entry, "Detail": json.dumps({"branch": "main", "greeting": "hello"})},
        {**entry, "Detail": json.dumps({"branch": "dev", "greeting": "no"})},
        {**entry, "Detail": "no JSON"},
    ]
)
assert put["FailedEntryCount"] == 1 and put["Entries"][2]["ErrorCode"] == "MalformedDetail", put
assert put["Entries"][0]["EventId"] != put["Entries"][1]["EventId"], put
