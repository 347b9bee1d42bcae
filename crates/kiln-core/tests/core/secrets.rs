//! Secrets Manager's rules.

use std::{collections::BTreeMap, time::Duration};

use kiln_core::{Core, iam::Asked};
use kiln_iam::policy::ResourceRule;
use kiln_model::{
    ApiError, ErrorCode, Secret,
    iam::{Answer, Owner, Request},
    kms::{Blob, CreateKeyRequest, DisableKeyRequest, EnableKeyRequest},
    secretsmanager::*,
    service::{Caller, Context, Iam as _, Kms as _, SecretsManager},
};
use serde_json::json;

use crate::{
    fake::FakeRunners,
    place::{Place, context},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HEAD: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:";

/// A token, which is the id of a version.
fn token(n: usize) -> String {
    format!("{n:032}")
}

fn text(value: &str) -> Option<Secret> {
    Some(Secret::new(value.to_owned()))
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>, code: ErrorCode, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(text), "{error}");
}

async fn create(core: &Core<FakeRunners>, name: &str, value: &str) -> String {
    let input = CreateSecretRequest {
        name: name.to_owned(),
        client_request_token: Some(token(1)),
        secret_string: text(value),
        ..Default::default()
    };
    core.create_secret(&context(), input).await.unwrap().arn.unwrap()
}

async fn put(
    core: &Core<FakeRunners>,
    name: &str,
    version: usize,
    value: &str,
    stages: Option<&[&str]>,
) -> Result<Vec<String>, ApiError> {
    let input = PutSecretValueRequest {
        secret_id: name.to_owned(),
        client_request_token: Some(token(version)),
        secret_string: text(value),
        version_stages: stages.map(|stages| stages.iter().map(|stage| (*stage).to_owned()).collect()),
        ..Default::default()
    };
    core.put_secret_value(&context(), input).await.map(|answer| answer.version_stages.unwrap_or_default())
}

async fn get(
    core: &Core<FakeRunners>,
    name: &str,
    version: Option<usize>,
    stage: Option<&str>,
) -> Result<String, ApiError> {
    let input = GetSecretValueRequest {
        secret_id: name.to_owned(),
        version_id: version.map(token),
        version_stage: stage.map(str::to_owned),
    };
    core.get_secret_value(&context(), input).await.map(|answer| answer.secret_string.unwrap().expose().to_owned())
}

async fn stages(core: &Core<FakeRunners>, name: &str) -> BTreeMap<String, Vec<String>> {
    let input = DescribeSecretRequest { secret_id: name.to_owned() };
    core.describe_secret(&context(), input).await.unwrap().version_ids_to_stages.unwrap_or_default()
}

#[tokio::test]
async fn a_secret_has_three_names() {
    let place = Place::new();
    let core = place.serve();
    let arn = create(&core, "prod/db", "first value").await;
    let suffix = arn.strip_prefix(HEAD).unwrap().strip_prefix("prod/db-").unwrap();
    assert!(suffix.len() == 6 && suffix.chars().all(|c| c.is_ascii_alphanumeric()), "{arn}");
    for name in ["prod/db", &arn, &format!("{HEAD}prod/db")] {
        assert_eq!(get(&core, name, None, None).await.unwrap(), "first value");
    }
    let foreign = arn.replace("us-east-1", "eu-west-1");
    for name in ["prod/d", &format!("prod/db-{suffix}"), &format!("{HEAD}prod/db-AAAAA"), &foreign, "arn:aws:s3:::x"] {
        refused(get(&core, name, None, None).await, ErrorCode::ResourceNotFound, "can't find the specified secret.");
    }
    // Another one with the same name is another one.
    let gone =
        DeleteSecretRequest { secret_id: arn.clone(), force_delete_without_recovery: Some(true), ..Default::default() };
    core.delete_secret(&context(), gone).await.unwrap();
    let again = create(&core, "prod/db", "second").await;
    assert_ne!(arn, again);
    refused(get(&core, &arn, None, None).await, ErrorCode::ResourceNotFound, "");
    place.checked(core);
}

#[tokio::test]
async fn the_same_token_makes_one_version() {
    let place = Place::new();
    let core = place.serve();
    let arn = create(&core, "a", "one").await;
    assert_eq!(create(&core, "a", "one").await, arn, "repeated");
    let other = CreateSecretRequest {
        name: "a".to_owned(),
        client_request_token: Some(token(1)),
        secret_string: text("two"),
        ..Default::default()
    };
    refused(core.create_secret(&context(), other.clone()).await, ErrorCode::ResourceExists, "already in use");
    let other = CreateSecretRequest { client_request_token: Some(token(2)), ..other };
    let said = "The operation failed because the secret a already exists.";
    refused(core.create_secret(&context(), other).await, ErrorCode::ResourceExists, said);
    put(&core, "a", 2, "two", None).await.unwrap();
    put(&core, "a", 3, "three", None).await.unwrap();
    assert_eq!(put(&core, "a", 2, "two", None).await.unwrap(), ["AWSPREVIOUS"], "nothing moves");
    refused(put(&core, "a", 2, "other", None).await, ErrorCode::ResourceExists, &token(2));
    // Bytes are another value than the same text.
    let bytes = PutSecretValueRequest {
        secret_id: "a".to_owned(),
        client_request_token: Some(token(3)),
        secret_binary: Some(Blob(b"three".to_vec())),
        ..Default::default()
    };
    refused(core.put_secret_value(&context(), bytes).await, ErrorCode::ResourceExists, "");
    place.checked(core);
}

#[tokio::test]
async fn labels_say_which_value_is_meant() {
    let place = Place::new();
    let core = place.serve();
    create(&core, "a", "one").await;
    put(&core, "a", 2, "two", None).await.unwrap();
    put(&core, "a", 3, "three", Some(&["AWSPENDING", "mine"])).await.unwrap();
    for (stage, value) in
        [(None, "two"), (Some("AWSPREVIOUS"), "one"), (Some("AWSPENDING"), "three"), (Some("mine"), "three")]
    {
        assert_eq!(get(&core, "a", None, stage).await.unwrap(), value, "{stage:?}");
    }
    assert_eq!(get(&core, "a", Some(1), None).await.unwrap(), "one");
    assert_eq!(get(&core, "a", Some(3), Some("mine")).await.unwrap(), "three");
    refused(get(&core, "a", Some(1), Some("mine")).await, ErrorCode::InvalidRequest, "not associated");
    refused(get(&core, "a", None, Some("x")).await, ErrorCode::ResourceNotFound, "staging label: x");
    refused(get(&core, "a", Some(9), None).await, ErrorCode::ResourceNotFound, "VersionId: ");
    let moved = UpdateSecretVersionStageRequest {
        secret_id: "a".to_owned(),
        version_stage: "AWSCURRENT".to_owned(),
        remove_from_version_id: Some(token(2)),
        move_to_version_id: Some(token(3)),
    };
    core.update_secret_version_stage(&context(), moved.clone()).await.unwrap();
    assert_eq!(stages(&core, "a").await.get(&token(2)).unwrap(), &["AWSPREVIOUS"]);
    assert_eq!(stages(&core, "a").await.get(&token(3)).unwrap(), &["AWSCURRENT", "AWSPENDING", "mine"]);
    assert_eq!(stages(&core, "a").await.get(&token(1)), None);
    let nowhere = UpdateSecretVersionStageRequest { move_to_version_id: Some(token(9)), ..moved };
    refused(core.update_secret_version_stage(&context(), nowhere).await, ErrorCode::ResourceNotFound, &token(9));
    let versions = |deprecated| ListSecretVersionIdsRequest {
        secret_id: "a".to_owned(),
        include_deprecated: Some(deprecated),
        ..Default::default()
    };
    let count = |answer: ListSecretVersionIdsResponse| answer.versions.unwrap().len();
    assert_eq!(count(core.list_secret_version_ids(&context(), versions(false)).await.unwrap()), 2);
    assert_eq!(count(core.list_secret_version_ids(&context(), versions(true)).await.unwrap()), 3);
    // The first value is the current one, whatever it is called.
    let empty = CreateSecretRequest { name: "b".to_owned(), ..Default::default() };
    assert_eq!(core.create_secret(&context(), empty).await.unwrap().version_id, None);
    refused(get(&core, "b", None, None).await, ErrorCode::ResourceNotFound, "staging label: AWSCURRENT");
    assert_eq!(put(&core, "b", 1, "first", Some(&["mine"])).await.unwrap(), ["AWSCURRENT", "mine"]);
    place.checked(core);
}

#[tokio::test]
async fn old_versions_without_labels_are_let_go() {
    let place = Place::new();
    let core = place.serve();
    create(&core, "a", "0").await;
    for n in 2..=100 {
        put(&core, "a", n, &n.to_string(), None).await.unwrap();
    }
    refused(put(&core, "a", 101, "x", None).await, ErrorCode::LimitExceeded, "at most 100 versions");
    assert_eq!(get(&core, "a", None, None).await.unwrap(), "100", "and nothing has changed");
    place.advance(DAY + Duration::from_secs(1));
    put(&core, "a", 101, "101", None).await.unwrap();
    refused(get(&core, "a", Some(1), None).await, ErrorCode::ResourceNotFound, "");
    assert_eq!(get(&core, "a", Some(2), None).await.unwrap(), "2");
    assert_eq!(get(&core, "a", None, Some("AWSPREVIOUS")).await.unwrap(), "100");
    place.checked(core);
}

#[tokio::test]
async fn deletion_waits_and_can_be_taken_back() {
    let place = Place::new();
    let core = place.serve();
    create(&core, "a", "one").await;
    let delete = |days, force| DeleteSecretRequest {
        secret_id: "a".to_owned(),
        recovery_window_in_days: days,
        force_delete_without_recovery: force,
    };
    for (days, force) in [(Some(6), None), (Some(31), None), (Some(7), Some(true))] {
        let result = core.delete_secret(&context(), delete(days, force)).await;
        refused(result, ErrorCode::InvalidParameter, "Recovery");
    }
    core.delete_secret(&context(), delete(Some(7), None)).await.unwrap();
    refused(get(&core, "a", None, None).await, ErrorCode::InvalidRequest, "marked for deletion");
    refused(put(&core, "a", 2, "two", None).await, ErrorCode::InvalidRequest, "marked for deletion");
    let same = CreateSecretRequest { name: "a".to_owned(), ..Default::default() };
    refused(core.create_secret(&context(), same).await, ErrorCode::InvalidRequest, "already scheduled for deletion");
    refused(core.delete_secret(&context(), delete(None, None)).await, ErrorCode::InvalidRequest, "marked deleted");
    let listed = |deleted| ListSecretsRequest { include_planned_deletion: Some(deleted), ..Default::default() };
    assert_eq!(core.list_secrets(&context(), listed(false)).await.unwrap().secret_list.unwrap().len(), 0);
    assert_eq!(core.list_secrets(&context(), listed(true)).await.unwrap().secret_list.unwrap().len(), 1);
    let restore = RestoreSecretRequest { secret_id: "a".to_owned() };
    core.restore_secret(&context(), restore).await.unwrap();
    assert_eq!(get(&core, "a", None, None).await.unwrap(), "one");

    core.delete_secret(&context(), delete(Some(7), None)).await.unwrap();
    // The rounds of each hour.
    place.advance(7 * DAY - Duration::from_secs(1));
    core.look_after_secrets();
    stages(&core, "a").await;
    place.advance(Duration::from_secs(2));
    core.look_after_secrets();
    let gone = core.describe_secret(&context(), DescribeSecretRequest { secret_id: "a".to_owned() }).await;
    refused(gone, ErrorCode::ResourceNotFound, "");
    // At once, and again.
    create(&core, "a", "one").await;
    for _ in 0..2 {
        core.delete_secret(&context(), delete(None, Some(true))).await.unwrap();
    }
    refused(core.delete_secret(&context(), delete(None, None)).await, ErrorCode::ResourceNotFound, "");
    place.checked(core);
}

#[tokio::test]
async fn values_are_worth_as_much_as_their_key() {
    let place = Place::new();
    let core = place.serve();
    let key = core.create_key(&context(), CreateKeyRequest::default()).await.unwrap().key_metadata.unwrap();
    create(&core, "own", "of the service's key").await;
    let made = CreateSecretRequest {
        name: "named".to_owned(),
        client_request_token: Some(token(1)),
        kms_key_id: Some(key.key_id.clone()),
        secret_string: text("of the named key"),
        ..Default::default()
    };
    core.create_secret(&context(), made).await.unwrap();
    let key_id = key.key_id;
    core.disable_key(&context(), DisableKeyRequest { key_id: key_id.clone() }).await.unwrap();
    refused(get(&core, "named", None, None).await, ErrorCode::DecryptionFailure, "is disabled.");
    refused(put(&core, "named", 2, "x", None).await, ErrorCode::EncryptionFailure, "is disabled.");
    assert_eq!(get(&core, "own", None, None).await.unwrap(), "of the service's key");
    core.enable_key(&context(), EnableKeyRequest { key_id: key_id.clone() }).await.unwrap();
    assert_eq!(get(&core, "named", None, None).await.unwrap(), "of the named key");
    // To another key: what has a label follows.
    put(&core, "named", 2, "second", None).await.unwrap();
    put(&core, "named", 3, "third", None).await.unwrap();
    let moved = UpdateSecretRequest {
        secret_id: "named".to_owned(),
        kms_key_id: Some("alias/aws/secretsmanager".to_owned()),
        ..Default::default()
    };
    core.update_secret(&context(), moved).await.unwrap();
    core.disable_key(&context(), DisableKeyRequest { key_id }).await.unwrap();
    assert_eq!(get(&core, "named", None, None).await.unwrap(), "third");
    assert_eq!(get(&core, "named", None, Some("AWSPREVIOUS")).await.unwrap(), "second");
    refused(get(&core, "named", Some(1), None).await, ErrorCode::DecryptionFailure, "");
    let nobodys = UpdateSecretRequest {
        secret_id: "own".to_owned(),
        kms_key_id: Some("alias/nobody".to_owned()),
        ..Default::default()
    };
    refused(core.update_secret(&context(), nobodys).await, ErrorCode::EncryptionFailure, "alias/nobody");
    // Nothing of it is in the database.
    drop(core);
    let database = std::fs::read(place.data().join("kiln.db")).unwrap();
    for plain in ["of the service's key", "of the named key"] {
        assert!(memchr::memmem::find(&database, plain.as_bytes()).is_none(), "{plain}");
    }
}

#[tokio::test]
async fn secrets_are_listed_in_pages_and_in_order() {
    let place = Place::new();
    let core = place.serve();
    for (n, name) in ["b", "a", "c"].into_iter().enumerate() {
        create(&core, name, &n.to_string()).await;
        place.advance(Duration::from_secs(1));
    }
    for (by, order, expected) in [
        (None, None, ["b", "a", "c"]),
        (None, Some(SortOrderType::Desc), ["c", "a", "b"]),
        (Some(SortByType::Name), None, ["a", "b", "c"]),
        (Some(SortByType::Name), Some(SortOrderType::Desc), ["c", "b", "a"]),
    ] {
        let mut input =
            ListSecretsRequest { max_results: Some(2), sort_by: by, sort_order: order, ..Default::default() };
        let first = core.list_secrets(&context(), input.clone()).await.unwrap();
        input.next_token = first.next_token;
        let second = core.list_secrets(&context(), input.clone()).await.unwrap();
        assert_eq!(second.next_token, None);
        let pages = first.secret_list.unwrap().into_iter().chain(second.secret_list.unwrap());
        assert_eq!(pages.map(|secret| secret.name.unwrap()).collect::<Vec<_>>(), expected);
        input.sort_by = Some(SortByType::LastChangedDate);
        refused(core.list_secrets(&context(), input).await, ErrorCode::InvalidNextTokenException, "");
    }
    place.checked(core);
}

#[tokio::test]
async fn passwords_are_as_they_are_asked_for() {
    let place = Place::new();
    let core = place.serve();
    let make = |input: GetRandomPasswordRequest| {
        let core = &core;
        async move {
            let made = core.get_random_password(&context(), input).await;
            made.map(|answer| answer.random_password.unwrap().expose().to_owned())
        }
    };
    let usual = make(GetRandomPasswordRequest::default()).await.unwrap();
    assert_eq!(usual.chars().count(), 32);
    for kind in [
        char::is_uppercase as fn(char) -> bool,
        char::is_lowercase,
        |c| c.is_ascii_digit(),
        |c| c.is_ascii_punctuation(),
    ] {
        assert!(usual.chars().any(kind), "each kind is there");
    }
    assert_ne!(usual, make(GetRandomPasswordRequest::default()).await.unwrap());
    let digits = GetRandomPasswordRequest {
        password_length: Some(200),
        exclude_characters: Some("0123".to_owned()),
        exclude_lowercase: Some(true),
        exclude_uppercase: Some(true),
        exclude_punctuation: Some(true),
        include_space: Some(true),
        ..Default::default()
    };
    let made = make(digits.clone()).await.unwrap();
    assert!(made.chars().all(|c| " 456789".contains(c)) && made.contains(' '), "{made}");
    let short = GetRandomPasswordRequest { password_length: Some(1), ..digits.clone() };
    refused(make(short).await, ErrorCode::InvalidParameter, "too short");
    let nothing = GetRandomPasswordRequest { exclude_characters: Some(" 0123456789".to_owned()), ..digits };
    refused(make(nothing).await, ErrorCode::InvalidParameter, "all characters are excluded");
    place.checked(core);
}

#[tokio::test]
async fn what_is_not_there_is_refused_clearly() {
    let place = Place::new();
    let core = place.serve();
    create(&core, "a", "one").await;
    let replica = ReplicaRegionType { region: Some("eu-west-1".to_owned()), kms_key_id: None };
    let copied =
        CreateSecretRequest { name: "b".to_owned(), add_replica_regions: Some(vec![replica]), ..Default::default() };
    refused(core.create_secret(&context(), copied).await, ErrorCode::InvalidRequest, "AddReplicaRegions");
    let both = PutSecretValueRequest {
        secret_id: "a".to_owned(),
        secret_string: text("x"),
        secret_binary: Some(Blob(b"x".to_vec())),
        ..Default::default()
    };
    refused(core.put_secret_value(&context(), both).await, ErrorCode::InvalidParameter, "both a binary");
    let neither = PutSecretValueRequest { secret_id: "a".to_owned(), ..Default::default() };
    refused(core.put_secret_value(&context(), neither).await, ErrorCode::InvalidParameter, "must provide");
    let name = CreateSecretRequest { name: "a b".to_owned(), ..Default::default() };
    refused(core.create_secret(&context(), name).await, ErrorCode::Validation, "Invalid name.");
    let public = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*"}]}"#;
    let policy = |text: &str, block| PutResourcePolicyRequest {
        secret_id: "a".to_owned(),
        resource_policy: text.to_owned(),
        policy_name: None,
        block_public_policy: Some(block),
    };
    refused(core.put_secret_policy(policy("{", false)).await, ErrorCode::MalformedPolicyDocument, "");
    refused(core.put_secret_policy(policy(public, true)).await, ErrorCode::PublicPolicy, "everyone");
    core.put_secret_policy(policy(public, false)).await.unwrap();
    let checked = ValidateResourcePolicyRequest { secret_id: None, resource_policy: public.to_owned() };
    let checked = core.validate_resource_policy(&context(), checked).await.unwrap();
    assert_eq!((checked.policy_validation_passed, checked.validation_errors.unwrap().len()), (Some(false), 1));
    place.checked(core);
}

/// Two services have an operation of this name.
trait PutPolicy {
    async fn put_secret_policy(&self, input: PutResourcePolicyRequest) -> Result<PutResourcePolicyResponse, ApiError>;
}

impl PutPolicy for Core<FakeRunners> {
    async fn put_secret_policy(&self, input: PutResourcePolicyRequest) -> Result<PutResourcePolicyResponse, ApiError> {
        kiln_model::service::SecretsManager::put_resource_policy(self, &context(), input).await
    }
}

/// A user whose policy says this.
async fn user(core: &Core<FakeRunners>, name: &str, policy: &str) -> Caller {
    let new = Request::CreateUser { name: name.to_owned(), path: None, boundary: None, tags: Vec::new() };
    core.iam(&context(), new).await.unwrap();
    let (owner, document) = (Owner::User(name.to_owned()), policy.to_owned());
    core.iam(&context(), Request::PutInlinePolicy { owner, name: "p".to_owned(), document }).await.unwrap();
    let made = core.iam(&context(), Request::CreateAccessKey { user: Some(name.to_owned()) }).await.unwrap();
    let Answer::NewAccessKey(new) = made else { panic!("{made:?}") };
    core.credential(&new.key.id, None).unwrap().unwrap().caller
}

fn may(core: &Core<FakeRunners>, caller: &Caller, action: &str, resource: &str) -> Result<(), String> {
    let asked = Asked {
        action,
        resource: Some(resource),
        account: "000000000000",
        keys: &[],
        resource_policy: None,
        rule: ResourceRule::Sufficient,
        bound: None,
        stands_in: None,
    };
    core.authorise(Some(caller), &asked, &kiln_model::audit::Rulings::default()).map_err(|error| error.message)
}

#[tokio::test]
async fn permissions_are_about_whole_arns_tags_and_policies() {
    let place = Place::new();
    let core = place.serve();
    let arn = create(&core, "prod/db", "one").await;
    let alice = user(
        &core,
        "alice",
        &json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arn },
            { "Effect": "Allow", "Action": "secretsmanager:CreateSecret", "Resource": format!("{HEAD}new-??????") },
            { "Effect": "Allow", "Action": "secretsmanager:DescribeSecret", "Resource": "*",
              "Condition": { "StringEquals": { "secretsmanager:ResourceTag/team": "blue" } } },
        ] })
        .to_string(),
    )
    .await;
    let bob =
        user(&core, "bob", r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#)
            .await;
    let read = "secretsmanager:GetSecretValue";
    // However it is named, it is the same.
    for name in [arn.clone(), format!("{HEAD}prod/db"), format!("{HEAD}prod/db-??????")] {
        may(&core, &alice, read, &name).unwrap();
        let said = may(&core, &bob, read, &name).unwrap_err();
        assert!(said.contains(&format!("secretsmanager:GetSecretValue on resource: {arn}")), "{said}");
    }
    // One whose name is what ends the ARN of another is not that other.
    let twin = create(&core, arn.strip_prefix(HEAD).unwrap(), "two").await;
    may(&core, &alice, read, &format!("{arn}-??????")).unwrap_err();
    may(&core, &alice, read, &twin).unwrap_err();
    may(&core, &alice, read, &arn).unwrap();
    assert_eq!(get(&core, &arn, None, None).await.unwrap(), "one");
    assert_eq!(get(&core, arn.strip_prefix(HEAD).unwrap(), None, None).await.unwrap(), "two");
    may(&core, &alice, "secretsmanager:CreateSecret", &format!("{HEAD}new-??????")).unwrap();
    may(&core, &alice, "secretsmanager:CreateSecret", &format!("{HEAD}newer-??????")).unwrap_err();
    may(&core, &alice, "secretsmanager:DescribeSecret", &arn).unwrap_err();
    let tags = vec![Tag { key: Some("team".to_owned()), value: Some("blue".to_owned()) }];
    let tag = TagResourceRequest { secret_id: arn.clone(), tags };
    SecretsManager::tag_resource(&core, &context(), tag).await.unwrap();
    may(&core, &alice, "secretsmanager:DescribeSecret", &arn).unwrap();

    // The secret's own policy lets bob in, and keeps everybody else out; but the account's root can take it away.
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "AWS": bob.arn }, "Action": read, "Resource": "*" },
        { "Effect": "Deny", "NotPrincipal": { "AWS": [bob.arn, "arn:aws:iam::000000000000:root"] },
          "Action": "secretsmanager:*", "Resource": "*" },
    ] });
    let input = PutResourcePolicyRequest {
        secret_id: "prod/db".to_owned(),
        resource_policy: policy.to_string(),
        policy_name: None,
        block_public_policy: None,
    };
    core.put_secret_policy(input.clone()).await.unwrap();
    may(&core, &bob, read, &arn).unwrap();
    assert!(may(&core, &alice, read, &arn).unwrap_err().ends_with("with an explicit deny in a resource-based policy"));
    let nobody = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Deny", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*" },
    ] });
    core.put_secret_policy(PutResourcePolicyRequest { resource_policy: nobody.to_string(), ..input }).await.unwrap();
    let root = context().caller;
    may(&core, &root, read, &arn).unwrap_err();
    may(&core, &root, "secretsmanager:DeleteResourcePolicy", &arn).unwrap();
    place.checked(core);
}

#[tokio::test]
async fn several_values_need_a_permission_each() {
    let place = Place::new();
    let core = place.serve();
    for name in ["a", "b", "c"] {
        create(&core, name, &format!("value of {name}")).await;
    }
    let allowed = [format!("{HEAD}a-??????"), format!("{HEAD}b-??????")];
    let alice = user(
        &core,
        "alice",
        &json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": allowed },
            { "Effect": "Deny", "Action": "secretsmanager:GetSecretValue", "Resource": allowed[1],
              "Condition": { "IpAddress": { "aws:SourceIp": "192.0.2.1" } } },
        ] })
        .to_string(),
    )
    .await;
    let surroundings = [("aws:SourceIp", "192.0.2.1".to_owned())].into();
    let context = Context { caller: alice, surroundings, ..context() };
    let ids = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    let input = BatchGetSecretValueRequest { secret_id_list: Some(ids), ..Default::default() };
    let answer = core.batch_get_secret_value(&context, input).await.unwrap();
    let values = answer.secret_values.unwrap();
    assert_eq!(values.len(), 1);
    assert_eq!(values[0].secret_string.as_ref().unwrap().expose(), "value of a");
    let errors = answer.errors.unwrap();
    let codes: Vec<_> =
        errors.iter().map(|e| (e.secret_id.as_deref().unwrap(), e.error_code.as_deref().unwrap())).collect();
    let denied = "AccessDeniedException";
    assert_eq!(codes, [("b", denied), ("c", denied), ("d", denied)]);
    let filter = Filter { key: Some(FilterNameStringType::Name), values: Some(vec!["a".to_owned()]) };
    let input = BatchGetSecretValueRequest { filters: Some(vec![filter]), ..Default::default() };
    refused(core.batch_get_secret_value(&context, input.clone()).await, ErrorCode::AccessDenied, "ListSecrets");
    let all = core.batch_get_secret_value(&crate::place::context(), input).await.unwrap();
    assert_eq!(all.secret_values.unwrap().len(), 1);
    place.checked(core);
}

#[tokio::test]
async fn a_customers_key_needs_a_permission_of_its_own() {
    let place = Place::new();
    let core = place.serve();
    let key = core.create_key(&context(), CreateKeyRequest::default()).await.unwrap().key_metadata.unwrap();
    let made = CreateSecretRequest {
        name: "named".to_owned(),
        kms_key_id: Some(key.key_id),
        secret_string: text("of the named key"),
        ..Default::default()
    };
    core.create_secret(&context(), made).await.unwrap();
    create(&core, "own", "of the service's key").await;
    let read = json!({ "Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*" });
    let only = json!({ "Version": "2012-10-17", "Statement": [read] }).to_string();
    let alice = user(&core, "alice", &only).await;
    let decrypt = json!({ "Effect": "Allow", "Action": "kms:Decrypt", "Resource": key.arn,
        "Condition": { "StringEquals": { "kms:ViaService": "secretsmanager.us-east-1.amazonaws.com" } } });
    let both = json!({ "Version": "2012-10-17", "Statement": [read, decrypt] }).to_string();
    let bob = user(&core, "bob", &both).await;
    let get_as = |caller: &Caller, name: &str| {
        let context = Context { caller: caller.clone(), ..context() };
        let input = GetSecretValueRequest { secret_id: name.to_owned(), ..Default::default() };
        let core = &core;
        async move { core.get_secret_value(&context, input).await.map(|answer| answer.name) }
    };
    get_as(&alice, "own").await.unwrap();
    refused(get_as(&alice, "named").await, ErrorCode::AccessDenied, "Access to KMS is not allowed");
    get_as(&bob, "named").await.unwrap();
    place.checked(core);
}
