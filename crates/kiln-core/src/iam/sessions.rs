//! `AssumeRole` and `GetSessionToken` (`api.md` 8.1).

use kiln_iam::policy::{Kind, Policy, ResourceRule};
use kiln_model::{
    ApiError,
    iam::{AssumeRole, Credentials, IamCode, IamError, check_session_name},
    service::Context,
};
use kiln_store::metadata::{IamKind, IamRecord};

use super::{
    access::{Asked, KeyValue, surroundings},
    credentials::NewSession,
    document::{Identity, Managed, Role},
    find, inline, managed,
};
use crate::{core::Inner, runners::Runners};

/// Room for the policies of a session, in characters: AWS packs them first, so that its room is about this.
const PACKED: usize = 4_096;

fn check_seconds(seconds: i64, longest: i64) -> Result<(), IamError> {
    if seconds < 900 {
        return Err(IamError::validation("durationSeconds", "Member must have value greater than or equal to 900"));
    }
    if seconds > longest {
        return Err(IamError::new(
            IamCode::ValidationError,
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    Ok(())
}

pub(super) fn assume_role<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    request: &AssumeRole,
) -> Result<Credentials, IamError> {
    check_session_name(&request.session_name)?;
    let home = &inner.config.home;
    let found = inner.read(|view| {
        let record = find::by_arn(view, home, IamKind::Role, &request.role_arn)?;
        record.map(|record| Ok::<_, super::Refused>((Identity::parse(&record)?.role, record))).transpose()
    })?;
    let denied = |why: &str| {
        let message = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {}{why}",
            context.caller.arn, request.role_arn
        );
        IamError::new(IamCode::AccessDenied, message)
    };
    // Whether there is such a role is not for everybody to know.
    let Some((Some(role), record)) = found else { return Err(denied("")) };
    if context.caller.arn.ends_with(":root") {
        return Err(IamError::new(IamCode::AccessDenied, "Roles may not be assumed by root accounts."));
    }
    decide(inner, context, request, &role)?;
    let is_chained = context.caller.arn.contains(":assumed-role/");
    let seconds = request.seconds.unwrap_or(3_600);
    check_seconds(seconds, if is_chained { 3_600 } else { role.max_session_seconds })?;
    let policies = session_policies(inner, request)?;
    let packed = policies.iter().flatten().map(|text| text.chars().count()).sum::<usize>();
    if packed > PACKED {
        let message =
            format!("Packed policy consumes {}% of allotted space, please use smaller policy.", packed * 100 / PACKED);
        return Err(IamError::new(IamCode::PackedPolicyTooLarge, message));
    }
    Ok(make(inner, request, &record, seconds, policies, packed)?)
}

/// Both the caller's policies and the role's decide.
fn decide<R: Runners>(inner: &Inner<R>, context: &Context, request: &AssumeRole, role: &Role) -> Result<(), IamError> {
    let trust = role.trust.as_str();
    let mut keys = vec![KeyValue::one("sts:RoleSessionName", request.session_name.clone())];
    keys.extend(surroundings(context));
    if let Some(id) = &request.external_id {
        keys.push(KeyValue::one("sts:ExternalId", id.clone()));
    }
    let asked = Asked {
        action: "sts:AssumeRole",
        resource: Some(&request.role_arn),
        account: &inner.config.home.account,
        keys: &keys,
        resource_policy: Some((Kind::Trust, trust)),
        rule: ResourceRule::Trust,
        bound: Some(&role.bound),
        stands_in: None,
    };
    Ok(inner.decide(Some(&context.caller), &asked, &context.rulings)?)
}

/// The texts of the policies that the session is made with; `None` when it is made without.
fn session_policies<R: Runners>(inner: &Inner<R>, request: &AssumeRole) -> Result<Option<Vec<String>>, IamError> {
    if request.policy.is_none() && request.policy_arns.is_empty() {
        return Ok(None);
    }
    if request.policy_arns.len() > 10 {
        return Err(IamError::validation("policyArns", "Member must have length less than or equal to 10"));
    }
    let mut texts = Vec::new();
    if let Some(text) = &request.policy {
        Policy::parse(Kind::Session, text).map_err(|error| inline::malformed(&error))?;
        texts.push(text.clone());
    }
    let home = &inner.config.home;
    for arn in &request.policy_arns {
        let text = match managed::by_arn(arn) {
            Some(policy) => policy.document.to_owned(),
            None => inner.read(|view| {
                let document = Managed::parse(&find::policy(view, home, arn)?)?;
                Ok(document.text().unwrap_or_default().to_owned())
            })?,
        };
        texts.push(text);
    }
    Ok(Some(texts))
}

fn make<R: Runners>(
    inner: &Inner<R>,
    request: &AssumeRole,
    record: &IamRecord,
    seconds: i64,
    policies: Option<Vec<String>>,
    packed: usize,
) -> Result<Credentials, ApiError> {
    let home = &inner.config.home;
    let session = &request.session_name;
    let arn = format!("arn:{}:sts::{}:assumed-role/{}/{session}", home.partition(), home.account, record.name);
    let user_id = format!("{}:{session}", record.id);
    let packed_percent = policies.as_ref().map(|_| u32::try_from((packed * 100).div_ceil(PACKED)).unwrap_or(100));
    let new = NewSession {
        arn: arn.clone(),
        name: format!("{}/{session}", record.name),
        user_id: user_id.clone(),
        seconds,
        policies,
        build: None,
    };
    let made = inner.make_session(new)?;
    Ok(Credentials {
        access_key_id: made.id,
        secret: made.secret,
        session_token: made.token,
        expires: made.expires,
        assumed: Some((arn, user_id)),
        packed_percent,
    })
}

/// What AWS allows the root.
const LONGEST_OF_ROOT: i64 = 3_600;

/// A session of the caller, as long as `GetSessionToken` gives one when nobody says how long.
///
/// # Errors
/// The caller is a session.
pub(crate) fn own_session<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    seconds: Option<i64>,
) -> Result<Credentials, ApiError> {
    if context.caller.session.is_some() {
        return Err(ApiError::access_denied("A session cannot make another one: call with a user's access key"));
    }
    of_caller(inner, context, seconds)
}

pub(super) fn session_token<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    seconds: Option<i64>,
) -> Result<Credentials, IamError> {
    if context.caller.session.is_some() {
        return Err(IamError::new(IamCode::AccessDenied, "Cannot call GetSessionToken with session credentials"));
    }
    if seconds.is_some_and(|seconds| !(900..=129_600).contains(&seconds)) {
        return Err(IamError::validation("durationSeconds", "Member must have value between 900 and 129600"));
    }
    Ok(of_caller(inner, context, seconds)?)
}

fn of_caller<R: Runners>(inner: &Inner<R>, context: &Context, seconds: Option<i64>) -> Result<Credentials, ApiError> {
    let caller = &context.caller;
    let is_root = caller.arn.ends_with(":root");
    let seconds = seconds.unwrap_or(43_200);
    let new = NewSession {
        arn: caller.arn.clone(),
        name: caller.name.clone(),
        user_id: caller.user_id.clone(),
        seconds: if is_root { seconds.min(LONGEST_OF_ROOT) } else { seconds },
        policies: None,
        build: None,
    };
    let made = inner.make_session(new)?;
    Ok(Credentials {
        access_key_id: made.id,
        secret: made.secret,
        session_token: made.token,
        expires: made.expires,
        assumed: None,
        packed_percent: None,
    })
}
