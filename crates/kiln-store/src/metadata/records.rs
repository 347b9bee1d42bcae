//! The records, and the small types of their queries. Times are milliseconds since the epoch. `doc` is a JSON document
//! whose form and version are the caller's.

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRecord {
    /// Its name.
    pub name: String,
    /// Creation.
    pub created_ms: i64,
    /// Last change.
    pub modified_ms: i64,
    /// Raised by each update; ignored when inserting (the first is 1).
    pub version: i64,
    /// Everything else.
    pub doc: String,
}

/// What lists of projects are sorted by. Ties are broken by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectSort {
    /// `NAME`: by bytes.
    Name,
    /// `CREATED_TIME`.
    Created,
    /// `LAST_MODIFIED_TIME`.
    Modified,
}

/// Direction of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Smallest, oldest first.
    Ascending,
    /// Largest, newest first.
    Descending,
}

/// A project in a list, and where the page after it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectKey {
    /// The time that the list is sorted by; 0 when sorted by name.
    pub time_ms: i64,
    /// Its name.
    pub name: String,
}

/// How far a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuildState {
    /// Accepted, waits.
    Queued,
    /// Given to a runner.
    Running,
    /// Over.
    Ended,
}

impl BuildState {
    pub(super) const fn column(self) -> i64 {
        match self {
            Self::Queued => 0,
            Self::Running => 1,
            Self::Ended => 2,
        }
    }

    pub(super) const fn from_column(value: i64) -> Option<Self> {
        match value {
            0 => Some(Self::Queued),
            1 => Some(Self::Running),
            2 => Some(Self::Ended),
            _ => None,
        }
    }
}

/// A build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRecord {
    /// The part of its id after the colon.
    pub uuid: String,
    /// Its project's name.
    pub project: String,
    /// Its number within the project.
    pub number: i64,
    /// How far it is.
    pub state: BuildState,
    /// Its status as callers see it.
    pub status: String,
    /// When it was accepted.
    pub submitted_ms: i64,
    /// When a runner got it.
    pub started_ms: Option<i64>,
    /// When it was over.
    pub ended_ms: Option<i64>,
    /// Raised by each update; ignored when inserting (the first is 1).
    pub version: i64,
    /// Everything else.
    pub doc: String,
}

/// A build in a list, and where the page after it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildKey {
    /// Its place in the order of the list: of acceptance, or its number when the list is one project's.
    pub position: i64,
    /// Its project's name.
    pub project: String,
    /// The part of its id after the colon.
    pub uuid: String,
}

/// How many builds of a project are not over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ActiveBuilds {
    /// Waiting.
    pub queued: u64,
    /// Given to a runner.
    pub running: u64,
}

/// What a client's token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Account of the caller.
    pub account: String,
    /// Operation that it was given to.
    pub operation: String,
    /// The token.
    pub token: String,
    /// Digest of the request, to tell another request with the same token.
    pub request: Vec<u8>,
    /// What the request made, for example a build's uuid.
    pub subject: String,
    /// From then on the token means nothing.
    pub expires_ms: i64,
}

/// Credentials for a source provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCredentialRecord {
    /// Their ARN.
    pub arn: String,
    /// `GITHUB`, ….
    pub server_type: String,
    /// `PERSONAL_ACCESS_TOKEN`, ….
    pub auth_type: String,
    /// The secret, sealed.
    pub sealed: Vec<u8>,
    /// Creation.
    pub created_ms: i64,
    /// Everything else.
    pub doc: String,
}

/// An access key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKeyRecord {
    /// `AKIA…`.
    pub id: String,
    /// Its secret, sealed (a signature's check needs the secret itself).
    pub sealed: Vec<u8>,
    /// Who signs with it.
    pub user_arn: String,
    /// Name for people.
    pub name: String,
    /// Creation.
    pub created_ms: i64,
    /// Everything else.
    pub doc: String,
}

/// A credential that a user has for one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCredentialRecord {
    /// `ACCA…`.
    pub id: String,
    /// Id of the user.
    pub user_id: String,
    /// E.g. `codecommit.amazonaws.com`.
    pub service: String,
    /// What is given with the password; a service has each once.
    pub user_name: String,
    /// What the password is checked with, sealed.
    pub verifier: Vec<u8>,
    /// Creation.
    pub created_ms: i64,
    /// Everything else.
    pub doc: String,
}

/// Whether a version of a key may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyVersionState {
    /// Seals and opens.
    Enabled,
    /// Does neither, until it is enabled again.
    Disabled,
    /// Gone: what it sealed cannot be opened any more.
    Destroyed,
}

impl KeyVersionState {
    pub(super) const fn column(self) -> i64 {
        match self {
            Self::Enabled => 0,
            Self::Disabled => 1,
            Self::Destroyed => 2,
        }
    }

    pub(super) const fn from_column(value: i64) -> Option<Self> {
        match value {
            0 => Some(Self::Enabled),
            1 => Some(Self::Disabled),
            2 => Some(Self::Destroyed),
            _ => None,
        }
    }
}

/// A version of an encryption key, wrapped by the root key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyVersionRecord {
    /// Key id.
    pub key: String,
    /// 1, 2, …; the highest seals.
    pub version: i64,
    /// The key's bytes, wrapped; empty when destroyed.
    pub wrapped: Vec<u8>,
    /// Whether it may be used.
    pub state: KeyVersionState,
    /// Creation.
    pub created_ms: i64,
}

/// What can be done with a key of KMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KmsKeyState {
    /// Everything.
    Enabled,
    /// Nothing, until it is enabled.
    Disabled,
    /// Nothing; it is deleted at its time.
    PendingDeletion,
}

impl KmsKeyState {
    pub(super) const fn column(self) -> i64 {
        match self {
            Self::Enabled => 0,
            Self::Disabled => 1,
            Self::PendingDeletion => 2,
        }
    }

    pub(super) const fn from_column(value: i64) -> Option<Self> {
        match value {
            0 => Some(Self::Enabled),
            1 => Some(Self::Disabled),
            2 => Some(Self::PendingDeletion),
            _ => None,
        }
    }
}

/// A key of KMS. Its bytes are versions of a key ([`KeyVersionRecord`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsKeyRecord {
    /// Its id, a UUID.
    pub id: String,
    /// What its versions are stored under.
    pub material: String,
    /// What can be done with it.
    pub state: KmsKeyState,
    /// Creation.
    pub created_ms: i64,
    /// When it is deleted; only while that waits.
    pub delete_ms: Option<i64>,
    /// When it is rotated by itself, if it is.
    pub rotate_ms: Option<i64>,
    /// Everything else.
    pub doc: String,
}

/// A name for a key of KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsAliasRecord {
    /// `alias/…`.
    pub name: String,
    /// Id of its key.
    pub key: String,
    /// Creation.
    pub created_ms: i64,
    /// When it was last pointed to a key.
    pub updated_ms: i64,
}

/// A grant on a key of KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsGrantRecord {
    /// Its id.
    pub id: String,
    /// Id of its key.
    pub key: String,
    /// Who may retire it.
    pub retiring: Option<String>,
    /// Creation.
    pub created_ms: i64,
    /// Everything else.
    pub doc: String,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketRecord {
    /// Its name.
    pub name: String,
    /// Creation.
    pub created_ms: i64,
    /// Everything else.
    pub doc: String,
}

/// A version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRecord {
    /// Its bucket, which must exist.
    pub bucket: String,
    /// Its key: up to 1,024 bytes, no path, ordered by bytes.
    pub key: String,
    /// Version id; `null` in a bucket without versions.
    pub version: String,
    /// The blob that holds its bytes; none for a delete marker, and when they are in parts.
    pub blob: Option<String>,
    /// The upload whose parts are its bytes.
    pub upload: Option<String>,
    /// Length of its bytes in plain.
    pub size: i64,
    /// As S3 shows it, without quotes.
    pub etag: String,
    /// SHA-256 of its bytes in plain; empty when they are in parts.
    pub sha256: Vec<u8>,
    /// When this version was made.
    pub created_ms: i64,
    /// Everything else.
    pub doc: String,
}

impl ObjectRecord {
    /// True when it says that the object is deleted.
    #[must_use]
    pub fn is_delete_marker(&self) -> bool {
        self.blob.is_none() && self.upload.is_none()
    }
}

/// An upload that is neither completed nor given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRecord {
    /// Its id.
    pub id: String,
    /// Bucket of the object, which must exist.
    pub bucket: String,
    /// Key of the object.
    pub key: String,
    /// When it was begun.
    pub created_ms: i64,
    /// Everything else.
    pub doc: String,
}

/// A part of an upload, or of an object that was one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRecord {
    /// The upload's id.
    pub upload: String,
    /// Its number, from 1; gaps are allowed.
    pub number: i64,
    /// The blob that holds its bytes.
    pub blob: String,
    /// Length of its bytes in plain.
    pub size: i64,
    /// As S3 shows it, without quotes.
    pub etag: String,
    /// When it was stored.
    pub created_ms: i64,
    /// Everything else.
    pub doc: String,
}

/// A page of a list whose keys are summed up at a delimiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// What is listed by itself, in order.
    pub items: Vec<T>,
    /// Keys up to and with the first delimiter behind the list's prefix, sorted.
    pub prefixes: Vec<String>,
    /// There is more behind the last item or prefix.
    pub truncated: bool,
}

/// A version of an object in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersionRecord {
    /// The version.
    pub object: ObjectRecord,
    /// It is the newest of its key.
    pub newest: bool,
}

/// What a bucket holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketUsage {
    /// Its name.
    pub name: String,
    /// Versions of objects, delete markers not counted.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Uploads that are not completed.
    pub uploads: u64,
    /// Bytes of their parts.
    pub upload_bytes: u64,
}

/// What an entity of IAM is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IamKind {
    /// A user.
    User,
    /// A group of users.
    Group,
    /// A role.
    Role,
    /// A managed policy.
    Policy,
}

impl IamKind {
    pub(super) const fn column(self) -> i64 {
        match self {
            Self::User => 0,
            Self::Group => 1,
            Self::Role => 2,
            Self::Policy => 3,
        }
    }

    pub(super) const fn from_column(column: i64) -> Option<Self> {
        match column {
            0 => Some(Self::User),
            1 => Some(Self::Group),
            2 => Some(Self::Role),
            3 => Some(Self::Policy),
            _ => None,
        }
    }

    /// As messages and ARNs name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Role => "role",
            Self::Policy => "policy",
        }
    }
}

/// What an entity of IAM may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IamLink {
    /// A managed policy, by its ARN.
    Policy,
    /// A permissions boundary, by the policy's ARN.
    Boundary,
    /// A user: a group, by its id.
    Group,
}

impl IamLink {
    pub(super) const fn column(self) -> i64 {
        match self {
            Self::Policy => 0,
            Self::Boundary => 1,
            Self::Group => 2,
        }
    }

    pub(super) const fn from_column(column: i64) -> Option<Self> {
        match column {
            0 => Some(Self::Policy),
            1 => Some(Self::Boundary),
            2 => Some(Self::Group),
            _ => None,
        }
    }
}

/// A user, group, role or managed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IamRecord {
    /// Never given to another.
    pub id: String,
    /// What it is.
    pub kind: IamKind,
    /// Its name; unique within its kind without regard to case.
    pub name: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// Creation.
    pub created_ms: i64,
    /// Everything else.
    pub doc: String,
}

/// A secret of Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRecord {
    /// Its name with a hyphen and the six characters that end its ARN.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Creation.
    pub created_ms: i64,
    /// When it is to be deleted, while that waits.
    pub delete_ms: Option<i64>,
    /// Everything else but the values.
    pub doc: String,
}

/// A version of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretVersionRecord {
    /// Id of the secret.
    pub secret: String,
    /// Id of the version.
    pub version: String,
    /// Creation.
    pub created_ms: i64,
    /// The value, sealed by a key of KMS.
    pub sealed: Vec<u8>,
    /// Everything else.
    pub doc: String,
}

/// A parameter of Parameter Store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterRecord {
    /// Its name; ASCII.
    pub name: String,
    /// Its newest version.
    pub newest: i64,
    /// What all versions have in common.
    pub doc: String,
}

/// A version of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterVersionRecord {
    /// The parameter.
    pub name: String,
    /// 1, 2, …
    pub version: i64,
    /// Creation.
    pub created_ms: i64,
    /// The value, sealed.
    pub sealed: Vec<u8>,
    /// Everything else.
    pub doc: String,
}

/// What a metric of CloudWatch is called.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its dimensions, in a form of which there is one only.
    pub dimensions: String,
}

/// A metric of CloudWatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricRecord {
    /// For blocks.
    pub id: i64,
    /// What it is called.
    pub key: MetricKey,
    /// When there was a point last, roughly.
    pub newest_ms: i64,
}

/// Points of a metric in a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricBlockRecord {
    /// [`MetricRecord::id`].
    pub metric: i64,
    /// Seconds that one point stands for.
    pub resolution: i64,
    /// When the stretch begins, seconds since the epoch.
    pub start_s: i64,
    /// Unit of the points.
    pub unit: String,
    /// The points, in their owner's form.
    pub data: Vec<u8>,
}

/// A log group of CloudWatch Logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroupRecord {
    /// Its name.
    pub name: String,
    /// Creation.
    pub created_ms: i64,
    /// Bytes that its streams take; the store keeps it right.
    pub stored: i64,
    /// Everything else.
    pub doc: String,
}

/// A log stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStreamRecord {
    /// Its group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Creation.
    pub created_ms: i64,
    /// Uuid of the build whose log it is; `None`: its events are put.
    pub build: Option<String>,
    /// The build runs: what stands here about events is not known yet.
    pub open: bool,
    /// Events.
    pub events: i64,
    /// Time of the earliest event; of the creation while there is none.
    pub first_ms: i64,
    /// Time of the latest event; of the creation while there is none.
    pub last_ms: i64,
    /// When an event came in last; creation while there is none.
    pub ingested_ms: i64,
    /// Bytes that it takes. Of a stream whose events are put: how much of its file counts.
    pub stored: i64,
}

/// Orders of lists of log streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStreamSort {
    /// By name.
    Name,
    /// By name, the last one first.
    NameDescending,
    /// By the time of the latest event.
    LastEvent,
    /// By the time of the latest event, the newest first.
    LastEventDescending,
}
