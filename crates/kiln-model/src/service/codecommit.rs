//! What the front end asks of CodeCommit: its operations, and git.

use std::future::Future;

use super::{ByteSource, Caller, Context};
use crate::{ApiError, Secret, codecommit::*, for_each_codecommit_operation, git::PushHead};

macro_rules! methods {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        /// The operations of CodeCommit that are implemented. Each error is what the client sees.
        pub trait CodeCommit: Send + Sync + 'static {
            $(
                #[doc = concat!("`", stringify!($name), "`.")]
                fn $method(
                    &self,
                    context: &Context,
                    input: $input,
                ) -> impl Future<Output = Result<$output, ApiError>> + Send;
            )+
        }
    };
}

for_each_codecommit_operation!(methods);

/// One of git's two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitService {
    /// Clones and fetches.
    UploadPack,
    /// Pushes.
    ReceivePack,
}

impl GitService {
    /// The name in paths and of git's command: `git-upload-pack`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    /// The permission that it needs on the repository.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::UploadPack => "codecommit:GitPull",
            Self::ReceivePack => "codecommit:GitPush",
        }
    }
}

/// What git asks of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitCall {
    /// Which references there are, for one of the services.
    Advertise(GitService),
    /// To negotiate and to get objects.
    Fetch,
    /// To store objects and to change references. The body has the same head once more.
    Push(PushHead),
}

/// Git over HTTP. Who may call what is decided before.
pub trait GitHost: Send + Sync + 'static {
    /// How git's answer comes.
    type GitOutput: ByteSource;

    /// Who signs in with a user name and a password that IAM has for git; `None`: nobody.
    fn git_user(
        &self,
        user_name: &str,
        password: &Secret,
    ) -> impl Future<Output = Result<Option<Caller>, ApiError>> + Send;

    /// Has git serve a request. `version` is the protocol's, as the client wants it. The answer to a push comes when what
    /// became of the push is stored.
    ///
    /// The error of a repository that is not there is `RepositoryDoesNotExistException`.
    fn git(
        &self,
        context: &Context,
        repository: &str,
        call: GitCall,
        version: u8,
        body: impl ByteSource,
    ) -> impl Future<Output = Result<Self::GitOutput, ApiError>> + Send;
}
