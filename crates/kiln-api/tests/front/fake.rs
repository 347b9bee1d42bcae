//! The service behind the front end.

use std::{
    collections::HashMap,
    future::Future,
    io,
    sync::{Arc, Mutex},
};

use kiln_model::{
    ApiError, BuildId, Secret, Timestamp,
    build_cache::{BuildCache, BuildCacheAnswer},
    build_secret::{BuildSecret, BuildSecretAnswer, HiddenText},
    build_source::{BuildSource, BuildSourceAnswer},
    codebuild::*,
    figures::{BuildFigures, PartCheck},
    for_each_codebuild_operation, for_each_kiln_operation, for_each_kms_operation,
    kiln::*,
    kms::*,
    service::{
        ArtifactContent, ByteSink, ByteSource, CodeBuild, Context, CredentialsRequest, DebugConnection, Delivered,
        DeliveryRefusal, KilnService, Kms, LiveTail, LiveTailEvent, PublicBuilds, RoleCredentials, RunningBuilds,
        WebhookRequest,
    },
};
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};

use crate::objects::Shelf;

/// What the service was asked, and what it waits for.
pub(crate) struct Fake {
    /// Names of operations, in order of their end.
    pub(crate) calls: Mutex<Vec<String>>,
    /// Gains a permit when a build of the project `wait` begins to start.
    pub(crate) begun: Semaphore,
    /// A build of the project `wait` starts when it gets one of these.
    pub(crate) gate: Semaphore,
    /// Pieces of the next journal.
    pub(crate) journal: Mutex<Option<mpsc::Receiver<io::Result<Vec<u8>>>>>,
    /// What the next live tail says.
    pub(crate) tail: Mutex<Option<mpsc::Receiver<LiveTailEvent>>>,
    /// Gains a permit when a journal, artifact or shell is given up.
    pub(crate) dropped: Arc<Semaphore>,
    /// What was uploaded whole.
    pub(crate) uploads: Mutex<HashMap<String, Vec<u8>>>,
    /// Gains a permit when an upload has ended, well or not.
    pub(crate) upload_ended: Semaphore,
    /// Buckets and objects.
    pub(crate) shelf: Mutex<Shelf>,
    /// Length of the artifact that is announced.
    pub(crate) artifact_length: Mutex<Option<u64>>,
    /// What is wrong with the service.
    pub(crate) trouble: Mutex<Option<String>>,
}

impl Default for Fake {
    fn default() -> Self {
        let semaphore = || Semaphore::new(0);
        Self {
            calls: Mutex::default(),
            begun: semaphore(),
            gate: semaphore(),
            journal: Mutex::default(),
            tail: Mutex::default(),
            dropped: Arc::new(semaphore()),
            uploads: Mutex::default(),
            upload_ended: semaphore(),
            shelf: Mutex::default(),
            artifact_length: Mutex::default(),
            trouble: Mutex::default(),
        }
    }
}

impl Fake {
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn source(&self, pieces: mpsc::Receiver<io::Result<Vec<u8>>>) -> Source {
        Source { pieces, dropped: Arc::clone(&self.dropped) }
    }

    fn called(&self, name: &str) {
        self.calls.lock().unwrap().push(name.to_owned());
    }

    async fn call(&self, name: &str, input: impl Serialize) -> Result<(), ApiError> {
        let input = serde_json::to_value(input).unwrap();
        if name == "StartBuild" {
            match input["projectName"].as_str() {
                Some("wait") => {
                    self.begun.add_permits(1);
                    self.gate.acquire().await.unwrap().forget();
                }
                Some("panic") => panic!("the fake service panics as it was told"),
                Some("missing") => return Err(ApiError::not_found("Project cannot be found")),
                _ => {}
            }
        }
        self.called(name);
        Ok(())
    }
}

macro_rules! codebuild {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        impl CodeBuild for Fake {
            $(fn $method(
                &self,
                _: &Context,
                input: $input,
            ) -> impl Future<Output = Result<$output, ApiError>> + Send {
                async move { self.call(stringify!($name), input).await.map(|()| $output::default()) }
            })+
        }
    };
}
for_each_codebuild_operation!(codebuild);

macro_rules! kms {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        impl Kms for Fake {
            $(fn $method(
                &self,
                _: &Context,
                input: $input,
            ) -> impl Future<Output = Result<$output, ApiError>> + Send {
                async move { self.call(stringify!($name), input).await.map(|()| $output::default()) }
            })+
        }
    };
}
for_each_kms_operation!(kms);

/// Secrets Manager, whose shapes have names of other services'.
mod secrets_manager {
    use kiln_model::{
        ApiError, for_each_secrets_manager_operation,
        secretsmanager::*,
        service::{Context, SecretsManager},
    };

    macro_rules! methods {
        ($($name:ident $method:ident $input:ident $output:ident,)+) => {
            impl SecretsManager for super::Fake {
                $(async fn $method(&self, _: &Context, input: $input) -> Result<$output, ApiError> {
                    self.call(stringify!($name), input).await.map(|()| $output::default())
                })+
            }
        };
    }
    for_each_secrets_manager_operation!(methods);
}

/// Elastic Container Registry, likewise.
mod ecr {
    use kiln_model::{
        ApiError,
        ecr::*,
        for_each_ecr_operation,
        service::{Context, Ecr},
    };

    macro_rules! methods {
        ($($name:ident $method:ident $input:ident $output:ident,)+) => {
            impl Ecr for super::Fake {
                $(async fn $method(&self, _: &Context, input: $input) -> Result<$output, ApiError> {
                    self.call(stringify!($name), input).await.map(|()| $output::default())
                })+
            }
        };
    }
    for_each_ecr_operation!(methods);
}

/// EventBridge, likewise.
mod events {
    use kiln_model::{
        ApiError,
        events::*,
        for_each_events_operation,
        service::{Context, Events},
    };

    macro_rules! methods {
        ($($name:ident $method:ident $input:ident $output:ident,)+) => {
            impl Events for super::Fake {
                $(async fn $method(&self, _: &Context, input: $input) -> Result<$output, ApiError> {
                    self.call(stringify!($name), input).await.map(|()| $output::default())
                })+
            }
        };
    }
    for_each_events_operation!(methods);
}

/// CodeCommit, likewise.
mod codecommit {
    use kiln_model::{
        ApiError,
        codecommit::*,
        for_each_codecommit_operation,
        service::{CodeCommit, Context},
    };
    use serde_json::json;

    macro_rules! methods {
        ($($name:ident $method:ident $input:ident $output:ident,)+) => {
            impl CodeCommit for super::Fake {
                $(async fn $method(&self, _: &Context, input: $input) -> Result<$output, ApiError> {
                    self.call(stringify!($name), input).await?;
                    // What any of the answers must have.
                    let answer = json!({
                        "commitId": "", "blobId": "", "treeId": "", "filePath": "", "folderPath": "", "fileMode": "NORMAL",
                        "fileSize": 0, "fileContent": "", "content": "", "commit": {},
                    });
                    Ok(serde_json::from_value(answer).unwrap())
                })+
            }
        };
    }
    for_each_codecommit_operation!(methods);
}

/// CloudWatch Logs, likewise.
mod logs {
    use kiln_model::{
        ApiError, for_each_logs_operation,
        logs::*,
        service::{Context, Logs},
    };

    macro_rules! methods {
        ($($name:ident $method:ident $input:ident $output:ident,)+) => {
            impl Logs for super::Fake {
                type LiveTail = super::Tail;

                async fn start_live_tail(
                    &self,
                    _: &Context,
                    input: StartLiveTailRequest,
                ) -> Result<super::Tail, ApiError> {
                    self.call("StartLiveTail", input).await?;
                    let events = self.tail.lock().unwrap().take().expect("a test that starts a live tail has one");
                    Ok(super::Tail { events, dropped: std::sync::Arc::clone(&self.dropped) })
                }

                $(async fn $method(&self, _: &Context, input: $input) -> Result<$output, ApiError> {
                    self.call(stringify!($name), input).await.map(|()| $output::default())
                })+
            }
        };
    }
    for_each_logs_operation!(methods);
}

/// Parameter Store, likewise.
mod ssm {
    use kiln_model::{
        ApiError, for_each_ssm_operation,
        service::{Context, Ssm},
        ssm::*,
    };

    macro_rules! methods {
        ($($name:ident $method:ident $input:ident $output:ident,)+) => {
            impl Ssm for super::Fake {
                $(async fn $method(&self, _: &Context, input: $input) -> Result<$output, ApiError> {
                    self.call(stringify!($name), input).await.map(|()| $output::default())
                })+
            }
        };
    }
    for_each_ssm_operation!(methods);
}

/// CloudWatch, likewise.
mod cloudwatch {
    use kiln_model::{
        ApiError,
        cloudwatch::*,
        for_each_cloudwatch_operation,
        service::{CloudWatch, Context},
    };

    macro_rules! methods {
        ($($name:ident $method:ident $input:ident $output:ident,)+) => {
            impl CloudWatch for super::Fake {
                $(async fn $method(&self, _: &Context, input: $input) -> Result<$output, ApiError> {
                    self.call(stringify!($name), input).await.map(|()| $output::default())
                })+
            }
        };
    }
    for_each_cloudwatch_operation!(methods);
}

/// Bytes that come over time.
pub(crate) struct Source {
    pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
    dropped: Arc<Semaphore>,
}

impl ByteSource for Source {
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        self.pieces.recv().await
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.dropped.add_permits(1);
    }
}

/// A live tail.
pub(crate) struct Tail {
    pub(crate) events: mpsc::Receiver<LiveTailEvent>,
    pub(crate) dropped: Arc<Semaphore>,
}

impl LiveTail for Tail {
    async fn next(&mut self) -> Option<LiveTailEvent> {
        self.events.recv().await
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.dropped.add_permits(1);
    }
}

/// The input of a shell.
pub(crate) struct Sink(mpsc::Sender<io::Result<Vec<u8>>>);

impl ByteSink for Sink {
    async fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.0.send(Ok(bytes)).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

macro_rules! kiln {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        impl KilnService for Fake {
            type Bytes = Source;
            type Input = Sink;

            $(fn $method(
                &self,
                _: &Context,
                input: $input,
            ) -> impl Future<Output = Result<$output, ApiError>> + Send {
                async move { self.call(stringify!($name), input).await.map(|()| $output::default()) }
            })+

            async fn get_build_journal(&self, _: &Context, input: GetBuildJournalInput) -> Result<Source, ApiError> {
                self.call("GetBuildJournal", input).await?;
                let pieces = self.journal.lock().unwrap().take();
                let pieces = pieces.ok_or_else(|| ApiError::not_found("no such build"))?;
                Ok(Source { pieces, dropped: Arc::clone(&self.dropped) })
            }

            async fn upload_source(
                &self,
                _: &Context,
                input: UploadSourceInput,
                mut body: impl ByteSource,
            ) -> Result<UploadSourceOutput, ApiError> {
                let mut bytes = Vec::new();
                let result = loop {
                    match body.next().await {
                        Some(Ok(piece)) => bytes.extend(piece),
                        Some(Err(error)) => break Err(ApiError::invalid_input(error.to_string())),
                        None => {
                            let sha256 = input.sha256.clone().unwrap();
                            let length = bytes.len() as u64;
                            self.uploads.lock().unwrap().insert(sha256.clone(), bytes);
                            break Ok(UploadSourceOutput {
                                location: "bucket/key".to_owned(),
                                version_id: None,
                                sha256,
                                bytes: length,
                            });
                        }
                    }
                };
                self.upload_ended.add_permits(1);
                result
            }

            async fn get_build_artifact(
                &self,
                _: &Context,
                input: GetBuildArtifactInput,
            ) -> Result<ArtifactContent<Source>, ApiError> {
                self.call("GetBuildArtifact", input).await?;
                let (sender, pieces) = mpsc::channel(2);
                sender.try_send(Ok(b"<script>".to_vec())).unwrap();
                sender.try_send(Ok(b"artifact".to_vec())).unwrap();
                Ok(ArtifactContent {
                    file_name: "a\"b\r\nc.zip".to_owned(),
                    content_length: *self.artifact_length.lock().unwrap(),
                    body: Source { pieces, dropped: Arc::clone(&self.dropped) },
                })
            }

            /// A shell that repeats what it is told.
            async fn debug_build(
                &self,
                _: &Context,
                input: DebugBuildInput,
            ) -> Result<DebugConnection<Source, Sink>, ApiError> {
                self.call("DebugBuild", input).await?;
                let (sender, pieces) = mpsc::channel(4);
                Ok(DebugConnection {
                    output: Source { pieces, dropped: Arc::clone(&self.dropped) },
                    input: Sink(sender),
                })
            }

            fn open_console_link(&self, secret: &Secret) -> Option<ConsoleSession> {
                (secret.expose() == "opens").then(|| ConsoleSession {
                    access_key_id: "ASIAEXAMPLE".to_owned(),
                    session_token: Secret::new("token".to_owned()),
                    ..ConsoleSession::default()
                })
            }

            fn figures(&self) -> BuildFigures {
                BuildFigures { queued: 3, ..BuildFigures::default() }
            }

            async fn check_parts(&self) -> Vec<PartCheck> {
                vec![PartCheck { part: "scheduler", trouble: self.trouble.lock().unwrap().clone() }]
            }

            fn has_webhook(&self, token: &str) -> bool {
                token.starts_with("TOKEN")
            }

            async fn deliver(&self, request: WebhookRequest) -> Result<Delivered, DeliveryRefusal> {
                let header = |name: &str| request.headers.iter().find(|(known, _)| known == name);
                match header("x-test").map(|(_, value)| value.as_str()) {
                    Some("stranger") | None => return Err(DeliveryRefusal::Stranger),
                    Some("malformed") => return Err(DeliveryRefusal::Malformed("it is none".to_owned())),
                    Some("later") => return Err(DeliveryRefusal::Later("not now".to_owned())),
                    Some(_) => {}
                }
                self.called("Deliver");
                let delivery = WebhookDelivery {
                    id: "d-1".to_owned(),
                    status: DeliveryStatus::Started,
                    message: format!("{} bytes", request.body.len()),
                    ..WebhookDelivery::default()
                };
                Ok(Delivered { delivery, is_repeated: header("x-again").is_some() })
            }

            async fn badge(&self, input: BadgeInput) -> BadgeState {
                match (input.uuid.as_str(), input.branch.as_deref()) {
                    ("known", Some("a/b c")) => BadgeState::Passing,
                    ("known", None) => BadgeState::Failing,
                    _ => BadgeState::Unknown,
                }
            }
        }
    };
}
for_each_kiln_operation!(kiln);

/// Public builds of the alias `known`; only the build `1` of it has a log and an artifact that are public.
impl PublicBuilds for Fake {
    type Artifact = Source;

    async fn list_public_builds(&self, input: ListPublicBuildsInput) -> Result<ListPublicBuildsOutput, ApiError> {
        let known = ListPublicBuildsOutput { project_name: "demo".to_owned(), ..ListPublicBuildsOutput::default() };
        (input.alias == "known").then_some(known).ok_or_else(|| ApiError::not_found("no such project"))
    }

    async fn get_public_build(&self, input: GetPublicBuildInput) -> Result<GetPublicBuildOutput, ApiError> {
        let build = PublicBuild { uuid: input.uuid, ..PublicBuild::default() };
        Ok(GetPublicBuildOutput { build, ..GetPublicBuildOutput::default() })
    }

    async fn get_public_build_log(&self, input: GetPublicBuildLogInput) -> Result<GetBuildLogOutput, ApiError> {
        let log = GetBuildLogOutput { next_line: input.from_line.unwrap_or(1), ..GetBuildLogOutput::default() };
        (input.uuid == "1").then_some(log).ok_or_else(|| ApiError::access_denied("not public"))
    }

    async fn get_public_build_artifact(
        &self,
        input: GetPublicBuildArtifactInput,
    ) -> Result<ArtifactContent<Source>, ApiError> {
        if input.uuid != "1" {
            return Err(ApiError::access_denied("not public"));
        }
        let (sender, pieces) = mpsc::channel(1);
        sender.try_send(Ok(b"<script>".to_vec())).unwrap();
        let body = Source { pieces, dropped: Arc::clone(&self.dropped) };
        Ok(ArtifactContent { file_name: "a.zip".to_owned(), content_length: Some(8), body })
    }
}

/// The one build that runs.
pub(crate) const BUILD: &str = "demo:11111111-2222-3333-4444-555555555555";

impl RunningBuilds for Fake {
    fn running_build(&self, uuid: &str, token: &str) -> Option<BuildId> {
        let build: BuildId = BUILD.parse().unwrap();
        (uuid == build.uuid() && token == "right").then_some(build)
    }

    async fn role_credentials(
        &self,
        build: &BuildId,
        request: CredentialsRequest<'_>,
    ) -> Result<RoleCredentials, ApiError> {
        let is_authorized = !request.is_shared || request.authorization == Some("let me");
        if request.path != "/v2/credentials/long" || !is_authorized {
            return Err(ApiError::access_denied("no"));
        }
        Ok(RoleCredentials {
            access_key_id: "ASIAX".to_owned(),
            secret: Secret::new(format!("secret of {build}")),
            token: Secret::new("token".to_owned()),
            expires: Timestamp::from_millis(0),
            role_arn: "arn:aws:iam::000000000000:role/build".to_owned(),
        })
    }

    async fn build_cache(&self, build: &BuildId, asked: BuildCache) -> BuildCacheAnswer {
        match asked {
            BuildCache::Find { key, .. } => BuildCacheAnswer::Found { key, exact: true },
            BuildCache::Keep { .. } => BuildCacheAnswer::Problem { message: format!("of {build}") },
        }
    }

    async fn build_source(&self, build: &BuildId, wanted: BuildSource) -> BuildSourceAnswer {
        match wanted.identifier {
            None => BuildSourceAnswer::Anonymous,
            Some(id) => {
                BuildSourceAnswer::Password { username: HiddenText(id), password: HiddenText(build.to_string()) }
            }
        }
    }

    async fn build_secrets(&self, _: &BuildId, wanted: Vec<BuildSecret>) -> Vec<BuildSecretAnswer> {
        let answer = |secret| match secret {
            BuildSecret::Parameter { name } => {
                BuildSecretAnswer::Value { value: HiddenText(format!("value of {name}")), hidden: Vec::new() }
            }
            BuildSecret::Secret { id, .. } => {
                BuildSecretAnswer::Refused { code: "ResourceNotFoundException".to_owned(), message: id }
            }
        };
        wanted.into_iter().map(answer).collect()
    }
}
