"""Every paginator of botocore that the service answers, beyond the end of a page."""

import concurrent.futures
import time

import boto3
from botocore.config import Config

MANY = 105
codebuild = boto3.client("codebuild", config=Config(max_pool_connections=8))


def create(name):
    return codebuild.create_project(
        name=name,
        source={"type": "NO_SOURCE", "buildspec": "version: 0.2\nphases: {build: {commands: ['true']}}"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "host", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole="arn:aws:iam::000000000000:role/kiln-default-build-role",
    )


def everything(operation, key, **arguments):
    pages = list(codebuild.get_paginator(operation).paginate(**arguments))
    assert [len(page[key]) for page in pages] == [100, MANY - 100], [len(page[key]) for page in pages]
    return [item for page in pages for item in page[key]]


with concurrent.futures.ThreadPoolExecutor(8) as pool:
    names = [f"project-{i:03}" for i in range(MANY)]
    list(pool.map(create, names))
    assert everything("list_projects", "projects") == names
    assert everything("list_projects", "projects", sortBy="NAME", sortOrder="DESCENDING") == names[::-1]
    created = everything("list_projects", "projects", sortBy="CREATED_TIME")
    assert sorted(created) == names

    ids = list(pool.map(lambda _: codebuild.start_build(projectName=names[0])["build"]["id"], range(MANY)))
    assert len(set(ids)) == MANY
    listed = everything("list_builds_for_project", "ids", projectName=names[0])
    assert sorted(listed) == sorted(ids)
    assert sorted(everything("list_builds", "ids")) == sorted(ids)
    ascending = everything("list_builds_for_project", "ids", projectName=names[0], sortOrder="ASCENDING")
    assert ascending == listed[::-1]

    deadline = time.monotonic() + 180
    while True:
        builds = [b for part in (ids[:100], ids[100:]) for b in codebuild.batch_get_builds(ids=part)["builds"]]
        if all(build["buildComplete"] for build in builds):
            break
        assert time.monotonic() < deadline, [b["id"] for b in builds if not b["buildComplete"]]
        time.sleep(0.2)
assert {build["buildStatus"] for build in builds} == {"SUCCEEDED"}
numbers = {build["id"]: build["buildNumber"] for build in builds}
assert sorted(numbers.values()) == list(range(1, MANY + 1))
assert [numbers[i] for i in ascending] == list(range(1, MANY + 1)), "by build number"
print("ok")
