"""What boto3 makes of the answers: types, errors, every operation that is there."""

import datetime
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

codebuild = boto3.client("codebuild")
# Sends what botocore itself would refuse.
unchecked = boto3.client("codebuild", config=Config(parameter_validation=False))
ROLE = "arn:aws:iam::000000000000:role/kiln-default-build-role"
BUILDSPEC = """version: 0.2
env:
  exported-variables: [MADE]
phases:
  build:
    commands:
      - export MADE=of-$WORD
      - echo "$WORD" > word.txt
artifacts:
  files: [word.txt]
"""


def finished(build_id):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = codebuild.batch_get_builds(ids=[build_id])
        assert len(found["builds"]) == 1, found
        if found["builds"][0]["buildComplete"]:
            return found["builds"][0]
        time.sleep(0.05)
    raise AssertionError(f"{build_id} does not end: {found}")


def refused(code, call, **arguments):
    try:
        answer = call(**arguments)
    except ClientError as error:
        said = error.response["Error"]
        assert said["Code"] == code, said
        assert error.response["ResponseMetadata"]["RequestId"], error.response
        return said["Message"]
    raise AssertionError(f"{arguments} was accepted: {answer}")


project = codebuild.create_project(
    name="boto3",
    source={"type": "NO_SOURCE", "buildspec": BUILDSPEC},
    artifacts={"type": "S3", "location": "artifacts", "packaging": "ZIP", "namespaceType": "BUILD_ID", "name": "out.zip"},
    environment={
        "type": "LINUX_CONTAINER",
        "image": "host",
        "computeType": "BUILD_GENERAL1_SMALL",
        "environmentVariables": [{"name": "WORD", "value": "clay"}],
    },
    serviceRole=ROLE,
    tags=[{"key": "a", "value": "b"}],
)["project"]
assert isinstance(project["created"], datetime.datetime) and project["created"].tzinfo, project
age = datetime.datetime.now(datetime.timezone.utc) - project["created"]
assert abs(age.total_seconds()) < 300, project["created"]
# Defaults that the service writes.
assert project["queuedTimeoutInMinutes"] == 480 and project["timeoutInMinutes"] == 60, project
assert project["cache"] == {"type": "NO_CACHE"} and project["badge"] == {"badgeEnabled": False}, project
assert project["encryptionKey"] == "arn:aws:kms:us-east-1:000000000000:alias/aws/s3", project
assert project["environment"]["environmentVariables"] == [{"name": "WORD", "value": "clay", "type": "PLAINTEXT"}]
assert project["environment"]["privilegedMode"] is False, project
assert project["environment"]["imagePullCredentialsType"] == "CODEBUILD", project
assert project["artifacts"]["encryptionDisabled"] is False and project["projectVisibility"] == "PRIVATE", project
assert project["secondarySources"] == [] and project["secondaryArtifacts"] == [], project
assert "webhook" not in project, project

# Errors.
message = refused("ResourceNotFoundException", codebuild.start_build, projectName="nowhere")
assert message == "Project cannot be found: arn:aws:codebuild:us-east-1:000000000000:project/nowhere", message
message = refused("ResourceNotFoundException", codebuild.list_builds_for_project, projectName="nowhere")
assert message == "The provided project arn:aws:codebuild:us-east-1:000000000000:project/nowhere does not exist", message
unknown = "boto3:00000000-0000-4000-8000-000000000000"
assert refused("ResourceNotFoundException", codebuild.stop_build, id=unknown) == f"Build {unknown} does not exist"
assert refused("ResourceNotFoundException", codebuild.retry_build, id=unknown) == f"Build {unknown} does not exist"
assert refused("InvalidInputException", codebuild.batch_get_builds, ids=["boto3"]) == "Invalid build ID provided"
refused("InvalidInputException", codebuild.list_projects, nextToken="made up")
refused("InvalidInputException", unchecked.start_build, projectName="boto3", timeoutInMinutesOverride=1)
refused("InvalidInputException", codebuild.start_build, projectName="boto3", environmentTypeOverride="PDP_11")
refused("InvalidInputException", codebuild.start_build, projectName="boto3", environmentTypeOverride="WINDOWS_CONTAINER")
refused("InvalidInputException", codebuild.create_webhook, projectName="boto3")
refused("ResourceNotFoundException", codebuild.update_project, name="nowhere")

# A build with an override, and its record.
build = codebuild.start_build(
    projectName="boto3", environmentVariablesOverride=[{"name": "WORD", "value": "brick", "type": "PLAINTEXT"}]
)["build"]
assert build["buildStatus"] == "IN_PROGRESS" and build["buildComplete"] is False, build
assert build["currentPhase"] == "QUEUED", build
assert [phase["phaseType"] for phase in build["phases"]] == ["SUBMITTED", "QUEUED"], build
assert isinstance(build["startTime"], datetime.datetime), build
assert build["artifacts"], build
build = finished(build["id"])
assert build["buildStatus"] == "SUCCEEDED", build
assert build["currentPhase"] == "COMPLETED" and isinstance(build["endTime"], datetime.datetime), build
assert build["exportedEnvironmentVariables"] == [{"name": "MADE", "value": "of-brick"}], build
assert build["artifacts"]["location"] == "arn:aws:s3:::artifacts/{}/out.zip".format(build["id"].split(":")[1]), build
assert len(build["artifacts"]["sha256sum"]) == 64 and len(build["artifacts"]["md5sum"]) == 32, build
assert build["logs"]["groupName"] == "/aws/codebuild/boto3", build
assert build["logs"]["streamName"] == build["id"].split(":")[1], build

# Empty strings mean that nothing was said (Jenkins always sends them).
same = codebuild.start_build(projectName="boto3", buildspecOverride="", environmentVariablesOverride=[])["build"]
assert same["source"]["buildspec"] == BUILDSPEC, same
same = finished(same["id"])
assert same["exportedEnvironmentVariables"] == [{"name": "MADE", "value": "of-clay"}], same
assert same["buildNumber"] == build["buildNumber"] + 1, same

# One token, one build.
first = codebuild.start_build(projectName="boto3", idempotencyToken="t")["build"]
assert codebuild.start_build(projectName="boto3", idempotencyToken="t")["build"]["id"] == first["id"]
refused("InvalidInputException", codebuild.start_build, projectName="boto3", idempotencyToken="t", sourceVersion="x")
ended = finished(first["id"])
stopped = codebuild.stop_build(id=first["id"])["build"]
assert stopped["buildStatus"] == ended["buildStatus"] == "SUCCEEDED", "a finished build is stopped without an error"

# Builds that go on.
busy = codebuild.start_build(projectName="boto3", buildspecOverride="version: 0.2\nphases: {build: {commands: [sleep 1000]}}")
busy = busy["build"]["id"]
left = codebuild.batch_delete_builds(ids=[busy])["buildsNotDeleted"]
assert left == [{"id": f"arn:aws:codebuild:us-east-1:000000000000:build/{busy}", "statusCode": "BUILD_IN_PROGRESS"}], left
codebuild.stop_build(id=busy)
stopped = finished(busy)
assert stopped["buildStatus"] == "STOPPED", stopped
codebuild.update_project(name="boto3", concurrentBuildLimit=1)
busy = codebuild.start_build(projectName="boto3", buildspecOverride="version: 0.2\nphases: {build: {commands: [sleep 1000]}}")
refused("AccountLimitExceededException", codebuild.start_build, projectName="boto3")
codebuild.stop_build(id=busy["build"]["id"])
finished(busy["build"]["id"])
limited = codebuild.update_project(name="boto3", concurrentBuildLimit=-1)["project"]
assert "concurrentBuildLimit" not in limited and limited["tags"] == [], limited

# A failure says what failed; it is tried again as often as wanted.
failing = codebuild.start_build(
    projectName="boto3",
    buildspecOverride="version: 0.2\nphases: {build: {commands: ['false']}}",
    autoRetryLimitOverride=1,
)["build"]
failed = finished(failing["id"])
assert failed["buildStatus"] == "FAILED", failed
phase = next(phase for phase in failed["phases"] if phase["phaseType"] == "BUILD")
assert phase["phaseStatus"] == "FAILED", failed
assert phase["contexts"][0]["statusCode"] == "COMMAND_EXECUTION_ERROR", failed
assert failed["autoRetryConfig"]["autoRetryNumber"] == 0, failed
second = failed["autoRetryConfig"]["nextAutoRetry"].split("/", 1)[1]
second = finished(second)
assert second["autoRetryConfig"]["previousAutoRetry"] == failed["arn"], second
assert second["autoRetryConfig"]["autoRetryNumber"] == 1 and "nextAutoRetry" not in second["autoRetryConfig"], second

# The neighbours: credentials, policies, images, visibility, cache.
token = codebuild.import_source_credentials(token="secret-token", serverType="GITHUB", authType="PERSONAL_ACCESS_TOKEN")
listed = codebuild.list_source_credentials()["sourceCredentialsInfos"]
assert [info["arn"] for info in listed] == [token["arn"]] and "secret-token" not in str(listed), listed
codebuild.delete_source_credentials(arn=token["arn"])
refused("ResourceNotFoundException", codebuild.delete_source_credentials, arn=token["arn"])
refused("ResourceNotFoundException", codebuild.get_resource_policy, resourceArn=project["arn"])
policy = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"123456789012"},'
    '"Action":["codebuild:BatchGetProjects"],"Resource":"%s"}]}' % project["arn"]
)
codebuild.put_resource_policy(policy=policy, resourceArn=project["arn"])
assert codebuild.get_resource_policy(resourceArn=project["arn"])["policy"] == policy
codebuild.delete_resource_policy(resourceArn=project["arn"])
platforms = codebuild.list_curated_environment_images()["platforms"]
assert any(image["name"] for p in platforms for language in p["languages"] for image in language["images"]), platforms
codebuild.invalidate_project_cache(projectName="boto3")
visible = codebuild.update_project_visibility(
    projectArn=project["arn"], projectVisibility="PUBLIC_READ", resourceAccessRole=ROLE
)
assert visible["publicProjectAlias"], visible

# An ARN wherever a name is.
assert codebuild.batch_get_projects(names=[project["arn"]])["projects"][0]["name"] == "boto3"
assert codebuild.start_build(projectName=project["arn"])["build"]["projectName"] == "boto3"
for build_id in codebuild.list_builds_for_project(projectName="boto3")["ids"]:
    finished(build_id)
codebuild.delete_project(name=project["arn"])
codebuild.delete_project(name="boto3")
print("ok")
