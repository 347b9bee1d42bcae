"""Elastic Container Registry as boto3 sees it: whole lives of repositories and images."""

import base64
import datetime
import hashlib
import json
import urllib.request

import boto3
from botocore.exceptions import ClientError

ecr = boto3.client("ecr")
OCI = "application/vnd.oci.image.manifest.v1+json"


def refused(code, call, **arguments):
    try:
        answer = call(**arguments)
    except ClientError as error:
        said = error.response["Error"]
        assert said["Code"] == code, said
        assert isinstance(error, getattr(ecr.exceptions, code)), error
        return said["Message"]
    raise AssertionError(f"{arguments} was accepted: {answer}")


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


# Repositories: made, described, set up.
made = ecr.create_repository(
    repositoryName="team/app",
    tags=[{"Key": "team", "Value": "blue"}],
    imageScanningConfiguration={"scanOnPush": True},
)["repository"]
arn = made["repositoryArn"]
assert arn == "arn:aws:ecr:us-east-1:000000000000:repository/team/app", made
assert isinstance(made["createdAt"], datetime.datetime), made
assert made["encryptionConfiguration"] == {"encryptionType": "AES256"}, made
assert made["imageTagMutability"] == "MUTABLE" and made["imageScanningConfiguration"] == {"scanOnPush": True}, made
host, _, name = made["repositoryUri"].partition("/")
assert ":" in host and name == "team/app", made
refused("RepositoryAlreadyExistsException", ecr.create_repository, repositoryName="team/app")
for bad in ["Team", "a/../b", "a//b", "x" * 257]:
    refused("InvalidParameterException", ecr.create_repository, repositoryName=bad)
message = refused("RepositoryNotFoundException", ecr.list_images, repositoryName="none")
assert message == "The repository with name 'none' does not exist in the registry with id '000000000000'", message
for n in range(5):
    ecr.create_repository(repositoryName=f"page{n}")
pages = ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 2})
names = [one["repositoryName"] for page in pages for one in page["repositories"]]
assert names == ["page0", "page1", "page2", "page3", "page4", "team/app"], names
ecr.tag_resource(resourceArn=arn, tags=[{"Key": "cost", "Value": "7"}])
ecr.untag_resource(resourceArn=arn, tagKeys=["team"])
assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "cost", "Value": "7"}]
refused("InvalidTagParameterException", ecr.tag_resource, resourceArn=arn, tags=[{"Key": "aws:x", "Value": "y"}])
many = [{"Key": f"k{n}", "Value": ""} for n in range(51)]
refused("TooManyTagsException", ecr.tag_resource, resourceArn=arn, tags=many)

# A layer in parts, and one that is there already.
begun = ecr.initiate_layer_upload(repositoryName="team/app")
layer = b"layer " * (1 << 20)
part = begun["partSize"]
assert part == 20971520, begun
where = {"repositoryName": "team/app", "uploadId": begun["uploadId"]}
for first in range(0, len(layer), 5 << 20):
    data = layer[first : first + (5 << 20)]
    answer = ecr.upload_layer_part(
        **where, partFirstByte=first, partLastByte=first + len(data) - 1, layerPartBlob=data
    )
    assert answer["lastByteReceived"] == first + len(data) - 1, answer
refused("InvalidLayerPartException", ecr.upload_layer_part, **where, partFirstByte=0, partLastByte=0, layerPartBlob=b"x")
assert ecr.complete_layer_upload(**where, layerDigests=[digest(layer)])["layerDigest"] == digest(layer)
refused("UploadNotFoundException", ecr.complete_layer_upload, **where, layerDigests=[digest(layer)])
config = json.dumps({"architecture": "amd64", "os": "linux"}).encode()
for data, wrong in [(config, True), (config, False)]:
    upload = ecr.initiate_layer_upload(repositoryName="team/app")["uploadId"]
    where = {"repositoryName": "team/app", "uploadId": upload}
    refused("EmptyUploadException", ecr.complete_layer_upload, **where, layerDigests=[digest(data)])
    ecr.upload_layer_part(**where, partFirstByte=0, partLastByte=len(data) - 1, layerPartBlob=data)
    if wrong:
        refused("InvalidLayerException", ecr.complete_layer_upload, **where, layerDigests=[digest(b"")])
    else:
        ecr.complete_layer_upload(**where, layerDigests=[digest(data)])
url = ecr.get_download_url_for_layer(repositoryName="team/app", layerDigest=digest(layer))["downloadUrl"]
assert urllib.request.urlopen(url).read() == layer
refused("LayersNotFoundException", ecr.get_download_url_for_layer, repositoryName="team/app", layerDigest=digest(b""))
checked = ecr.batch_check_layer_availability(repositoryName="team/app", layerDigests=[digest(layer), digest(b"")])
assert [one["layerAvailability"] for one in checked["layers"]] == ["AVAILABLE", "UNAVAILABLE"], checked

# Images.
def manifest(**more):
    kinds = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar"
    described = [
        {"mediaType": kind, "digest": digest(data), "size": len(data)} for kind, data in zip(kinds, (config, layer))
    ]
    whole = {"schemaVersion": 2, "mediaType": OCI, "config": described[0], "layers": described[1:], **more}
    return json.dumps(whole)


image = ecr.put_image(repositoryName="team/app", imageManifest=manifest(), imageTag="v1")["image"]
own = digest(manifest().encode())
assert image["imageId"] == {"imageDigest": own, "imageTag": "v1"} and image["imageManifest"] == manifest(), image
refused("ImageAlreadyExistsException", ecr.put_image, repositoryName="team/app", imageManifest=manifest(), imageTag="v1")
ecr.put_image_tag_mutability(repositoryName="team/app", imageTagMutability="IMMUTABLE")
other = manifest(annotations={"a": "b"})
refused("ImageTagAlreadyExistsException", ecr.put_image, repositoryName="team/app", imageManifest=other, imageTag="v1")
ecr.put_image(repositoryName="team/app", imageManifest=other)
detail = ecr.describe_images(repositoryName="team/app", imageIds=[{"imageTag": "v1"}])["imageDetails"][0]
assert detail["imageDigest"] == own and detail["imageSizeInBytes"] == len(layer), detail
assert isinstance(detail["imagePushedAt"], datetime.datetime), detail
refused("ImageNotFoundException", ecr.describe_images, repositoryName="team/app", imageIds=[{"imageTag": "no"}])
got = ecr.batch_get_image(repositoryName="team/app", imageIds=[{"imageTag": "v1"}, {"imageTag": "no"}])
assert got["images"][0]["imageManifest"] == manifest() and got["failures"][0]["failureCode"] == "ImageNotFound", got
untagged = ecr.list_images(repositoryName="team/app", filter={"tagStatus": "UNTAGGED"})["imageIds"]
assert untagged == [{"imageDigest": digest(other.encode())}], untagged

# Policies.
missing = refused("RepositoryPolicyNotFoundException", ecr.get_repository_policy, repositoryName="team/app")
statement = {"Sid": "pull", "Effect": "Allow", "Principal": "*", "Action": ["ecr:BatchGetImage"]}
policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
ecr.set_repository_policy(repositoryName="team/app", policyText=policy)
assert json.loads(ecr.get_repository_policy(repositoryName="team/app")["policyText"]) == json.loads(policy)
refused("InvalidParameterException", ecr.set_repository_policy, repositoryName="team/app", policyText="{}")
ecr.delete_repository_policy(repositoryName="team/app")
rule = {
    "rulePriority": 1,
    "description": "only the newest ones without tags are of use",
    "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1},
    "action": {"type": "expire"},
}
text = json.dumps({"rules": [rule]})
refused("LifecyclePolicyNotFoundException", ecr.get_lifecycle_policy, repositoryName="team/app")
ecr.put_lifecycle_policy(repositoryName="team/app", lifecyclePolicyText=text)
assert ecr.get_lifecycle_policy(repositoryName="team/app")["lifecyclePolicyText"] == text
ecr.start_lifecycle_policy_preview(repositoryName="team/app")
ecr.get_waiter("lifecycle_policy_preview_complete").wait(repositoryName="team/app")
preview = ecr.get_lifecycle_policy_preview(repositoryName="team/app")
assert preview["summary"] == {"expiringImageTotalCount": 0}, preview
ecr.delete_lifecycle_policy(repositoryName="team/app")

# The password, and what there is not.
data = ecr.get_authorization_token()["authorizationData"][0]
user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
left = data["expiresAt"] - datetime.datetime.now(datetime.timezone.utc)
assert user == "AWS" and password and datetime.timedelta(hours=11) < left <= datetime.timedelta(hours=12, minutes=1), data
assert data["proxyEndpoint"] == f"http://{host}", data
message = refused("InvalidParameterException", ecr.describe_registry)
assert "not available" in message, message

# The end.
refused("RepositoryNotEmptyException", ecr.delete_repository, repositoryName="team/app")
gone = ecr.batch_delete_image(repositoryName="team/app", imageIds=[{"imageDigest": own}, {"imageTag": "no"}])
assert gone["imageIds"] == [{"imageDigest": own, "imageTag": "v1"}] and len(gone["failures"]) == 1, gone
ecr.delete_repository(repositoryName="team/app", force=True)
refused("RepositoryNotFoundException", ecr.describe_repositories, repositoryNames=["team/app"])
