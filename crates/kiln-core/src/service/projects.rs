//! Projects.

use kiln_model::{
    ApiError, Timestamp,
    arn::Home,
    codebuild::{
        BatchGetProjectsInput, BatchGetProjectsOutput, CreateProjectInput, CreateProjectOutput, DeleteProjectInput,
        DeleteProjectOutput, InvalidateProjectCacheInput, InvalidateProjectCacheOutput, ListProjectsInput,
        ListProjectsOutput, Project, ProjectSortByType, ProjectVisibilityType, SortOrderType, UpdateProjectInput,
        UpdateProjectOutput, UpdateProjectVisibilityInput, UpdateProjectVisibilityOutput,
    },
    project,
    service::Context,
};
use kiln_store::{
    StoreError, Tx, View,
    metadata::{Order, ProjectKey, ProjectRecord, ProjectSort},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::project_of;
use crate::{
    core::Core,
    page,
    records::{Refused, refuse},
    runners::Runners,
    webhook,
};

/// Version of the stored form.
const VERSION: u32 = 1;
/// Projects of an account (`api.md` 10).
const MOST_PROJECTS: u64 = 5000;

/// What is stored of a project.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    version: u32,
    project: Project,
    /// Opaque name in the badge's address; made once, so that an address stays when badges are switched off and on.
    badge: String,
    /// Raised when the cache is invalidated: builds name their cache by it.
    #[serde(default)]
    cache_generation: u64,
}

/// The tags of a project, if there is one of that name.
pub(crate) fn tags(view: &View<'_>, name: &str) -> Result<Vec<(String, String)>, StoreError> {
    let Some(record) = view.project(name)? else { return Ok(Vec::new()) };
    let tags = parse(&record)?.project.tags;
    Ok(tags.into_iter().map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default())).collect())
}

/// The role that a project names, if there is one of that name.
pub(crate) fn service_role(view: &View<'_>, name: &str) -> Result<Option<String>, StoreError> {
    view.project(name)?.map(|record| Ok(parse(&record)?.project.service_role)).transpose()
}

fn parse(record: &ProjectRecord) -> Result<Stored, StoreError> {
    let stored: Stored = serde_json::from_str(&record.doc)
        .map_err(|e| StoreError::Invalid(format!("the record of project {} cannot be read: {e}", record.name)))?;
    if stored.version > VERSION {
        let version = stored.version;
        let message = format!("the record of project {} has version {version}; this kiln reads {VERSION}", record.name);
        return Err(StoreError::Invalid(message));
    }
    Ok(stored)
}

fn write(record: &mut ProjectRecord, stored: &Stored) -> Result<(), StoreError> {
    record.modified_ms = stored.project.last_modified.millis();
    record.doc = serde_json::to_string(stored).map_err(|e| StoreError::Invalid(e.to_string()))?;
    Ok(())
}

fn missing(home: &Home, name: &str) -> ApiError {
    ApiError::not_found(format!("Project cannot be found: {}", home.project_arn(name)))
}

/// A project that must be there, and the name of its cache.
pub(crate) fn stored(view: &View<'_>, home: &Home, name: &str) -> Result<(Project, String), Refused> {
    let record = view.project(name)?.ok_or_else(|| Refused::Api(missing(home, name)))?;
    let stored = parse(&record)?;
    // Not the name alone: a project that is made anew begins without the cache of the old one.
    let cache = format!("{}:{name}:{}:{}", home.account, record.created_ms, stored.cache_generation);
    Ok((stored.project, cache))
}

/// The project whose badge has this opaque name, if it shows one.
pub(crate) fn with_badge(view: &View<'_>, badge: &str) -> Result<Option<Project>, StoreError> {
    let Some(name) = view.setting(&badge_key(badge))? else { return Ok(None) };
    let Some(record) = view.project(&name)? else { return Ok(None) };
    let stored = parse(&record)?;
    Ok((stored.badge == badge && stored.project.badge.badge_enabled).then_some(stored.project))
}

/// The name by which anybody finds the project's builds, if these are public now.
pub(crate) fn public_alias(project: &Project) -> Option<String> {
    let is_public = project.project_visibility == ProjectVisibilityType::PublicRead;
    project.public_project_alias.clone().filter(|_| is_public)
}

/// The project whose builds are public by this alias.
pub(crate) fn with_alias(view: &View<'_>, alias: &str) -> Result<Option<Project>, StoreError> {
    let Some(name) = view.setting(&alias_key(alias))? else { return Ok(None) };
    let Some(record) = view.project(&name)? else { return Ok(None) };
    let project = parse(&record)?.project;
    Ok((public_alias(&project).as_deref() == Some(alias)).then_some(project))
}

/// Where it is kept which project an alias is of.
fn alias_key(alias: &str) -> String {
    format!("public/{alias}")
}

/// Where it is kept which project a badge is of.
fn badge_key(badge: &str) -> String {
    format!("badge/{badge}")
}

/// Refuses a build beyond the project's limit (`api.md` 2.5): it is not queued.
pub(crate) fn check_concurrency(view: &View<'_>, project: &Project) -> Result<(), Refused> {
    let Some(limit) = project.concurrent_build_limit.and_then(|limit| u64::try_from(limit).ok()) else { return Ok(()) };
    let active = view.active_counts()?.get(&project.name).copied().unwrap_or_default();
    if active.queued + active.running >= limit {
        let name = &project.name;
        let message = format!("Cannot have more than {limit} active builds for the project {name}");
        return Err(Refused::Api(ApiError::limit_exceeded(message)));
    }
    Ok(())
}

impl<R: Runners> Core<R> {
    fn show_project(&self, stored: Stored) -> Project {
        let mut project = stored.project;
        project.badge.badge_request_url = project
            .badge
            .badge_enabled
            .then(|| format!("{}/-/badges?uuid={}&branch=main", self.inner.config.console_url, stored.badge));
        project
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.inner.now())
    }

    pub(super) async fn create(&self, input: CreateProjectInput) -> Result<CreateProjectOutput, ApiError> {
        let home = self.inner.config.home.clone();
        let project = project::create(input, &home, self.time())?;
        self.inner.check_service_role(&project.service_role, &project.name)?;
        let work = self.inner.transact(move |tx| {
            if tx.project_count()? >= MOST_PROJECTS {
                let message = format!("Cannot have more than {MOST_PROJECTS} projects for the account");
                return Err(Refused::Api(ApiError::limit_exceeded(message)));
            }
            let stored = Stored { version: VERSION, project, badge: Uuid::new_v4().to_string(), cache_generation: 0 };
            let mut record = ProjectRecord {
                name: stored.project.name.clone(),
                created_ms: stored.project.created.millis(),
                modified_ms: 0,
                version: 1,
                doc: String::new(),
            };
            write(&mut record, &stored)?;
            tx.put_setting(&badge_key(&stored.badge), &record.name)?;
            match tx.insert_project(&record) {
                Err(StoreError::Exists(_)) => {
                    let message = format!("Project already exists: {}", home.project_arn(&record.name));
                    Err(Refused::Api(ApiError::already_exists(message)))
                }
                result => Ok(result.map(|()| stored)?),
            }
        });
        let stored = work.await?;
        Ok(CreateProjectOutput { project: self.show_project(stored) })
    }

    /// Changes a stored project.
    async fn change(
        &self,
        name: String,
        work: impl FnOnce(&mut Stored, &mut Tx<'_>) -> Result<(), Refused> + Send + 'static,
    ) -> Result<Stored, ApiError> {
        let home = self.inner.config.home.clone();
        let changed = self.inner.transact(move |tx| {
            let mut record = tx.project(&name)?.ok_or_else(|| Refused::Api(missing(&home, &name)))?;
            let mut stored = parse(&record)?;
            work(&mut stored, tx)?;
            write(&mut record, &stored)?;
            tx.update_project(&record)?;
            Ok(stored)
        });
        changed.await
    }

    pub(super) async fn update(&self, input: UpdateProjectInput) -> Result<UpdateProjectOutput, ApiError> {
        let home = self.inner.config.home.clone();
        let name = project_of(&home, &input.name)?.to_owned();
        let now = self.time();
        if input.service_role.is_some() {
            // Whatever else is wrong is said first.
            let (before, _) = self.inner.look(|view| self::stored(view, &home, &name))?;
            let after = project::update(&before, input.clone(), &home, now)?;
            self.inner.check_service_role(&after.service_role, &name)?;
        }
        let update = move |stored: &mut Stored, _: &mut Tx<'_>| {
            stored.project = project::update(&stored.project, input, &home, now)?;
            Ok(())
        };
        let stored = self.change(name.clone(), update).await?;
        let webhook = self.inner.metadata.read(|view| webhook::shown(&self.inner, view, &name));
        let webhook = webhook.map_err(|e| refuse(&e))?;
        Ok(UpdateProjectOutput { project: Project { webhook, ..self.show_project(stored) } })
    }

    pub(super) async fn delete(
        &self,
        context: &Context,
        input: DeleteProjectInput,
    ) -> Result<DeleteProjectOutput, ApiError> {
        // One that cannot be meant is not there either: deleting what is missing succeeds (`api.md` 2.4).
        let Some(name) = self.inner.config.home.project_name(&input.name).map(str::to_owned) else {
            return Ok(DeleteProjectOutput {});
        };
        let arn = self.inner.config.home.project_arn(&name);
        let home = self.inner.config.home.clone();
        let work = self.inner.metadata.write(move |tx| {
            let forgotten = webhook::forget(tx, &home, &name)?;
            if let Some(record) = tx.project(&name)? {
                let stored = parse(&record)?;
                tx.delete_setting(&badge_key(&stored.badge))?;
                if let Some(alias) = &stored.project.public_project_alias {
                    tx.delete_setting(&alias_key(alias))?;
                }
            }
            tx.delete_resource_policy(&arn)?;
            tx.delete_project(&name)?;
            Ok(forgotten)
        });
        if let Some(forgotten) = work.await.map_err(|e| refuse(&e))? {
            forgotten.at_provider(&self.inner, context);
        }
        Ok(DeleteProjectOutput {})
    }

    pub(super) fn get_projects(&self, input: &BatchGetProjectsInput) -> Result<BatchGetProjectsOutput, ApiError> {
        let mut output = BatchGetProjectsOutput::default();
        for text in &input.names {
            let read = |name: &str| {
                self.inner.metadata.read(|view| {
                    let Some(record) = view.project(name)? else { return Ok(None) };
                    Ok(Some((parse(&record)?, webhook::shown(&self.inner, view, name)?)))
                })
            };
            let found = match self.inner.config.home.project_name(text) {
                Some(name) => read(name).map_err(|e| refuse(&e))?,
                None => None,
            };
            match found {
                Some((stored, webhook)) => output.projects.push(Project { webhook, ..self.show_project(stored) }),
                None => output.projects_not_found.push(text.clone()),
            }
        }
        Ok(output)
    }

    pub(super) fn list(&self, input: &ListProjectsInput) -> Result<ListProjectsOutput, ApiError> {
        let sort = match input.sort_by {
            None | Some(ProjectSortByType::Name) => ProjectSort::Name,
            Some(ProjectSortByType::CreatedTime) => ProjectSort::Created,
            Some(ProjectSortByType::LastModifiedTime) => ProjectSort::Modified,
        };
        let order = match input.sort_order {
            Some(SortOrderType::Descending) => Order::Descending,
            Some(SortOrderType::Ascending) | None => Order::Ascending,
        };
        let list = format!("ListProjects {sort:?} {order:?}");
        let after: Option<(i64, String)> = page::after(&list, input.next_token.as_deref())?;
        let after = after.map(|(time_ms, name)| ProjectKey { time_ms, name });
        let keys = self.inner.metadata.read(|view| view.project_names(sort, order, after.as_ref(), page::PAGE + 1));
        let mut keys = keys.map_err(|e| refuse(&e))?;
        let more = keys.len() > page::PAGE;
        keys.truncate(page::PAGE);
        let next_token = keys.last().filter(|_| more).and_then(|k| page::token(&list, (k.time_ms, k.name.as_str())));
        Ok(ListProjectsOutput { projects: keys.into_iter().map(|k| k.name).collect(), next_token })
    }

    pub(super) async fn invalidate_cache(
        &self,
        input: InvalidateProjectCacheInput,
    ) -> Result<InvalidateProjectCacheOutput, ApiError> {
        let name = project_of(&self.inner.config.home, &input.project_name)?.to_owned();
        let raise = |stored: &mut Stored, _: &mut Tx<'_>| {
            stored.cache_generation += 1;
            Ok(())
        };
        self.change(name, raise).await?;
        Ok(InvalidateProjectCacheOutput {})
    }

    pub(super) async fn set_visibility(
        &self,
        input: UpdateProjectVisibilityInput,
    ) -> Result<UpdateProjectVisibilityOutput, ApiError> {
        let home = &self.inner.config.home;
        let Some(name) = home.local("project", &input.project_arn).map(str::to_owned) else {
            return Err(ApiError::not_found(format!("Project cannot be found: {}", input.project_arn)));
        };
        let now = self.time();
        let (visibility, role) = (input.project_visibility, input.resource_access_role);
        let set = move |stored: &mut Stored, tx: &mut Tx<'_>| {
            let project = &mut stored.project;
            project.project_visibility = visibility;
            project.last_modified = now;
            if let Some(role) = role {
                project.resource_access_role = Some(role).filter(|r| !r.is_empty());
            }
            if visibility == ProjectVisibilityType::PublicRead {
                let alias = project.public_project_alias.get_or_insert_with(|| Uuid::new_v4().simple().to_string());
                tx.put_setting(&alias_key(alias), &project.name)?;
            }
            Ok(())
        };
        let project = self.change(name, set).await?.project;
        Ok(UpdateProjectVisibilityOutput {
            project_arn: project.arn,
            public_project_alias: project.public_project_alias,
            project_visibility: project.project_visibility,
        })
    }
}
