//! CodeCommit: git repositories, its operations and git's own protocol.
//!
//! A repository's settings are a row; its objects are a bare repository that git reads and writes
//! ([`kiln_store::repos`]). Whatever changes a reference, a push or an operation, ends in [`references::finish`], which
//! records it in one transaction with everything that follows from it (`reference_changed` there): what was
//! acknowledged has happened. What git did and a server did not live to record is found by comparing both at its start
//! ([`references::recover`]).

mod branches;
mod build;
mod change;
mod commits;
mod document;
mod error;
mod files;
mod find;
mod git;
mod path;
mod references;
mod repositories;
mod tags;
mod triggers;

pub(crate) use self::{
    build::repository_for_build,
    find::resource,
    references::{Recovered, recover, sweep},
};

use kiln_model::{
    ApiError,
    codecommit::*,
    for_each_codecommit_operation,
    service::{CodeCommit, Context},
};
use tokio::sync::Mutex;

use crate::{core::Core, runners::Runners};

/// What is known of git repositories while the service runs.
#[derive(Debug, Default)]
pub(crate) struct Hosting {
    /// Held while what became of a push is recorded, so that each sees what those before it did.
    turn: Mutex<()>,
    /// Becomes true when what an earlier server left was looked at; nothing is changed before.
    recovered: Recovered,
}

macro_rules! implement {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        impl<R: Runners> CodeCommit for Core<R> {
            $(async fn $method(&self, context: &Context, input: $input) -> Result<$output, ApiError> {
                operations::$method(&self.inner, context, input).await
            })+
        }
    };
}

for_each_codecommit_operation!(implement);

/// Where each operation is.
mod operations {
    pub(super) use super::{
        branches::{create_branch, delete_branch, get_branch, list_branches, update_default_branch},
        change::{create_commit, delete_file, put_file},
        commits::{batch_get_commits, get_commit, get_differences},
        files::{get_blob, get_file, get_folder},
        repositories::{
            batch_get_repositories, create_repository, delete_repository, get_repository, list_repositories,
            update_repository_description, update_repository_name,
        },
        tags::{list_tags_for_resource, tag_resource, untag_resource},
        triggers::{get_repository_triggers, put_repository_triggers, test_repository_triggers},
    };
}
