//! Shapes of the Kiln API: what AWS has no call for (DESIGN decision 11, `docs/kiln-api.md`).
//!
//! JSON like CodeBuild's: `X-Amz-Target: Kiln_20261122.<Operation>`, members in lower camel case, times as numbers of
//! seconds.

mod audit;
mod build;
mod caches;
mod console;
mod explain;
mod lint;
mod log;
mod public;
mod queue;
mod rule;
mod search;
mod transfer;
mod webhook;

pub use audit::{
    AuditEvent, AuditProblem, AuditResource, LookupEventsInput, LookupEventsOutput, MOST_EVENTS, UserIdentity,
    VerifyAuditLogInput, VerifyAuditLogOutput,
};
pub use build::{
    ArtifactDetail, BuildResources, CommandDetail, DescribeBuildInput, DescribeBuildOutput, PhaseDetail, ReportDetail,
    ResourceSample,
};
pub use caches::{CacheDetail, DeleteCachesInput, DeleteCachesOutput, ListCachesInput, ListCachesOutput};
pub use console::{ConsoleSession, CreateConsoleLinkInput, CreateConsoleLinkOutput};
pub use explain::{ExplainAccessInput, ExplainAccessOutput, ExplainedStatement, KeyValues};
pub use lint::{LintBuildspecInput, LintBuildspecOutput, LintRemark, LintSeverity};
pub use log::{GetBuildLogInput, GetBuildLogOutput, LogLine, LogStart, MOST_LINES};
pub use public::{
    GetPublicBuildArtifactInput, GetPublicBuildInput, GetPublicBuildLogInput, GetPublicBuildOutput,
    ListPublicBuildsInput, ListPublicBuildsOutput, PublicArtifact, PublicBuild, PublicVariable,
};
pub use queue::{Capacity, DescribeQueueInput, DescribeQueueOutput, QueuePlace, QueuedBuild, RunningBuild};
pub use rule::{DescribeRuleInput, DescribeRuleOutput, RuleFailure, RuleMisses, RuleStart};
pub use search::{
    CountBuildLogInput, CountBuildLogOutput, LogMatch, MOST_MATCHES, SearchBuildLogInput, SearchBuildLogOutput,
    TextRange,
};
pub use transfer::{
    BadgeInput, BadgeState, DebugBuildInput, GetBuildArtifactInput, GetBuildJournalInput, UploadSourceInput,
    UploadSourceOutput,
};
pub use webhook::{
    DeliveryStatus, EventDecision, FilterDecision, FilterGroupDecision, GetWebhookDeliveryInput,
    GetWebhookDeliveryOutput, ListWebhookDeliveriesInput, ListWebhookDeliveriesOutput, MOST_DELIVERIES,
    RedeliverWebhookDeliveryInput, RedeliverWebhookDeliveryOutput, WebhookDelivery,
};
