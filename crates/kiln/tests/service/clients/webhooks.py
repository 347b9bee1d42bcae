"""boto3 makes, changes and removes webhooks that are entered by hand; errors have AWS's names."""

import boto3
from botocore.exceptions import ClientError

codebuild = boto3.client("codebuild")


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} is expected")


def project(name, kind, location=None):
    source = {"type": kind, "buildspec": "version: 0.2\nphases:\n  build:\n    commands: [\"true\"]\n"}
    if location:
        source["location"] = location
    codebuild.create_project(
        name=name,
        source=source,
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "host", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole="arn:aws:iam::000000000000:role/kiln-default-build-role",
    )


project("plain", "NO_SOURCE")
message = refused("InvalidInputException", codebuild.create_webhook, projectName="plain", manualCreation=True)
assert "NO_SOURCE" in message, message
refused("ResourceNotFoundException", codebuild.create_webhook, projectName="missing", manualCreation=True)
refused("InvalidInputException", codebuild.create_webhook, projectName="x" * 151)

for name, kind, location in [
    ("github", "GITHUB", "https://github.com/octocat/hello"),
    ("enterprise", "GITHUB_ENTERPRISE", "https://ghe.example/octocat/hello"),
    ("gitlab", "GITLAB", "https://gitlab.com/group/hello"),
    ("own-gitlab", "GITLAB_SELF_MANAGED", "https://gitlab.example/group/hello"),
    ("bitbucket", "BITBUCKET", "https://bitbucket.org/team/hello"),
]:
    project(name, kind, location)
    groups = [
        [{"type": "EVENT", "pattern": "PUSH"}, {"type": "FILE_PATH", "pattern": "^src/", "excludeMatchedPattern": True}],
        [{"type": "EVENT", "pattern": "PULL_REQUEST_CREATED, PULL_REQUEST_UPDATED"}],
    ]
    made = codebuild.create_webhook(
        projectName=name,
        filterGroups=groups,
        manualCreation=True,
        buildType="BUILD",
        pullRequestBuildPolicy={"requiresCommentApproval": "FORK_PULL_REQUESTS"},
    )["webhook"]
    assert len(made["secret"]) >= 20 and "/-/webhooks/" in made["payloadUrl"] and "url" not in made, made
    shown = codebuild.batch_get_projects(names=[name])["projects"][0]["webhook"]
    assert "secret" not in shown and shown["payloadUrl"] == made["payloadUrl"], shown
    assert shown["filterGroups"][0][0] == {"type": "EVENT", "pattern": "PUSH", "excludeMatchedPattern": False}, shown
    assert shown["pullRequestBuildPolicy"]["requiresCommentApproval"] == "FORK_PULL_REQUESTS", shown
    assert len(shown["pullRequestBuildPolicy"]["approverRoles"]) >= 2, shown
    assert shown["status"] == "ACTIVE" and shown["lastModifiedSecret"], shown
    refused("ResourceAlreadyExistsException", codebuild.create_webhook, projectName=name, manualCreation=True)
    rotated = codebuild.update_webhook(projectName=name, rotateSecret=True)["webhook"]
    assert rotated["secret"] != made["secret"] and rotated["filterGroups"] == shown["filterGroups"], rotated
    branch = codebuild.update_webhook(projectName=name, branchFilter="^main$")["webhook"]
    assert branch["branchFilter"] == "^main$" and "filterGroups" not in branch and "secret" not in branch, branch
    refused("InvalidInputException", codebuild.update_webhook, projectName=name, branchFilter="")
    updated = codebuild.update_project(name=name, description="x")["project"]
    assert updated["webhook"]["payloadUrl"] == made["payloadUrl"], updated
    if name == "github":
        continue
    codebuild.delete_webhook(projectName=name)
    refused("ResourceNotFoundException", codebuild.delete_webhook, projectName=name)
    assert "webhook" not in codebuild.batch_get_projects(names=[name])["projects"][0]

codebuild.delete_project(name="github")
project("github", "GITHUB", "https://github.com/octocat/hello")
assert "webhook" not in codebuild.batch_get_projects(names=["github"])["projects"][0]
