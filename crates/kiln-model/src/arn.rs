//! ARNs, and the names and ids that stand for them (`api.md` 2.1).

use std::{fmt, str::FromStr};

use crate::{ApiError, BuildId, error::excerpt};

/// `arn:<partition>:<service>:<region>:<account>:<resource>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Arn {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// E.g. `codebuild`.
    pub service: String,
    /// May be empty (IAM, S3).
    pub region: String,
    /// Twelve digits; empty for S3.
    pub account: String,
    /// The rest, e.g. `project/demo`; colons are part of it.
    pub resource: String,
}

/// The longest text that is read as an ARN, in bytes: AWS's own limit for IAM is 2,048.
const LONGEST: usize = 2048;

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

/// The text is not an ARN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an ARN: expected arn:<partition>:<service>:<region>:<account>:<resource>")]
pub struct ParseArnError(String);

impl FromStr for Arn {
    type Err = ParseArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            if text.len() > LONGEST {
                return None;
            }
            let mut parts = text.splitn(6, ':');
            let mut part = || parts.next().map(str::to_owned);
            if part()? != "arn" {
                return None;
            }
            let arn =
                Self { partition: part()?, service: part()?, region: part()?, account: part()?, resource: part()? };
            let whole = !arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty();
            whole.then_some(arn)
        };
        parse().ok_or_else(|| ParseArnError(excerpt(text)))
    }
}

/// Where Kiln's resources are: the account and region that every ARN of theirs names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Home {
    /// E.g. `us-east-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
}

impl Home {
    /// Partition of the region: `aws`, or that of China or of the US government.
    #[must_use]
    pub fn partition(&self) -> &'static str {
        if self.region.starts_with("cn-") {
            "aws-cn"
        } else if self.region.starts_with("us-gov-") {
            "aws-us-gov"
        } else {
            "aws"
        }
    }

    /// ARN of a resource of any service in this account and region.
    #[must_use]
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition(), self.region, self.account)
    }

    /// `arn:aws:codebuild:<region>:<account>:project/<name>`.
    #[must_use]
    pub fn project_arn(&self, name: &str) -> String {
        self.arn("codebuild", &format!("project/{name}"))
    }

    /// `arn:aws:codebuild:<region>:<account>:build/<project>:<uuid>`.
    #[must_use]
    pub fn build_arn(&self, id: &BuildId) -> String {
        self.arn("codebuild", &format!("build/{id}"))
    }

    /// `arn:aws:codebuild:<region>:<account>:report-group/<name>`.
    #[must_use]
    pub fn report_group_arn(&self, name: &str) -> String {
        self.arn("codebuild", &format!("report-group/{name}"))
    }

    /// `arn:aws:codebuild:<region>:<account>:report/<group>:<uuid>`.
    #[must_use]
    pub fn report_arn(&self, group: &str, uuid: &str) -> String {
        self.arn("codebuild", &format!("report/{group}:{uuid}"))
    }

    /// `arn:aws:codebuild:<region>:<account>:token/<server type in lower case>`.
    #[must_use]
    pub fn token_arn(&self, server: &str) -> String {
        self.arn("codebuild", &format!("token/{}", server.to_ascii_lowercase()))
    }

    /// ARN of a log stream, as a build shows it.
    #[must_use]
    pub fn log_stream_arn(&self, group: &str, stream: &str) -> String {
        self.arn("logs", &format!("log-group:{group}:log-stream:{stream}"))
    }

    /// `arn:aws:kms:<region>:<account>:alias/aws/s3`, the key of projects that name none (`api.md` 2.4).
    #[must_use]
    pub fn default_key_arn(&self) -> String {
        self.arn("kms", "alias/aws/s3")
    }

    /// `arn:aws:kms:<region>:<account>:key/<uuid>`.
    #[must_use]
    pub fn key_arn(&self, id: &str) -> String {
        self.arn("kms", &format!("key/{id}"))
    }

    /// `arn:aws:kms:<region>:<account>:<alias>`; `alias` begins with `alias/`.
    #[must_use]
    pub fn alias_arn(&self, alias: &str) -> String {
        self.arn("kms", alias)
    }

    /// ARN of a role of this account; a text that is an ARN already stays as it is.
    #[must_use]
    pub fn role_arn(&self, role: &str) -> String {
        if role.starts_with("arn:") {
            role.to_owned()
        } else {
            format!("arn:{}:iam::{}:role/{role}", self.partition(), self.account)
        }
    }

    /// The part of a CodeBuild ARN of this account and region after `<kind>/`; `None` for any other text. ARNs are
    /// compared exactly (`api.md` 2.1).
    #[must_use]
    pub fn local<'a>(&self, kind: &str, arn: &'a str) -> Option<&'a str> {
        arn.strip_prefix(&self.arn("codebuild", kind))?.strip_prefix('/')
    }

    /// The project's name in a parameter that takes a name or an ARN. `None`: no project of this account and region can
    /// be meant.
    #[must_use]
    pub fn project_name<'a>(&self, text: &'a str) -> Option<&'a str> {
        let name = if text.starts_with("arn:") { self.local("project", text)? } else { text };
        is_project_name(name).then_some(name)
    }

    /// The build in a parameter that takes a build id or an ARN. `None`: no build of this account and region can be
    /// meant.
    ///
    /// # Errors
    /// `InvalidInputException` when the text does not have the form of a build id at all (`api.md` 2.3).
    pub fn build_id(&self, text: &str) -> Result<Option<BuildId>, ApiError> {
        let id = if text.starts_with("arn:") {
            match self.local("build", text) {
                Some(id) => id,
                None => return Ok(None),
            }
        } else {
            text
        };
        match id.split_once(':') {
            Some((project, uuid)) if !project.is_empty() && !uuid.is_empty() => Ok(id.parse().ok()),
            _ => Err(ApiError::invalid_input("Invalid build ID provided")),
        }
    }
}

/// True for what CreateProject takes as a name: `[A-Za-z0-9][A-Za-z0-9\-_]{1,149}`.
#[must_use]
pub fn is_project_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (2..=150).contains(&text.len())
        && text.bytes().all(plain)
        && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0f0e0d0c-1111-4222-8333-444455556666";

    fn home() -> Home {
        Home { region: "us-east-1".to_owned(), account: "000000000000".to_owned() }
    }

    #[test]
    fn arns_round_trip() {
        let text = format!("arn:aws:codebuild:us-east-1:000000000000:build/demo:{UUID}");
        let arn: Arn = text.parse().unwrap();
        assert_eq!(arn.resource, format!("build/demo:{UUID}"));
        assert_eq!(arn.to_string(), text);
        assert_eq!("arn:aws:s3:::bucket/a:b".parse::<Arn>().unwrap().resource, "bucket/a:b");
        for bad in ["", "demo", "arn:aws:codebuild:us-east-1:000000000000", "arn::s3:::b", "arn:aws:s3:::"] {
            assert!(bad.parse::<Arn>().is_err(), "{bad}");
        }
        assert!(format!("arn:aws:s3:::{}", "b".repeat(2100)).parse::<Arn>().is_err());
    }

    #[test]
    fn a_name_or_an_arn_names_a_project() {
        let home = home();
        assert_eq!(home.project_name("demo"), Some("demo"));
        assert_eq!(home.project_name(&home.project_arn("demo")), Some("demo"));
        for elsewhere in [
            "arn:aws:codebuild:us-east-2:000000000000:project/demo",
            "arn:aws:codebuild:us-east-1:111122223333:project/demo",
            "arn:aws:codebuild:us-east-1:000000000000:project:demo",
            "arn:aws:codebuild:us-east-1:000000000000:projects/demo",
            "arn:aws:codebuild:us-east-1:000000000000:build/demo",
            "../demo",
            "d",
            "",
        ] {
            assert_eq!(home.project_name(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn an_id_or_an_arn_names_a_build() {
        let home = home();
        let id: BuildId = format!("demo:{UUID}").parse().unwrap();
        assert_eq!(home.build_id(&id.to_string()).unwrap(), Some(id.clone()));
        assert_eq!(home.build_id(&home.build_arn(&id)).unwrap(), Some(id));
        assert_eq!(home.build_id("demo:nothing").unwrap(), None);
        let elsewhere = format!("arn:aws:codebuild:eu-west-1:000000000000:build/demo:{UUID}");
        assert_eq!(home.build_id(&elsewhere).unwrap(), None);
        assert_eq!(home.build_id("demo").unwrap_err().message, "Invalid build ID provided");
    }

    #[test]
    fn partitions_follow_the_region() {
        let home = Home { region: "cn-north-1".to_owned(), account: "111122223333".to_owned() };
        assert_eq!(home.project_arn("a1"), "arn:aws-cn:codebuild:cn-north-1:111122223333:project/a1");
        assert_eq!(home.role_arn("x"), "arn:aws-cn:iam::111122223333:role/x");
    }
}
