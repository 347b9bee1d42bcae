//! The operations that AWS has no call for (DESIGN decision 11, `docs/kiln-api.md`).

use std::fs;

use kiln_buildspec::Severity;
use kiln_model::{
    ApiError, BuildStatus, PhaseType, Secret, Timestamp,
    figures::{BuildFigures, PartCheck},
    kiln::{
        ArtifactDetail, BadgeInput, BadgeState, Capacity, ConsoleSession, CountBuildLogInput, CountBuildLogOutput,
        CreateConsoleLinkInput, CreateConsoleLinkOutput, DebugBuildInput, DeleteCachesInput, DeleteCachesOutput,
        DescribeBuildInput, DescribeBuildOutput, DescribeQueueInput, DescribeQueueOutput, DescribeRuleInput,
        DescribeRuleOutput, ExplainAccessInput, ExplainAccessOutput, GetBuildArtifactInput, GetBuildJournalInput,
        GetBuildLogInput, GetBuildLogOutput, GetWebhookDeliveryInput, GetWebhookDeliveryOutput, LintBuildspecInput,
        LintBuildspecOutput, LintRemark, LintSeverity, ListCachesInput, ListCachesOutput, ListWebhookDeliveriesInput,
        ListWebhookDeliveriesOutput, LookupEventsInput, LookupEventsOutput, PhaseDetail, QueuePlace, QueuedBuild,
        RedeliverWebhookDeliveryInput, RedeliverWebhookDeliveryOutput, ResourceSample, RunningBuild,
        SearchBuildLogInput, SearchBuildLogOutput, UploadSourceInput, UploadSourceOutput, VerifyAuditLogInput,
        VerifyAuditLogOutput,
    },
    service::{
        ArtifactContent, ByteSource, Context, DebugConnection, Delivered, DeliveryRefusal, KilnService, WebhookRequest,
    },
};
use kiln_store::logs::LogReader;

use crate::{
    audit, build_log,
    bytes::{Bytes, Journal},
    console,
    core::Core,
    debug::ShellInput,
    document::Document,
    events,
    finish::TIMELINE_FILE,
    job, kept_caches,
    runners::Runners,
    timeline::Timeline,
    webhook,
};

/// Waiting builds that are shown where the caller does not say.
const QUEUE_SHOWN: u32 = 100;
/// Most waiting builds of one answer.
const MOST_QUEUE_SHOWN: u32 = 1000;
/// Resource samples that are shown where the caller does not say.
const SAMPLES_SHOWN: u32 = 1000;
/// Most resource samples of one answer.
const MOST_SAMPLES_SHOWN: u32 = 10_000;

impl<R: Runners> Core<R> {
    /// The log of a build; see [`crate::core::Inner::build_log`].
    pub(crate) fn log(&self, document: &Document) -> Result<Option<LogReader>, ApiError> {
        self.inner.build_log(document).map_err(|e| build_log::refuse(&e))
    }

    /// What happened in a build: from memory while it runs, from the file beside its log afterwards. Should that be lost,
    /// the journal says it again.
    pub(crate) fn timeline(&self, document: &Document) -> Result<Timeline, ApiError> {
        if let Some(live) = self.inner.live.get(document.uuid()) {
            return Ok(live.with(|known| known.timeline.clone()));
        }
        let directory = self.inner.logs.directory(&document.log_group(), &document.log_stream());
        let kept = fs::read(directory.join(TIMELINE_FILE)).ok();
        if let Some(timeline) = kept.and_then(|json| serde_json::from_slice(&json).ok()) {
            return Ok(timeline);
        }
        let mut timeline = Timeline::default();
        if let Some(log) = self.log(document)? {
            let mut decoder = kiln_wire::journal::Decoder::new();
            let mut journal = log.journal_from(0);
            let mut buffer = vec![0; 256 << 10];
            loop {
                let n =
                    std::io::Read::read(&mut journal, &mut buffer).map_err(|e| ApiError::internal(e.to_string()))?;
                let Some(bytes) = buffer.get(..n).filter(|b| !b.is_empty()) else { break };
                decoder.push(bytes);
                while let Ok(Some(record)) = decoder.next_record() {
                    timeline.record(&record);
                }
            }
        }
        Ok(timeline)
    }

    fn place(&self, document: &Document) -> Option<QueuePlace> {
        let reason = self.inner.queue().reason(document.uuid())?;
        Some(QueuePlace {
            position: reason.ahead as u64 + 1,
            memory_bytes: job::compute(document).memory_bytes(),
            reason: reason.text,
        })
    }
}

/// At most `most` of the samples, evenly, the last one always.
fn thin(samples: Vec<ResourceSample>, most: usize) -> Vec<ResourceSample> {
    let count = samples.len();
    if most == 0 || count <= most {
        return if most == 0 { Vec::new() } else { samples };
    }
    (1..=most).filter_map(|n| samples.get((n * count).div_ceil(most) - 1).cloned()).collect()
}

impl<R: Runners> KilnService for Core<R> {
    type Bytes = Bytes;
    type Input = ShellInput;

    async fn describe_rule(&self, _: &Context, input: DescribeRuleInput) -> Result<DescribeRuleOutput, ApiError> {
        events::describe(&self.inner, input)
    }

    async fn describe_queue(&self, _: &Context, input: DescribeQueueInput) -> Result<DescribeQueueOutput, ApiError> {
        let shown = input.max_results.unwrap_or(QUEUE_SHOWN).clamp(1, MOST_QUEUE_SHOWN) as usize;
        let (capacity, waiting) = {
            let queue = self.inner.queue();
            let all = queue.capacity();
            let capacity = Capacity {
                max_builds: all.builds,
                running_builds: u32::try_from(queue.running()).unwrap_or(u32::MAX),
                queued_builds: queue.waiting() as u64,
                memory_bytes: all.memory_bytes,
                reserved_memory_bytes: queue.memory_used(),
            };
            let waiting: Vec<_> = queue
                .iter()
                .take(shown)
                .filter_map(|w| Some((w.uuid.clone(), w.project.clone(), w.memory_bytes, queue.reason(&w.uuid)?)))
                .collect();
            (capacity, waiting)
        };
        let mut running: Vec<RunningBuild> = self
            .inner
            .live
            .all()
            .iter()
            .map(|live| {
                live.with(|known| {
                    let build = &known.document.build;
                    let begun = known.document.lifecycle.phases.iter().find(|p| p.phase == PhaseType::Provisioning);
                    RunningBuild {
                        id: build.id.clone(),
                        arn: build.arn.clone(),
                        project_name: build.project_name.clone(),
                        compute_type: build.environment.compute_type,
                        memory_bytes: job::compute(&known.document).memory_bytes().min(capacity.memory_bytes),
                        start_time: begun.map(|p| Timestamp::from_millis(p.start_ms)).unwrap_or_default(),
                    }
                })
            })
            .collect();
        running.sort_by_key(|b| b.start_time);
        let mut queued = Vec::new();
        for (uuid, project, memory_bytes, reason) in waiting {
            // It may have left the queue meanwhile.
            let Some(document) = self.inner.find(&uuid, &project)? else { continue };
            queued.push(QueuedBuild {
                id: document.build.id.clone(),
                arn: document.build.arn.clone(),
                project_name: project,
                compute_type: document.build.environment.compute_type,
                submitted_time: Timestamp::from_millis(document.lifecycle.submitted_ms),
                queue: QueuePlace { position: reason.ahead as u64 + 1, memory_bytes, reason: reason.text },
            });
        }
        Ok(DescribeQueueOutput { capacity, running, queued })
    }

    async fn describe_build(&self, _: &Context, input: DescribeBuildInput) -> Result<DescribeBuildOutput, ApiError> {
        let (_, document) = self.find_build(&input.id)?;
        let timeline = self.timeline(&document)?;
        let most = input.max_samples.unwrap_or(SAMPLES_SHOWN).min(MOST_SAMPLES_SHOWN) as usize;
        let before = input.from_command.map_or(0, |from| from.saturating_sub(1)) as usize;
        let shown = input.max_commands.map_or(usize::MAX, |most| most as usize);
        let phases = document.lifecycle.phases.iter().map(|phase| PhaseDetail {
            phase_type: Some(phase.phase),
            phase_status: phase.status.map(Into::into),
            start_time: Some(Timestamp::from_millis(phase.start_ms)),
            end_time: phase.end_ms.map(Timestamp::from_millis),
            duration_in_milliseconds: phase.end_ms.map(|end| end.saturating_sub(phase.start_ms).unsigned_abs()),
            context: phase.context.clone().filter(|c| !c.status_code.is_empty() || !c.message.is_empty()),
        });
        let artifacts = document.stored.iter().map(|stored| ArtifactDetail {
            artifact_identifier: stored.identifier.clone(),
            location: Some(format!("arn:aws:s3:::{}/{}", stored.bucket, stored.key)),
            packaging: Some(if stored.zip { "ZIP" } else { "NONE" }.to_owned()),
            files: stored.files,
            bytes: stored.bytes,
            sha256: stored.sha256.clone(),
        });
        Ok(DescribeBuildOutput {
            id: document.build.id.clone(),
            arn: document.build.arn.clone(),
            project_name: document.build.project_name.clone(),
            build_status: Some(document.lifecycle.status),
            current_phase: Some(document.lifecycle.current_phase()),
            queue: self.place(&document),
            phases: phases.collect(),
            artifacts: artifacts.collect(),
            total_lines: timeline.total_lines(),
            total_commands: timeline.total_commands,
            resources: timeline.resources,
            commands: timeline.commands.into_iter().skip(before).take(shown).collect(),
            samples: thin(timeline.samples, most),
            reports: timeline.reports,
            notices: timeline.notices,
            kept_file_system: document.kept_bytes.is_some(),
        })
    }

    async fn get_build_log(&self, _: &Context, input: GetBuildLogInput) -> Result<GetBuildLogOutput, ApiError> {
        let (_, document) = self.find_build(&input.id)?;
        build_log::read(&self.inner, document, input).await
    }

    async fn search_build_log(
        &self,
        _: &Context,
        input: SearchBuildLogInput,
    ) -> Result<SearchBuildLogOutput, ApiError> {
        let (_, document) = self.find_build(&input.id)?;
        build_log::search(&self.inner, document, input).await
    }

    async fn count_build_log(&self, _: &Context, input: CountBuildLogInput) -> Result<CountBuildLogOutput, ApiError> {
        let (_, document) = self.find_build(&input.id)?;
        build_log::count(&self.inner, document, input).await
    }

    async fn create_console_link(
        &self,
        context: &Context,
        input: CreateConsoleLinkInput,
    ) -> Result<CreateConsoleLinkOutput, ApiError> {
        console::create_link(&self.inner, context, &input)
    }

    fn open_console_link(&self, secret: &Secret) -> Option<ConsoleSession> {
        self.inner.links.open(secret, self.inner.now())
    }

    async fn list_caches(&self, _: &Context, _: ListCachesInput) -> Result<ListCachesOutput, ApiError> {
        kept_caches::list(&self.inner).await
    }

    async fn delete_caches(&self, _: &Context, input: DeleteCachesInput) -> Result<DeleteCachesOutput, ApiError> {
        kept_caches::delete(&self.inner, input.ids).await
    }

    async fn lint_buildspec(&self, _: &Context, input: LintBuildspecInput) -> Result<LintBuildspecOutput, ApiError> {
        let remarks: Vec<LintRemark> = kiln_buildspec::lint(input.buildspec.as_bytes())
            .into_iter()
            .map(|remark| LintRemark {
                severity: match remark.severity {
                    Severity::Error => LintSeverity::Error,
                    Severity::Warning => LintSeverity::Warning,
                    Severity::Hint => LintSeverity::Hint,
                },
                code: remark.code.to_string(),
                message: remark.message,
                line: remark.line,
                column: remark.column,
                end_line: remark.end.map(|end| end.line),
                end_column: remark.end.map(|end| end.column),
                hint: remark.hint,
                aws_message: remark.aws_message,
            })
            .collect();
        let valid = !remarks.iter().any(|r| r.severity == LintSeverity::Error);
        Ok(LintBuildspecOutput { valid, remarks })
    }

    async fn explain_access(&self, _: &Context, input: ExplainAccessInput) -> Result<ExplainAccessOutput, ApiError> {
        crate::iam::explain_access(&self.inner, &input)
    }

    async fn lookup_events(&self, _: &Context, input: LookupEventsInput) -> Result<LookupEventsOutput, ApiError> {
        audit::lookup(&self.inner, input).await
    }

    async fn verify_audit_log(
        &self,
        _: &Context,
        input: VerifyAuditLogInput,
    ) -> Result<VerifyAuditLogOutput, ApiError> {
        audit::verify(&self.inner, input).await
    }

    async fn get_build_journal(&self, _: &Context, input: GetBuildJournalInput) -> Result<Bytes, ApiError> {
        let (_, document) = self.find_build(&input.id)?;
        if self.inner.live.get(document.uuid()).is_none()
            && let Some(deleted) = build_log::deleted(&document)
            && self.log(&document)?.is_none()
        {
            return Err(deleted);
        }
        Ok(Bytes::Journal(Journal::new(self, &document, input.offset.unwrap_or(0), input.follow == Some(true))))
    }

    async fn upload_source(
        &self,
        _: &Context,
        input: UploadSourceInput,
        body: impl ByteSource,
    ) -> Result<UploadSourceOutput, ApiError> {
        crate::sources::upload(&self.inner, input, body).await
    }

    async fn get_build_artifact(
        &self,
        context: &Context,
        input: GetBuildArtifactInput,
    ) -> Result<ArtifactContent<Bytes>, ApiError> {
        let (_, document) = self.find_build(&input.id)?;
        crate::downloads::artifact(&self.inner, context, &document, &input)
    }

    async fn debug_build(
        &self,
        _: &Context,
        input: DebugBuildInput,
    ) -> Result<DebugConnection<Bytes, ShellInput>, ApiError> {
        let (_, document) = self.find_build(&input.id)?;
        if document.kept_bytes.is_none() {
            let message = match document.lifecycle.status {
                BuildStatus::InProgress => {
                    format!("Build {} is still running: there is a shell after it failed", input.id)
                }
                _ => format!("The file system of build {} is not there: it is kept after a failure", input.id),
            };
            return Err(ApiError::invalid_input(message));
        }
        crate::debug::open(&self.inner, document.uuid())
    }

    async fn badge(&self, input: BadgeInput) -> BadgeState {
        self.badge_state(&input).unwrap_or(BadgeState::Unknown)
    }

    async fn list_webhook_deliveries(
        &self,
        _: &Context,
        input: ListWebhookDeliveriesInput,
    ) -> Result<ListWebhookDeliveriesOutput, ApiError> {
        webhook::list(&self.inner, &input)
    }

    async fn get_webhook_delivery(
        &self,
        _: &Context,
        input: GetWebhookDeliveryInput,
    ) -> Result<GetWebhookDeliveryOutput, ApiError> {
        webhook::get(&self.inner, &input)
    }

    async fn redeliver_webhook_delivery(
        &self,
        _: &Context,
        input: RedeliverWebhookDeliveryInput,
    ) -> Result<RedeliverWebhookDeliveryOutput, ApiError> {
        webhook::redeliver(&self.inner, input).await
    }

    fn has_webhook(&self, token: &str) -> bool {
        webhook::has_webhook(&self.inner, token)
    }

    async fn deliver(&self, request: WebhookRequest) -> Result<Delivered, DeliveryRefusal> {
        webhook::deliver(&self.inner, request).await
    }

    fn figures(&self) -> BuildFigures {
        self.inner.figures()
    }

    async fn check_parts(&self) -> Vec<PartCheck> {
        self.inner.check_parts().await
    }
}
