"""Secrets Manager and Parameter Store as boto3 sees them: whole lives."""

import datetime
import json
import re
import uuid

import boto3
from botocore.exceptions import ClientError

secrets = boto3.client("secretsmanager")
ssm = boto3.client("ssm")
kms = boto3.client("kms")


def refused(code, call, **arguments):
    try:
        answer = call(**arguments)
    except ClientError as error:
        said = error.response["Error"]
        assert said["Code"] == code, said
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400, error.response
        return said["Message"]
    raise AssertionError(f"{arguments} was accepted: {answer}")


# A secret: made, read, changed.
made = secrets.create_secret(
    Name="prod/db",
    Description="of boto3",
    SecretString=json.dumps({"user": "bob", "password": "hunter2-é"}),
    Tags=[{"Key": "team", "Value": "blue"}],
)
arn = made["ARN"]
assert re.fullmatch(r"arn:aws:secretsmanager:us-east-1:000000000000:secret:prod/db-[A-Za-z0-9]{6}", arn), arn
for name in ["prod/db", arn, arn[:-7]]:
    got = secrets.get_secret_value(SecretId=name)
    assert json.loads(got["SecretString"])["password"] == "hunter2-é", got
    assert (got["VersionStages"], got["VersionId"]) == (["AWSCURRENT"], made["VersionId"]), got
    assert isinstance(got["CreatedDate"], datetime.datetime) and "SecretBinary" not in got, got
described = secrets.describe_secret(SecretId="prod/db")
assert described["VersionIdsToStages"] == {made["VersionId"]: ["AWSCURRENT"]}, described
assert described["Tags"] == [{"Key": "team", "Value": "blue"}] and "DeletedDate" not in described, described

# Versions and their labels.
token = str(uuid.uuid4())
for _ in range(2):  # The second is a repetition.
    put = secrets.put_secret_value(SecretId="prod/db", ClientRequestToken=token, SecretBinary=b"\x00\xff")
    assert put["VersionId"] == token and put["VersionStages"] == ["AWSCURRENT"], put
assert secrets.get_secret_value(SecretId=arn)["SecretBinary"] == b"\x00\xff"
before = secrets.get_secret_value(SecretId=arn, VersionStage="AWSPREVIOUS")
assert before["VersionId"] == made["VersionId"], before
said = refused(
    "ResourceExistsException", secrets.put_secret_value, SecretId=arn, ClientRequestToken=token, SecretString="x"
)
assert token in said and arn in said, said
secrets.update_secret_version_stage(
    SecretId=arn, VersionStage="AWSCURRENT", RemoveFromVersionId=token, MoveToVersionId=made["VersionId"]
)
assert secrets.get_secret_value(SecretId=arn)["VersionId"] == made["VersionId"]
pending = secrets.put_secret_value(SecretId=arn, SecretString="third", VersionStages=["AWSPENDING", "mine"])
assert secrets.get_secret_value(SecretId=arn, VersionStage="mine")["SecretString"] == "third"
refused(
    "InvalidRequestException",
    secrets.get_secret_value,
    SecretId=arn,
    VersionStage="mine",
    VersionId=made["VersionId"],
)
refused("ResourceNotFoundException", secrets.get_secret_value, SecretId=arn, VersionStage="nothing")
versions = secrets.list_secret_version_ids(SecretId=arn, MaxResults=2)
more = secrets.list_secret_version_ids(SecretId=arn, MaxResults=2, NextToken=versions["NextToken"])
assert len(versions["Versions"] + more["Versions"]) == 3, (versions, more)
key = kms.create_key()["KeyMetadata"]["Arn"]
secrets.update_secret(SecretId=arn, KmsKeyId=key, Description="changed")
described = secrets.describe_secret(SecretId=arn)
assert (described["KmsKeyId"], described["Description"]) == (key, "changed"), described
# The day of the last access is noted after the answer, and before the changes that follow.
assert described["LastAccessedDate"] <= datetime.datetime.now(datetime.timezone.utc), described
kms.disable_key(KeyId=key)
refused("DecryptionFailure", secrets.get_secret_value, SecretId=arn)
kms.enable_key(KeyId=key)

# Several at once, and lists.
secrets.create_secret(Name="prod/api", SecretString="of the API")
secrets.create_secret(Name="test/api", SecretString="of the test")
batch = secrets.batch_get_secret_value(SecretIdList=["prod/api", "nothing"])
assert [v["SecretString"] for v in batch["SecretValues"]] == ["of the API"], batch
assert [(e["SecretId"], e["ErrorCode"]) for e in batch["Errors"]] == [("nothing", "ResourceNotFoundException")], batch
pages = secrets.get_paginator("list_secrets").paginate(PaginationConfig={"PageSize": 2})
assert [s["Name"] for page in pages for s in page["SecretList"]] == ["prod/db", "prod/api", "test/api"]
found = secrets.list_secrets(Filters=[{"Key": "name", "Values": ["prod/"]}, {"Key": "tag-key", "Values": ["!team"]}])
assert [s["Name"] for s in found["SecretList"]] == ["prod/api"], found

# Tags, policies, passwords.
secrets.tag_resource(SecretId="prod/api", Tags=[{"Key": "a", "Value": "b"}])
secrets.untag_resource(SecretId="prod/api", TagKeys=["a"])
assert secrets.describe_secret(SecretId="prod/api")["Tags"] == []
policy = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}],
}
secrets.put_resource_policy(SecretId="prod/api", ResourcePolicy=json.dumps(policy))
assert json.loads(secrets.get_resource_policy(SecretId="prod/api")["ResourcePolicy"]) == policy
said = refused("AccessDeniedException", secrets.get_secret_value, SecretId="prod/api")
assert said.endswith("with an explicit deny in a resource-based policy"), said
batch = secrets.batch_get_secret_value(SecretIdList=["prod/api"])
assert batch["Errors"][0]["ErrorCode"] == "AccessDeniedException", batch
secrets.delete_resource_policy(SecretId="prod/api")
assert "ResourcePolicy" not in secrets.get_resource_policy(SecretId="prod/api")
assert secrets.validate_resource_policy(ResourcePolicy=json.dumps(policy))["PolicyValidationPassed"] is True
refused("MalformedPolicyDocumentException", secrets.put_resource_policy, SecretId="prod/api", ResourcePolicy="{")
password = secrets.get_random_password(PasswordLength=40, ExcludePunctuation=True)["RandomPassword"]
assert len(password) == 40 and password.isalnum(), "a password of letters and digits"

# Deletion waits, and can be taken back.
planned = secrets.delete_secret(SecretId="prod/db", RecoveryWindowInDays=7)
assert isinstance(planned["DeletionDate"], datetime.datetime), planned
refused("InvalidRequestException", secrets.get_secret_value, SecretId="prod/db")
said = refused("InvalidRequestException", secrets.create_secret, Name="prod/db", SecretString="x")
assert "already scheduled for deletion" in said, said
assert "DeletedDate" in secrets.describe_secret(SecretId="prod/db")
secrets.restore_secret(SecretId="prod/db")
secrets.get_secret_value(SecretId="prod/db")
secrets.delete_secret(SecretId="prod/db", ForceDeleteWithoutRecovery=True)
refused("ResourceNotFoundException", secrets.describe_secret, SecretId="prod/db")

# What is not there says so.
said = refused("InvalidRequestException", secrets.rotate_secret, SecretId="prod/api")
assert "not available in this version of Kiln" in said, said
refused(
    "InvalidRequestException",
    secrets.create_secret,
    Name="copied",
    AddReplicaRegions=[{"Region": "eu-west-1"}],
)
refused("ValidationException", secrets.create_secret, Name="with blanks in it", SecretString="x")

# Parameters: types, versions, labels.
assert ssm.put_parameter(Name="/app/db", Value="one", Type="String")["Version"] == 1
said = refused("ParameterAlreadyExists", ssm.put_parameter, Name="/app/db", Value="two", Type="String")
assert "set the overwrite option in the request to true" in said, said
second = ssm.put_parameter(Name="/app/db", Value="two", Type="String", Overwrite=True, Description="changed")
assert (second["Version"], second["Tier"]) == (2, "Standard"), second
got = ssm.get_parameter(Name="/app/db")["Parameter"]
assert (got["Value"], got["Version"], got["DataType"], got["Type"]) == ("two", 2, "text", "String"), got
assert got["ARN"] == "arn:aws:ssm:us-east-1:000000000000:parameter/app/db", got
assert isinstance(got["LastModifiedDate"], datetime.datetime), got
ssm.label_parameter_version(Name="/app/db", ParameterVersion=1, Labels=["old"])
for name in ["/app/db:1", "/app/db:old", got["ARN"] + ":1"]:
    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == "one", name
refused("ParameterVersionNotFound", ssm.get_parameter, Name="/app/db:7")
refused("ParameterNotFound", ssm.get_parameter, Name="/app/nothing")
assert ssm.unlabel_parameter_version(Name="/app/db", ParameterVersion=1, Labels=["old"])["RemovedLabels"] == ["old"]
history = ssm.get_parameter_history(Name="/app/db")["Parameters"]
assert [(v["Version"], v["Value"], v["Labels"]) for v in history] == [(1, "one", []), (2, "two", [])], history

# Sealed ones.
ssm.put_parameter(Name="/app/password", Value="hunter2-é", Type="SecureString", Tags=[{"Key": "a", "Value": "b"}])
sealed = ssm.get_parameter(Name="/app/password")["Parameter"]["Value"]
assert "hunter2" not in sealed, sealed
assert ssm.get_parameter(Name="/app/password", WithDecryption=True)["Parameter"]["Value"] == "hunter2-é"
some = ssm.get_parameters(Names=["/app/password", "/nothing"], WithDecryption=True)
assert (some["Parameters"][0]["Value"], some["InvalidParameters"]) == ("hunter2-é", ["/nothing"]), some
said = refused("InvalidKeyId", ssm.put_parameter, Name="/x", Value="y", Type="SecureString", KeyId="alias/nobody")
assert "alias/nobody" in said, said

# The hierarchy, and lists.
ssm.put_parameter(Name="/app/deep/er", Value="a,b", Type="StringList")
pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/app", PaginationConfig={"PageSize": 1})
assert [p["Name"] for page in pages for p in page["Parameters"]] == ["/app/db", "/app/password"]
deep = ssm.get_parameters_by_path(Path="/", Recursive=True, ParameterFilters=[{"Key": "Type", "Values": ["StringList"]}])
assert [p["Value"] for p in deep["Parameters"]] == ["a,b"], deep
listed = ssm.describe_parameters(ParameterFilters=[{"Key": "tag:a", "Values": ["b"]}])["Parameters"]
assert [(p["Name"], p["KeyId"], p["Policies"]) for p in listed] == [("/app/password", "alias/aws/ssm", [])], listed
assert "Value" not in listed[0] and listed[0]["LastModifiedUser"].endswith(":root"), listed
tags = {"ResourceType": "Parameter", "ResourceId": "/app/db"}
ssm.add_tags_to_resource(**tags, Tags=[{"Key": "c", "Value": "d"}, {"Key": "e", "Value": "f"}])
ssm.remove_tags_from_resource(**tags, TagKeys=["c"])
assert ssm.list_tags_for_resource(**tags)["TagList"] == [{"Key": "e", "Value": "f"}]

# Rules.
refused("AccessDeniedException", ssm.put_parameter, Name="/aws/x", Value="y", Type="String")
refused("ValidationException", ssm.put_parameter, Name="no/slash", Value="y", Type="String")
refused("ParameterPatternMismatchException", ssm.put_parameter, Name="/n", Value="x", Type="String", AllowedPattern=r"^\d+$")
refused("HierarchyTypeMismatchException", ssm.put_parameter, Name="/app/db", Value="x", Type="StringList", Overwrite=True)
gone = ssm.delete_parameters(Names=["/app/db", "/nothing"])
assert (gone["DeletedParameters"], gone["InvalidParameters"]) == (["/app/db"], ["/nothing"]), gone
refused("ParameterNotFound", ssm.delete_parameter, Name="/app/db")
refused("UnknownOperationException", ssm.describe_instance_information)
aliases = {a["AliasName"] for a in kms.list_aliases()["Aliases"]}
assert {"alias/aws/secretsmanager", "alias/aws/ssm"} <= aliases, aliases
