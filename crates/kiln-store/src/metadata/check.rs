//! Reads everything and tells what is damaged.

use super::{
    access, builds, events, git, iam, kms, log_groups, metrics, objects, parameters, projects, registry, secrets,
    service_credentials, uploads, view::View, webhooks,
};
use crate::StoreError;

/// Problems of the file's structure that are listed, at most.
const STRUCTURE_PROBLEMS: usize = 20;

/// One line for each problem.
pub(super) fn check(view: &View<'_>) -> Result<Vec<String>, StoreError> {
    let mut found =
        view.rows(&format!("PRAGMA integrity_check({STRUCTURE_PROBLEMS})"), [], |row| row.get::<_, String>(0))?;
    found.retain(|line| line != "ok");
    if !found.is_empty() {
        // Rows can be read, or not, by chance: nothing that they say would help.
        return Ok(found);
    }
    view.each("PRAGMA foreign_key_check", |row| {
        found.push(format!(
            "a row of {} refers to a missing row of {}",
            row.get::<_, String>(0)?,
            row.get::<_, String>(2)?
        ));
        Ok(())
    })?;
    projects::check(view, &mut found)?;
    builds::check(view, &mut found)?;
    access::check(view, &mut found)?;
    objects::check(view, &mut found)?;
    uploads::check(view, &mut found)?;
    kms::check(view, &mut found)?;
    iam::check(view, &mut found)?;
    secrets::check(view, &mut found)?;
    parameters::check(view, &mut found)?;
    metrics::check(view, &mut found)?;
    log_groups::check(view, &mut found)?;
    service_credentials::check(view, &mut found)?;
    registry::check(view, &mut found)?;
    events::check(view, &mut found)?;
    webhooks::check(view, &mut found)?;
    git::check(view, &mut found)?;
    Ok(found)
}
