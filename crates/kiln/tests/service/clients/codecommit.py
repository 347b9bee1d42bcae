"""CodeCommit as boto3 sees it: the whole life of a repository."""

import datetime

import boto3
from botocore.exceptions import ClientError

codecommit = boto3.client("codecommit")
codebuild = boto3.client("codebuild")


def refused(code, call, **arguments):
    try:
        answer = call(**arguments)
    except ClientError as error:
        said = error.response["Error"]
        assert said["Code"] == code, said
        assert isinstance(error, getattr(codecommit.exceptions, code)), error
        return said["Message"]
    raise AssertionError(f"{arguments} was accepted: {answer}")


# Repositories.
made = codecommit.create_repository(
    repositoryName="demo", repositoryDescription="a demonstration", tags={"team": "blue"}
)["repositoryMetadata"]
assert made["Arn"] == "arn:aws:codecommit:us-east-1:000000000000:demo", made
assert isinstance(made["creationDate"], datetime.datetime), made
assert made["cloneUrlHttp"].endswith("/v1/repos/demo"), made
assert "defaultBranch" not in made, made
refused("RepositoryNameExistsException", codecommit.create_repository, repositoryName="demo")
refused("InvalidRepositoryNameException", codecommit.create_repository, repositoryName="a b")
message = refused("RepositoryDoesNotExistException", codecommit.get_repository, repositoryName="none")
assert message == "none does not exist", message
batch = codecommit.batch_get_repositories(repositoryNames=["demo", "none"])
assert [one["repositoryName"] for one in batch["repositories"]] == ["demo"], batch
assert batch["repositoriesNotFound"] == ["none"], batch
codecommit.tag_resource(resourceArn=made["Arn"], tags={"cost": "7"})
codecommit.untag_resource(resourceArn=made["Arn"], tagKeys=["team"])
assert codecommit.list_tags_for_resource(resourceArn=made["Arn"])["tags"] == {"cost": "7"}
for n in range(105):
    codecommit.create_repository(repositoryName=f"page{n:03}")
pages = codecommit.get_paginator("list_repositories").paginate(sortBy="repositoryName", order="ascending")
names = [one["repositoryName"] for page in pages for one in page["repositories"]]
assert names == ["demo"] + [f"page{n:03}" for n in range(105)], names
for n in range(105):
    codecommit.delete_repository(repositoryName=f"page{n:03}")

# Files, commits, branches.
first = codecommit.put_file(
    repositoryName="demo", branchName="main", fileContent=b"one\n", filePath="d/a", commitMessage="first", name="A", email="a@b"
)
assert codecommit.get_repository(repositoryName="demo")["repositoryMetadata"]["defaultBranch"] == "main"
refused(
    "ParentCommitIdRequiredException",
    codecommit.put_file, repositoryName="demo", branchName="main", fileContent=b"x", filePath="x",
)
second = codecommit.create_commit(
    repositoryName="demo",
    branchName="main",
    parentCommitId=first["commitId"],
    putFiles=[
        {"filePath": "b", "fileContent": bytes(range(256)), "fileMode": "EXECUTABLE"},
        {"filePath": "c", "sourceFile": {"filePath": "d/a"}},
    ],
    deleteFiles=[{"filePath": "d/a"}],
    keepEmptyFolders=True,
)
assert sorted(one["absolutePath"] for one in second["filesAdded"]) == ["b", "c", "d/.gitkeep"], second
refused(
    "ParentCommitIdOutdatedException",
    codecommit.delete_file, repositoryName="demo", branchName="main", filePath="b", parentCommitId=first["commitId"],
)
got = codecommit.get_file(repositoryName="demo", filePath="b")
assert (got["fileContent"], got["fileMode"], got["fileSize"]) == (bytes(range(256)), "EXECUTABLE", 256), got
assert codecommit.get_blob(repositoryName="demo", blobId=got["blobId"])["content"] == bytes(range(256))
folder = codecommit.get_folder(repositoryName="demo", folderPath="/")
assert [one["relativePath"] for one in folder["files"]] == ["b", "c"], folder
assert [one["absolutePath"] for one in folder["subFolders"]] == ["d"], folder
commit = codecommit.get_commit(repositoryName="demo", commitId=second["commitId"])["commit"]
assert commit["parents"] == [first["commitId"]] and commit["treeId"] == second["treeId"], commit
batch = codecommit.batch_get_commits(repositoryName="demo", commitIds=[first["commitId"], "0" * 40])
assert batch["commits"][0]["author"]["name"] == "A" and len(batch["errors"]) == 1, batch
pages = codecommit.get_paginator("get_differences").paginate(
    repositoryName="demo", beforeCommitSpecifier=first["commitId"], afterCommitSpecifier="main", PaginationConfig={"PageSize": 2}
)
changes = [(one["changeType"], one.get("afterBlob", one.get("beforeBlob"))["path"]) for page in pages for one in page["differences"]]
assert changes == [("A", "b"), ("A", "c"), ("A", "d/.gitkeep"), ("D", "d/a")], changes
codecommit.create_branch(repositoryName="demo", branchName="feature/x", commitId=first["commitId"])
assert codecommit.list_branches(repositoryName="demo")["branches"] == ["feature/x", "main"]
refused("DefaultBranchCannotBeDeletedException", codecommit.delete_branch, repositoryName="demo", branchName="main")
codecommit.update_default_branch(repositoryName="demo", defaultBranchName="feature/x")
codecommit.delete_branch(repositoryName="demo", branchName="main")
refused("BranchDoesNotExistException", codecommit.get_branch, repositoryName="demo", branchName="main")

# Triggers start builds.
refused(
    "InvalidRepositoryTriggerDestinationArnException",
    codecommit.put_repository_triggers,
    repositoryName="demo",
    triggers=[{"name": "t", "destinationArn": "arn:aws:sns:us-east-1:000000000000:t", "events": ["all"]}],
)
codebuild.create_project(
    name="demo",
    source={"type": "NO_SOURCE", "buildspec": "version: 0.2\nphases: {build: {commands: [true]}}"},
    artifacts={"type": "NO_ARTIFACTS"},
    environment={"type": "LINUX_CONTAINER", "image": "host", "computeType": "BUILD_GENERAL1_SMALL"},
    serviceRole="kiln-default-build-role",
)
trigger = {
    "name": "build",
    "destinationArn": "arn:aws:codebuild:us-east-1:000000000000:project/demo",
    "branches": ["main"],
    "events": ["all"],
}
assert codecommit.test_repository_triggers(repositoryName="demo", triggers=[trigger])["successfulExecutions"] == ["build"]
codecommit.put_repository_triggers(repositoryName="demo", triggers=[trigger])
assert codecommit.get_repository_triggers(repositoryName="demo")["triggers"] == [trigger]
codecommit.create_branch(repositoryName="demo", branchName="main", commitId=second["commitId"])
codecommit.create_branch(repositoryName="demo", branchName="other", commitId=second["commitId"])
ids = codebuild.list_builds_for_project(projectName="demo")["ids"]
assert len(ids) == 1, ids
assert codebuild.batch_get_builds(ids=ids)["builds"][0]["initiator"] == "trigger/build"

# What is not offered says so.
message = refused("OperationNotAllowedException", codecommit.list_pull_requests, repositoryName="demo")
assert "not available" in message, message
codecommit.update_repository_name(oldName="demo", newName="renamed")
gone = codecommit.delete_repository(repositoryName="renamed")
assert gone["repositoryId"] == made["repositoryId"], gone
assert "repositoryId" not in codecommit.delete_repository(repositoryName="renamed")
