//! What a project's badge shows.

use kiln_model::{
    ApiError, BuildStatus,
    kiln::{BadgeInput, BadgeState},
};
use kiln_store::metadata::Order;

use crate::{
    core::Core,
    document::Document,
    records::{self, refuse},
    runners::Runners,
    service::projects,
};

/// Builds that are looked through for the last one of a branch.
const LOOKED_THROUGH: usize = 100;

impl<R: Runners> Core<R> {
    /// The state of the newest build of the branch or tag, of all builds where neither is named or the project's source
    /// has none.
    pub(crate) fn badge_state(&self, input: &BadgeInput) -> Result<BadgeState, ApiError> {
        let read = self.inner.metadata.read(|view| {
            let Some(project) = projects::with_badge(view, &input.uuid)? else { return Ok(None) };
            for key in view.build_ids_of_project(&project.name, Order::Descending, None, LOOKED_THROUGH)? {
                if let Some((_, document)) = records::find(view, &key.uuid)?
                    && is_of(&document, input, project.source.r#type.is_git())
                {
                    return Ok(Some(document.lifecycle.status));
                }
            }
            Ok(None)
        });
        Ok(match read.map_err(|e| refuse(&e))? {
            None => BadgeState::Unknown,
            Some(BuildStatus::Succeeded) => BadgeState::Passing,
            Some(BuildStatus::InProgress) => BadgeState::InProgress,
            Some(_) => BadgeState::Failing,
        })
    }
}

fn is_of(document: &Document, input: &BadgeInput, has_branches: bool) -> bool {
    if !has_branches {
        return true;
    }
    let version = document.build.source_version.as_deref();
    match (&input.branch, &input.tag) {
        (_, Some(tag)) => version.is_some_and(|v| v == tag || v.strip_prefix("refs/tags/") == Some(tag)),
        (Some(branch), None) => version.is_none_or(|v| v == branch || v.strip_prefix("refs/heads/") == Some(branch)),
        (None, None) => true,
    }
}
