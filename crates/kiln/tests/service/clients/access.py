"""Users, roles, policies and sessions with boto3: who may what, and what the others are told."""

import json

import boto3
from botocore.exceptions import ClientError

iam = boto3.client("iam")
PROJECT = "arn:aws:codebuild:us-east-1:000000000000:project/"


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def refused(code, call, text="", **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert text in error.response["Error"]["Message"], error
        return error.response
    raise AssertionError(f"{call} was not refused with {code}")


def clients(key):
    """Clients with a key of IAM, or with the credentials of a session."""
    return lambda service: boto3.client(
        service,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key.get("SessionToken"),
    )


def project(name, **more):
    return {
        "name": name,
        "source": {"type": "NO_SOURCE", "buildspec": "version: 0.2\nphases: {build: {commands: [true]}}"},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {"type": "LINUX_CONTAINER", "image": "host", "computeType": "BUILD_GENERAL1_SMALL"},
        "serviceRole": "arn:aws:iam::000000000000:role/build",
        **more,
    }


# The account's root makes a role for builds, projects, a user, and the user's key. A role has to be there, and to let
# CodeBuild in.
root = boto3.client("codebuild")
missing = "CodeBuild is not authorized to perform: sts:AssumeRole on arn:aws:iam::000000000000:role/build"
refused("InvalidInputException", root.create_project, missing, **project("my-app"))
iam.create_role(
    RoleName="build",
    AssumeRolePolicyDocument=policy(
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ),
)
refused("InvalidInputException", root.create_project, missing, **project("my-app"))
iam.update_assume_role_policy(
    RoleName="build",
    PolicyDocument=policy(
        {
            "Effect": "Allow",
            "Principal": {"Service": "codebuild.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringNotEquals": {"aws:SourceArn": PROJECT + "forbidden"}},
        }
    ),
)
refused("InvalidInputException", root.create_project, missing, **project("forbidden"))
for name in ("my-app", "other"):
    root.create_project(**project(name, tags=[{"key": "Env", "value": "prod" if name == "other" else "test"}]))
user = iam.create_user(UserName="alice", Path="/team/", Tags=[{"Key": "team", "Value": "blue"}])["User"]
assert user["Arn"] == "arn:aws:iam::000000000000:user/team/alice" and user["Tags"] == [{"Key": "team", "Value": "blue"}]
refused("EntityAlreadyExists", iam.create_user, UserName="ALICE")
key = iam.create_access_key(UserName="alice")["AccessKey"]
alice = clients(key)
me = alice("sts").get_caller_identity()
assert (me["Arn"], me["UserId"], me["Account"]) == (user["Arn"], user["UserId"], "000000000000")

# Whoever has no policy may nothing; CodeBuild says so with its code, IAM and S3 with theirs.
builds = alice("codebuild")
answer = refused(
    "AccessDeniedException",
    builds.batch_get_projects,
    f"User: {user['Arn']} is not authorized to perform: codebuild:BatchGetProjects on resource: {PROJECT}my-app because "
    "no identity-based policy allows the codebuild:BatchGetProjects action",
    names=["my-app"],
)
assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
refused("AccessDenied", alice("iam").list_users)
refused("AccessDenied", alice("s3").list_buckets)

# By name.
iam.put_user_policy(
    UserName="alice",
    PolicyName="mine",
    PolicyDocument=policy(allow("codebuild:BatchGetProjects", PROJECT + "my*"), allow("codebuild:List*")),
)
assert iam.get_user_policy(UserName="alice", PolicyName="mine")["PolicyDocument"]["Version"] == "2012-10-17"
assert builds.batch_get_projects(names=["my-app"])["projects"][0]["name"] == "my-app"
refused("AccessDeniedException", builds.batch_get_projects, names=["my-app", "other"])
assert builds.list_projects()["projects"] == ["my-app", "other"]
# A list is about everything: a project's name in the policy is not enough.
iam.put_user_policy(UserName="alice", PolicyName="mine", PolicyDocument=policy(allow("codebuild:List*", PROJECT + "*")))
refused("AccessDeniedException", builds.list_projects)

# By tag, in a managed policy; by condition on what the request sets; through a group.
arn = iam.create_policy(
    PolicyName="developers",
    PolicyDocument=policy(
        allow(["codebuild:BatchGet*", "codebuild:UpdateProject"], Condition={"StringEquals": {"aws:ResourceTag/Env": "test"}}),
        allow("codebuild:CreateProject"),
        {
            "Effect": "Deny",
            "Action": ["codebuild:CreateProject", "codebuild:UpdateProject"],
            "Resource": "*",
            "Condition": {"Bool": {"codebuild:environment.privilegedMode": "true"}},
        },
    ),
)["Policy"]["Arn"]
iam.create_group(GroupName="developers")
iam.attach_group_policy(GroupName="developers", PolicyArn=arn)
iam.add_user_to_group(GroupName="developers", UserName="alice")
assert builds.batch_get_projects(names=["my-app"])["projects"]
refused("AccessDeniedException", builds.batch_get_projects, names=["other"])
# A role may be handed over by those alone who may pass it.
refused("AccessDeniedException", builds.create_project, "iam:PassRole on resource: arn:aws:iam::000000000000:role/build", **project("new"))
iam.put_user_policy(
    UserName="alice",
    PolicyName="mine",
    PolicyDocument=policy(
        allow(
            "iam:PassRole",
            "arn:aws:iam::000000000000:role/build",
            Condition={"StringEquals": {"iam:PassedToService": "codebuild.amazonaws.com"}},
        )
    ),
)
builds.create_project(**project("new"))
refused("AccessDeniedException", builds.create_project, "role/admin", **project("evil", serviceRole="arn:aws:iam::000000000000:role/admin"))
privileged = project("root")
privileged["environment"]["privilegedMode"] = True
refused("AccessDeniedException", builds.create_project, "with an explicit deny in an identity-based policy", **privileged)

# A role is assumed by whom it trusts; the session is limited by its own policy.
trust = policy({"Effect": "Allow", "Principal": {"AWS": user["Arn"]}, "Action": "sts:AssumeRole"})
role = iam.create_role(RoleName="viewer", AssumeRolePolicyDocument=trust, MaxSessionDuration=7200)["Role"]
assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"AWS": user["Arn"]}
refused("MalformedPolicyDocument", iam.create_role, RoleName="x", AssumeRolePolicyDocument='{"Statement": 1}')
iam.attach_role_policy(RoleName="viewer", PolicyArn="arn:aws:iam::aws:policy/AWSCodeBuildReadOnlyAccess")
assert iam.list_attached_role_policies(RoleName="viewer")["AttachedPolicies"][0]["PolicyName"] == "AWSCodeBuildReadOnlyAccess"
assert iam.list_instance_profiles_for_role(RoleName="viewer")["InstanceProfiles"] == []
session = alice("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="s1")
assert session["AssumedRoleUser"]["Arn"] == "arn:aws:sts::000000000000:assumed-role/viewer/s1"
viewer = clients(session["Credentials"])
assert viewer("sts").get_caller_identity()["Arn"] == session["AssumedRoleUser"]["Arn"]
assert viewer("codebuild").batch_get_projects(names=["other"])["projects"]
refused("AccessDeniedException", viewer("codebuild").delete_project, name="other")
limited = alice("sts").assume_role(
    RoleArn=role["Arn"], RoleSessionName="s2", Policy=policy(allow("codebuild:List*"))
)["Credentials"]
assert clients(limited)("codebuild").list_projects()["projects"]
refused("AccessDeniedException", clients(limited)("codebuild").batch_get_projects, "no session policy", names=["other"])
refused("AccessDenied", viewer("sts").assume_role, RoleArn=role["Arn"], RoleSessionName="s3")
refused("ValidationError", alice("sts").assume_role, RoleArn=role["Arn"], RoleSessionName="s4", DurationSeconds=7201)
# The token belongs to its key, and to nobody else's.
mixed = {**session["Credentials"], "SessionToken": limited["SessionToken"]}
refused("UnrecognizedClientException", clients(mixed)("codebuild").list_projects)

# A bucket's policy lets a user in, and its owner repairs one that lets nobody in.
s3 = boto3.client("s3")
s3.create_bucket(Bucket="shared")
s3.put_object(Bucket="shared", Key="alice/a", Body=b"hello")
refused("AccessDenied", alice("s3").get_object, Bucket="shared", Key="alice/a")
statement = {"Principal": {"AWS": user["Arn"]}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::shared/${aws:username}/*"}
s3.put_bucket_policy(Bucket="shared", Policy=policy({"Effect": "Allow", **statement}))
assert alice("s3").get_object(Bucket="shared", Key="alice/a")["Body"].read() == b"hello"
refused("AccessDenied", alice("s3").put_object, Bucket="shared", Key="alice/a", Body=b"x")
nobody = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::shared", "arn:aws:s3:::shared/*"]}
s3.put_bucket_policy(Bucket="shared", Policy=policy(nobody))
refused("AccessDenied", s3.get_object, Bucket="shared", Key="alice/a")
s3.delete_bucket_policy(Bucket="shared")

# Credentials for git: the password is shown when it is made, and never again. The passwords go to standard output, for whom
# looks that they are nowhere else.
CODECOMMIT = "codecommit.amazonaws.com"
iam.put_user_policy(
    UserName="alice",
    PolicyName="git",
    PolicyDocument=policy(allow("iam:*ServiceSpecificCredential*", "arn:aws:iam::000000000000:user/team/${aws:username}")),
)
mine = alice("iam")
git = mine.create_service_specific_credential(UserName="alice", ServiceName=CODECOMMIT)["ServiceSpecificCredential"]
print(git["ServicePassword"])
assert (git["UserName"], git["ServiceUserName"], git["Status"]) == ("alice", "alice-at-000000000000", "Active"), git
assert len(git["ServicePassword"]) == 44 and git["ServiceSpecificCredentialId"].startswith("ACCA"), git
listed = mine.list_service_specific_credentials(ServiceName=CODECOMMIT)["ServiceSpecificCredentials"]
assert listed == [{name: value for name, value in git.items() if name != "ServicePassword"}], listed
refused("AccessDenied", mine.list_service_specific_credentials, AllUsers=True)
assert len(iam.list_service_specific_credentials(AllUsers=True)["ServiceSpecificCredentials"]) == 1
refused("AccessDenied", mine.create_service_specific_credential, UserName="bob", ServiceName=CODECOMMIT)
for service, code in (("cassandra.amazonaws.com", "NotSupportedService"), ("example.com", "NoSuchEntity")):
    refused(code, iam.create_service_specific_credential, UserName="alice", ServiceName=service)
second = mine.create_service_specific_credential(UserName="alice", ServiceName=CODECOMMIT)["ServiceSpecificCredential"]
print(second["ServicePassword"])
refused("LimitExceeded", mine.create_service_specific_credential, UserName="alice", ServiceName=CODECOMMIT)
which = {"ServiceSpecificCredentialId": git["ServiceSpecificCredentialId"]}
mine.update_service_specific_credential(Status="Inactive", **which)
reset = mine.reset_service_specific_credential(**which)["ServiceSpecificCredential"]
print(reset["ServicePassword"])
assert reset["Status"] == "Inactive" and reset["ServicePassword"] != git["ServicePassword"], reset
refused("DeleteConflict", iam.delete_user, UserName="alice")
for one in (git, second):
    mine.delete_service_specific_credential(ServiceSpecificCredentialId=one["ServiceSpecificCredentialId"])
refused("NoSuchEntity", mine.delete_service_specific_credential, "No such credential", **which)
iam.delete_user_policy(UserName="alice", PolicyName="git")

# By the tags that an object has, or is given.
iam.put_user_policy(
    UserName="alice",
    PolicyName="tags",
    PolicyDocument=policy(
        allow("s3:GetObject*", "arn:aws:s3:::shared/*", Condition={"StringEquals": {"s3:ExistingObjectTag/team": "blue"}}),
        allow(
            ["s3:PutObject", "s3:PutObjectTagging"],
            "arn:aws:s3:::shared/*",
            Condition={
                "StringEquals": {"s3:RequestObjectTag/team": "${aws:PrincipalTag/team}"},
                "ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["team", "stage"]},
            },
        ),
    ),
)
hers = alice("s3")
hers.put_object(Bucket="shared", Key="tagged", Body=b"1", Tagging="team=blue&stage=test")
assert hers.get_object(Bucket="shared", Key="tagged")["Body"].read() == b"1"
for tagging in ("team=green", "team=blue&other=x", "stage=test"):
    refused("AccessDenied", hers.put_object, Bucket="shared", Key="tagged", Body=b"2", Tagging=tagging)
refused("AccessDenied", hers.put_object, Bucket="shared", Key="tagged", Body=b"2")
tags = lambda **all: {"TagSet": [{"Key": key, "Value": value} for key, value in all.items()]}
refused("AccessDenied", hers.put_object_tagging, Bucket="shared", Key="tagged", Tagging=tags(team="green"))
hers.put_object_tagging(Bucket="shared", Key="tagged", Tagging=tags(team="blue"))
refused("AccessDenied", hers.get_object, "s3:GetObject on resource", Bucket="shared", Key="alice/a")
s3.put_object_tagging(Bucket="shared", Key="tagged", Tagging=tags(team="green"))
refused("AccessDenied", hers.get_object, Bucket="shared", Key="tagged")
iam.delete_user_policy(UserName="alice", PolicyName="tags")

# A key that is switched off or deleted is worth nothing from then on.
iam.update_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"], Status="Inactive")
refused("UnrecognizedClientException", builds.list_projects)
iam.update_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"], Status="Active")
assert builds.batch_get_projects(names=["my-app"])["projects"]
iam.delete_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"])
refused("UnrecognizedClientException", builds.list_projects)

# Everything is listed page by page, and goes in the order that AWS wants.
for number in range(5):
    iam.create_user(UserName=f"user{number}")
pages = iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2})
assert [one["UserName"] for page in pages for one in page["Users"]] == ["alice", *(f"user{n}" for n in range(5))]
refused("DeleteConflict", iam.delete_policy, PolicyArn=arn)
refused("DeleteConflict", iam.delete_user, UserName="alice")
iam.remove_user_from_group(GroupName="developers", UserName="alice")
iam.delete_user_policy(UserName="alice", PolicyName="mine")
iam.delete_user(UserName="alice")
refused("NoSuchEntity", iam.get_user, "The user with name alice cannot be found.", UserName="alice")
iam.detach_group_policy(GroupName="developers", PolicyArn=arn)
iam.delete_policy(PolicyArn=arn)
iam.delete_group(GroupName="developers")
