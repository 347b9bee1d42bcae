"""Requests that nobody signed, or that were signed by somebody else, or changed on their way."""

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError


def refused(codes, client, **arguments):
    try:
        client.list_projects(**arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        assert code in codes, error.response
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert 400 <= status < 500, error.response
        return error.response["Error"]["Message"]
    raise AssertionError("a stranger was let in")


ours = boto3.client("codebuild")
ours.list_projects()
key = boto3.Session().get_credentials()

refused(["MissingAuthenticationTokenException"], boto3.client("codebuild", config=Config(signature_version=UNSIGNED)))
refused(
    ["UnrecognizedClientException"],
    boto3.client("codebuild", aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key=key.secret_key),
)
refused(
    ["InvalidSignatureException"],
    boto3.client("codebuild", aws_access_key_id=key.access_key, aws_secret_access_key=key.secret_key[:-1] + "!"),
)
refused(
    ["UnrecognizedClientException", "InvalidClientTokenId"],
    boto3.client(
        "codebuild",
        aws_access_key_id=key.access_key,
        aws_secret_access_key=key.secret_key,
        aws_session_token="made up",
    ),
)
refused(["InvalidSignatureException"], boto3.client("codebuild", region_name="eu-west-1"))


def changing(change):
    client = boto3.client("codebuild", config=Config(retries={"total_max_attempts": 1}))
    client.meta.events.register_last("before-send.codebuild.ListProjects", lambda request, **_: change(request))
    return client


def body(request):
    request.body = b'{"sortOrder":"DESCENDING"}'
    request.headers["Content-Length"] = str(len(request.body))


def target(request):
    request.headers["X-Amz-Target"] = "CodeBuild_20161006.ListBuilds"


def date(request):
    request.headers["X-Amz-Date"] = "20200101T000000Z"


def signature(request):
    last = request.headers["Authorization"].decode()
    request.headers["Authorization"] = last[:-1] + ("0" if last[-1] != "0" else "1")


for change in (body, target, date, signature):
    refused(["InvalidSignatureException", "SignatureDoesNotMatch"], changing(change))
ours.list_projects()
print("ok")
