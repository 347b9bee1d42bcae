"""Lets moto's own tests run against the service: what moto's server has beside AWS's API, and nothing else.

A pytest plugin. With TEST_SERVER_MODE moto sends requests to an address of its own and resets the server before each
test; here the address is the service's, with its key, and a reset deletes all projects and builds.
"""

import json
import os
import time

import boto3
import pytest
from moto.core.models import MockAWS, ServerModeMockAWS

ENDPOINT = os.environ["TEST_SERVER_MODE_ENDPOINT"] = os.environ["AWS_ENDPOINT_URL"]
REGION = os.environ["AWS_REGION"]
KEY = {
    "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
    "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
}


# moto takes any service role; the service only one that is there, and a build may what it allows.
iam = boto3.client("iam", region_name=REGION, endpoint_url=ENDPOINT, **KEY)
iam.create_role(
    Path="/service-role/",
    RoleName="my-codebuild-service-role",
    AssumeRolePolicyDocument=json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "codebuild.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
    ),
)
iam.attach_role_policy(
    RoleName="my-codebuild-service-role", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
)


def _reset(_self):
    codebuild = boto3.Session().client("codebuild", region_name=REGION, endpoint_url=ENDPOINT, **KEY)
    for page in codebuild.get_paginator("list_projects").paginate():
        for name in page["projects"]:
            codebuild.delete_project(name=name)
    for page in codebuild.get_paginator("list_builds").paginate():
        for build in page["ids"]:
            codebuild.stop_build(id=build)
        left = page["ids"]
        while left:
            left = [build["id"] for build in codebuild.batch_delete_builds(ids=left)["buildsNotDeleted"]]
            left = [arn.partition("/")[2] for arn in left]
            time.sleep(0.02)


ServerModeMockAWS.reset = _reset
# moto takes any key; the service only its own.
MockAWS._mock_env_variables = MockAWS._unmock_env_variables = lambda _self: None


def pytest_collection_modifyitems(items):
    known = os.environ["MOTO_SHORTCUTS"].split()
    for item in items:
        if item.name in known:
            item.add_marker(pytest.mark.xfail(reason="encodes a shortcut of moto", strict=True))
