//! The curated images.

use serde::{Deserialize, Serialize};

use crate::enumeration::enumeration;

enumeration! {
    /// Operating system of an image.
    PlatformType {
        /// Debian.
        Debian = "DEBIAN",
        /// Amazon Linux.
        AmazonLinux = "AMAZON_LINUX",
        /// Ubuntu.
        Ubuntu = "UBUNTU",
        /// Windows Server.
        WindowsServer = "WINDOWS_SERVER",
    }
}

enumeration! {
    /// What an image is made for.
    LanguageType {
        /// Java.
        Java = "JAVA",
        /// Python.
        Python = "PYTHON",
        /// Node.js.
        NodeJs = "NODE_JS",
        /// Ruby.
        Ruby = "RUBY",
        /// Go.
        Golang = "GOLANG",
        /// Docker.
        Docker = "DOCKER",
        /// Android.
        Android = "ANDROID",
        /// .NET.
        Dotnet = "DOTNET",
        /// Everything.
        Base = "BASE",
        /// PHP.
        Php = "PHP",
    }
}

/// Nothing to say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListCuratedEnvironmentImagesInput {}

/// An image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentImage {
    /// Name without its dated tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Names that `environment.image` takes.
    #[serde(default)]
    pub versions: Vec<String>,
}

/// Images of a language.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentLanguage {
    /// Language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<LanguageType>,
    /// Images.
    #[serde(default)]
    pub images: Vec<EnvironmentImage>,
}

/// Images of an operating system.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentPlatform {
    /// Operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformType>,
    /// Images by language.
    #[serde(default)]
    pub languages: Vec<EnvironmentLanguage>,
}

/// The curated images.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListCuratedEnvironmentImagesOutput {
    /// Images by operating system.
    #[serde(default)]
    pub platforms: Vec<EnvironmentPlatform>,
}
