//! The operations of the Kiln API.

use std::future::Future;

use super::{ByteSink, ByteSource, Context};
use crate::{
    ApiError, Secret,
    figures::{BuildFigures, PartCheck},
    kiln::{
        BadgeInput, BadgeState, ConsoleSession, CountBuildLogInput, CountBuildLogOutput, CreateConsoleLinkInput,
        CreateConsoleLinkOutput, DebugBuildInput, DeleteCachesInput, DeleteCachesOutput, DescribeBuildInput,
        DescribeBuildOutput, DescribeQueueInput, DescribeQueueOutput, DescribeRuleInput, DescribeRuleOutput,
        ExplainAccessInput, ExplainAccessOutput, GetBuildArtifactInput, GetBuildJournalInput, GetBuildLogInput,
        GetBuildLogOutput, GetWebhookDeliveryInput, GetWebhookDeliveryOutput, LintBuildspecInput, LintBuildspecOutput,
        ListCachesInput, ListCachesOutput, ListWebhookDeliveriesInput, ListWebhookDeliveriesOutput, LookupEventsInput,
        LookupEventsOutput, RedeliverWebhookDeliveryInput, RedeliverWebhookDeliveryOutput, SearchBuildLogInput,
        SearchBuildLogOutput, UploadSourceInput, UploadSourceOutput, VerifyAuditLogInput, VerifyAuditLogOutput,
        WebhookDelivery,
    },
};

/// An artifact's bytes, decrypted.
#[derive(Debug)]
pub struct ArtifactContent<B> {
    /// Name for a file that keeps them, without directories.
    pub file_name: String,
    /// How many, when that is known before they are read.
    pub content_length: Option<u64>,
    /// The bytes.
    pub body: B,
}

/// What a provider sends to a webhook.
pub struct WebhookRequest {
    /// The last part of the path.
    pub token: Secret,
    /// Names in lower case, and values. Those that are no text are left out.
    pub headers: Vec<(String, String)>,
    /// The body as it came: signatures are of these bytes.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for WebhookRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookRequest").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// A delivery that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivered {
    /// What is known of it now.
    pub delivery: WebhookDelivery,
    /// It had come before: nothing happened now.
    pub is_repeated: bool,
}

/// Why a delivery is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryRefusal {
    /// There is no such webhook, or the signature is wrong: nobody is told which.
    Stranger,
    /// It is none: what is missing or wrong.
    Malformed(String),
    /// It cannot be taken now; the provider should send it again.
    Later(String),
}

/// Both directions of a connection into a build's file system.
#[derive(Debug)]
pub struct DebugConnection<B, S> {
    /// From the shell to the client.
    pub output: B,
    /// From the client to the shell.
    pub input: S,
}

/// What AWS has no call for (DESIGN decision 11, `docs/kiln-api.md`).
pub trait KilnService: Send + Sync + 'static {
    /// How bytes come from the service.
    type Bytes: ByteSource;
    /// How bytes go to a shell.
    type Input: ByteSink;

    /// What runs, what waits and why.
    fn describe_queue(
        &self,
        context: &Context,
        input: DescribeQueueInput,
    ) -> impl Future<Output = Result<DescribeQueueOutput, ApiError>> + Send;

    /// When a rule is due, and what it started and missed.
    fn describe_rule(
        &self,
        context: &Context,
        input: DescribeRuleInput,
    ) -> impl Future<Output = Result<DescribeRuleOutput, ApiError>> + Send;

    /// A build in all detail: phases, commands, resource use, outputs, reports, place in the queue.
    fn describe_build(
        &self,
        context: &Context,
        input: DescribeBuildInput,
    ) -> impl Future<Output = Result<DescribeBuildOutput, ApiError>> + Send;

    /// A secret for which the console is given a session of the caller, once.
    fn create_console_link(
        &self,
        context: &Context,
        input: CreateConsoleLinkInput,
    ) -> impl Future<Output = Result<CreateConsoleLinkOutput, ApiError>> + Send;

    /// The session that such a secret is for; nobody signs for it. `None`: there is no such secret, or no longer.
    fn open_console_link(&self, secret: &Secret) -> Option<ConsoleSession>;

    /// What policies say about a call, statement by statement.
    fn explain_access(
        &self,
        context: &Context,
        input: ExplainAccessInput,
    ) -> impl Future<Output = Result<ExplainAccessOutput, ApiError>> + Send;

    /// Records of the audit log.
    fn lookup_events(
        &self,
        context: &Context,
        input: LookupEventsInput,
    ) -> impl Future<Output = Result<LookupEventsOutput, ApiError>> + Send;

    /// Checks the audit log.
    fn verify_audit_log(
        &self,
        context: &Context,
        input: VerifyAuditLogInput,
    ) -> impl Future<Output = Result<VerifyAuditLogOutput, ApiError>> + Send;

    /// The caches that are kept on this machine.
    fn list_caches(
        &self,
        context: &Context,
        input: ListCachesInput,
    ) -> impl Future<Output = Result<ListCachesOutput, ApiError>> + Send;

    /// Removes some of them.
    fn delete_caches(
        &self,
        context: &Context,
        input: DeleteCachesInput,
    ) -> impl Future<Output = Result<DeleteCachesOutput, ApiError>> + Send;

    /// Lines of a build's log.
    fn get_build_log(
        &self,
        context: &Context,
        input: GetBuildLogInput,
    ) -> impl Future<Output = Result<GetBuildLogOutput, ApiError>> + Send;

    /// Lines of a build's log that contain something.
    fn search_build_log(
        &self,
        context: &Context,
        input: SearchBuildLogInput,
    ) -> impl Future<Output = Result<SearchBuildLogOutput, ApiError>> + Send;

    /// How many lines of a build's log contain something.
    fn count_build_log(
        &self,
        context: &Context,
        input: CountBuildLogInput,
    ) -> impl Future<Output = Result<CountBuildLogOutput, ApiError>> + Send;

    /// Checks a buildspec.
    fn lint_buildspec(
        &self,
        context: &Context,
        input: LintBuildspecInput,
    ) -> impl Future<Output = Result<LintBuildspecOutput, ApiError>> + Send;

    /// A build's journal from an offset on, as `kiln-wire` defines its records. With `follow` the bytes go on until the
    /// build is over; without, they end at what is there now. The first piece may begin within a record only if the
    /// offset does.
    fn get_build_journal(
        &self,
        context: &Context,
        input: GetBuildJournalInput,
    ) -> impl Future<Output = Result<Self::Bytes, ApiError>> + Send;

    /// Keeps a ZIP archive of a working tree, and answers the S3 location that a build can be started with.
    fn upload_source(
        &self,
        context: &Context,
        input: UploadSourceInput,
        body: impl ByteSource,
    ) -> impl Future<Output = Result<UploadSourceOutput, ApiError>> + Send;

    /// An artifact's bytes.
    fn get_build_artifact(
        &self,
        context: &Context,
        input: GetBuildArtifactInput,
    ) -> impl Future<Output = Result<ArtifactContent<Self::Bytes>, ApiError>> + Send;

    /// A shell in the kept file system of a build that is over. The front end upgrades the connection after this
    /// succeeded; the bytes are those of the protocol of `kiln debug`.
    fn debug_build(
        &self,
        context: &Context,
        input: DebugBuildInput,
    ) -> impl Future<Output = Result<DebugConnection<Self::Bytes, Self::Input>, ApiError>> + Send;

    /// What a badge shows; nobody signs for it. An unknown `uuid` is [`BadgeState::Unknown`], so that nothing can be
    /// learnt by guessing.
    fn badge(&self, input: BadgeInput) -> impl Future<Output = BadgeState> + Send;

    /// Deliveries of a project's webhook.
    fn list_webhook_deliveries(
        &self,
        context: &Context,
        input: ListWebhookDeliveriesInput,
    ) -> impl Future<Output = Result<ListWebhookDeliveriesOutput, ApiError>> + Send;

    /// A delivery, with what every filter decided.
    fn get_webhook_delivery(
        &self,
        context: &Context,
        input: GetWebhookDeliveryInput,
    ) -> impl Future<Output = Result<GetWebhookDeliveryOutput, ApiError>> + Send;

    /// Looks at a delivery once more.
    fn redeliver_webhook_delivery(
        &self,
        context: &Context,
        input: RedeliverWebhookDeliveryInput,
    ) -> impl Future<Output = Result<RedeliverWebhookDeliveryOutput, ApiError>> + Send;

    /// Whether there is a webhook whose address ends with this token; nobody signs for it.
    fn has_webhook(&self, token: &str) -> bool;

    /// Takes a delivery that a provider sends to a webhook, if its signature is right.
    fn deliver(&self, request: WebhookRequest) -> impl Future<Output = Result<Delivered, DeliveryRefusal>> + Send;

    /// What is known of builds now, for those who watch the service.
    fn figures(&self) -> BuildFigures;

    /// Looks at the parts that the service cannot do without.
    fn check_parts(&self) -> impl Future<Output = Vec<PartCheck>> + Send;
}
