//! Git's own protocol: clones and pushes.

use std::{io, sync::Arc};

use kiln_model::{
    ApiError, ErrorCode, Secret,
    git::{PushHead, taken},
    service::{ByteSource, Caller, Context, GitCall, GitHost, GitService},
};
use kiln_store::repos::{GitError, GitProcess, Service};

use super::{
    error::{error, git},
    find::id_of,
    references,
};
use crate::{
    core::{Core, Inner},
    iam::CODECOMMIT,
    runners::Runners,
};

/// Bytes of git's answer to a push: some lines for each reference.
const MOST_ANSWERED: usize = 16 << 20;

/// Git's answer.
#[derive(Debug)]
pub struct GitOutput(Content);

#[derive(Debug)]
enum Content {
    /// As git writes it.
    Stream(Box<GitProcess>),
    /// All of it.
    Whole(Vec<u8>),
    Over,
}

impl ByteSource for GitOutput {
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        match &mut self.0 {
            Content::Stream(process) => {
                if let Some(piece) = process.next().await {
                    return Some(Ok(piece));
                }
                let ended = process.ended().await;
                self.0 = Content::Over;
                ended.err().map(|e| Err(io::Error::other(e.to_string())))
            }
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Content::Over;
                (!bytes.is_empty()).then_some(Ok(bytes))
            }
            Content::Over => None,
        }
    }
}

impl<R: Runners> GitHost for Core<R> {
    type GitOutput = GitOutput;

    async fn git_user(&self, user_name: &str, password: &Secret) -> Result<Option<Caller>, ApiError> {
        self.service_user(CODECOMMIT, user_name, password)
    }

    async fn git(
        &self,
        context: &Context,
        repository: &str,
        call: GitCall,
        version: u8,
        body: impl ByteSource,
    ) -> Result<GitOutput, ApiError> {
        let inner = &self.inner;
        let id = id_of(inner, repository)?;
        let serve = async |service| inner.repos.serve(&id, service, version).await.map_err(|e| git(&e));
        match call {
            GitCall::Advertise(service) => {
                let service = match service {
                    GitService::UploadPack => Service::AdvertiseUpload,
                    GitService::ReceivePack => Service::AdvertiseReceive,
                };
                let mut process = serve(service).await?;
                drop(process.take_input());
                Ok(GitOutput(Content::Stream(Box::new(process))))
            }
            GitCall::Fetch => {
                let mut process = serve(Service::Upload).await?;
                let input = process.take_input();
                let mut body = body;
                tokio::spawn(async move {
                    let Some(input) = input else { return };
                    // What breaks off ends git, which sees that it is not complete.
                    while let Some(Ok(piece)) = body.next().await {
                        if input.send(piece).await.is_err() {
                            break;
                        }
                    }
                });
                Ok(GitOutput(Content::Stream(Box::new(process))))
            }
            GitCall::Push(head) => {
                inner.hosting.recovered.wait().await;
                let process = serve(Service::Receive).await?;
                let (with, caller) = (Arc::clone(inner), context.caller.arn.clone());
                // A client that goes away when everything has arrived does not leave it half done.
                let work = tokio::spawn(async move { push(&with, &id, head, process, body, caller).await });
                let answer = work.await.map_err(|e| ApiError::internal(format!("a push did not end: {e}")))??;
                Ok(GitOutput(Content::Whole(answer)))
            }
        }
    }
}

/// Has git take a push, and records what it took; git's answer.
async fn push<R: Runners>(
    inner: &Arc<Inner<R>>,
    id: &str,
    head: PushHead,
    mut process: GitProcess,
    mut body: impl ByteSource,
    caller: String,
) -> Result<Vec<u8>, ApiError> {
    let input = process.take_input();
    let feed = async {
        let Some(input) = input else { return Ok(()) };
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|e| ApiError::invalid_input(format!("the push broke off: {e}")))?;
            // Git may refuse a push before it has read all of it.
            if input.send(piece).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let read = async {
        let mut answer = Vec::new();
        while let Some(piece) = process.next().await {
            if answer.len() + piece.len() > MOST_ANSWERED {
                return Err(ApiError::invalid_input("the push has more references than an answer has room for"));
            }
            answer.extend(piece);
        }
        Ok(answer)
    };
    let ((), answer) = tokio::try_join!(feed, read)?;
    let ended = process.ended().await;
    let names = taken(&answer, &head);
    let updates = head.updates.into_iter().filter(|update| names.contains(&update.name) && update.old != update.new);
    references::finish(inner, id, updates.collect(), Some(caller)).await?;
    match ended {
        Err(GitError::Failed { message, .. }) if answer.is_empty() => {
            tracing::info!(repository = id, message, "git refused a push");
            Err(error(ErrorCode::InvalidInput, "git could not read the push"))
        }
        Err(e @ (GitError::NoGit(_) | GitError::Io { .. })) => Err(git(&e)),
        _ => Ok(answer),
    }
}
