//! Who may do what with images, and what their bytes are sealed with.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kiln_core::iam::Asked;
use kiln_iam::policy::ResourceRule;
use kiln_model::{
    kms::{CreateKeyRequest, DisableKeyRequest},
    service::{Caller, Kms as _},
};

use super::*;
use crate::identities::{delete_key, user_with_key};

fn password(data: &AuthorizationData) -> String {
    let text = STANDARD.decode(data.authorization_token.as_ref().unwrap().expose()).unwrap();
    String::from_utf8(text).unwrap().strip_prefix("AWS:").unwrap().to_owned()
}

#[tokio::test]
async fn a_password_dies_with_its_time_and_with_its_key() {
    let place = Place::new();
    let core = place.serve();
    let caller = user_with_key(&core, "alice").await;
    let by = kiln_model::service::Context { caller: caller.clone(), ..context() };
    let input = GetAuthorizationTokenRequest::default();
    let data = core.get_authorization_token(&by, input.clone()).await.unwrap().authorization_data.unwrap().remove(0);
    assert_eq!(data.proxy_endpoint.as_deref(), Some("http://127.0.0.1:5456"));
    let secret = password(&data);
    assert!(!format!("{data:?}").contains(&secret));
    assert_eq!(core.registry_caller(&secret).await.unwrap(), Some(caller.clone()));
    let mut changed = secret.clone().into_bytes();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    for bad in
        [String::new(), "x".to_owned(), String::from_utf8(changed).unwrap(), secret.to_uppercase(), "é".repeat(20)]
    {
        assert_eq!(core.registry_caller(&bad).await.unwrap(), None, "{bad}");
    }
    place.advance(Duration::from_secs(12 * 60 * 60 - 1));
    assert!(core.registry_caller(&secret).await.unwrap().is_some());
    place.advance(Duration::from_secs(1));
    assert_eq!(core.registry_caller(&secret).await.unwrap(), None, "12 hours are over");
    let data = core.get_authorization_token(&by, input).await.unwrap().authorization_data.unwrap().remove(0);
    let secret = password(&data);
    assert!(core.registry_caller(&secret).await.unwrap().is_some());
    delete_key(&core, "alice", &caller.access_key_id).await;
    assert_eq!(core.registry_caller(&secret).await.unwrap(), None, "its key is gone");
    place.checked(core);
}

#[tokio::test]
async fn a_repository_s_policy_is_decided_with() {
    let place = Place::new();
    let core = place.serve();
    create(&core, named("ab")).await.unwrap();
    let alice = user_with_key(&core, "alice").await;
    let root = context().caller;
    let decided = |caller: &Caller, action: &str| {
        let asked = Asked {
            action,
            resource: Some("arn:aws:ecr:us-east-1:000000000000:repository/ab"),
            account: "000000000000",
            keys: &[],
            resource_policy: None,
            rule: ResourceRule::Sufficient,
            bound: None,
            stands_in: None,
        };
        core.authorise(Some(caller), &asked, &kiln_model::audit::Rulings::default()).is_ok()
    };
    let may = |action: &str| decided(&alice, action);
    assert!(!may("ecr:BatchGetImage"));
    let policy = |effect: &str, action: &str| {
        json!({ "Version": "2012-10-17", "Statement": [{ "Sid": "pull", "Effect": effect,
            "Principal": { "AWS": alice.arn }, "Action": action }] })
        .to_string()
    };
    let set = |text: String, force: Option<bool>| SetRepositoryPolicyRequest {
        repository_name: "ab".to_owned(),
        policy_text: text,
        force,
        registry_id: None,
    };
    core.set_repository_policy(&context(), set(policy("Allow", "ecr:BatchGetImage"), None)).await.unwrap();
    assert!(may("ecr:BatchGetImage") && !may("ecr:PutImage"));
    for bad in
        ["", "{}", r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*"}]}"#]
    {
        let result = core.set_repository_policy(&context(), set(bad.to_owned(), None)).await;
        refused(result, ErrorCode::InvalidParameter, "Invalid repository policy provided");
    }
    let nobody = json!({ "Version": "2012-10-17",
        "Statement": [{ "Effect": "Deny", "Principal": "*", "Action": "ecr:*" }] })
    .to_string();
    let kept = core.set_repository_policy(&context(), set(nobody.clone(), None)).await;
    refused(kept, ErrorCode::InvalidParameter, "use force");
    core.set_repository_policy(&context(), set(nobody, Some(true))).await.unwrap();
    assert!(!decided(&root, "ecr:BatchGetImage"));
    assert!(decided(&root, "ecr:DeleteRepositoryPolicy") && decided(&root, "ecr:SetRepositoryPolicy"));
    core.set_repository_policy(&context(), set(policy("Allow", "ecr:BatchGetImage"), None)).await.unwrap();
    let with_resource = policy("Allow", "ecr:*").replace("\"Sid\"", "\"Resource\":\"*\",\"Sid\"");
    refused(
        core.set_repository_policy(&context(), set(with_resource, None)).await,
        ErrorCode::InvalidParameter,
        "Invalid repository policy",
    );
    let get = GetRepositoryPolicyRequest { repository_name: "ab".to_owned(), registry_id: None };
    let text = core.get_repository_policy(&context(), get.clone()).await.unwrap().policy_text.unwrap();
    assert!(text.contains("ecr:BatchGetImage"));
    let delete = DeleteRepositoryPolicyRequest { repository_name: "ab".to_owned(), registry_id: None };
    core.delete_repository_policy(&context(), delete.clone()).await.unwrap();
    assert!(!may("ecr:BatchGetImage"));
    refused(core.delete_repository_policy(&context(), delete).await, ErrorCode::RepositoryPolicyNotFound, "'ab'");
    refused(core.get_repository_policy(&context(), get).await, ErrorCode::RepositoryPolicyNotFound, "'ab'");
    place.checked(core);
}

#[tokio::test]
async fn a_key_of_kms_seals_a_repository_s_bytes() {
    let place = Place::new();
    let core = place.serve();
    let key = core.create_key(&context(), CreateKeyRequest::default()).await.unwrap().key_metadata.unwrap();
    let (id, arn) = (key.key_id, key.arn);
    let sealed = CreateRepositoryRequest {
        encryption_configuration: Some(EncryptionConfiguration {
            encryption_type: EncryptionType::Kms,
            kms_key: Some(id.clone()),
        }),
        ..named("sealed")
    };
    let made = create(&core, sealed).await.unwrap();
    assert_eq!(made.encryption_configuration.unwrap().kms_key, arn);
    create(&core, named("plain")).await.unwrap();
    let digest = layer(&core, "plain", b"layer").await;
    assert!(!core.mount_layer(&context(), "sealed", &digest, "plain").await.unwrap(), "their keys differ");
    layer(&core, "sealed", b"layer").await;
    assert_eq!(blobs(&place), 2);
    core.disable_key(&context(), DisableKeyRequest { key_id: id }).await.unwrap();
    assert!(core.layer(&context(), "sealed", &digest, None).await.is_err());
    assert_eq!(read(&core, "plain", &digest, None).await.unwrap(), b"layer");
    let unknown = CreateRepositoryRequest {
        encryption_configuration: Some(EncryptionConfiguration {
            encryption_type: EncryptionType::Kms,
            kms_key: Some("alias/none".to_owned()),
        }),
        ..named("other")
    };
    refused(create(&core, unknown).await, ErrorCode::Kms, "");
    place.checked(core);
}
