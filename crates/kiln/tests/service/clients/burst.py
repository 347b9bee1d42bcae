"""More calls at once than a server admits, with boto3 as it comes: it waits and calls again by itself. Argument: how many of each."""

import sys

import boto3

COUNT = int(sys.argv[1])
retried = {}


def burst(name, call):
    for _ in range(COUNT):
        answer = call()
        retried[name] = retried.get(name, 0) + answer["ResponseMetadata"]["RetryAttempts"]


s3 = boto3.client("s3")
s3.create_bucket(Bucket="burst")
burst("json", boto3.client("codebuild").list_projects)
burst("query", boto3.client("sts").get_caller_identity)
burst("cloudwatch", boto3.client("cloudwatch").list_metrics)
burst("s3", lambda: s3.put_object(Bucket="burst", Key="key", Body=b"x" * 1000))
assert s3.get_object(Bucket="burst", Key="key")["Body"].read() == b"x" * 1000
# A machine that has much else to do may not be fast enough for each of them.
assert any(retried.values()), f"the limits were not met: {retried}"
