//! What the service does on a build's behalf, checked against the build's role (`api.md` 7.3): objects that are read and
//! stored, logs that are written.

use kiln_iam::policy::{Kind, ResourceRule};
use kiln_model::{
    ApiError, BuildStatus, PhaseContext, PhaseType,
    audit::Rulings,
    service::{Caller, Context},
};

use crate::{
    core::Inner,
    document::Document,
    iam::{Asked, KeyValue},
    kms::{self, UsableKey, Use},
    log_object, logs, objects,
    runners::Runners,
    supervise::Failure,
};

/// Who reads or stores an object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Behalf<'a> {
    /// A build, by its role.
    Build(&'a Document),
    /// A caller of the API, who was allowed to; but not asked whether the key may be used.
    Caller(&'a Context),
    /// Anybody who looks at a public build, by the `resourceAccessRole` of its project ([`crate::public`]).
    Public(&'a Context),
    /// The service itself, for what it has to know.
    Service,
}

impl Behalf<'_> {
    /// In whose name S3 asks KMS for the key of an object that is read; `None`: whoever asks was asked already.
    ///
    /// # Errors
    /// When the build's role cannot be assumed.
    pub(crate) fn decrypts_as<R: Runners>(self, inner: &Inner<R>) -> Result<Option<Context>, ApiError> {
        match self {
            Self::Build(document) => as_context(inner, document).map(Some),
            Self::Caller(context) | Self::Public(context) => Ok(Some(context.clone())),
            Self::Service => Ok(None),
        }
    }

    /// Whether an object may be read, in its newest version or another, or stored; or a bucket be listed: `key` is then
    /// the prefix.
    ///
    /// # Errors
    /// `AccessDeniedException`, as the build would get it from the API.
    pub(crate) fn check<R: Runners>(
        self,
        inner: &Inner<R>,
        action: &'static str,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<(), ApiError> {
        if matches!(self, Self::Caller(_) | Self::Service) {
            return Ok(());
        }
        let home = &inner.config.home;
        let mut arn = format!("arn:{}:s3:::{bucket}", home.partition());
        // As over the API: nothing of it leaves the machine in the clear.
        let mut keys = vec![KeyValue::one("aws:SecureTransport", "true")];
        keys.extend(version.map(|version| KeyValue::one("s3:VersionId", version)));
        if action == LIST {
            keys.push(KeyValue::one("s3:prefix", key));
        } else {
            arn = format!("{arn}/{key}");
        }
        let policy = objects::policy_of(inner, bucket)?;
        let asked = Asked {
            action,
            resource: Some(&arn),
            account: &home.account,
            keys: &keys,
            resource_policy: policy.as_deref().map(|text| (Kind::Bucket, text)),
            rule: ResourceRule::Sufficient,
            bound: None,
            stands_in: None,
        };
        match self {
            Self::Build(document) => inner.may(document, &asked),
            // What is decided for nobody is in no record.
            Self::Public(context) => inner.decide(Some(&context.caller), &asked, &Rulings::default()),
            Self::Caller(_) | Self::Service => Ok(()),
        }
    }
}

/// Reading an object in its newest version.
pub(crate) const GET: &str = "s3:GetObject";
/// Reading another version.
pub(crate) const GET_VERSION: &str = "s3:GetObjectVersion";
/// Storing one.
pub(crate) const PUT: &str = "s3:PutObject";
/// Looking through a folder.
pub(crate) const LIST: &str = "s3:ListBucket";

/// Whether a build may have its objects sealed with a key of KMS, as S3 asks for its callers.
///
/// # Errors
/// `AccessDeniedException`, as the build would get it from the API.
pub(crate) fn check_key<R: Runners>(inner: &Inner<R>, document: &Document, key: &UsableKey) -> Result<(), ApiError> {
    let context = as_context(inner, document)?;
    kms::permit_arn(inner, &context, &key.arn, Use { via: Some("s3"), ..Use::of("GenerateDataKey") })
}

/// A build, by its role, as if it asked over the API.
///
/// # Errors
/// When the role cannot be assumed.
pub(crate) fn as_context<R: Runners>(inner: &Inner<R>, document: &Document) -> Result<Context, ApiError> {
    Ok(as_itself(inner, inner.as_caller(document)?.0))
}

/// What the service does by itself, in a role.
pub(crate) fn as_itself<R: Runners>(inner: &Inner<R>, caller: Caller) -> Context {
    Context {
        origin: String::new(),
        caller,
        region: inner.config.home.region.clone(),
        request_id: String::new(),
        // As over the API: nothing of it leaves the machine in the clear.
        surroundings: [("aws:SecureTransport", "true".to_owned())].into(),
        rulings: Rulings::default(),
        traceparent: None,
    }
}

/// Refuses a build whose role cannot be assumed, or does not let its logs be written (`buildspec.md` 6).
pub(crate) fn check_start<R: Runners>(inner: &Inner<R>, document: &Document) -> Result<(), Failure> {
    let build = &document.build;
    let role = inner.config.home.role_arn(build.service_role.as_deref().unwrap_or_default());
    inner.check_service_role(&role, &build.project_name).map_err(refused)?;
    let no_logs = |what: &str, error: ApiError| match error.code {
        kiln_model::ErrorCode::AccessDenied => refused(ApiError::access_denied(format!(
            "Service role {role} does not allow AWS CodeBuild to {what} for build {}. Error message: {}",
            build.arn, error.message
        ))),
        _ => refused(error),
    };
    check_log_stream(inner, document).map_err(|e| no_logs("create Amazon CloudWatch Logs log streams", e))?;
    if let Some((bucket, key)) = log_object::location(document) {
        let stored = Behalf::Build(document).check(inner, PUT, &bucket, &key, None);
        stored.map_err(|e| no_logs("store its Amazon S3 logs", e))?;
    }
    Ok(())
}

/// Before anything of the build happened: it fails where it waited.
fn refused(error: ApiError) -> Failure {
    let (status, code) = match error.code.http_status() {
        500.. => (BuildStatus::Fault, "INTERNAL_ERROR"),
        _ => (BuildStatus::Failed, "ACCESS_DENIED"),
    };
    Failure { phase: PhaseType::Queued, status, context: PhaseContext::new(code, error.message) }
}

fn check_log_stream<R: Runners>(inner: &Inner<R>, document: &Document) -> Result<(), ApiError> {
    if !logs::is_enabled(document) {
        return Ok(());
    }
    let home = &inner.config.home;
    let (group, stream) = (document.log_group(), document.log_stream());
    // Permissions are often for what is in a group, `…:log-group:NAME:*`, and mean the group as well.
    let arn = |stream: &str| home.log_stream_arn(&group, stream);
    if inner.look(|view| Ok(view.log_group(&group)?.is_none()))? {
        inner.may_do(document, "logs:CreateLogGroup", &arn(""))?;
    }
    inner.may_do(document, "logs:CreateLogStream", &arn(&stream))?;
    inner.may_do(document, "logs:PutLogEvents", &arn(&stream))
}
