//! Which service a request is for (DESIGN section 5): target, scope of the signature, then path.

use http::{Method, Request, header};
use kiln_iam::Style;
use kiln_model::operations::{
    CLOUDWATCH_TARGET, CODEBUILD_TARGET, CODECOMMIT_TARGET, ECR_TARGET, EVENTS_TARGET, KILN_TARGET, KMS_TARGET,
    LOGS_TARGET, SECRETS_MANAGER_TARGET, SSM_TARGET,
};

use crate::cloudwatch::{self, Protocol};

/// A service that is served here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// CodeBuild, JSON 1.1.
    CodeBuild,
    /// What AWS has no call for, JSON 1.1.
    Kiln,
    /// Key Management Service, JSON 1.1.
    Kms,
    /// CloudWatch Logs, JSON 1.1.
    Logs,
    /// Secrets Manager, JSON 1.1.
    SecretsManager,
    /// Systems Manager, of which Parameter Store is there; JSON 1.1.
    Ssm,
    /// Identity and Access Management: users, roles, policies.
    Iam,
    /// Security Token Service: who am I, and sessions.
    Sts,
    /// CloudWatch, in three protocols.
    CloudWatch(Protocol),
    /// Elastic Container Registry, JSON 1.1.
    Ecr,
    /// EventBridge, JSON 1.1.
    Events,
    /// The registry of images, in the distribution specification's protocol.
    Registry,
    /// CodeCommit, JSON 1.1.
    CodeCommit,
    /// Git repositories, in git's own protocol.
    Git,
    /// Simple Storage Service.
    S3,
}

impl Service {
    /// Its name in the scope of a signature.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CodeBuild => "codebuild",
            Self::Kiln => "kiln",
            Self::Kms => "kms",
            Self::Logs => "logs",
            Self::SecretsManager => "secretsmanager",
            Self::Ssm => "ssm",
            Self::Iam => "iam",
            Self::Sts => "sts",
            Self::CloudWatch(_) => "monitoring",
            // The audit log calls what is done with images by ECR's names, however it is asked for.
            Self::Ecr | Self::Registry => "ecr",
            Self::Events => "events",
            // The same of repositories, for git.
            Self::CodeCommit | Self::Git => "codecommit",
            Self::S3 => "s3",
        }
    }
}

/// Pages that nobody signs for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// `/-/`, and what the console shows below it.
    Console,
    /// `/-/sign-in`: a link of `kiln console` for a session.
    SignIn,
    /// A browser at `/`.
    ToIndex,
    /// `/-/health`.
    Health,
    /// `/-/ready`.
    Ready,
    /// `/-/metrics`.
    Metrics,
    /// `/-/badges`, and `/badges` as AWS has it.
    Badge,
    /// `/-/public-builds/…`: what anybody may see of public builds.
    PublicBuilds,
    /// `/-/webhooks/<token>`: what providers deliver.
    Webhook,
    /// Anything else below `/-/`.
    Nothing,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// To a service.
    Service(Service),
    /// To a page.
    Page(Page),
    /// To a service of AWS that is not served here.
    Foreign {
        /// Its name in the scope of signatures, or its target prefix.
        name: String,
        /// How it writes errors.
        style: Style,
    },
}

impl Route {
    /// How errors are written on this route.
    pub(crate) fn style(&self) -> Style {
        match self {
            Self::Service(
                Service::CodeBuild
                | Service::Kiln
                | Service::Kms
                | Service::Logs
                | Service::SecretsManager
                | Service::Ssm
                | Service::Ecr
                | Service::Events
                | Service::Registry
                | Service::CodeCommit
                | Service::Git,
            )
            | Self::Page(_) => Style::Json,
            Self::Service(Service::Iam | Service::Sts) => Style::Query,
            Self::Service(Service::CloudWatch(protocol)) => protocol.style(),
            Self::Service(Service::S3) => Style::S3,
            Self::Foreign { style, .. } => *style,
        }
    }
}

/// Finds the route. Nothing is believed yet: a scope that does not fit the target is for the signature check to refuse,
/// which names the right one. `bucket`: the host is `<bucket>.` before a name of this server, and all paths are keys.
pub(crate) fn find<B>(request: &Request<B>, bucket: Option<&str>) -> Route {
    let target = request.headers().get("x-amz-target").map(|value| value.to_str().unwrap_or_default());
    let prefix = target.map(|target| target.rsplit_once('.').map_or(target, |(prefix, _)| prefix));
    match prefix {
        Some(CODEBUILD_TARGET) => return Route::Service(Service::CodeBuild),
        Some(KILN_TARGET) => return Route::Service(Service::Kiln),
        Some(KMS_TARGET) => return Route::Service(Service::Kms),
        Some(LOGS_TARGET) => return Route::Service(Service::Logs),
        Some(SECRETS_MANAGER_TARGET) => return Route::Service(Service::SecretsManager),
        Some(SSM_TARGET) => return Route::Service(Service::Ssm),
        Some(ECR_TARGET) => return Route::Service(Service::Ecr),
        Some(EVENTS_TARGET) => return Route::Service(Service::Events),
        Some(CODECOMMIT_TARGET) => return Route::Service(Service::CodeCommit),
        Some(CLOUDWATCH_TARGET) => return Route::Service(Service::CloudWatch(Protocol::Json)),
        _ => {}
    }
    if bucket.is_none() && cloudwatch::operation_in_path(request).is_some() {
        return Route::Service(Service::CloudWatch(Protocol::Cbor));
    }
    if let Some(scope) = scope_service(request) {
        return match scope.as_str() {
            "codebuild" => Route::Service(Service::CodeBuild),
            "kiln" => Route::Service(Service::Kiln),
            "kms" => Route::Service(Service::Kms),
            "logs" => Route::Service(Service::Logs),
            "secretsmanager" => Route::Service(Service::SecretsManager),
            "ssm" => Route::Service(Service::Ssm),
            "ecr" => Route::Service(Service::Ecr),
            "events" => Route::Service(Service::Events),
            "codecommit" => Route::Service(Service::CodeCommit),
            // Without a target, and not by its path.
            "monitoring" => Route::Service(Service::CloudWatch(Protocol::Query)),
            "iam" => Route::Service(Service::Iam),
            "sts" => Route::Service(Service::Sts),
            "s3" => Route::Service(Service::S3),
            "s3express" | "s3-object-lambda" => foreign(&scope, Style::S3),
            "sns" | "cloudformation" | "elasticloadbalancing" | "autoscaling" => foreign(&scope, Style::Query),
            // Services to come may speak both.
            _ if prefix.is_none() && is_form(request) => foreign(&scope, Style::Query),
            _ => foreign(&scope, Style::Json),
        };
    }
    if let Some(prefix) = prefix {
        return foreign(prefix, Style::Json);
    }
    match bucket {
        None => by_path(request),
        Some(host) if is_registry(host) && is_of_registry(request.uri().path()) => Route::Service(Service::Registry),
        Some(host) if host.starts_with("git-codecommit.") && is_of_git(request.uri().path()) => {
            Route::Service(Service::Git)
        }
        Some(_) => Route::Service(Service::S3),
    }
}

/// Whether a name before that of this server is AWS's for a registry: `000000000000.dkr.ecr.us-east-1`.
fn is_registry(name: &str) -> bool {
    name.split_once(".dkr.ecr.").is_some_and(|(account, region)| {
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        is_account && !region.is_empty() && !region.contains('.')
    })
}

/// No bucket has so short a name.
fn is_of_registry(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/")
}

/// Nor one so short a name as this path begins with.
fn is_of_git(path: &str) -> bool {
    path.starts_with("/v1/repos/")
}

fn foreign(name: &str, style: Style) -> Route {
    Route::Foreign { name: name.chars().take(64).collect(), style }
}

/// Before the name of an operation of public builds.
pub(crate) const PUBLIC_BUILDS: &str = "/-/public-builds/";

/// What the console has below `/-/`: its files, and the pages that it shows.
const CONSOLE: [&str; 15] = [
    "access",
    "assets/",
    "audit",
    "builds/",
    "caches",
    "create-project",
    "credentials",
    "dashboard",
    "images",
    "projects",
    "public/",
    "queue",
    "repositories",
    "secrets",
    "webhooks",
];

fn by_path<B>(request: &Request<B>) -> Route {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        "/-/" | "/-" => Route::Page(Page::Console),
        "/-/sign-in" => Route::Page(Page::SignIn),
        "/-/health" => Route::Page(Page::Health),
        "/-/ready" => Route::Page(Page::Ready),
        "/-/metrics" => Route::Page(Page::Metrics),
        "/-/badges" => Route::Page(Page::Badge),
        path if path.starts_with(PUBLIC_BUILDS) => Route::Page(Page::PublicBuilds),
        "/badges" if is_read => Route::Page(Page::Badge),
        // The console's pages of projects' webhooks are beside them; only browsers ask for those.
        path if path.starts_with("/-/webhooks/") && !(is_read && is_browser(request)) => Route::Page(Page::Webhook),
        path if CONSOLE.iter().any(|part| path.strip_prefix("/-/").is_some_and(|path| path.starts_with(part))) => {
            Route::Page(Page::Console)
        }
        path if path.starts_with("/-/") => Route::Page(Page::Nothing),
        "/" if is_read && is_browser(request) => Route::Page(Page::ToIndex),
        path if is_of_registry(path) => Route::Service(Service::Registry),
        path if is_of_git(path) => Route::Service(Service::Git),
        _ if is_form(request) => Route::Service(Service::Sts),
        _ => Route::Service(Service::S3),
    }
}

fn is_browser<B>(request: &Request<B>) -> bool {
    header_text(request, header::ACCEPT).is_some_and(|accept| accept.contains("text/html"))
}

fn is_form<B>(request: &Request<B>) -> bool {
    header_text(request, header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

fn header_text<B>(request: &Request<B>, name: header::HeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok()
}

/// The service in the scope of a signature, in the header or in a presigned link.
fn scope_service<B>(request: &Request<B>) -> Option<String> {
    let (credential, ends): (&str, &[char]) = match header_text(request, header::AUTHORIZATION) {
        Some(authorization) => (authorization.split_once("Credential=")?.1, &[',', ' ']),
        None => (request.uri().query()?.split_once("X-Amz-Credential=")?.1, &['&']),
    };
    let credential = credential.split(ends).next()?.replace("%2F", "/").replace("%2f", "/");
    let service = credential.split('/').nth(3)?;
    (!service.is_empty()).then(|| service.to_owned())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn route(method: &str, target: &str, headers: &[(&str, &str)]) -> Route {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        find(&request.body(()).unwrap(), None)
    }

    fn signed_for(service: &str) -> String {
        format!("AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/{service}/aws4_request, SignedHeaders=host")
    }

    #[test]
    fn targets_come_first() {
        for (target, expected) in [
            ("CodeBuild_20161006.ListBuilds", Route::Service(Service::CodeBuild)),
            ("Kiln_20261122.DescribeQueue", Route::Service(Service::Kiln)),
            ("TrentService.ListKeys", Route::Service(Service::Kms)),
            ("secretsmanager.ListSecrets", Route::Service(Service::SecretsManager)),
            ("AmazonSSM.GetParameters", Route::Service(Service::Ssm)),
            ("CodeCommit_20150413.ListRepositories", Route::Service(Service::CodeCommit)),
            ("AmazonEC2ContainerRegistry_V20150921.ListImages", Route::Service(Service::Ecr)),
            ("Logs_20140328.GetLogEvents", Route::Service(Service::Logs)),
            ("AWSEvents.PutRule", Route::Service(Service::Events)),
            ("AWSStepFunctions.ListActivities", foreign("AWSStepFunctions", Style::Json)),
            ("nonsense", foreign("nonsense", Style::Json)),
        ] {
            assert_eq!(route("POST", "/", &[("x-amz-target", target)]), expected);
        }
        let headers = [("x-amz-target", "CodeBuild_20161006.X"), ("authorization", &signed_for("logs"))];
        assert_eq!(
            route("POST", "/", &headers),
            Route::Service(Service::CodeBuild),
            "the signature check says what is wrong"
        );
    }

    #[test]
    fn then_the_scope() {
        for (service, expected) in [
            ("sts", Route::Service(Service::Sts)),
            ("codebuild", Route::Service(Service::CodeBuild)),
            ("kms", Route::Service(Service::Kms)),
            ("secretsmanager", Route::Service(Service::SecretsManager)),
            ("ssm", Route::Service(Service::Ssm)),
            ("ecr", Route::Service(Service::Ecr)),
            ("codecommit", Route::Service(Service::CodeCommit)),
            ("s3", Route::Service(Service::S3)),
            ("s3express", foreign("s3express", Style::S3)),
            ("iam", Route::Service(Service::Iam)),
            ("sns", foreign("sns", Style::Query)),
            ("logs", Route::Service(Service::Logs)),
            ("events", Route::Service(Service::Events)),
            ("states", foreign("states", Style::Json)),
        ] {
            assert_eq!(route("POST", "/", &[("authorization", &signed_for(service))]), expected);
            for slash in ["/", "%2F", "%2f"] {
                let credential = ["AKID", "20150830", "us-east-1", service, "aws4_request"].join(slash);
                let link = format!("/?Action=X&X-Amz-Credential={credential}&X-Amz-Date=x");
                assert_eq!(route("GET", &link, &[]), expected);
            }
        }
        let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        assert_eq!(
            route("POST", "/", &[("authorization", &signed_for("monitoring")), form]),
            Route::Service(Service::CloudWatch(Protocol::Query))
        );
        let path = "/service/GraniteServiceVersion20100801/operation/ListMetrics";
        let cbor = ("smithy-protocol", "rpc-v2-cbor");
        assert_eq!(route("POST", path, &[cbor]), Route::Service(Service::CloudWatch(Protocol::Cbor)));
        assert_eq!(route("POST", path, &[]), Route::Service(Service::S3));
        let target = [("x-amz-target", "GraniteServiceVersion20100801.ListMetrics")];
        assert_eq!(route("POST", "/", &target), Route::Service(Service::CloudWatch(Protocol::Json)));
        assert_eq!(
            route("POST", "/", &[("authorization", &signed_for("autoscaling")), form]),
            foreign("autoscaling", Style::Query)
        );
    }

    #[test]
    fn then_the_path() {
        let browser = [("accept", "text/html,application/xhtml+xml")];
        assert_eq!(route("GET", "/", &browser), Route::Page(Page::ToIndex));
        assert_eq!(route("GET", "/", &[]), Route::Service(Service::S3));
        for path in ["/-/public-builds/ListPublicBuilds", "/-/public-builds/x/y"] {
            assert_eq!(route("POST", path, &[]), Route::Page(Page::PublicBuilds), "{path}");
        }
        assert_eq!(route("POST", "/-/public-builds", &[]), Route::Page(Page::Nothing));
        for path in [
            "/-/public/abc/builds/1",
            "/-/webhooks",
            "/-/access/users/alice",
            "/-/",
            "/-",
            "/-/builds/demo:1",
            "/-/projects",
            "/-/projects/demo",
            "/-/queue",
            "/-/assets/a.js",
        ] {
            assert_eq!(route("GET", path, &[]), Route::Page(Page::Console), "{path}");
        }
        assert_eq!(route("POST", "/-/sign-in", &[]), Route::Page(Page::SignIn));
        assert_eq!(route("GET", "/builds/demo", &[]), Route::Service(Service::S3));
        assert_eq!(route("GET", "/-/health?x", &[]), Route::Page(Page::Health));
        assert_eq!(route("GET", "/-/ready", &[]), Route::Page(Page::Ready));
        assert_eq!(route("GET", "/-/metrics", &[]), Route::Page(Page::Metrics));
        assert_eq!(route("GET", "/badges?uuid=x", &[]), Route::Page(Page::Badge));
        assert_eq!(route("PUT", "/badges", &[]), Route::Service(Service::S3), "a bucket may have that name");
        for path in ["/", "/-/", "/-/health", "/badges?uuid=x"] {
            let request = Request::get(path).header("accept", "text/html").body(()).unwrap();
            assert_eq!(find(&request, Some("bucket")), Route::Service(Service::S3), "keys of a bucket: {path}");
        }
        assert_eq!(route("POST", "/-/webhooks/ABC", &[]), Route::Page(Page::Webhook));
        assert_eq!(route("POST", "/-/webhooks/ABC", &browser), Route::Page(Page::Webhook));
        assert_eq!(route("GET", "/-/webhooks/ABC", &[]), Route::Page(Page::Webhook), "told that it takes POST");
        assert_eq!(route("GET", "/-/webhooks/demo", &browser), Route::Page(Page::Console));
        assert_eq!(route("GET", "/-/x", &[]), Route::Page(Page::Nothing));
        let basic = [("authorization", "Basic QVdTOng=")];
        for path in ["/v2", "/v2/", "/v2/a/blobs/uploads/"] {
            assert_eq!(route("POST", path, &basic), Route::Service(Service::Registry), "{path}");
            let request = Request::get(path).body(()).unwrap();
            let host = Some("000000000000.dkr.ecr.us-east-1");
            assert_eq!(find(&request, host), Route::Service(Service::Registry), "{path}");
            assert_eq!(find(&request, Some("1.dkr.ecr.x")), Route::Service(Service::S3), "a bucket: {path}");
        }
        assert_eq!(route("GET", "/v2x/y", &basic), Route::Service(Service::S3));
        let form = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(route("POST", "/", &form), Route::Service(Service::Sts));
    }
}
