"""Policy simulation with boto3: what is simulated is what happens, and says why."""

import json

import boto3
from botocore.exceptions import ClientError

PROJECT = "arn:aws:codebuild:us-east-1:000000000000:project/"
iam = boto3.client("iam")
builds = boto3.client("codebuild")


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error.response["Error"]["Message"]
    raise AssertionError(f"{call} was not refused with {code}")


# Two projects, and a user who may read one of them, delete none, and list builds from near by alone.
for name in ("own", "other"):
    builds.create_project(
        name=name,
        source={"type": "NO_SOURCE", "buildspec": "version: 0.2\nphases: {build: {commands: [true]}}"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "host", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole="arn:aws:iam::000000000000:role/kiln-default-build-role",
    )
user = iam.create_user(UserName="alice")["User"]["Arn"]
own = policy(
    {"Sid": "Own", "Effect": "Allow", "Action": "codebuild:*", "Resource": PROJECT + "own"},
    {"Sid": "NoDelete", "Effect": "Deny", "Action": "codebuild:DeleteProject", "Resource": "*"},
    {
        "Sid": "Near",
        "Effect": "Allow",
        "Action": "codebuild:ListBuilds",
        "Resource": "*",
        "Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}},
    },
)
iam.put_user_policy(UserName="alice", PolicyName="own", PolicyDocument=own)
key = iam.create_access_key(UserName="alice")["AccessKey"]
alice = boto3.client(
    "codebuild", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
)


def simulate(action, resource=None, address="127.0.0.1", **more):
    if resource:
        more["ResourceArns"] = [PROJECT + resource]
    if address:
        entry = {"ContextKeyName": "aws:SourceIp", "ContextKeyType": "ip", "ContextKeyValues": [address]}
        more["ContextEntries"] = [entry]
    answer = iam.simulate_principal_policy(PolicySourceArn=user, ActionNames=["codebuild:" + action], **more)
    assert answer["IsTruncated"] is False
    [result] = answer["EvaluationResults"]
    assert result["EvalActionName"] == "codebuild:" + action
    assert result["EvalResourceName"] == (PROJECT + resource if resource else "*")
    if resource:
        [specific] = result["ResourceSpecificResults"]
        assert specific["EvalResourceDecision"] == result["EvalDecision"], result
        assert specific["MatchedStatements"] == result["MatchedStatements"], result
    return result


def happens(call, **arguments):
    try:
        call(**arguments)
        return "allowed"
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDeniedException", error
        return "explicitDeny" if "with an explicit deny" in error.response["Error"]["Message"] else "implicitDeny"


def compare(expected):
    """Each simulated decision is the one that a real call gets."""
    calls = [
        ("BatchGetProjects", "own", alice.batch_get_projects, {"names": ["own"]}),
        ("BatchGetProjects", "other", alice.batch_get_projects, {"names": ["other"]}),
        ("DeleteProject", "own", alice.delete_project, {"name": "own"}),
        ("DeleteProject", "other", alice.delete_project, {"name": "other"}),
        ("ListBuilds", None, alice.list_builds, {}),
        ("ListProjects", None, alice.list_projects, {}),
    ]
    decisions = []
    for action, resource, call, arguments in calls:
        simulated = simulate(action, resource)["EvalDecision"]
        assert simulated == happens(call, **arguments), (action, resource, simulated)
        decisions.append(simulated)
    assert decisions == expected, decisions


compare(["allowed", "implicitDeny", "explicitDeny", "explicitDeny", "allowed", "implicitDeny"])

# Which statement, where it stands, and what is missing.
[statement] = simulate("BatchGetProjects", "own")["MatchedStatements"]
assert (statement["SourcePolicyId"], statement["SourcePolicyType"]) == ("own", "user"), statement
begin, end = statement["StartPosition"], statement["EndPosition"]
assert begin["Line"] == end["Line"] == 1
assert json.loads(own[begin["Column"] - 1 : end["Column"] - 1])["Sid"] == "Own"
[statement] = simulate("DeleteProject", "own")["MatchedStatements"]
assert json.loads(own[statement["StartPosition"]["Column"] - 1 : statement["EndPosition"]["Column"] - 1])["Sid"] == "NoDelete"
unknown = simulate("ListBuilds", address=None)
assert (unknown["EvalDecision"], unknown["MissingContextValues"]) == ("implicitDeny", ["aws:sourceip"])
assert simulate("ListBuilds", address="10.0.0.1")["EvalDecision"] == "implicitDeny"
assert simulate("ListBuilds")["MissingContextValues"] == []
assert iam.get_context_keys_for_principal_policy(PolicySourceArn=user)["ContextKeyNames"] == ["aws:sourceip"]
assert iam.get_context_keys_for_custom_policy(PolicyInputList=[own])["ContextKeyNames"] == ["aws:sourceip"]

# A boundary limits, in the simulation as for the call; another one is tried out without being set.
iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary="arn:aws:iam::aws:policy/AmazonS3FullAccess")
compare(["implicitDeny", "implicitDeny", "explicitDeny", "explicitDeny", "implicitDeny", "implicitDeny"])
bounded = simulate("BatchGetProjects", "own")
assert bounded["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}, bounded
everything = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
wider = simulate("BatchGetProjects", "own", PermissionsBoundaryPolicyInputList=[everything])
assert wider["EvalDecision"] == "allowed"
assert wider["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": True}, wider
iam.delete_user_permissions_boundary(UserName="alice")

# Page by page, through the client's own paginator.
pages = iam.get_paginator("simulate_custom_policy").paginate(
    PolicyInputList=[own],
    ActionNames=["codebuild:StartBuild", "codebuild:DeleteProject"],
    ResourceArns=[PROJECT + name for name in ("own", "other", "third")],
    PaginationConfig={"PageSize": 4},
)
results = [result for page in pages for result in page["EvaluationResults"]]
assert [result["EvalDecision"] for result in results] == ["allowed"] + ["implicitDeny"] * 2 + ["explicitDeny"] * 3

# A resource's policy; who asks has to be said with it.
shared = policy({"Effect": "Allow", "Principal": {"AWS": user}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::shared/*"})
request = {"PolicyInputList": [own], "ActionNames": ["s3:GetObject"], "ResourceArns": ["arn:aws:s3:::shared/a"]}
refused("InvalidInput", iam.simulate_custom_policy, ResourcePolicy=shared, **request)
[result] = iam.simulate_custom_policy(ResourcePolicy=shared, CallerArn=user, **request)["EvaluationResults"]
assert (result["EvalDecision"], result["MatchedStatements"][0]["SourcePolicyType"]) == ("allowed", "resource"), result
refused("InvalidInput", iam.simulate_custom_policy, PolicyInputList=["{}"], ActionNames=["s3:GetObject"])
refused("NoSuchEntity", iam.simulate_principal_policy, PolicySourceArn=user + "2", ActionNames=["s3:GetObject"])

# It needs its own permission, for the one who is simulated.
bob = iam.create_user(UserName="bob")["User"]["Arn"]
iam.put_user_policy(
    UserName="alice",
    PolicyName="simulates",
    PolicyDocument=policy({"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": user}),
)
hers = boto3.client("iam", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
assert hers.simulate_principal_policy(PolicySourceArn=user, ActionNames=["s3:GetObject"])["EvaluationResults"]
refused("AccessDenied", hers.simulate_principal_policy, PolicySourceArn=bob, ActionNames=["s3:GetObject"])
