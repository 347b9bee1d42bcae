//! Public builds (`api.md` 2.4): what anybody may see of a project whose visibility is `PUBLIC_READ`.
//!
//! Log and artifacts are read as the project's `resourceAccessRole`, and only as far as that may. What is answered is picked
//! member by member: a member that is added to builds some day is not public by itself.

use kiln_model::{
    ApiError, Timestamp,
    codebuild::Project,
    kiln::{
        GetBuildArtifactInput, GetBuildLogInput, GetBuildLogOutput, GetPublicBuildArtifactInput, GetPublicBuildInput,
        GetPublicBuildLogInput, GetPublicBuildOutput, ListPublicBuildsInput, ListPublicBuildsOutput, PhaseDetail,
        PublicArtifact, PublicBuild, PublicVariable,
    },
    service::{ArtifactContent, Context, PublicBuilds},
};
use kiln_store::metadata::Order;

use crate::{
    behalf::{self, Behalf},
    build_log,
    bytes::Bytes,
    core::Core,
    document::{Document, StoredArtifact},
    downloads,
    iam::Asked,
    page,
    records::{self, refuse},
    runners::Runners,
    service::projects,
};

/// Builds of a page.
const SHOWN: usize = 25;

/// Lines of an answer at most.
const MOST_LINES: u32 = 1000;

/// The code of a phase whose message says what a command did: the log says it as well.
const OF_COMMANDS: &str = "COMMAND_EXECUTION_ERROR";

/// Where anybody looks at a build.
pub(crate) fn build_url(console: &str, alias: &str, uuid: &str) -> String {
    format!("{console}/-/public/{alias}/builds/{uuid}")
}

fn missing() -> ApiError {
    ApiError::not_found("There is no such public project or build")
}

fn not_public(what: &str) -> ApiError {
    ApiError::access_denied(format!(
        "{what} is not public: the project's role for public builds does not let it be read"
    ))
}

impl<R: Runners> Core<R> {
    fn public_project(&self, alias: &str) -> Result<Project, ApiError> {
        let found = self.inner.metadata.read(|view| projects::with_alias(view, alias));
        found.map_err(|e| refuse(&e))?.ok_or_else(missing)
    }

    fn public_build(&self, alias: &str, uuid: &str) -> Result<(Project, Document), ApiError> {
        let project = self.public_project(alias)?;
        let document = self.inner.find(uuid, &project.name)?.filter(|document| is_of(document, &project));
        document.map(|document| (project, document)).ok_or_else(missing)
    }

    /// Whoever looks, by the project's role; `None`: it names none, or one that cannot be assumed.
    fn visitor(&self, project: &Project) -> Option<Context> {
        let role = project.resource_access_role.as_deref()?;
        let caller = self.inner.as_public(role, &project.name);
        let caller = caller.inspect_err(|e| {
            tracing::warn!(project = %project.name, error = %e.message, "the role for public builds cannot be assumed");
        });
        Some(behalf::as_itself(&self.inner, caller.ok()?))
    }

    fn shows_log(&self, visitor: &Context, document: &Document) -> bool {
        let home = &self.inner.config.home;
        let arn = home.log_stream_arn(&document.log_group(), &document.log_stream());
        let asked = Asked {
            action: "logs:GetLogEvents",
            resource: Some(&arn),
            account: &home.account,
            keys: &[],
            resource_policy: None,
            rule: kiln_iam::policy::ResourceRule::Sufficient,
            bound: None,
            stands_in: None,
        };
        self.inner.decide(Some(&visitor.caller), &asked, &kiln_model::audit::Rulings::default()).is_ok()
    }

    fn shows_artifact(&self, visitor: &Context, stored: &StoredArtifact) -> bool {
        // A tree of files would have to be packed for each visitor.
        let may = || Behalf::Public(visitor).check(&self.inner, behalf::GET, &stored.bucket, &stored.key, None);
        stored.zip && may().is_ok()
    }
}

/// Builds of a deleted project that had the same name are not this one's.
fn is_of(document: &Document, project: &Project) -> bool {
    document.lifecycle.submitted_ms >= project.created.millis()
}

fn summary(document: &Document) -> PublicBuild {
    let (build, life) = (&document.build, &document.lifecycle);
    PublicBuild {
        uuid: document.uuid().to_owned(),
        build_number: build.build_number,
        build_status: Some(life.status),
        current_phase: Some(life.current_phase()),
        start_time: Timestamp::from_millis(life.submitted_ms),
        end_time: life.ended_ms.map(Timestamp::from_millis),
        // Of a bucket it is the version of an object that nobody else can read.
        source_version: build.source_version.clone().filter(|_| build.source.r#type.is_git()),
        resolved_source_version: build.resolved_source_version.clone().filter(|_| build.source.r#type.is_git()),
    }
}

/// An address without what may stand before the host in it: a name and a password.
fn without_user(location: &str) -> String {
    let Some((scheme, rest)) = location.split_once("://") else { return location.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

fn phases(document: &Document) -> Vec<PhaseDetail> {
    let phase = |phase: &crate::lifecycle::Phase| PhaseDetail {
        phase_type: Some(phase.phase),
        phase_status: phase.status.map(Into::into),
        start_time: Some(Timestamp::from_millis(phase.start_ms)),
        end_time: phase.end_ms.map(Timestamp::from_millis),
        duration_in_milliseconds: phase.end_ms.map(|end| end.saturating_sub(phase.start_ms).unsigned_abs()),
        context: phase.context.clone().filter(|context| context.status_code == OF_COMMANDS),
    };
    document.lifecycle.phases.iter().map(phase).collect()
}

impl<R: Runners> PublicBuilds for Core<R> {
    type Artifact = Bytes;

    async fn list_public_builds(&self, input: ListPublicBuildsInput) -> Result<ListPublicBuildsOutput, ApiError> {
        let project = self.public_project(&input.alias)?;
        let list = format!("ListPublicBuilds {}", input.alias);
        let after = page::after(&list, input.next_token.as_deref())?;
        let read = self.inner.metadata.read(|view| {
            let mut keys = view.build_ids_of_project(&project.name, Order::Descending, after, SHOWN + 1)?;
            let more = keys.len() > SHOWN;
            keys.truncate(SHOWN);
            let mut builds = Vec::new();
            for key in &keys {
                let found = records::find(view, &key.uuid)?.map(|(_, document)| document);
                builds.extend(found.filter(|document| is_of(document, &project)).map(|document| summary(&document)));
            }
            // What follows is older still.
            let next = keys.last().filter(|_| more && builds.len() == SHOWN).map(|key| key.position);
            Ok((builds, next))
        });
        let (builds, next) = read.map_err(|e| refuse(&e))?;
        let next_token = next.and_then(|position| page::token(&list, position));
        Ok(ListPublicBuildsOutput { project_name: project.name, builds, next_token })
    }

    async fn get_public_build(&self, input: GetPublicBuildInput) -> Result<GetPublicBuildOutput, ApiError> {
        let (project, document) = self.public_build(&input.alias, &input.uuid)?;
        let visitor = self.visitor(&project);
        let log_is_public = visitor.as_ref().is_some_and(|visitor| self.shows_log(visitor, &document));
        let (total_lines, commands) = match log_is_public {
            true => self.timeline(&document).map(|timeline| (timeline.total_lines(), timeline.commands))?,
            false => (0, Vec::new()),
        };
        let source = &document.build.source;
        let location = source.location.as_deref().filter(|_| source.r#type.is_git());
        let variables = document.build.environment.environment_variables.iter();
        let artifact = |stored: &StoredArtifact| PublicArtifact {
            artifact_identifier: stored.identifier.clone(),
            file_name: stored.key.rsplit('/').next().unwrap_or_default().to_owned(),
            files: stored.files,
            bytes: stored.bytes,
            is_public: visitor.as_ref().is_some_and(|visitor| self.shows_artifact(visitor, stored)),
        };
        Ok(GetPublicBuildOutput {
            build: summary(&document),
            source_type: Some(source.r#type),
            source_location: location.map(without_user),
            compute_type: Some(document.build.environment.compute_type),
            phases: phases(&document),
            variables: variables.map(|v| PublicVariable { name: v.name.clone(), r#type: v.r#type }).collect(),
            log_is_public,
            total_lines,
            commands,
            artifacts: document.stored.iter().map(artifact).collect(),
            project_name: project.name,
        })
    }

    async fn get_public_build_log(&self, input: GetPublicBuildLogInput) -> Result<GetBuildLogOutput, ApiError> {
        let (project, document) = self.public_build(&input.alias, &input.uuid)?;
        if !self.visitor(&project).is_some_and(|visitor| self.shows_log(&visitor, &document)) {
            return Err(not_public("The log"));
        }
        let asked = GetBuildLogInput {
            id: document.build.id.clone(),
            from_line: input.from_line,
            tail: input.tail,
            max_lines: Some(input.max_lines.unwrap_or(MOST_LINES).min(MOST_LINES)),
            ..GetBuildLogInput::default()
        };
        build_log::read(&self.inner, document, asked).await
    }

    async fn get_public_build_artifact(
        &self,
        input: GetPublicBuildArtifactInput,
    ) -> Result<ArtifactContent<Bytes>, ApiError> {
        let (project, document) = self.public_build(&input.alias, &input.uuid)?;
        let wanted = input.artifact_identifier.as_deref();
        let stored = document.stored.iter().find(|stored| stored.identifier.as_deref() == wanted);
        let stored = stored.ok_or_else(missing)?;
        let visitor = self.visitor(&project).filter(|visitor| self.shows_artifact(visitor, stored));
        let visitor = visitor.ok_or_else(|| not_public("The artifact"))?;
        let asked = GetBuildArtifactInput {
            id: document.build.id.clone(),
            artifact_identifier: input.artifact_identifier.clone(),
            path: None,
        };
        let found = downloads::read(&self.inner, Behalf::Public(&visitor), &document, &asked);
        // Its words are for who may know buckets and keys.
        found.map_err(|error| {
            tracing::warn!(build.id = %document.build.id, error = %error.message, "a public artifact cannot be had");
            not_public("The artifact")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_sources_lose_what_signs_in() {
        for (location, shown) in [
            ("https://example.com/a/b.git", "https://example.com/a/b.git"),
            ("https://me:token@example.com/a.git", "https://example.com/a.git"),
            ("https://token@example.com", "https://example.com"),
            ("https://a@b@example.com/x@y", "https://example.com/x@y"),
            ("git@example.com:a/b.git", "git@example.com:a/b.git"),
        ] {
            assert_eq!(without_user(location), shown);
        }
    }
}
