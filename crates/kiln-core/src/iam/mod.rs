//! Users, groups, roles, policies, access keys, sessions, and who may do what (`api.md` 8.1, 8.2).

mod access;
mod attachments;
mod credentials;
mod default_role;
mod document;
mod explain;
mod find;
mod groups;
mod inline;
mod keys;
mod managed;
mod policies;
mod rights;
mod roles;
mod service_credentials;
mod service_role;
mod sessions;
mod simulate;
mod tags;
mod users;

pub use access::{Asked, KeyValue};
pub use credentials::Credential;
pub use explain::explained;
pub use service_credentials::CODECOMMIT;
pub use service_role::default_service_role;

pub(crate) use access::{Resource, surroundings};
pub(crate) use default_role::ensure as ensure_service_roles;
pub(crate) use explain::explain_access;
pub(crate) use rights::{Known, entity_id};
pub(crate) use sessions::own_session;

use kiln_model::{
    ApiError,
    iam::{Answer, IamError, Listed, Owner, Page, Request, SessionRequest},
    service::{Context, Iam},
};
use kiln_store::{StoreError, Tx, View};
use uuid::Uuid;

use crate::{
    core::{Core, Inner},
    records::refuse,
    runners::Runners,
};

/// An error of a transaction: the client's, or the store's.
#[derive(Debug)]
enum Refused {
    Iam(IamError),
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<IamError> for Refused {
    fn from(error: IamError) -> Self {
        Self::Iam(error)
    }
}

impl From<Refused> for IamError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Iam(error) => error,
            Refused::Store(error) => refuse(&error).into(),
        }
    }
}

impl<R: Runners> Inner<R> {
    /// Changes something of IAM; durable when it resolves.
    async fn change<T, F>(&self, work: F) -> Result<T, IamError>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, Refused> + Send + 'static,
        T: Send + 'static,
    {
        self.metadata.transact(work).await.map_err(IamError::from)
    }

    /// Reads something of IAM.
    fn read<T>(&self, work: impl FnOnce(&View<'_>) -> Result<T, Refused>) -> Result<T, IamError> {
        // The store's own errors pass through its reader, those of the domain beside it.
        let mut refused = None;
        let read = self.metadata.read(|view| match work(view) {
            Ok(found) => Ok(Some(found)),
            Err(Refused::Store(error)) => Err(error),
            Err(Refused::Iam(error)) => {
                refused = Some(error);
                Ok(None)
            }
        });
        match read {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(refused.unwrap_or_else(|| ApiError::internal("nothing was read").into())),
            Err(error) => Err(refuse(&error).into()),
        }
    }
}

impl<R: Runners> Iam for Core<R> {
    async fn iam(&self, context: &Context, request: Request) -> Result<Answer, IamError> {
        let inner = &*self.inner;
        match request {
            Request::CreateUser { name, path, boundary, tags } => {
                users::create(inner, name, path, boundary, tags).await
            }
            Request::GetUser { name } => users::get(inner, context, name),
            Request::ListUsers { path_prefix, page } => users::list(inner, &path_prefix, &page),
            Request::UpdateUser { name, new_name, new_path } => users::update(inner, name, new_name, new_path).await,
            Request::DeleteUser { name } => users::delete(inner, name).await,

            Request::CreateGroup { name, path } => groups::create(inner, name, path).await,
            Request::GetGroup { name, page } => groups::get(inner, &name, &page),
            Request::ListGroups { path_prefix, page } => groups::list(inner, &path_prefix, &page),
            Request::UpdateGroup { name, new_name, new_path } => groups::update(inner, name, new_name, new_path).await,
            Request::DeleteGroup { name } => groups::delete(inner, name).await,
            Request::AddUserToGroup { group, user } => groups::add(inner, group, user).await,
            Request::RemoveUserFromGroup { group, user } => groups::remove(inner, group, user).await,
            Request::ListGroupsForUser { user, page } => groups::of_user(inner, &user, &page),

            Request::CreateRole { name, path, trust, description, max_session_seconds, boundary, tags } => {
                let role = roles::New { name, path, trust, description, max_session_seconds, boundary, tags };
                roles::create(inner, role).await
            }
            Request::GetRole { name } => roles::get(inner, &name),
            Request::ListRoles { path_prefix, page } => roles::list(inner, &path_prefix, &page),
            Request::UpdateRole { name, description, max_session_seconds } => {
                roles::update(inner, name, description, max_session_seconds).await
            }
            Request::UpdateRoleDescription { name, description } => roles::describe(inner, name, description).await,
            Request::UpdateAssumeRolePolicy { name, trust } => roles::trust(inner, name, trust).await,
            Request::DeleteRole { name } => roles::delete(inner, name).await,
            Request::ListInstanceProfilesForRole { name } => roles::instance_profiles(inner, &name),

            Request::CreatePolicy { name, path, document, description, tags } => {
                policies::create(inner, policies::New { name, path, document, description, tags }).await
            }
            Request::GetPolicy { arn } => policies::get(inner, &arn),
            Request::ListPolicies { scope, only_attached, path_prefix, page } => {
                policies::list(inner, scope, only_attached, &path_prefix, &page)
            }
            Request::DeletePolicy { arn } => policies::delete(inner, arn).await,
            Request::CreatePolicyVersion { arn, document, set_as_default } => {
                policies::add_version(inner, arn, document, set_as_default).await
            }
            Request::GetPolicyVersion { arn, version } => policies::version(inner, &arn, &version),
            Request::ListPolicyVersions { arn, page } => policies::versions(inner, &arn, &page),
            Request::DeletePolicyVersion { arn, version } => policies::delete_version(inner, arn, version).await,
            Request::SetDefaultPolicyVersion { arn, version } => policies::set_default(inner, arn, version).await,
            Request::ListEntitiesForPolicy { arn, page } => policies::entities(inner, &arn, &page),

            Request::PutInlinePolicy { owner, name, document } => inline::put(inner, owner, name, document).await,
            Request::GetInlinePolicy { owner, name } => inline::get(inner, &owner, &name),
            Request::DeleteInlinePolicy { owner, name } => inline::delete(inner, owner, name).await,
            Request::ListInlinePolicies { owner, page } => inline::list(inner, &owner, &page),
            Request::AttachPolicy { owner, arn } => attachments::attach(inner, owner, arn).await,
            Request::DetachPolicy { owner, arn } => attachments::detach(inner, owner, arn).await,
            Request::ListAttachedPolicies { owner, page } => attachments::list(inner, &owner, &page),
            Request::PutBoundary { owner, arn } => attachments::put_boundary(inner, owner, arn).await,
            Request::DeleteBoundary { owner } => attachments::delete_boundary(inner, owner).await,

            Request::Tag { what, tags } => tags::add(inner, what, tags).await,
            Request::Untag { what, keys } => tags::remove(inner, what, keys).await,
            Request::ListTags { what, page } => tags::list(inner, &what, &page),

            Request::Simulate { simulation, page } => simulate::simulate(inner, &simulation, &page),
            Request::ContextKeys { simulation } => simulate::context_keys(inner, &simulation),

            Request::CreateAccessKey { user } => keys::create(inner, context, user).await,
            Request::ListAccessKeys { user, page } => keys::list(inner, context, user, &page),
            Request::UpdateAccessKey { user, id, is_active } => keys::update(inner, context, user, id, is_active).await,
            Request::DeleteAccessKey { user, id } => keys::delete(inner, context, user, id).await,

            Request::CreateServiceSpecificCredential { user, service, days } => {
                service_credentials::create(inner, user, service, days).await
            }
            Request::ListServiceSpecificCredentials { user, service, of_all_users, page } => {
                service_credentials::list(inner, context, user, service.as_deref(), of_all_users, &page)
            }
            Request::UpdateServiceSpecificCredential { user, id, is_active } => {
                service_credentials::update(inner, context, user, id, is_active).await
            }
            Request::DeleteServiceSpecificCredential { user, id } => {
                service_credentials::delete(inner, context, user, id).await
            }
            Request::ResetServiceSpecificCredential { user, id } => {
                service_credentials::reset(inner, context, user, id).await
            }
        }
    }

    async fn session(
        &self,
        context: &Context,
        request: SessionRequest,
    ) -> Result<kiln_model::iam::Credentials, IamError> {
        match request {
            SessionRequest::AssumeRole(request) => sessions::assume_role(&self.inner, context, &request),
            SessionRequest::GetSessionToken { seconds } => sessions::session_token(&self.inner, context, seconds),
        }
    }
}

/// A page of what is in order by name: those from behind the marker, which is the last name of the page before.
fn paged<T>(items: Vec<T>, page: &Page, name: impl Fn(&T) -> &str) -> Result<Listed<T>, IamError> {
    let most = page.max_items.unwrap_or(100);
    if !(1..=1000).contains(&most) {
        return Err(IamError::validation("maxItems", "Member must have value between 1 and 1000"));
    }
    let after = page.marker.as_deref().map(str::to_lowercase);
    let is_behind = |item: &T| after.as_ref().is_none_or(|after| name(item).to_lowercase() > *after);
    let mut items: Vec<T> = items.into_iter().filter(is_behind).collect();
    let has_more = items.len() > most;
    items.truncate(most);
    let marker = items.last().filter(|_| has_more).map(|item| name(item).to_owned());
    Ok(Listed { items, marker })
}

/// What an owner is called in messages, and its name.
fn owner_name(owner: &Owner) -> &str {
    match owner {
        Owner::User(name) | Owner::Group(name) | Owner::Role(name) => name,
    }
}

/// Random letters out of a number of them that divides 256, so that each is as likely.
fn random_text(prefix: &str, letters: &[u8], count: usize) -> String {
    let mut text = prefix.to_owned();
    while text.len() < prefix.len() + count {
        let uuid = Uuid::new_v4().into_bytes();
        // Of each, the bytes that are random as a whole: two say of which version it is.
        let random = uuid.iter().enumerate().filter(|(at, _)| ![6, 8].contains(at)).map(|(_, byte)| usize::from(*byte));
        let missing = prefix.len() + count - text.len();
        text.extend(random.take(missing).filter_map(|byte| letters.get(byte % letters.len()).map(|l| char::from(*l))));
    }
    text
}

/// A name that nobody guesses: 260 random bits.
pub(crate) fn random_name() -> String {
    random_text("", ID_LETTERS, 52)
}

/// Letters of ids.
const ID_LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Letters of secrets.
const SECRET_LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
