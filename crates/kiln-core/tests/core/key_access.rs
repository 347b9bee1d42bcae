//! Who may use a key: its policy, the caller's policies, grants, and S3 in a caller's name.

use std::collections::BTreeMap;

use kiln_core::Core;
use kiln_model::{
    ApiError, ErrorCode,
    iam::{Answer, Owner, Request},
    kms::*,
    s3::S3Code,
    service::{Caller, Context, Iam as _, Kms as _, Objects as _},
};
use serde_json::{Value, json};

use crate::{
    fake::FakeRunners,
    objects,
    place::{Place, context},
};

type Server = Core<FakeRunners>;

/// A user with its policies, and the context of its requests.
async fn user(core: &Server, name: &str, statements: Value) -> Context {
    let request = Request::CreateUser { name: name.to_owned(), path: None, boundary: None, tags: Vec::new() };
    core.iam(&context(), request).await.unwrap();
    allow(core, name, statements).await;
    let Answer::NewAccessKey(new) =
        core.iam(&context(), Request::CreateAccessKey { user: Some(name.to_owned()) }).await.unwrap()
    else {
        panic!("no key")
    };
    let caller: Caller = core.credential(&new.key.id, None).unwrap().unwrap().caller;
    Context { caller, ..context() }
}

/// Gives a user these statements, instead of what it had.
async fn allow(core: &Server, name: &str, statements: Value) {
    let owner = Owner::User(name.to_owned());
    let document = policy(statements);
    core.iam(&context(), Request::PutInlinePolicy { owner, name: "p".to_owned(), document }).await.unwrap();
}

fn policy(statements: Value) -> String {
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

fn nothing() -> Value {
    json!([{ "Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*" }])
}

async fn key(core: &Server) -> (String, String) {
    let made = core.create_key(&context(), CreateKeyRequest::default()).await.unwrap().key_metadata.unwrap();
    (made.key_id, made.arn.unwrap())
}

async fn encrypt(core: &Server, by: &Context, key: &str, pairs: &[(&str, &str)]) -> Result<Blob, ApiError> {
    let input = EncryptRequest {
        key_id: key.to_owned(),
        plaintext: Blob(b"plain".to_vec()),
        encryption_context: pairs_of(pairs),
        ..Default::default()
    };
    core.encrypt(by, input).await.map(|output| output.ciphertext_blob.unwrap())
}

async fn decrypt(core: &Server, by: &Context, sealed: &Blob, pairs: &[(&str, &str)]) -> Result<(), ApiError> {
    let input = DecryptRequest {
        ciphertext_blob: Some(sealed.clone()),
        encryption_context: pairs_of(pairs),
        ..Default::default()
    };
    core.decrypt(by, input).await.map(drop)
}

fn pairs_of(pairs: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
    let pairs: BTreeMap<_, _> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    (!pairs.is_empty()).then_some(pairs)
}

#[track_caller]
fn denied<T: std::fmt::Debug>(result: Result<T, ApiError>, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code, ErrorCode::AccessDenied, "{error}");
    assert!(error.message.contains(text), "{error}");
}

#[tokio::test]
async fn the_default_policy_lets_the_account_decide() {
    let place = Place::new();
    let core = place.serve();
    let (id, arn) = key(&core).await;
    let alice = user(&core, "alice", nothing()).await;
    denied(
        encrypt(&core, &alice, &id, &[]).await,
        &format!(
            "User: arn:aws:iam::000000000000:user/alice is not authorized to perform: kms:Encrypt on resource: {arn} \
             because no identity-based policy allows the kms:Encrypt action"
        ),
    );
    let rulings = alice.rulings.take();
    assert!(!rulings[0].allowed && rulings[0].policy_type.as_deref() == Some("identity-based policy"), "{rulings:?}");
    allow(&core, "alice", json!([{ "Effect": "Allow", "Action": "kms:Encrypt", "Resource": arn }])).await;
    let sealed = encrypt(&core, &alice, &id, &[]).await.unwrap();
    denied(decrypt(&core, &alice, &sealed, &[]).await, "kms:Decrypt");
    denied(
        core.describe_key(&alice, DescribeKeyRequest { key_id: id.clone(), ..Default::default() }).await,
        "DescribeKey",
    );
    denied(core.disable_key(&alice, DisableKeyRequest { key_id: id.clone() }).await, "kms:DisableKey");
    let tags = ListResourceTagsRequest { key_id: id.clone(), ..Default::default() };
    denied(core.list_resource_tags(&alice, tags).await, "kms:ListResourceTags");
    decrypt(&core, &context(), &sealed, &[]).await.unwrap();
}

#[tokio::test]
async fn a_policy_that_does_not_name_the_account_is_all_that_counts() {
    let place = Place::new();
    let core = place.serve();
    let everything = json!([{ "Effect": "Allow", "Action": "kms:*", "Resource": "*" }]);
    let alice = user(&core, "alice", nothing()).await;
    let bob = user(&core, "bob", everything).await;
    let (id, _) = key(&core).await;
    let statements = json!([
        { "Sid": "Admin", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::000000000000:user/alice" },
          "Action": "kms:*", "Resource": "*" },
        { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::000000000000:user/bob" }, "Action": "kms:Encrypt",
          "Resource": "*", "Condition": { "StringEquals": { "kms:EncryptionContext:team": "blue" } } }
    ]);
    let put = |bypass| PutKeyPolicyRequest {
        key_id: id.clone(),
        policy: policy(statements.clone()),
        bypass_policy_lockout_safety_check: bypass,
        ..Default::default()
    };
    // It would lock out its own author, the root.
    let refused = core.put_key_policy(&context(), put(None)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::MalformedPolicyDocument);
    assert!(refused.message.contains("will not allow you to update the key policy in the future"), "{refused}");
    core.put_key_policy(&context(), put(Some(true))).await.unwrap();
    denied(encrypt(&core, &context(), &id, &[]).await, "no resource-based policy allows the kms:Encrypt action");
    denied(encrypt(&core, &bob, &id, &[]).await, "no resource-based policy");
    denied(encrypt(&core, &bob, &id, &[("team", "red")]).await, "no resource-based policy");
    let sealed = encrypt(&core, &bob, &id, &[("team", "blue")]).await.unwrap();
    decrypt(&core, &alice, &sealed, &[("team", "blue")]).await.unwrap();
    let rulings = alice.rulings.take();
    assert_eq!(rulings.last().unwrap().statement.as_deref(), Some("Admin"));
}

fn grant(key: &str, grantee: &str, operations: &[GrantOperation]) -> CreateGrantRequest {
    CreateGrantRequest {
        key_id: key.to_owned(),
        grantee_principal: Some(format!("arn:aws:iam::000000000000:user/{grantee}")),
        operations: operations.to_vec(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_grant_stands_in_for_policies_and_not_against_them() {
    let place = Place::new();
    let core = place.serve();
    let (id, arn) = key(&core).await;
    let (alice, bob) = (user(&core, "alice", nothing()).await, user(&core, "bob", nothing()).await);
    let blue = BTreeMap::from([("team".to_owned(), "blue".to_owned())]);
    let constraints = GrantConstraints { encryption_context_subset: Some(blue), ..Default::default() };
    let given = CreateGrantRequest {
        constraints: Some(constraints.clone()),
        ..grant(&id, "alice", &[GrantOperation::Encrypt, GrantOperation::CreateGrant, GrantOperation::RetireGrant])
    };
    denied(core.create_grant(&alice, given.clone()).await, "kms:CreateGrant");
    let made = core.create_grant(&context(), given).await.unwrap();
    drop(alice.rulings.take());
    let sealed = encrypt(&core, &alice, &id, &[("team", "blue"), ("a", "b")]).await.unwrap();
    let ruling = alice.rulings.take().remove(0);
    assert_eq!((ruling.policy_type.as_deref(), ruling.policy), (Some("grant"), made.grant_id.clone()));
    denied(encrypt(&core, &alice, &id, &[("team", "red")]).await, "no identity-based policy");
    denied(decrypt(&core, &alice, &sealed, &[("team", "blue"), ("a", "b")]).await, "kms:Decrypt");
    denied(encrypt(&core, &bob, &id, &[("team", "blue")]).await, "kms:Encrypt");

    // What is handed on is not more than what one has.
    denied(core.create_grant(&alice, grant(&id, "bob", &[GrantOperation::Decrypt])).await, "the grant that allows it");
    denied(core.create_grant(&alice, grant(&id, "bob", &[GrantOperation::Encrypt])).await, "the grant that allows it");
    let less = CreateGrantRequest { constraints: Some(constraints), ..grant(&id, "bob", &[GrantOperation::Encrypt]) };
    core.create_grant(&alice, less).await.unwrap();
    encrypt(&core, &bob, &id, &[("team", "blue")]).await.unwrap();

    // A statement that denies wins.
    allow(&core, "alice", json!([{ "Effect": "Deny", "Action": "kms:Encrypt", "Resource": arn }])).await;
    denied(encrypt(&core, &alice, &id, &[("team", "blue")]).await, "with an explicit deny in an identity-based policy");
    allow(&core, "alice", nothing()).await;

    // Another user of the same name is another one.
    let by_id = |grant_id: &Option<String>| RetireGrantRequest {
        key_id: Some(arn.clone()),
        grant_id: grant_id.clone(),
        ..Default::default()
    };
    denied(core.retire_grant(&bob, by_id(&made.grant_id)).await, "kms:RetireGrant");
    core.retire_grant(&alice, by_id(&made.grant_id)).await.unwrap();
    denied(encrypt(&core, &alice, &id, &[("team", "blue")]).await, "kms:Encrypt");
    core.create_grant(&context(), grant(&id, "alice", &[GrantOperation::Encrypt])).await.unwrap();
    encrypt(&core, &alice, &id, &[]).await.unwrap();
    let owner = Owner::User("alice".to_owned());
    for request in [
        Request::DeleteInlinePolicy { owner, name: "p".to_owned() },
        Request::DeleteAccessKey { user: Some("alice".to_owned()), id: alice.caller.access_key_id.clone() },
        Request::DeleteUser { name: "alice".to_owned() },
    ] {
        core.iam(&context(), request).await.unwrap();
    }
    let again = user(&core, "alice", nothing()).await;
    denied(encrypt(&core, &again, &id, &[]).await, "kms:Encrypt");
}

#[tokio::test]
async fn aliases_need_both_and_the_services_key_is_for_s3_alone() {
    let place = Place::new();
    let core = place.serve();
    let (id, arn) = key(&core).await;
    let alice = user(&core, "alice", nothing()).await;
    let create = || CreateAliasRequest { alias_name: "alias/a".to_owned(), target_key_id: id.clone() };
    allow(&core, "alice", json!([{ "Effect": "Allow", "Action": "kms:*Alias", "Resource": arn }])).await;
    denied(core.create_alias(&alice, create()).await, "resource: arn:aws:kms:us-east-1:000000000000:alias/a");
    let alias = "arn:aws:kms:us-east-1:000000000000:alias/*";
    allow(&core, "alice", json!([{ "Effect": "Allow", "Action": "kms:*Alias", "Resource": alias }])).await;
    denied(core.create_alias(&alice, create()).await, &format!("resource: {arn}"));
    let both = json!([
        { "Effect": "Allow", "Action": "kms:*Alias", "Resource": [arn, alias] },
        { "Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*",
          "Condition": { "StringEquals": { "kms:RequestAlias": "alias/a" } } }
    ]);
    allow(&core, "alice", both).await;
    core.create_alias(&alice, create()).await.unwrap();
    encrypt(&core, &alice, "alias/a", &[]).await.unwrap();
    denied(encrypt(&core, &alice, &id, &[]).await, "kms:Encrypt");
    let everything = json!([{ "Effect": "Allow", "Action": "kms:*", "Resource": "*" }]);
    allow(&core, "alice", everything).await;
    denied(encrypt(&core, &alice, "alias/aws/s3", &[]).await, "no resource-based policy");
}

#[tokio::test]
async fn s3_asks_kms_for_its_caller() {
    use kiln_model::s3::{EncryptionRequest, ObjectRef, PutObjectInput};
    let place = Place::new();
    let core = place.serve();
    let (id, arn) = key(&core).await;
    let alice = user(&core, "alice", nothing()).await;
    core.create_bucket(&context(), "bucket").await.unwrap();
    let put = |key: Option<String>| {
        let mut input: PutObjectInput = objects::input("bucket", "k");
        input.object.encryption = EncryptionRequest::Kms { key, context: None, bucket_key: false };
        input
    };
    let get = || objects::whole(ObjectRef { bucket: "bucket".to_owned(), key: "k".to_owned(), version_id: None });
    let body = || objects::Body::of(b"content");
    let refused = core.put_object(&alice, put(Some(id.clone())), body()).await.unwrap_err();
    assert_eq!(refused.code, S3Code::AccessDenied);
    assert!(refused.message.contains(&format!("kms:GenerateDataKey on resource: {arn}")), "{}", refused.message);
    // Only for S3, and only for this object.
    let statement = |action: &str, object: &str| {
        json!([{ "Effect": "Allow", "Action": action, "Resource": arn, "Condition": { "StringEquals": {
            "kms:ViaService": "s3.us-east-1.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": object } } }])
    };
    allow(&core, "alice", statement("kms:GenerateDataKey", "arn:aws:s3:::bucket/other")).await;
    assert_eq!(core.put_object(&alice, put(Some(id.clone())), body()).await.unwrap_err().code, S3Code::AccessDenied);
    allow(&core, "alice", statement("kms:GenerateDataKey", "arn:aws:s3:::bucket/k")).await;
    core.put_object(&alice, put(Some(id.clone())), body()).await.unwrap();
    let refused = core.get_object(&alice, get()).await.err().unwrap();
    assert!(refused.message.contains("kms:Decrypt"), "{}", refused.message);
    allow(&core, "alice", statement("kms:Decrypt", "arn:aws:s3:::bucket/k")).await;
    core.get_object(&alice, get()).await.unwrap();
    // The service's own key is for everybody who may use S3.
    allow(&core, "alice", nothing()).await;
    core.put_object(&alice, put(None), body()).await.unwrap();
    core.get_object(&alice, get()).await.unwrap();
}
