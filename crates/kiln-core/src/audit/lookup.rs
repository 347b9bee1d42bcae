//! Looking records up, and checking the log.

use std::ops::ControlFlow;

use kiln_model::{
    ApiError, Timestamp,
    kiln::{
        AuditEvent, AuditProblem, LookupEventsInput, LookupEventsOutput, VerifyAuditLogInput, VerifyAuditLogOutput,
    },
};
use kiln_store::{AuditError, audit::Wanted};

use super::record::{source, text_of};
use crate::{core::Inner, runners::Runners};

/// Records of an answer where the caller does not say.
const USUAL: usize = 50;
/// Records that one call looks at: then it answers what it has, and where to go on.
const LOOKED_AT: usize = 200_000;
/// By as much the clock may have gone back between two records. Files without a record that is young enough are left out.
const ADJUSTED_MS: i64 = 5 * 60 * 1000;

/// First word of a token.
const TOKEN: &str = "before-";

/// What a client is told when the log cannot be read.
fn unreadable(error: &AuditError) -> ApiError {
    tracing::error!(error = %error, "the audit log cannot be read");
    ApiError::internal(error.to_string())
}

/// What is looked for, in the form in which records have it.
struct Filter {
    from: Option<String>,
    to: Option<String>,
    input: LookupEventsInput,
    source: Option<String>,
}

impl Filter {
    fn takes(&self, event: &AuditEvent) -> bool {
        let Self { input, .. } = self;
        let is = |wanted: &Option<String>, has: Option<&str>| wanted.as_ref().is_none_or(|w| has == Some(w.as_str()));
        let identity = event.user_identity.as_ref();
        self.to.as_ref().is_none_or(|to| event.event_time <= *to)
            && self.from.as_ref().is_none_or(|from| event.event_time >= *from)
            && is(&input.event_name, Some(&event.event_name))
            && is(&self.source, Some(&event.event_source))
            && is(&input.request_id, event.request_id.as_deref())
            && is(&input.access_key_id, identity.and_then(|who| who.access_key_id.as_deref()))
            && input.user_name.as_ref().is_none_or(|name| identity.is_some_and(|who| is_called(who, name)))
            && input.read_only.is_none_or(|wanted| event.read_only == Some(wanted))
            && input.refused.is_none_or(|wanted| event.error_code.is_some() == wanted)
            && input.resource.as_ref().is_none_or(|wanted| {
                let ruled = event.authorization.iter().filter_map(|ruling| ruling.resource.as_deref());
                event.resources.iter().map(|resource| resource.arn.as_str()).chain(ruled).any(|arn| arn == wanted)
            })
    }
}

/// Whether somebody is called that: by name, ARN, `role/session`, or the role's ARN.
fn is_called(who: &kiln_model::kiln::UserIdentity, name: &str) -> bool {
    let Some(arn) = who.arn.as_deref() else { return false };
    if arn == name || who.user_name.as_deref() == Some(name) {
        return true;
    }
    let local = arn.splitn(6, ':').nth(5).unwrap_or_default();
    let Some(session) = local.strip_prefix("assumed-role/") else { return local == name };
    let role = session.split('/').next().unwrap_or_default();
    // A role's path is not in the ARN of its sessions.
    let is_role = name.contains(":role/") && name.rsplit('/').next() == Some(role);
    session == name || role == name || is_role
}

/// Looks records up.
pub(crate) async fn lookup<R: Runners>(
    inner: &Inner<R>,
    input: LookupEventsInput,
) -> Result<LookupEventsOutput, ApiError> {
    let most = input.max_results.map_or(USUAL, |most| most as usize);
    let invalid = || ApiError::invalid_input("nextToken: it is not one of LookupEvents");
    let before = match &input.next_token {
        Some(token) => Some(token.strip_prefix(TOKEN).and_then(|n| n.parse().ok()).ok_or_else(invalid)?),
        None => None,
    };
    let filter = Filter {
        from: input.start_time.map(text_of),
        to: input.end_time.map(text_of),
        source: input.event_source.as_deref().map(source),
        input,
    };
    // What was answered is found, also what was only read; a log that cannot be written can be read all the same.
    inner.audit.flush().await.ok();
    let from_ms = filter.input.start_time.map(|time: Timestamp| time.millis().saturating_sub(ADJUSTED_MS));
    let (mut events, mut looked_at, mut next, mut strange) = (Vec::new(), 0, None, 0_usize);
    let found = inner.audit.newest_first(before, from_ms, |sequence, bytes| {
        if events.len() == most || looked_at == LOOKED_AT {
            next = Some(format!("{TOKEN}{}", sequence + 1));
            return ControlFlow::Break(());
        }
        looked_at += 1;
        match serde_json::from_slice::<AuditEvent>(bytes) {
            Ok(event) if filter.takes(&event) => events.push(event),
            Ok(_) => {}
            Err(_) => strange += 1,
        }
        ControlFlow::Continue(())
    });
    found.map_err(|error| unreadable(&error))?;
    if strange > 0 {
        tracing::warn!(records = strange, "records of the audit log are not in a form that this Kiln knows");
    }
    Ok(LookupEventsOutput { events, next_token: next })
}

/// Checks the log.
pub(crate) async fn verify<R: Runners>(
    inner: &Inner<R>,
    input: VerifyAuditLogInput,
) -> Result<VerifyAuditLogOutput, ApiError> {
    let wanted = input.expected.as_deref().map(str::parse::<Wanted>).transpose();
    let wanted = wanted.map_err(|what| ApiError::invalid_input(format!("expected: {what}")))?;
    inner.audit.flush().await.ok();
    let found = inner.audit.verify(wanted.as_ref()).map_err(|error| unreadable(&error))?;
    Ok(VerifyAuditLogOutput {
        records: found.records,
        first: found.first,
        last: found.last,
        end: format!("{}:{}", found.last, found.chain),
        problem: found.problem.map(|problem| AuditProblem {
            sequence: problem.sequence,
            file: problem.file.map(|path| path.display().to_string()),
            what: problem.what,
        }),
    })
}

#[cfg(test)]
mod tests {
    use kiln_model::kiln::UserIdentity;

    use super::*;

    #[test]
    fn people_are_found_by_all_their_names() {
        let who = |arn: &str, user_name: Option<&str>| UserIdentity {
            arn: Some(arn.to_owned()),
            user_name: user_name.map(str::to_owned),
            ..UserIdentity::default()
        };
        let alice = who("arn:aws:iam::000000000000:user/x/alice", Some("alice"));
        let session = who("arn:aws:sts::000000000000:assumed-role/build/run-1", None);
        let root = who("arn:aws:iam::000000000000:root", None);
        assert!(is_called(&alice, "alice") && is_called(&alice, "arn:aws:iam::000000000000:user/x/alice"));
        assert!(!is_called(&alice, "lice") && !is_called(&alice, "root"));
        for name in ["build", "build/run-1", "arn:aws:iam::000000000000:role/path/build"] {
            assert!(is_called(&session, name), "{name}");
        }
        assert!(!is_called(&session, "run-1") && !is_called(&session, "arn:aws:iam::000000000000:role/other"));
        assert!(is_called(&root, "root"));
        assert!(!is_called(&UserIdentity::default(), "root"));
    }
}
