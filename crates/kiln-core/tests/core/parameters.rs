//! Parameter Store's rules.

use kiln_core::Core;
use kiln_model::{
    ApiError, ErrorCode, Secret,
    kms::{CreateKeyRequest, DisableKeyRequest},
    service::{Kms as _, Ssm},
    ssm::*,
};

use crate::{
    fake::FakeRunners,
    place::{Place, context},
};

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>, code: ErrorCode, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(text), "{error}");
}

fn input(name: &str, value: &str) -> PutParameterRequest {
    PutParameterRequest {
        name: name.to_owned(),
        value: Secret::new(value.to_owned()),
        r#type: Some(ParameterType::String),
        ..Default::default()
    }
}

async fn put(core: &Core<FakeRunners>, input: PutParameterRequest) -> Result<i64, ApiError> {
    core.put_parameter(&context(), input).await.map(|answer| answer.version.unwrap())
}

async fn put_all(core: &Core<FakeRunners>, names: &[&str]) {
    for name in names {
        put(core, input(name, &format!("value of {name}"))).await.unwrap();
    }
}

async fn get(core: &Core<FakeRunners>, name: &str) -> Result<Parameter, ApiError> {
    let input = GetParameterRequest { name: name.to_owned(), with_decryption: Some(true) };
    core.get_parameter(&context(), input).await.map(|answer| answer.parameter.unwrap())
}

async fn value(core: &Core<FakeRunners>, name: &str) -> Result<String, ApiError> {
    get(core, name).await.map(|parameter| parameter.value.unwrap().expose().to_owned())
}

#[tokio::test]
async fn versions_count_up_and_labels_stay_on_theirs() {
    let place = Place::new();
    let core = place.serve();
    assert_eq!(put(&core, input("/app/db", "one")).await.unwrap(), 1);
    refused(put(&core, input("/app/db", "two")).await, ErrorCode::ParameterAlreadyExists, "overwrite option");
    let over = |value: &str| PutParameterRequest { overwrite: Some(true), r#type: None, ..input("/app/db", value) };
    assert_eq!(put(&core, over("two")).await.unwrap(), 2);
    let label = |version, labels: &[&str]| LabelParameterVersionRequest {
        name: "/app/db".to_owned(),
        parameter_version: version,
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
    };
    let done = core.label_parameter_version(&context(), label(Some(1), &["old", "1x", "aws-x"])).await.unwrap();
    assert_eq!(done.invalid_labels.unwrap(), ["1x", "aws-x"]);
    core.label_parameter_version(&context(), label(None, &["new"])).await.unwrap();
    for (name, expected, selector) in [
        ("/app/db", "two", None),
        ("/app/db:1", "one", Some(":1")),
        ("/app/db:old", "one", Some(":old")),
        ("/app/db:new", "two", Some(":new")),
        ("arn:aws:ssm:us-east-1:000000000000:parameter/app/db:old", "one", Some(":old")),
    ] {
        let found = get(&core, name).await.unwrap();
        assert_eq!((found.value.unwrap().expose(), found.selector.as_deref()), (expected, selector), "{name}");
        assert_eq!(found.arn.as_deref(), Some("arn:aws:ssm:us-east-1:000000000000:parameter/app/db"));
    }
    refused(value(&core, "/app/db:3").await, ErrorCode::ParameterVersionNotFound, "version 3 of /app/db");
    refused(value(&core, "/app/db:x").await, ErrorCode::ParameterVersionNotFound, "label x");
    refused(value(&core, "/app/dbx").await, ErrorCode::ParameterNotFound, "/app/dbx");
    // A label is on one version.
    core.label_parameter_version(&context(), label(Some(1), &["new"])).await.unwrap();
    assert_eq!(value(&core, "/app/db:new").await.unwrap(), "one");
    let many: Vec<String> = (0..10).map(|n| format!("l{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let result = core.label_parameter_version(&context(), label(Some(1), &many)).await;
    refused(result, ErrorCode::ParameterVersionLabelLimitExceeded, "maximum 10 labels");
    let result = core.label_parameter_version(&context(), label(Some(7), &["x"])).await;
    refused(result, ErrorCode::ParameterVersionNotFound, "version 7");
    let unlabel = UnlabelParameterVersionRequest {
        name: "/app/db".to_owned(),
        parameter_version: 1,
        labels: vec!["old".to_owned(), "nothing".to_owned()],
    };
    let done = core.unlabel_parameter_version(&context(), unlabel).await.unwrap();
    assert_eq!(
        (done.removed_labels.unwrap(), done.invalid_labels.unwrap()),
        (vec!["old".to_owned()], vec!["nothing".to_owned()])
    );
    refused(value(&core, "/app/db:old").await, ErrorCode::ParameterVersionNotFound, "");

    // The oldest of more than a hundred goes, unless it has a label.
    for n in 3..=100 {
        put(&core, over(&n.to_string())).await.unwrap();
    }
    refused(put(&core, over("x")).await, ErrorCode::ParameterMaxVersionLimitExceeded, "Version 1, the oldest version");
    assert_eq!(get(&core, "/app/db").await.unwrap().version, Some(100));
    core.label_parameter_version(&context(), label(Some(2), &["new"])).await.unwrap();
    assert_eq!(put(&core, over("101")).await.unwrap(), 101);
    refused(value(&core, "/app/db:1").await, ErrorCode::ParameterVersionNotFound, "");
    let mut history = GetParameterHistoryRequest { name: "/app/db".to_owned(), ..Default::default() };
    let mut seen = Vec::new();
    loop {
        let page = core.get_parameter_history(&context(), history.clone()).await.unwrap();
        seen.extend(page.parameters.unwrap().into_iter().map(|version| version.version.unwrap()));
        history.next_token = page.next_token;
        if history.next_token.is_none() {
            break;
        }
    }
    assert_eq!(seen, (2..=101).collect::<Vec<i64>>());
    place.checked(core);
}

#[tokio::test]
async fn secure_strings_are_worth_as_much_as_their_key() {
    let place = Place::new();
    let core = place.serve();
    let secure = |name: &str, key: Option<&str>| PutParameterRequest {
        r#type: Some(ParameterType::SecureString),
        key_id: key.map(str::to_owned),
        ..input(name, "the sealed value")
    };
    put(&core, secure("/own", None)).await.unwrap();
    let key = core.create_key(&context(), CreateKeyRequest::default()).await.unwrap().key_metadata.unwrap().key_id;
    put(&core, secure("/named", Some(&key))).await.unwrap();
    put(&core, input("/plain", "the plain value")).await.unwrap();
    let closed = GetParameterRequest { name: "/own".to_owned(), with_decryption: None };
    let closed = core.get_parameter(&context(), closed).await.unwrap().parameter.unwrap();
    assert!(!closed.value.unwrap().expose().contains("sealed"));
    for name in ["/own", "/named"] {
        assert_eq!(value(&core, name).await.unwrap(), "the sealed value");
    }
    core.disable_key(&context(), DisableKeyRequest { key_id: key.clone() }).await.unwrap();
    refused(
        value(&core, "/named").await,
        ErrorCode::InvalidKeyId,
        "is disabled. (Service: Kms, Status Code: 400, Error Code: DisabledException)",
    );
    refused(put(&core, secure("/again", Some(&key))).await, ErrorCode::InvalidKeyId, "is disabled.");
    refused(put(&core, secure("/again", Some("alias/nobody"))).await, ErrorCode::InvalidKeyId, "NotFoundException");
    refused(
        put(&core, PutParameterRequest { key_id: Some(key), ..input("/x", "y") }).await,
        ErrorCode::Validation,
        "SecureString type parameter only",
    );
    let names = ["/own", "/nothing", "/plain:7"].map(str::to_owned).to_vec();
    let some = GetParametersRequest { names, with_decryption: Some(true) };
    let some = core.get_parameters(&context(), some).await.unwrap();
    assert_eq!(some.parameters.unwrap().len(), 1);
    assert_eq!(some.invalid_parameters.unwrap(), ["/nothing", "/plain:7"]);
    drop(core);
    let database = std::fs::read(place.data().join("kiln.db")).unwrap();
    for plain in ["the sealed value", "the plain value"] {
        assert!(memchr::memmem::find(&database, plain.as_bytes()).is_none(), "{plain}");
    }
}

#[tokio::test]
async fn what_cannot_be_put_is_refused() {
    let place = Place::new();
    let core = place.serve();
    put(&core, input("/list", "a")).await.unwrap();
    for (input, code, text) in [
        (PutParameterRequest { r#type: None, ..input("/x", "y") }, ErrorCode::Validation, "type is required"),
        (input("/x", ""), ErrorCode::Validation, "at 'value' failed"),
        (input("/x", &"y".repeat(4097)), ErrorCode::Validation, "advanced-parameter tier"),
        (input("/aws/x", "y"), ErrorCode::AccessDenied, "No access to reserved parameter name: /aws/x."),
        (
            PutParameterRequest {
                overwrite: Some(true),
                r#type: Some(ParameterType::StringList),
                ..input("/list", "a,b")
            },
            ErrorCode::HierarchyTypeMismatch,
            "/list is a String",
        ),
        (
            PutParameterRequest { allowed_pattern: Some("^[0-9]+$".to_owned()), ..input("/x", "y") },
            ErrorCode::ParameterPatternMismatch,
            "allowedPattern",
        ),
        (
            PutParameterRequest { policies: Some("[{}]".to_owned()), ..input("/x", "y") },
            ErrorCode::InvalidPolicyType,
            "leave Policies out",
        ),
        (
            PutParameterRequest { data_type: Some("Text".to_owned()), ..input("/x", "y") },
            ErrorCode::Validation,
            "data type is not supported: Text",
        ),
        (
            PutParameterRequest {
                overwrite: Some(true),
                tags: Some(vec![Tag { key: "a".to_owned(), value: "b".to_owned() }]),
                ..input("/list", "c")
            },
            ErrorCode::Validation,
            "tags and overwrite can't be used together",
        ),
    ] {
        refused(put(&core, input).await, code, text);
    }
    let advanced =
        PutParameterRequest { tier: Some(ParameterTier::IntelligentTiering), ..input("/x", &"y".repeat(8192)) };
    let made = core.put_parameter(&context(), advanced).await.unwrap();
    assert_eq!(made.tier, Some(ParameterTier::Advanced));
    place.checked(core);
}

#[tokio::test]
async fn hierarchies_and_lists_are_read_in_pages() {
    let place = Place::new();
    let core = place.serve();
    put_all(&core, &["/a/1", "/a/2", "/a/b/3", "/ab", "plain", "/c/4"]).await;
    let paged = |path: &str, recursive| {
        let mut input = GetParametersByPathRequest {
            path: path.to_owned(),
            recursive: Some(recursive),
            max_results: Some(2),
            ..Default::default()
        };
        let core = &core;
        async move {
            let mut names = Vec::new();
            loop {
                let page = core.get_parameters_by_path(&context(), input.clone()).await.unwrap();
                names.extend(page.parameters.unwrap().into_iter().map(|parameter| parameter.name.unwrap()));
                input.next_token = page.next_token;
                if input.next_token.is_none() {
                    return names;
                }
            }
        }
    };
    assert_eq!(paged("/a", false).await, ["/a/1", "/a/2"]);
    assert_eq!(paged("/a/", true).await, ["/a/1", "/a/2", "/a/b/3"]);
    assert_eq!(paged("/", false).await, ["/ab", "plain"]);
    assert_eq!(paged("/", true).await.len(), 6);
    let bad = GetParametersByPathRequest { path: "a".to_owned(), ..Default::default() };
    refused(
        core.get_parameters_by_path(&context(), bad).await,
        ErrorCode::Validation,
        "must begin with a forward slash",
    );
    let label = LabelParameterVersionRequest {
        name: "/a/2".to_owned(),
        parameter_version: None,
        labels: vec!["prod".to_owned()],
    };
    core.label_parameter_version(&context(), label).await.unwrap();
    let labelled =
        ParameterStringFilter { key: "Label".to_owned(), option: None, values: Some(vec!["prod".to_owned()]) };
    let input = GetParametersByPathRequest {
        path: "/a".to_owned(),
        parameter_filters: Some(vec![labelled.clone()]),
        ..Default::default()
    };
    let found = core.get_parameters_by_path(&context(), input).await.unwrap().parameters.unwrap();
    assert_eq!(found.iter().map(|parameter| parameter.name.as_deref().unwrap()).collect::<Vec<_>>(), ["/a/2"]);

    let mut describe = DescribeParametersRequest { max_results: Some(4), ..Default::default() };
    let first = core.describe_parameters(&context(), describe.clone()).await.unwrap();
    describe.next_token = first.next_token;
    let second = core.describe_parameters(&context(), describe.clone()).await.unwrap();
    assert_eq!((first.parameters.unwrap().len(), second.parameters.unwrap().len(), second.next_token), (4, 2, None));
    describe.parameter_filters = Some(vec![ParameterStringFilter { key: "Name".to_owned(), ..labelled }]);
    refused(core.describe_parameters(&context(), describe).await, ErrorCode::InvalidNextToken, "");

    let names = ["/a/1", "/nothing", "/a/2:1"].map(str::to_owned).to_vec();
    let gone = core.delete_parameters(&context(), DeleteParametersRequest { names }).await.unwrap();
    assert_eq!((gone.deleted_parameters.unwrap().len(), gone.invalid_parameters.unwrap().len()), (1, 2));
    let again = DeleteParameterRequest { name: "/a/1".to_owned() };
    refused(core.delete_parameter(&context(), again).await, ErrorCode::ParameterNotFound, "/a/1");
    let tagged = AddTagsToResourceRequest {
        resource_type: ResourceTypeForTagging::Document,
        resource_id: "/c/4".to_owned(),
        tags: vec![Tag { key: "a".to_owned(), value: "b".to_owned() }],
    };
    refused(core.add_tags_to_resource(&context(), tagged.clone()).await, ErrorCode::InvalidResourceType, "Document");
    let tagged = AddTagsToResourceRequest { resource_type: ResourceTypeForTagging::Parameter, ..tagged };
    core.add_tags_to_resource(&context(), tagged.clone()).await.unwrap();
    let tagged = AddTagsToResourceRequest { resource_id: "/nothing".to_owned(), ..tagged };
    refused(core.add_tags_to_resource(&context(), tagged).await, ErrorCode::InvalidResourceId, "");
    place.checked(core);
}
