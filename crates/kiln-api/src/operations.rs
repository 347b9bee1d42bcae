//! From an operation's name to the service's method and back to an answer.

mod debug;
#[macro_use]
mod dispatch;
mod events;
mod git;
mod images;
mod logs;
mod secrets;

use std::sync::Arc;

use http::{HeaderValue, Method, Response, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use kiln_model::{
    ApiError,
    codebuild::*,
    decode::{Input, decode},
    for_each_codebuild_operation, for_each_kiln_operation, for_each_kms_operation,
    kiln::*,
    kms::*,
    operations::{
        OperationInfo, cloudwatch_operation, codebuild_operation, codecommit_operation, ecr_operation,
        events_operation, kiln_operation, kms_operation, logs_operation, secrets_manager_operation, ssm_operation,
    },
    service::{self, ArtifactContent, ByteSource, CodeBuild, Context, KilnService, Kms},
};
use serde::Serialize;
use tokio::sync::watch;

use crate::{
    authorise::{
        Needed, of_events, of_git, of_iam, of_images, of_json, of_kms, of_logs, of_metrics, of_parameters, of_secrets,
    },
    body::{Answer, Upload},
    cloudwatch::{self, Protocol},
    connection::pulse::Busy,
    fault::{Fault, JSON},
    query::{self, Sts},
    route::Service,
};

/// What a request asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation {
    /// An operation of CodeBuild.
    CodeBuild(&'static OperationInfo),
    /// An operation of the Kiln API.
    Kiln(&'static OperationInfo),
    /// An operation of the Key Management Service.
    Kms(&'static OperationInfo),
    /// An operation of CloudWatch Logs.
    Logs(&'static OperationInfo),
    /// An operation of Secrets Manager.
    SecretsManager(&'static OperationInfo),
    /// An operation of Parameter Store.
    Ssm(&'static OperationInfo),
    /// An operation of Elastic Container Registry.
    Ecr(&'static OperationInfo),
    /// An operation of EventBridge.
    Events(&'static OperationInfo),
    /// An operation of CodeCommit.
    CodeCommit(&'static OperationInfo),
    /// An operation of CloudWatch.
    CloudWatch(&'static OperationInfo, Protocol),
    /// An operation of IAM.
    Iam(&'static OperationInfo),
    /// An operation of STS. What needs a permission there, the service decides: whether a role lets somebody in is for
    /// its own policy as well.
    Sts(Sts),
}

impl Operation {
    /// The operation that the head of a request names; `None` when its body does.
    pub(crate) fn named(service: Service, parts: &Parts) -> Result<Option<Self>, ApiError> {
        match service {
            Service::Iam | Service::Sts | Service::CloudWatch(Protocol::Query) => return Ok(None),
            Service::CloudWatch(protocol @ Protocol::Cbor) => {
                return cloudwatch::named(parts).map(|info| Some(Self::CloudWatch(info, protocol)));
            }
            _ => {}
        }
        let mut targets = parts.headers.get_all("x-amz-target").iter();
        let (target, second) = (targets.next(), targets.next());
        let target = target.and_then(|target| target.to_str().ok()).unwrap_or_default();
        let name = target.rsplit_once('.').map_or(target, |(_, name)| name);
        if parts.method != Method::POST || parts.uri.path() != "/" || target.is_empty() || second.is_some() {
            return Err(ApiError::new(
                kiln_model::ErrorCode::UnknownOperation,
                "operations are called in AWS JSON 1.1: POST / with one header X-Amz-Target",
            ));
        }
        let found = match service {
            Service::CodeBuild => codebuild_operation(name).map(Self::CodeBuild),
            Service::Kms => kms_operation(name).map(Self::Kms),
            Service::Logs => logs_operation(name).map(Self::Logs),
            Service::SecretsManager => secrets_manager_operation(name).map(Self::SecretsManager),
            Service::Ssm => ssm_operation(name).map(Self::Ssm),
            Service::Ecr => ecr_operation(name).map(Self::Ecr),
            Service::Events => events_operation(name).map(Self::Events),
            Service::CodeCommit => codecommit_operation(name).map(Self::CodeCommit),
            Service::CloudWatch(protocol) => cloudwatch_operation(name).map(|info| Self::CloudWatch(info, protocol)),
            _ => kiln_operation(name).map(Self::Kiln),
        };
        found.map(Some).ok_or_else(|| ApiError::unknown_operation(name))
    }

    /// The operation that the body of a request names.
    pub(crate) fn in_body(service: Service, parts: &Parts, body: &[u8]) -> Result<Self, ApiError> {
        let form = query::form(parts, body)?;
        match service {
            Service::Iam => query::iam_named(&form).map(Self::Iam),
            _ => Sts::named(&form).map(Self::Sts),
        }
    }

    /// The operation as permissions know it; `None` for what everybody may.
    pub(crate) fn info(self) -> Option<&'static OperationInfo> {
        match self {
            Self::CodeBuild(info)
            | Self::Iam(info)
            | Self::Kiln(info)
            | Self::Kms(info)
            | Self::Logs(info)
            | Self::SecretsManager(info)
            | Self::Ssm(info)
            | Self::Ecr(info)
            | Self::Events(info)
            | Self::CodeCommit(info)
            | Self::CloudWatch(info, _) => Some(info),
            Self::Sts(_) => None,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CodeBuild(info)
            | Self::Iam(info)
            | Self::Kiln(info)
            | Self::Kms(info)
            | Self::Logs(info)
            | Self::SecretsManager(info)
            | Self::Ssm(info)
            | Self::Ecr(info)
            | Self::Events(info)
            | Self::CodeCommit(info)
            | Self::CloudWatch(info, _) => info.name,
            Self::Sts(operation) => operation.name(),
        }
    }

    /// Whether the audit log calls it one that changes nothing. Giving out credentials is a change.
    pub(crate) fn is_read_only(self) -> bool {
        match self {
            Self::Sts(operation) => operation == Sts::CallerIdentity,
            _ => !self.changes(),
        }
    }

    /// The permissions that it needs; none where the service itself decides, or everybody may.
    pub(crate) fn needs(self, parts: &Parts, content: &Content, context: &Context) -> Result<Vec<Needed>, ApiError> {
        let body = match content {
            Content::Whole(body) => body.as_ref(),
            Content::Upload { .. } => &[],
        };
        let home = context.home();
        // What cannot be read is refused when it is decoded; until then it names nothing.
        let input = || serde_json::from_slice(body).unwrap_or(serde_json::Value::Null);
        Ok(match self {
            Self::CodeBuild(info) => of_json("codebuild", info.name, &input(), &home),
            Self::Kiln(info) => of_json("kiln", info.name, &input(), &home),
            Self::Iam(info) => of_iam(info.name, &query::form(parts, body)?, &context.caller, &home),
            Self::Kms(info) => of_kms(info, &input()),
            Self::Logs(info) => of_logs(info, &input(), &home),
            Self::SecretsManager(info) => of_secrets(info.name, &input(), &home),
            Self::Ssm(info) => of_parameters(info.name, &input(), &home),
            Self::Ecr(info) => of_images(info, &input(), &home),
            Self::Events(info) => of_events(info, &input(), &home),
            Self::CodeCommit(info) => of_git(info, &input(), &home),
            Self::CloudWatch(info, _) => of_metrics(info, &input()),
            Self::Sts(_) => Vec::new(),
        })
    }

    /// Bytes of its body, at most; `usual` for most.
    pub(crate) fn body_bytes(self, usual: usize) -> usize {
        match self {
            // 20 MiB of a layer in base64; 4 MiB of a manifest, each character of which may be escaped.
            Self::Ecr(info) if info.name == "UploadLayerPart" => usual.max(28 << 20),
            Self::Ecr(info) if info.name == "PutImage" => usual.max(9 << 20),
            // 6 MiB of a file in base64; 7 MiB of all the files of a commit.
            Self::CodeCommit(info) if matches!(info.name, "PutFile" | "CreateCommit") => usual.max(11 << 20),
            _ => usual,
        }
    }

    /// Whether the body is taken as it arrives.
    pub(crate) fn is_upload(self) -> bool {
        matches!(self, Self::Kiln(info) if info.name == "UploadSource")
    }

    /// Whether it may change something.
    pub(crate) fn changes(self) -> bool {
        // Clients that encrypt or decrypt the same twice within a second send the same signature.
        const READING: [&str; 20] = [
            "List",
            "Get",
            "BatchGet",
            "Describe",
            "Lint",
            "Encrypt",
            "Decrypt",
            "ReEncrypt",
            "Generate",
            "Validate",
            "Simulate",
            "Explain",
            "Lookup",
            "Verify",
            "Search",
            "Count",
            "Filter",
            "Test",
            "StartLiveTail",
            "BatchCheck",
        ];
        self.info().is_some_and(|info| !READING.iter().any(|prefix| info.name.starts_with(prefix)))
    }
}

/// The body of a request whose sender is known.
pub(crate) enum Content {
    /// All of it.
    Whole(bytes::Bytes),
    /// As it arrives.
    Upload { body: Box<Upload>, length: u64, sha256: [u8; 32] },
}

impl Content {
    /// The body, if it is there as a whole.
    pub(crate) fn whole(&self) -> Option<&bytes::Bytes> {
        match self {
            Self::Whole(body) => Some(body),
            Self::Upload { .. } => None,
        }
    }
}

/// The connection that a request came over.
pub(crate) struct Line {
    /// Becomes the raw connection after an answer `101 Switching Protocols`.
    pub(crate) upgrade: OnUpgrade,
    /// Keeps the connection from being taken for idle.
    pub(crate) busy: Busy,
    /// Becomes true when the server stops.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// Calls the service.
pub(crate) async fn call<S: service::Service>(
    service: &Arc<S>,
    operation: Operation,
    context: &Context,
    parts: &Parts,
    content: Content,
    line: Line,
) -> Result<Response<Answer>, Fault> {
    match (operation, content) {
        (Operation::Sts(Sts::CallerIdentity), _) => Ok(query::caller_identity(context)),
        (Operation::Sts(operation), Content::Whole(body)) => {
            let request = query::sts_request(operation, &query::form(parts, &body)?)?;
            Ok(query::credentials(operation, &service.session(context, request).await?, context))
        }
        (Operation::Iam(info), Content::Whole(body)) => {
            let request = query::iam_request(info.name, &query::form(parts, &body)?)?;
            Ok(query::iam_answer(info.name, &service.iam(context, request).await?, &context.request_id))
        }
        (Operation::CodeBuild(info), Content::Whole(body)) => {
            check_content_type(parts)?;
            codebuild(service.as_ref(), info, context, &body).await
        }
        (Operation::Kiln(info), Content::Whole(body)) => {
            check_content_type(parts)?;
            match info.name {
                "GetBuildJournal" => {
                    let source = service.get_build_journal(context, decode(&body)?).await?;
                    Ok(octets(Answer::pieces(source, None, line.stopping)))
                }
                "GetBuildArtifact" => {
                    Ok(artifact(service.get_build_artifact(context, decode(&body)?).await?, line.stopping))
                }
                "DebugBuild" => {
                    debug::check(parts)?;
                    let input: DebugBuildInput = decode(&body)?;
                    let connection = service.debug_build(context, input).await?;
                    Ok(debug::switch(connection, line))
                }
                // It may wait for a line; a server that stops does not wait for that.
                "GetBuildLog" => {
                    let mut stopping = line.stopping;
                    tokio::select! {
                        biased;
                        answer = kiln(service.as_ref(), info, context, &body) => answer,
                        _ = stopping.wait_for(|stopping| *stopping) => Err(ApiError::unavailable("the server stops").into()),
                    }
                }
                _ => kiln(service.as_ref(), info, context, &body).await,
            }
        }
        (Operation::Kms(info), Content::Whole(body)) => {
            check_content_type(parts)?;
            kms(service.as_ref(), info, context, &body).await
        }
        (Operation::Logs(info), Content::Whole(body)) => {
            check_content_type(parts)?;
            logs::logs(service.as_ref(), info, context, &body, line.stopping).await
        }
        (Operation::SecretsManager(info), Content::Whole(body)) => {
            check_content_type(parts)?;
            secrets::secrets_manager(service.as_ref(), info, context, &body).await
        }
        (Operation::Ssm(info), Content::Whole(body)) => {
            check_content_type(parts)?;
            secrets::ssm(service.as_ref(), info, context, &body).await
        }
        (Operation::Ecr(info), Content::Whole(body)) => {
            check_content_type(parts)?;
            images::ecr(service.as_ref(), info, context, &body).await
        }
        (Operation::Events(info), Content::Whole(body)) => {
            check_content_type(parts)?;
            events::events(service.as_ref(), info, context, &body).await
        }
        (Operation::CodeCommit(info), Content::Whole(body)) => {
            check_content_type(parts)?;
            git::codecommit(service.as_ref(), info, context, &body).await
        }
        (Operation::CloudWatch(info, protocol), Content::Whole(body)) => {
            cloudwatch::call(service.as_ref(), info, protocol, context, &body).await
        }
        (_, Content::Upload { body, length, sha256 }) => {
            let input = UploadSourceInput { content_length: Some(length), sha256: Some(hex::encode(sha256)) };
            json(&service.upload_source(context, input, *body).await?)
        }
    }
}

async fn codebuild(
    service: &impl CodeBuild,
    info: &OperationInfo,
    context: &Context,
    body: &[u8],
) -> Result<Response<Answer>, Fault> {
    dispatch!(service info context body);
    for_each_codebuild_operation!(arms)
}

async fn kiln(
    service: &impl KilnService,
    info: &OperationInfo,
    context: &Context,
    body: &[u8],
) -> Result<Response<Answer>, Fault> {
    dispatch!(service info context body);
    for_each_kiln_operation!(arms)
}

async fn kms(
    service: &impl Kms,
    info: &OperationInfo,
    context: &Context,
    body: &[u8],
) -> Result<Response<Answer>, Fault> {
    if !info.implemented {
        let message = format!("{} is not available in this version of Kiln", info.name);
        return Err(ApiError::new(kiln_model::ErrorCode::UnsupportedOperation, message).into());
    }
    dispatch!(service info context body);
    for_each_kms_operation!(arms)
}

fn read<T: Input>(body: &[u8]) -> Result<T, ApiError> {
    decode(body)
}

/// Refuses what is not JSON by its own account: the next generation of AWS clients may speak CBOR (`security.md` 1.3).
fn check_content_type(parts: &Parts) -> Result<(), ApiError> {
    let Some(kind) = parts.headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let kind = kind.to_str().unwrap_or_default();
    if ["application/x-amz-json-1.1", "application/x-amz-json-1.0", "application/json"]
        .iter()
        .any(|known| kind.trim_start().to_ascii_lowercase().starts_with(known))
    {
        return Ok(());
    }
    Err(ApiError::serialization("the content type is not known; send application/x-amz-json-1.1"))
}

pub(crate) fn json<T: Serialize>(output: &T) -> Result<Response<Answer>, Fault> {
    let body =
        serde_json::to_vec(output).map_err(|error| ApiError::internal(format!("the answer is no JSON: {error}")))?;
    let mut response = Response::new(Answer::whole(body));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    Ok(response)
}

/// The bytes of an artifact, for a file.
pub(crate) fn artifact<B: ByteSource>(found: ArtifactContent<B>, stopping: watch::Receiver<bool>) -> Response<Answer> {
    let mut response = octets(Answer::pieces(found.body, found.content_length, stopping));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, attachment(&found.file_name));
    response
}

/// Bytes that no browser may take for a page: builds have made them.
fn octets(body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// `Content-Disposition` for a name that a build has chosen.
fn attachment(file_name: &str) -> HeaderValue {
    let plain: String = file_name
        .chars()
        .take(255)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ') { c } else { '_' })
        .collect();
    HeaderValue::try_from(format!("attachment; filename=\"{plain}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}
