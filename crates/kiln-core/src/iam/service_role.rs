//! Service roles: who builds are. Whether CodeBuild may assume one, what it is when it acts for a build, and what that
//! build may do (`api.md` 7.3).

use kiln_iam::policy::{self, Decision, Kind, Policies, Principal, ResourceRule, evaluate};
use kiln_model::{
    ApiError, BuildId, Timestamp,
    arn::Home,
    audit::Rulings,
    service::{Caller, RoleCredentials, Session},
};
use kiln_store::metadata::{IamKind, IamRecord};

use super::{access::Asked, credentials::NewSession, document::Identity, find};
use crate::{
    core::Inner,
    document::Document,
    lifecycle::{Millis, State},
    records::refuse,
    runners::Runners,
};

/// Who assumes service roles.
const CODEBUILD: &str = "codebuild.amazonaws.com";
/// Who assumes the roles of targets of rules.
const EVENTS: &str = "events.amazonaws.com";
/// How long a session is that one decision is made in.
const MOMENT_MS: Millis = 60 * 1000;
/// The longest session of a build; it may have another one afterwards.
const LONGEST_MS: Millis = 60 * 60 * 1000;
/// How long a session may outlast the build's time limit: until a build that is out of time is really over.
const GRACE_MS: Millis = 5 * 60 * 1000;

/// The role of builds whose projects name it, as every data directory has it from its first start.
#[must_use]
pub fn default_service_role(home: &Home) -> String {
    home.role_arn(super::default_role::NAME)
}

/// A service of AWS that asks for something, on behalf of a resource.
struct Service<'a> {
    name: &'static str,
    /// ARN of the resource.
    source: &'a str,
}

/// AWS's words; Terraform tries again on them, and the API's code for them is `InvalidInputException` (`api.md` 2.4).
fn not_assumable(role: &str) -> String {
    format!("CodeBuild is not authorized to perform: sts:AssumeRole on {role}")
}

/// What a role is called in a build's session, behind the role's name.
fn session_name(uuid: &str) -> String {
    format!("AWSCodeBuild-{uuid}")
}

impl<R: Runners> Inner<R> {
    /// The role that a project names, if CodeBuild may assume it for that project.
    fn assumable(&self, role: &str, project: &str) -> Result<IamRecord, ApiError> {
        let source = self.config.home.project_arn(project);
        let found = self.assumable_by(&Service { name: CODEBUILD, source: &source }, role)?;
        found.ok_or_else(|| ApiError::invalid_input(not_assumable(&self.config.home.role_arn(role))))
    }

    /// A role, if a service may assume it.
    fn assumable_by(&self, service: &Service<'_>, role: &str) -> Result<Option<IamRecord>, ApiError> {
        let home = &self.config.home;
        let arn = home.role_arn(role);
        let found = self.metadata.read(|view| {
            let Some(record) = find::by_arn(view, home, IamKind::Role, &arn)? else { return Ok(None) };
            let Some(document) = Identity::parse(&record)?.role else { return Ok(None) };
            let trust = self.known.policy(Kind::Trust, &document.trust)?;
            let policies = Policies { resource: Some(&trust), rule: ResourceRule::Trust, ..Policies::default() };
            let decision = self.service_asks(service, "sts:AssumeRole", &arn, &policies);
            Ok(decision.is_allowed().then_some(record))
        });
        found.map_err(|e| refuse(&e))
    }

    /// What is decided when a service itself asks for something.
    fn service_asks(&self, service: &Service<'_>, action: &str, resource: &str, policies: &Policies<'_>) -> Decision {
        let home = &self.config.home;
        let mut context = policy::Context::new();
        self.general_keys(&mut context);
        context.set("aws:SourceArn", service.source);
        context.set("aws:SourceAccount", home.account.clone());
        context.set("aws:PrincipalServiceName", service.name);
        context.set("aws:PrincipalIsAWSService", "true");
        let request = policy::Request {
            principal: &Principal::Service { name: service.name.to_owned() },
            action,
            resource,
            account: &home.account,
            context: &context,
        };
        evaluate(&request, policies)
    }

    /// Whether CodeBuild itself may do something for a project: nothing but the policy of the resource can say so.
    ///
    /// # Errors
    /// `AccessDeniedException`.
    pub(crate) fn codebuild_may(&self, project: &str, action: &str, resource: &str) -> Result<(), ApiError> {
        let decision = self.metadata.read(|view| {
            let stored = self.resource(view, resource)?.policy;
            let stored = stored.map(|(kind, text)| self.known.policy(kind, &text)).transpose()?;
            let policies = Policies { resource: stored.as_deref(), ..Policies::default() };
            let source = self.config.home.project_arn(project);
            Ok(self.service_asks(&Service { name: CODEBUILD, source: &source }, action, resource, &policies))
        });
        match decision.map_err(|e| refuse(&e))? {
            decision if decision.is_allowed() => Ok(()),
            decision => Err(ApiError::access_denied(decision.denial(CODEBUILD, action, Some(resource)))),
        }
    }

    /// Refuses a role that CodeBuild may not assume for that project.
    ///
    /// # Errors
    /// `InvalidInputException`, in AWS's words.
    pub(crate) fn check_service_role(&self, role: &str, project: &str) -> Result<(), ApiError> {
        self.assumable(role, project).map(drop)
    }

    /// A build as a caller: the session of its service role.
    ///
    /// # Errors
    /// AWS's words for a role that cannot be assumed.
    pub(crate) fn as_caller(&self, document: &Document) -> Result<(Caller, String), ApiError> {
        let build = &document.build;
        let role = self.assumable(build.service_role.as_deref().unwrap_or_default(), &build.project_name)?;
        let id = BuildId::new(&build.project_name, document.uuid()).ok();
        // With the build it ends sooner.
        let caller = self.in_session(&role, &session_name(document.uuid()), 12 * 3_600_000, id);
        Ok((caller, find::arn(&self.config.home, &role)))
    }

    /// Whoever looks at a public build, as a caller: a session of the project's `resourceAccessRole`.
    ///
    /// # Errors
    /// AWS's words for a role that cannot be assumed.
    pub(crate) fn as_public(&self, role: &str, project: &str) -> Result<Caller, ApiError> {
        let role = self.assumable(role, project)?;
        Ok(self.in_session(&role, "AWSCodeBuild-public", 3_600_000, None))
    }

    /// A session of a role as a caller.
    fn in_session(&self, role: &IamRecord, session: &str, length_ms: Millis, build: Option<BuildId>) -> Caller {
        let (home, now) = (&self.config.home, self.now());
        Caller {
            account: home.account.clone(),
            arn: format!("arn:{}:sts::{}:assumed-role/{}/{session}", home.partition(), home.account, role.name),
            name: format!("{}/{session}", role.name),
            access_key_id: String::new(),
            user_id: format!("{}:{session}", role.id),
            session: Some(Session {
                issued: Timestamp::from_millis(now),
                expires: Timestamp::from_millis(now.saturating_add(length_ms)),
                policies: None,
                build,
            }),
        }
    }

    /// EventBridge as a caller, for a rule: the session of the role that the rule's target names.
    ///
    /// # Errors
    /// `AccessDeniedException` for a role that is not there, or that EventBridge may not assume.
    pub(crate) fn events_caller(&self, role: &str, rule_arn: &str) -> Result<Caller, ApiError> {
        let found = self.assumable_by(&Service { name: EVENTS, source: rule_arn }, role)?;
        let refused = || {
            let message = format!("{EVENTS} is not authorized to perform: sts:AssumeRole on resource: {role}");
            ApiError::access_denied(message)
        };
        let session = format!("AWSEvents-{}", rule_arn.rsplit('/').next().unwrap_or_default());
        // What is longer is no name of a session.
        let session: String = session.chars().take(64).collect();
        Ok(self.in_session(&found.ok_or_else(refused)?, &session, MOMENT_MS, None))
    }

    /// Whether a build's role lets it do something, asked before the service does it on the build's behalf.
    ///
    /// # Errors
    /// `AccessDeniedException` as the build would get it from the API, or AWS's words for a role that cannot be assumed.
    pub(crate) fn may(&self, document: &Document, asked: &Asked<'_>) -> Result<(), ApiError> {
        let (caller, _) = self.as_caller(document)?;
        // It is no call of anybody: what is made of it stands in the build's log.
        self.decide(Some(&caller), asked, &Rulings::default())
    }

    /// Whether the role lets the build do something for which no policy of a resource counts.
    ///
    /// # Errors
    /// As [`Self::may`].
    pub(crate) fn may_do(&self, document: &Document, action: &str, resource: &str) -> Result<(), ApiError> {
        let account = &self.config.home.account;
        self.may(
            document,
            &Asked {
                action,
                resource: Some(resource),
                account,
                keys: &[],
                resource_policy: None,
                rule: ResourceRule::Sufficient,
                bound: None,
                stands_in: None,
            },
        )
    }

    /// Whether the build that a session belongs to runs: its session is over when it does not.
    pub(super) fn runs(&self, build: &BuildId) -> bool {
        self.live.get(build.uuid()).is_some_and(|live| live.runs())
    }

    /// New credentials of a running build's role.
    ///
    /// # Errors
    /// AWS's words for a role that cannot be assumed (any more); a failure of Kiln's keys.
    pub(crate) fn build_credentials(&self, document: &Document) -> Result<RoleCredentials, ApiError> {
        let (caller, role_arn) = self.as_caller(document)?;
        let seconds = lifetime_ms(document, self.now()) / 1000;
        let made = self.make_session(NewSession {
            arn: caller.arn,
            name: caller.name,
            user_id: caller.user_id,
            seconds,
            policies: None,
            build: caller.session.and_then(|session| session.build),
        })?;
        Ok(RoleCredentials {
            access_key_id: made.id,
            secret: made.secret,
            token: made.token,
            expires: made.expires,
            role_arn,
        })
    }
}

/// How long new credentials of a build are good: an hour, and never longer than the build may take.
fn lifetime_ms(document: &Document, now: Millis) -> Millis {
    let lifecycle = &document.lifecycle;
    // Its time limit counts from when it was given to its runner.
    let began = lifecycle.phases.get(2).map_or(now, |phase| phase.start_ms);
    let limit = Millis::from(document.build.timeout_in_minutes.unwrap_or(60)) * 60 * 1000;
    let last = began.saturating_add(limit).saturating_add(GRACE_MS);
    let is_running = lifecycle.state == State::Running;
    if is_running { last.saturating_sub(now).clamp(0, LONGEST_MS) } else { 0 }
}
