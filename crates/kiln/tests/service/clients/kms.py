"""The Key Management Service as boto3 sees it: a key's whole life."""

import base64
import datetime

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

kms = boto3.client("kms")
# Sends what botocore itself would refuse.
unchecked = boto3.client("kms", config=Config(parameter_validation=False))
CONTEXT = {"project": "demo", "größe": "10 €"}


def refused(code, call, **arguments):
    try:
        answer = call(**arguments)
    except ClientError as error:
        said = error.response["Error"]
        assert said["Code"] == code, said
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400, error.response
        return said["Message"]
    raise AssertionError(f"{arguments} was accepted: {answer}")


made = kms.create_key(Description="of boto3", Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]
key, arn = made["KeyId"], made["Arn"]
assert arn == f"arn:aws:kms:us-east-1:000000000000:key/{key}", made
assert isinstance(made["CreationDate"], datetime.datetime), made
assert (made["KeyState"], made["Enabled"], made["KeyManager"]) == ("Enabled", True, "CUSTOMER"), made
assert made["EncryptionAlgorithms"] == ["SYMMETRIC_DEFAULT"], made
kms.create_alias(AliasName="alias/boto3", TargetKeyId=key)
names = [key, arn, "alias/boto3", "arn:aws:kms:us-east-1:000000000000:alias/boto3"]
for name in names:
    assert kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == arn

# Encrypt and decrypt, with every name and without one.
sealed = kms.encrypt(KeyId="alias/boto3", Plaintext=b"plain", EncryptionContext=CONTEXT)
assert sealed["KeyId"] == arn, sealed
blob = sealed["CiphertextBlob"]
assert b"plain" not in blob
assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)["Plaintext"] == b"plain"
for name in names:
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT, KeyId=name)["KeyId"] == arn
refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=blob)
refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=blob, EncryptionContext={"project": "demo"})
refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=blob[:-1], EncryptionContext=CONTEXT)
refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=b"x" * 64)
largest = kms.encrypt(KeyId=key, Plaintext=b"x" * 4096)["CiphertextBlob"]
assert len(largest) <= 6144 and kms.decrypt(CiphertextBlob=largest)["Plaintext"] == b"x" * 4096
said = refused("ValidationException", unchecked.encrypt, KeyId=key, Plaintext=b"x" * 4097)
assert "less than or equal to 4096" in said, said
refused("ValidationException", unchecked.encrypt, KeyId=key, Plaintext=b"")

# To another key.
other = kms.create_key()["KeyMetadata"]["KeyId"]
refused("IncorrectKeyException", kms.decrypt, CiphertextBlob=blob, EncryptionContext=CONTEXT, KeyId=other)
moved = kms.re_encrypt(
    CiphertextBlob=blob,
    SourceEncryptionContext=CONTEXT,
    DestinationKeyId=other,
    DestinationEncryptionContext={"new": "context"},
)
assert (moved["SourceKeyId"], moved["KeyId"].endswith(other)) == (arn, True), moved
opened = kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"new": "context"})
assert opened["Plaintext"] == b"plain" and opened["KeyMaterialId"] == moved["DestinationKeyMaterialId"], opened

# Data keys.
data = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=CONTEXT)
assert len(data["Plaintext"]) == 32
assert kms.decrypt(CiphertextBlob=data["CiphertextBlob"], EncryptionContext=CONTEXT)["Plaintext"] == data["Plaintext"]
hidden = kms.generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=100)
assert "Plaintext" not in hidden and len(kms.decrypt(CiphertextBlob=hidden["CiphertextBlob"])["Plaintext"]) == 100
assert len(kms.generate_random(NumberOfBytes=1024)["Plaintext"]) == 1024
refused("DryRunOperationException", kms.encrypt, KeyId=key, Plaintext=b"x", DryRun=True)

# Rotation: what was encrypted before opens as before.
kms.rotate_key_on_demand(KeyId=key)
kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=180)
status = kms.get_key_rotation_status(KeyId=key)
assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 180), status
assert isinstance(status["NextRotationDate"], datetime.datetime), status
rotations = kms.list_key_rotations(KeyId=key)["Rotations"]
assert [r["RotationType"] for r in rotations] == ["ON_DEMAND"], rotations
kms.disable_key_rotation(KeyId=key)
assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
before = kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)
after = kms.decrypt(CiphertextBlob=kms.encrypt(KeyId=key, Plaintext=b"new")["CiphertextBlob"])
assert before["Plaintext"] == b"plain" and before["KeyMaterialId"] != after["KeyMaterialId"]

# Disabled and enabled.
kms.disable_key(KeyId=key)
assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
for call, arguments in [
    (kms.encrypt, {"KeyId": key, "Plaintext": b"x"}),
    (kms.decrypt, {"CiphertextBlob": blob, "EncryptionContext": CONTEXT}),
    (kms.generate_data_key, {"KeyId": key, "KeySpec": "AES_256"}),
]:
    assert refused("DisabledException", call, **arguments) == f"{arn} is disabled."
kms.enable_key(KeyId=key)
kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)

# Deletion waits, and can be taken back.
refused("ValidationException", kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=6)
planned = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
assert planned["KeyState"] == "PendingDeletion" and planned["KeyId"] == arn, planned
described = kms.describe_key(KeyId=key)["KeyMetadata"]
assert described["DeletionDate"] == planned["DeletionDate"], described
assert refused("KMSInvalidStateException", kms.encrypt, KeyId=key, Plaintext=b"x") == f"{arn} is pending deletion."
refused("KMSInvalidStateException", kms.enable_key, KeyId=key)
kms.cancel_key_deletion(KeyId=key)
assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
kms.enable_key(KeyId=key)
assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)["Plaintext"] == b"plain"

# Policies, tags, descriptions.
policy = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
assert "arn:aws:iam::000000000000:root" in policy, policy
kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy.replace("key-default-1", "another"))
assert "another" in kms.get_key_policy(KeyId=key)["Policy"]
refused("MalformedPolicyDocumentException", kms.put_key_policy, KeyId=key, Policy="{")
assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
kms.tag_resource(KeyId=key, Tags=[{"TagKey": "c", "TagValue": ""}])
kms.untag_resource(KeyId=key, TagKeys=["a"])
assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "c", "TagValue": ""}]
kms.update_key_description(KeyId=key, Description="changed")
assert kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == "changed"

# Grants.
role = "arn:aws:iam::000000000000:role/build"
grant = kms.create_grant(KeyId=key, GranteePrincipal=role, Operations=["Decrypt"], Name="build")
assert [g["GrantId"] for g in kms.list_grants(KeyId=key)["Grants"]] == [grant["GrantId"]]
kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT, GrantTokens=[grant["GrantToken"]])
kms.revoke_grant(KeyId=key, GrantId=grant["GrantId"])
refused("InvalidGrantTokenException", kms.decrypt, CiphertextBlob=blob, GrantTokens=[grant["GrantToken"]])

# Aliases move; lists come in pages.
kms.update_alias(AliasName="alias/boto3", TargetKeyId=other)
assert kms.describe_key(KeyId="alias/boto3")["KeyMetadata"]["KeyId"] == other
refused("AlreadyExistsException", kms.create_alias, AliasName="alias/boto3", TargetKeyId=key)
refused("NotAuthorizedException", kms.create_alias, AliasName="alias/aws/mine", TargetKeyId=key)
refused("NotFoundException", kms.describe_key, KeyId="alias/nothing")
refused("InvalidArnException", kms.describe_key, KeyId="arn:aws:s3:::bucket")
for number in range(7):
    kms.create_alias(AliasName=f"alias/n{number}", TargetKeyId=key)
pages = kms.get_paginator("list_aliases").paginate(PaginationConfig={"PageSize": 3})
aliases = [alias["AliasName"] for page in pages for alias in page["Aliases"]]
assert aliases == ["alias/aws/s3", "alias/boto3"] + [f"alias/n{number}" for number in range(7)], aliases
keys = [k["KeyArn"] for page in kms.get_paginator("list_keys").paginate() for k in page["Keys"]]
assert arn in keys and len(keys) == 3, keys
refused("InvalidMarkerException", kms.list_keys, Marker="x")
kms.delete_alias(AliasName="alias/boto3")

# What is not here says so.
refused("UnsupportedOperationException", kms.create_key, KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
refused("UnsupportedOperationException", kms.get_public_key, KeyId=key)
managed = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
assert managed["KeyManager"] == "AWS", managed
refused("AccessDeniedException", kms.disable_key, KeyId=managed["KeyId"])
print(base64.b64encode(blob).decode())
