//! What builds run in.

use serde::{Deserialize, Deserializer, Serialize};

use crate::enumeration::enumeration;

enumeration! {
    /// Kind of an environment.
    #[derive(Default)]
    EnvironmentType {
        /// A container on Windows.
        Windows = "WINDOWS_CONTAINER",
        /// A container on Linux, x86-64.
        #[default]
        Linux = "LINUX_CONTAINER",
        /// A container on Linux with graphics processors.
        LinuxGpu = "LINUX_GPU_CONTAINER",
        /// A container on Linux, 64-bit ARM.
        Arm = "ARM_CONTAINER",
        /// A container on Windows Server 2019.
        WindowsServer2019 = "WINDOWS_SERVER_2019_CONTAINER",
        /// A container on Windows Server 2022.
        WindowsServer2022 = "WINDOWS_SERVER_2022_CONTAINER",
        /// A Lambda function on x86-64.
        LinuxLambda = "LINUX_LAMBDA_CONTAINER",
        /// A Lambda function on 64-bit ARM.
        ArmLambda = "ARM_LAMBDA_CONTAINER",
        /// A machine with Linux, x86-64.
        LinuxEc2 = "LINUX_EC2",
        /// A machine with Linux, 64-bit ARM.
        ArmEc2 = "ARM_EC2",
        /// A machine with Windows.
        WindowsEc2 = "WINDOWS_EC2",
        /// A machine with macOS, 64-bit ARM.
        MacArm = "MAC_ARM",
    }
}

enumeration! {
    /// Size of an environment, as the API names it; [`ComputeType::linux`] gives the figures of those that run here.
    #[derive(Default)]
    ComputeType {
        /// 2 vCPU, 4 GiB.
        #[default]
        Small = "BUILD_GENERAL1_SMALL",
        /// 4 vCPU, 8 GiB.
        Medium = "BUILD_GENERAL1_MEDIUM",
        /// 8 vCPU, 16 GiB.
        Large = "BUILD_GENERAL1_LARGE",
        /// 36 vCPU, 72 GiB.
        XLarge = "BUILD_GENERAL1_XLARGE",
        /// 72 vCPU, 144 GiB.
        XXLarge = "BUILD_GENERAL1_2XLARGE",
        /// A Lambda function of 1 GiB.
        Lambda1Gb = "BUILD_LAMBDA_1GB",
        /// A Lambda function of 2 GiB.
        Lambda2Gb = "BUILD_LAMBDA_2GB",
        /// A Lambda function of 4 GiB.
        Lambda4Gb = "BUILD_LAMBDA_4GB",
        /// A Lambda function of 8 GiB.
        Lambda8Gb = "BUILD_LAMBDA_8GB",
        /// A Lambda function of 10 GiB.
        Lambda10Gb = "BUILD_LAMBDA_10GB",
        /// As `computeConfiguration` says.
        AttributeBased = "ATTRIBUTE_BASED_COMPUTE",
        /// As `computeConfiguration.instanceType` says.
        CustomInstance = "CUSTOM_INSTANCE_TYPE",
    }
}

impl ComputeType {
    /// The compute type with its figures, for those of Linux containers.
    #[must_use]
    pub fn linux(self) -> Option<crate::ComputeType> {
        crate::ComputeType::ALL.into_iter().find(|compute| compute.as_str() == self.as_str())
    }
}

enumeration! {
    /// Kind of machine, for `ATTRIBUTE_BASED_COMPUTE`.
    MachineType {
        /// Any.
        General = "GENERAL",
        /// With fast disks.
        Nvme = "NVME",
    }
}

enumeration! {
    /// Kernel of the machine below the container.
    HostKernel {
        /// Linux 4.
        Linux4 = "LINUX_KERNEL_4",
        /// Linux 6.
        Linux6 = "LINUX_KERNEL_6",
        /// The newest.
        Latest = "LINUX_KERNEL_LATEST",
    }
}

enumeration! {
    /// Where a variable's value comes from.
    #[derive(Default)]
    EnvironmentVariableType {
        /// The value itself.
        #[default]
        Plaintext = "PLAINTEXT",
        /// The value names a parameter.
        ParameterStore = "PARAMETER_STORE",
        /// The value names a secret.
        SecretsManager = "SECRETS_MANAGER",
    }
}

enumeration! {
    /// Whose credentials pull the image.
    ImagePullCredentialsType {
        /// CodeBuild's own.
        CodeBuild = "CODEBUILD",
        /// The service role's.
        ServiceRole = "SERVICE_ROLE",
    }
}

enumeration! {
    /// Where a registry's credential is kept.
    #[derive(Default)]
    CredentialProviderType {
        /// Secrets Manager.
        #[default]
        SecretsManager = "SECRETS_MANAGER",
    }
}

enumeration! {
    /// Kind of a network file system.
    FileSystemType {
        /// Elastic File System.
        Efs = "EFS",
    }
}

/// A variable of the build's environment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentVariable {
    /// Name.
    pub name: String,
    /// Value, or the name of the parameter or secret.
    pub value: String,
    /// Where the value comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<EnvironmentVariableType>,
}

/// Credential of a private registry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistryCredential {
    /// Name or ARN of the secret.
    pub credential: String,
    /// Where it is kept.
    pub credential_provider: CredentialProviderType,
}

/// What an environment of own size needs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComputeConfiguration {
    /// Processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v_cpu: Option<i64>,
    /// Memory in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<i64>,
    /// Disk in GB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<i64>,
    /// Kind of machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_type: Option<MachineType>,
    /// Instance type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
}

/// Reserved machines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectFleet {
    /// Which fleet; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet_arn: Option<String>,
}

/// A docker server beside the build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DockerServer {
    /// Its size.
    pub compute_type: ComputeType,
    /// Its security groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_group_ids: Option<Vec<String>>,
    /// How it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<DockerServerStatus>,
}

/// How a docker server is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DockerServerStatus {
    /// In a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// In a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What a project's builds run in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectEnvironment {
    /// Kind.
    pub r#type: EnvironmentType,
    /// Image; not checked before a build uses it (`api.md` 2.4).
    pub image: String,
    /// Size.
    pub compute_type: ComputeType,
    /// Details of the size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute_configuration: Option<ComputeConfiguration>,
    /// Reserved machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<ProjectFleet>,
    /// Variables.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub environment_variables: Vec<EnvironmentVariable>,
    /// Whether docker can run inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privileged_mode: Option<bool>,
    /// `bucket/key` or ARN of a certificate for the provider's server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Credential of the image's registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_credential: Option<RegistryCredential>,
    /// Whose credentials pull the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_credentials_type: Option<ImagePullCredentialsType>,
    /// A docker server beside the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_server: Option<DockerServer>,
    /// Kernel of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_kernel: Option<HostKernel>,
}

/// A network; empty stands for "none" in UpdateProject.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VpcConfig {
    /// Network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<String>,
    /// Parts of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnets: Option<Vec<String>>,
    /// Firewall rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_group_ids: Option<Vec<String>>,
}

/// A network file system.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectFileSystemLocation {
    /// Kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<FileSystemType>,
    /// `<dns name>:/<directory>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Where builds see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_point: Option<String>,
    /// Names the variable `CODEBUILD_<IDENTIFIER>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// Options of the mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_options: Option<String>,
}

/// Clients in languages where everything can be null send it for a list that they do not have.
fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<EnvironmentVariable>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
