//! Forms of strings.

/// A form of strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// `[A-Za-z0-9][A-Za-z0-9\-_]{1,149}`. Every violation has AWS's text for names (`api.md` 2.4).
    ProjectName,
    /// Keys and values of tags of CodeBuild: `[\p{L}\p{Z}\p{N}_.:/=@+\-]*`.
    Tag,
    /// Names of aliases and grants of KMS.
    KmsName,
    /// Policies of keys.
    KeyPolicy,
    /// Markers of pages of KMS.
    Marker,
    /// Letters, digits, underscores.
    Word,
    /// Who is meant by a grant.
    Principal,
    /// A service that is meant by a grant.
    ServicePrincipal,
    /// A resource on whose behalf a service uses a grant.
    SourceArn,
    /// Keys outside of AWS.
    XksKeyId,
    /// Regions.
    Region,
    /// Values of conditions of lists of secrets.
    SecretFilter,
    /// What somebody who rotates a secret shows.
    RotationToken,
    /// Names of policies of secrets.
    PolicyName,
    /// Keys of parameters.
    ParameterKey,
    /// Keys and values of tags of parameters.
    SystemsTag,
    /// What is compared in a condition of a list of parameters.
    ParameterFilter,
    /// Names of log groups.
    LogGroupName,
    /// Parts of names of log groups, which may be empty.
    LogGroupNamePart,
    /// Names or ARNs of log groups.
    LogGroupIdentifier,
    /// Names of log streams, and of filters.
    LogStreamName,
    /// Keys of tags of log groups.
    LogTagKey,
    /// ARNs of log groups.
    LogResourceArn,
    /// Names and namespaces of metrics, as filters of logs name them.
    MetricName,
    /// Ids of accounts.
    AccountId,
    /// Namespaces of metrics.
    MetricNamespace,
    /// Accounts that have registries of images.
    RegistryId,
    /// Names of repositories of images.
    RepositoryName,
    /// Digests of layers.
    LayerDigest,
    /// Ids of uploads of layers.
    UploadId,
    /// Tags of images, with `*` for any characters.
    TagFilter,
    /// Names of rules, ids of targets.
    EventName,
    /// Names of event buses.
    EventBusName,
    /// Names or ARNs of event buses.
    EventBus,
    /// The same of those that are not a partner's.
    OwnEventBus,
    /// Ids of global endpoints.
    EventEndpoint,
    /// Names of git repositories.
    GitRepositoryName,
}

impl Pattern {
    /// The regular expression of the model.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProjectName => r"[A-Za-z0-9][A-Za-z0-9\-_]{1,149}",
            Self::Tag => r"^([\p{L}\p{Z}\p{N}_.:/=@+\-]*)$",
            Self::KmsName => "^[a-zA-Z0-9:/_-]+$",
            Self::KeyPolicy => r"[\u0009\u000A\u000D\u0020-\u00FF]+",
            Self::Marker => r"[\u0020-\u00FF]*",
            Self::Word => r"[\w]+",
            Self::Principal => r"^[\w+=,.@:/-]+$",
            Self::ServicePrincipal => r"^([A-Za-z0-9\-]+)\.([A-Za-z0-9\-]+)(\.[A-Za-z0-9\-]+)+$",
            Self::SourceArn => "^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$",
            Self::XksKeyId => "^[a-zA-Z0-9-_.]+$",
            Self::Region => r"^([a-z]+-)+\d+$",
            Self::SecretFilter => r"^\!?[a-zA-Z0-9 :_@\/\+\=\.\-\!]*$",
            Self::RotationToken => r"^[a-zA-Z0-9\-]+$",
            Self::PolicyName => r"[0-9A-Za-z\-\_]+",
            Self::ParameterKey => "^([a-zA-Z0-9:/_-]+)$",
            Self::SystemsTag => r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$",
            Self::MetricNamespace => "[^:].*",
            Self::ParameterFilter => "^(tag:.+|Name|Type|KeyId|Path|Label|Tier|DataType)$",
            Self::LogGroupName => r"[\.\-_/#A-Za-z0-9]+",
            Self::LogGroupNamePart => r"[\.\-_/#A-Za-z0-9]*",
            Self::LogGroupIdentifier => r"[\w#+=/:,.@-]*",
            Self::LogStreamName => "[^:*]*",
            Self::LogTagKey => r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]+)$",
            Self::LogResourceArn => r"[\w+=/:,.@-]*",
            Self::MetricName => "[^:*$]*",
            Self::AccountId => r"^\d{12}$",
            Self::RegistryId => "[0-9]{12}",
            Self::RepositoryName => r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*",
            Self::LayerDigest => "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+",
            Self::UploadId => "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
            Self::TagFilter => "^[0-9a-zA-Z._*-]{1,128}$",
            Self::EventName => r"[\.\-_A-Za-z0-9]+",
            Self::EventBusName => r"[/\.\-_A-Za-z0-9]+",
            Self::EventBus => r"(arn:aws[\w-]*:events:[a-z]+-[a-z]+-[\w-]+:[0-9]{12}:event-bus\/)?[/\.\-_A-Za-z0-9]+",
            Self::OwnEventBus => r"(arn:aws[\w-]*:events:[a-z]+-[a-z]+-[\w-]+:[0-9]{12}:event-bus\/)?[\.\-_A-Za-z0-9]+",
            Self::EventEndpoint => r"^[A-Za-z0-9\-]+[\.][A-Za-z0-9\-]+$",
            Self::GitRepositoryName => r"[\w\.-]+",
        }
    }

    /// Whether the whole text has the form. Lengths are stated apart from it.
    pub(super) fn matches(self, text: &str) -> bool {
        let only = |others: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c));
        let latin = |c: char| ('\u{20}'..='\u{ff}').contains(&c);
        match self {
            Self::ProjectName => crate::arn::is_project_name(text),
            // `is_alphabetic` also takes the vowel signs that Indic scripts write their words with.
            Self::Tag | Self::SystemsTag | Self::LogTagKey => {
                text.chars().all(|c| c.is_alphabetic() || c.is_numeric() || is_separator(c) || "_.:/=@+-".contains(c))
            }
            Self::KmsName | Self::ParameterKey => only(":/_-"),
            Self::KeyPolicy => text.chars().all(|c| latin(c) || "\t\n\r".contains(c)),
            Self::Marker => text.chars().all(latin),
            Self::Word => only("_"),
            Self::Principal => only("_+=,.@:/-"),
            Self::ServicePrincipal => {
                only("-.") && text.split('.').count() >= 3 && text.split('.').all(|part| !part.is_empty())
            }
            Self::SourceArn => is_source_arn(text),
            Self::XksKeyId => only("-_."),
            Self::Region => is_region(text),
            Self::SecretFilter => only(" :_@/+=.-!"),
            Self::RotationToken => only("-"),
            Self::PolicyName => only("-_"),
            Self::LogGroupName | Self::LogGroupNamePart => only(".-_/#"),
            Self::LogGroupIdentifier => only("_#+=/:,.@-"),
            Self::LogResourceArn => only("_+=/:,.@-"),
            Self::LogStreamName => !text.contains([':', '*']),
            Self::MetricName => !text.contains([':', '*', '$']),
            Self::AccountId => text.bytes().all(|byte| byte.is_ascii_digit()),
            Self::RegistryId => text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()),
            Self::RepositoryName => crate::registry::is_path(text),
            Self::LayerDigest => text.split_once(':').is_some_and(|(algorithm, hex)| {
                let is_known = |c: char| c.is_ascii_alphanumeric() || "-_+.".contains(c);
                !algorithm.is_empty()
                    && algorithm.chars().all(is_known)
                    && !hex.is_empty()
                    && hex.bytes().all(|b| b.is_ascii_hexdigit())
            }),
            Self::UploadId => is_uuid(text),
            Self::TagFilter => !text.is_empty() && text.len() <= 128 && only("._*-"),
            Self::EventName => !text.is_empty() && only(".-_"),
            Self::EventBusName => !text.is_empty() && only("/.-_"),
            Self::EventBus => is_event_bus(text, "/.-_"),
            Self::OwnEventBus => is_event_bus(text, ".-_"),
            Self::EventEndpoint => {
                only("-.")
                    && text.split_once('.').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty() && !b.contains('.'))
            }
            Self::GitRepositoryName => !text.is_empty() && only("_.-"),
            Self::MetricNamespace => !text.starts_with(':') && !text.contains(LINE_ENDS),
            Self::ParameterFilter => match text.strip_prefix("tag:") {
                Some(name) => !name.is_empty() && !name.contains(LINE_ENDS),
                None => ["Name", "Type", "KeyId", "Path", "Label", "Tier", "DataType"].contains(&text),
            },
        }
    }
}

/// What `.` is not.
const LINE_ENDS: [char; 5] = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];

/// `\p{Z}`: spaces and separators, but not control characters such as tab and line feed.
fn is_separator(c: char) -> bool {
    c.is_whitespace() && !c.is_control()
}

/// A name, or an ARN of one.
fn is_event_bus(text: &str, others: &str) -> bool {
    let name = if text.contains(':') {
        let mut parts = text.splitn(6, ':');
        let mut part = || parts.next().unwrap_or_default();
        let word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        let is_region = |text: &str| {
            let mut words = text.splitn(3, '-');
            let mut lower =
                || words.next().is_some_and(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()));
            lower() && lower() && words.next().is_some_and(|rest| !rest.is_empty() && word(rest))
        };
        let is_head = part() == "arn"
            && part().strip_prefix("aws").is_some_and(word)
            && part() == "events"
            && is_region(part())
            && Some(part()).is_some_and(|account| account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()));
        match part().strip_prefix("event-bus/").filter(|_| is_head) {
            Some(name) => name,
            None => return false,
        }
    } else {
        text
    };
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// Words with hyphens behind them, then a number.
fn is_region(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once('-') else { return false };
    !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
        && words.split('-').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

fn is_source_arn(text: &str) -> bool {
    let plain = |part: &str| part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let mut parts = text.splitn(6, ':');
    let mut part = || parts.next().unwrap_or_default();
    part() == "arn"
        && part().strip_prefix("aws").is_some_and(plain)
        && Some(part()).is_some_and(|service| !service.is_empty() && plain(service))
        && plain(part())
        && Some(part()).is_some_and(|account| account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()))
        && Some(part()).is_some_and(|rest| !rest.is_empty() && !rest.contains(['\n', '\r']))
}
