"""More calls at once than a server admits, in boto3's standard mode: it waits and calls again by itself. Argument: how many of each.

It may try more often than three times, as it does by default: with so low limits its first two pauses, which are random, can both be
too short."""

import sys

import boto3
from botocore.config import Config

COUNT = int(sys.argv[1])
STANDARD = Config(retries={"mode": "standard", "total_max_attempts": 8})
retried = {}


def burst(name, call):
    for _ in range(COUNT):
        answer = call()
        retried[name] = retried.get(name, 0) + answer["ResponseMetadata"]["RetryAttempts"]


s3 = boto3.client("s3", config=STANDARD)
s3.create_bucket(Bucket="burst")
burst("json", boto3.client("codebuild", config=STANDARD).list_projects)
burst("query", boto3.client("sts", config=STANDARD).get_caller_identity)
burst("cloudwatch", boto3.client("cloudwatch", config=STANDARD).list_metrics)
burst("s3", lambda: s3.put_object(Bucket="burst", Key="key", Body=b"x" * 1000))
assert s3.get_object(Bucket="burst", Key="key")["Body"].read() == b"x" * 1000
# A machine that has much else to do may not be fast enough for each of them.
assert any(retried.values()), f"the limits were not met: {retried}"
