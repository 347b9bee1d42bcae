//! The managed policies that come with Kiln: those of AWS that builds and their users are given.

/// A policy of AWS.
#[derive(Debug, Clone, Copy)]
pub(super) struct AwsPolicy {
    /// With its path.
    pub(super) arn: &'static str,
    pub(super) id: &'static str,
    pub(super) description: &'static str,
    pub(super) document: &'static str,
}

impl AwsPolicy {
    pub(super) fn name(&self) -> &'static str {
        self.arn.rsplit_once('/').map_or(self.arn, |(_, name)| name)
    }

    /// Begins and ends with `/`.
    pub(super) fn path(&self) -> &'static str {
        let resource = self.arn.split_once(":policy").map_or("/", |(_, resource)| resource);
        resource.get(..=resource.rfind('/').unwrap_or_default()).unwrap_or("/")
    }
}

/// When they were made, as far as lists say: the day of the language's version.
pub(super) const CREATED_MS: i64 = 1_350_432_000_000;

/// The policy with that ARN.
pub(super) fn by_arn(arn: &str) -> Option<&'static AwsPolicy> {
    ALL.iter().find(|policy| policy.arn == arn)
}

/// By name.
pub(super) static ALL: [AwsPolicy; 9] = [
    AwsPolicy {
        arn: "arn:aws:iam::aws:policy/AdministratorAccess",
        id: "ANPAKILNADMINISTRATOR",
        description: "Everything",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    },
    AwsPolicy {
        arn: "arn:aws:iam::aws:policy/AmazonS3FullAccess",
        id: "ANPAKILNS3FULLACCESSA",
        description: "Everything with buckets and objects",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","s3-object-lambda:*"],"Resource":"*"}]}"#,
    },
    AwsPolicy {
        arn: "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
        id: "ANPAKILNS3READONLYACC",
        description: "Reads buckets and objects",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*","s3:Describe*","s3-object-lambda:Get*","s3-object-lambda:List*"],"Resource":"*"}]}"#,
    },
    AwsPolicy {
        arn: "arn:aws:iam::aws:policy/AWSCodeBuildAdminAccess",
        id: "ANPAKILNCODEBUILDADMI",
        description: "Everything with projects and builds, and what their artifacts and logs need",
        document: r#"{"Version":"2012-10-17","Statement":[{"Sid":"AWSServicesAccess","Effect":"Allow","Action":["codebuild:*","kiln:*","codecommit:GetBranch","codecommit:GetCommit","codecommit:GetRepository","codecommit:ListBranches","codecommit:ListRepositories","iam:ListRoles","s3:GetBucketLocation","s3:ListAllMyBuckets","logs:GetLogEvents","logs:FilterLogEvents"],"Resource":"*"},{"Sid":"CWLDeleteLogGroupAccess","Effect":"Allow","Action":"logs:DeleteLogGroup","Resource":"arn:aws:logs:*:*:log-group:/aws/codebuild/*:log-stream:*"}]}"#,
    },
    AwsPolicy {
        arn: "arn:aws:iam::aws:policy/AWSCodeBuildDeveloperAccess",
        id: "ANPAKILNCODEBUILDDEVE",
        description: "Runs builds, and changes no project",
        document: r#"{"Version":"2012-10-17","Statement":[{"Sid":"AWSServicesAccess","Effect":"Allow","Action":["codebuild:StartBuild","codebuild:StopBuild","codebuild:StartBuildBatch","codebuild:StopBuildBatch","codebuild:RetryBuild","codebuild:RetryBuildBatch","codebuild:BatchGet*","codebuild:GetResourcePolicy","codebuild:DescribeTestCases","codebuild:DescribeCodeCoverages","codebuild:List*","kiln:CountBuildLog","kiln:CreateConsoleLink","kiln:Describe*","kiln:Get*","kiln:LintBuildspec","kiln:SearchBuildLog","kiln:UploadSource","codecommit:GetBranch","codecommit:GetCommit","codecommit:GetRepository","codecommit:ListBranches","s3:GetBucketLocation","s3:ListAllMyBuckets","logs:GetLogEvents","logs:FilterLogEvents"],"Resource":"*"}]}"#,
    },
    AwsPolicy {
        arn: "arn:aws:iam::aws:policy/AWSCodeBuildReadOnlyAccess",
        id: "ANPAKILNCODEBUILDREAD",
        description: "Looks at projects and builds",
        document: r#"{"Version":"2012-10-17","Statement":[{"Sid":"AWSServicesAccess","Effect":"Allow","Action":["codebuild:BatchGet*","codebuild:GetResourcePolicy","codebuild:List*","codebuild:DescribeTestCases","codebuild:DescribeCodeCoverages","kiln:CountBuildLog","kiln:CreateConsoleLink","kiln:Describe*","kiln:Get*","kiln:SearchBuildLog","codecommit:GetBranch","codecommit:GetCommit","codecommit:GetRepository","logs:GetLogEvents"],"Resource":"*"}]}"#,
    },
    AwsPolicy {
        arn: "arn:aws:iam::aws:policy/IAMFullAccess",
        id: "ANPAKILNIAMFULLACCESS",
        description: "Everything with users, groups, roles and policies",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"}]}"#,
    },
    AwsPolicy {
        arn: "arn:aws:iam::aws:policy/IAMReadOnlyAccess",
        id: "ANPAKILNIAMREADONLYAC",
        description: "Looks at users, groups, roles and policies",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:Get*","iam:List*","iam:SimulateCustomPolicy","iam:SimulatePrincipalPolicy"],"Resource":"*"}]}"#,
    },
    AwsPolicy {
        arn: "arn:aws:iam::aws:policy/PowerUserAccess",
        id: "ANPAKILNPOWERUSERACCE",
        description: "Everything but users, groups, roles and policies",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},{"Effect":"Allow","Action":["iam:ListRoles","iam:GetRole"],"Resource":"*"}]}"#,
    },
];

#[cfg(test)]
mod tests {
    use kiln_iam::policy::{Kind, Policy};

    use super::*;

    #[test]
    fn they_are_policies() {
        for policy in &ALL {
            Policy::parse(Kind::Managed, policy.document).unwrap();
            assert_eq!(policy.path(), "/");
            assert_eq!(by_arn(policy.arn).unwrap().name(), policy.name());
        }
    }
}
