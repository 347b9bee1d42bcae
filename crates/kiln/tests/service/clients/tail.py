"""A live tail through boto3. `tail.py GROUP [PREFIX]`: says `begun` when the session has, prints each message as it comes,
`sampled` where some were left out, and the exception that ends it. Without a prefix it takes the variables of `kiln env`
as they are; with one it calls the host `stream-…` all the same, as clients do that do not know them, and finds its address."""

import socket
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import EventStreamError

group, prefixes = sys.argv[1], sys.argv[2:]
if prefixes:
    resolve, asked = socket.getaddrinfo, []

    def without_prefix(host, *arguments, **named):
        asked.append(host)
        bare = host.removeprefix("stream-").removeprefix("streaming-")
        return resolve(bare, *arguments, **named)

    socket.getaddrinfo = without_prefix
    logs = boto3.client("logs", config=Config(inject_host_prefix=True))
else:
    logs = boto3.client("logs")
(described,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
arn = described["logGroupArn"]
only = {"logStreamNamePrefixes": prefixes} if prefixes else {}
answer = logs.start_live_tail(logGroupIdentifiers=[arn], **only)
assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200, answer
if prefixes:
    assert any(host.startswith("stream") for host in asked), asked
has_begun = False
try:
    for event in answer["responseStream"]:
        if "sessionStart" in event:
            assert not has_begun and event["sessionStart"]["logGroupIdentifiers"] == [arn], event
            assert event["sessionStart"]["logStreamNamePrefixes"] == prefixes, event
            assert event["sessionStart"]["sessionId"] and event["sessionStart"]["requestId"], event
            has_begun = True
            print("begun", flush=True)
            continue
        assert has_begun, event
        update = event["sessionUpdate"]
        assert len(update["sessionResults"]) <= 500, len(update["sessionResults"])
        if update["sessionMetadata"]["sampled"]:
            print("sampled")
        for result in update["sessionResults"]:
            assert result["logGroupIdentifier"] == arn, result
            assert all(result["logStreamName"].startswith(prefix) for prefix in prefixes), result
            assert result["ingestionTime"] >= result["timestamp"] > 0, result
            sys.stdout.write(result["message"])
        sys.stdout.flush()
except EventStreamError as error:
    print(f"{error.response['Error']['Code']}: {error.response['Error']['Message']}", flush=True)
