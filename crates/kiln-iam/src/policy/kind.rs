//! The kinds of policy documents, and what each may hold.

/// What a policy is attached to. It decides which elements a statement has, and how long the text may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A managed policy, which users, groups and roles share; also as a permissions boundary.
    Managed,
    /// Written into a user. The limit is that of all of the user's inline policies together.
    UserInline,
    /// Written into a group. The limit is that of all of the group's inline policies together.
    GroupInline,
    /// Written into a role. The limit is that of all of the role's inline policies together.
    RoleInline,
    /// Who may assume a role.
    Trust,
    /// What of a role's permissions a session has.
    Session,
    /// Who may do what with a bucket.
    Bucket,
    /// Who may do what with a key.
    Key,
    /// Who may do what with a project or report group, the way other accounts get at them.
    Project,
    /// Who may do what with a secret.
    Secret,
    /// Who may do what with a repository of images.
    Repository,
}

impl Kind {
    /// The longest text of this kind, in characters.
    #[must_use]
    pub fn limit(self) -> usize {
        match self {
            Self::Managed => 6_144,
            Self::UserInline | Self::Trust | Self::Session => 2_048,
            Self::GroupInline => 5_120,
            Self::RoleInline | Self::Repository => 10_240,
            Self::Bucket | Self::Project | Self::Secret => 20_480,
            Self::Key => 32_768,
        }
    }

    /// AWS's name of that limit.
    #[must_use]
    pub fn quota(self) -> &'static str {
        match self {
            Self::Trust => "ACLSizePerRole",
            _ => "PolicySize",
        }
    }

    /// How much of the limit a text takes: IAM leaves white space out, other services count bytes.
    #[must_use]
    pub fn length(self, text: &str) -> usize {
        match self {
            Self::Managed | Self::UserInline | Self::GroupInline | Self::RoleInline | Self::Trust => {
                significant_length(text)
            }
            Self::Session => text.chars().count(),
            Self::Bucket | Self::Project | Self::Key | Self::Secret | Self::Repository => text.len(),
        }
    }

    /// Whether statements say whom they are about.
    pub(super) fn has_principal(self) -> bool {
        matches!(self, Self::Trust | Self::Bucket | Self::Key | Self::Project | Self::Secret | Self::Repository)
    }

    /// Whether statements say what they are about.
    pub(super) fn has_resource(self) -> bool {
        !matches!(self, Self::Trust | Self::Repository)
    }
}

/// Characters of a text that are not white space.
#[must_use]
pub fn significant_length(text: &str) -> usize {
    text.chars().filter(|c| !c.is_ascii_whitespace()).count()
}
