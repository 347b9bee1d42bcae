//! The curated images: those that AWS publishes (`buildspec.md` 13.1, state of spring 2026), and Kiln's own
//! (`docs/environments.md`).
//!
//! A list for people and tools that choose an image, not a promise that this machine has it: an image that cannot be had
//! fails the build that names it. Windows is left out, since no machine of Kiln runs it.

use crate::codebuild::{
    EnvironmentImage, EnvironmentLanguage, EnvironmentPlatform, LanguageType, ListCuratedEnvironmentImagesOutput,
    PlatformType,
};

/// Images of one platform and language: common part of the names, tags, description.
type Row = (PlatformType, LanguageType, &'static str, &'static [&'static str], &'static str);

const X86_64: &str = "aws/codebuild/amazonlinux-x86_64-standard";
const AARCH64: &str = "aws/codebuild/amazonlinux-aarch64-standard";
const LAMBDA_X86_64: &str = "aws/codebuild/amazonlinux-x86_64-lambda-standard";
const LAMBDA_AARCH64: &str = "aws/codebuild/amazonlinux-aarch64-lambda-standard";

/// Grouped by platform, then by language.
const ROWS: [Row; 28] = {
    use LanguageType::{Android, Base, Docker, Dotnet, Golang, Java, NodeJs, Php, Python, Ruby};
    use PlatformType::{AmazonLinux, Debian, Ubuntu};
    [
        // As the recipes of kiln-environments have them; a test there compares.
        (Debian, Base, "kiln/base", &["1"], "Debian 13, C toolchain, git, AWS CLI"),
        (Debian, Base, "kiln/standard", &["1"], "Node.js, Go, Java, Python, Ruby, PHP and Docker"),
        (Debian, Android, "kiln/android", &["1"], "Android SDK 36 on OpenJDK 21 and 25 (needs the internet)"),
        (Debian, Docker, "kiln/docker", &["1"], "Docker with Buildx and Compose, Buildah, Skopeo"),
        (Debian, Dotnet, "kiln/dotnet", &["1"], ".NET SDK 10.0 (needs the internet)"),
        (Debian, Golang, "kiln/go", &["1"], "Go 1.25, 1.26 and 1.27"),
        (Debian, Java, "kiln/java", &["1"], "OpenJDK 21 and 25 with Maven"),
        (Debian, Java, "kiln/gradle", &["1"], "OpenJDK 21 and 25 with Maven and Gradle 9.4 (needs the internet)"),
        (Debian, NodeJs, "kiln/node", &["1"], "Node.js 20, 22, 24 and 26 with npm"),
        (Debian, Php, "kiln/php", &["1"], "PHP 8.4 with Composer and PHPUnit"),
        (Debian, Python, "kiln/python", &["1"], "Python 3.13 with pip, venv and pytest"),
        (Debian, Ruby, "kiln/ruby", &["1"], "Ruby 3.3 with Bundler, Rake and RSpec"),
        (AmazonLinux, Base, X86_64, &["4.0", "5.0", "6.0"], "Amazon Linux, x86-64, all runtimes"),
        (AmazonLinux, Base, AARCH64, &["2.0", "3.0", "4.0"], "Amazon Linux, 64-bit ARM, all runtimes"),
        (AmazonLinux, Java, X86_64, &["corretto8", "corretto11"], "Amazon Linux, x86-64, Corretto"),
        (AmazonLinux, Java, LAMBDA_X86_64, &["corretto11", "corretto17", "corretto21"], "Lambda, x86-64, Corretto"),
        (
            AmazonLinux,
            Java,
            LAMBDA_AARCH64,
            &["corretto11", "corretto17", "corretto21"],
            "Lambda, 64-bit ARM, Corretto",
        ),
        (AmazonLinux, Dotnet, LAMBDA_X86_64, &["dotnet6", "dotnet8"], "Lambda, x86-64, .NET"),
        (AmazonLinux, Dotnet, LAMBDA_AARCH64, &["dotnet6", "dotnet8"], "Lambda, 64-bit ARM, .NET"),
        (AmazonLinux, Golang, LAMBDA_X86_64, &["go1.21", "go1.24"], "Lambda, x86-64, Go"),
        (AmazonLinux, Golang, LAMBDA_AARCH64, &["go1.21", "go1.24"], "Lambda, 64-bit ARM, Go"),
        (AmazonLinux, NodeJs, LAMBDA_X86_64, &["nodejs18", "nodejs20", "nodejs22"], "Lambda, x86-64, Node.js"),
        (AmazonLinux, NodeJs, LAMBDA_AARCH64, &["nodejs18", "nodejs20", "nodejs22"], "Lambda, 64-bit ARM, Node.js"),
        (AmazonLinux, Python, LAMBDA_X86_64, &["python3.11", "python3.12", "python3.13"], "Lambda, x86-64, Python"),
        (
            AmazonLinux,
            Python,
            LAMBDA_AARCH64,
            &["python3.11", "python3.12", "python3.13"],
            "Lambda, 64-bit ARM, Python",
        ),
        (AmazonLinux, Ruby, LAMBDA_X86_64, &["ruby3.2", "ruby3.4"], "Lambda, x86-64, Ruby"),
        (AmazonLinux, Ruby, LAMBDA_AARCH64, &["ruby3.2", "ruby3.4"], "Lambda, 64-bit ARM, Ruby"),
        (Ubuntu, Base, "aws/codebuild/standard", &["5.0", "6.0", "7.0", "8.0"], "Ubuntu, x86-64, all runtimes"),
    ]
};

/// The answer of ListCuratedEnvironmentImages.
#[must_use]
pub fn images() -> ListCuratedEnvironmentImagesOutput {
    let mut platforms: Vec<EnvironmentPlatform> = Vec::new();
    for (platform, language, name, tags, description) in ROWS {
        let images = tags.iter().map(|tag| {
            let name = format!("{name}:{tag}");
            EnvironmentImage {
                versions: vec![name.clone()],
                name: Some(name),
                description: Some(description.to_owned()),
            }
        });
        let languages = &mut last_or_new(
            &mut platforms,
            |p| p.platform == Some(platform),
            || EnvironmentPlatform { platform: Some(platform), languages: Vec::new() },
        )
        .languages;
        last_or_new(
            languages,
            |l| l.language == Some(language),
            || EnvironmentLanguage { language: Some(language), images: Vec::new() },
        )
        .images
        .extend(images);
    }
    ListCuratedEnvironmentImagesOutput { platforms }
}

/// The last item if it is the wanted one, else a new last one.
fn last_or_new<T>(list: &mut Vec<T>, wanted: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    if !list.last().is_some_and(wanted) {
        list.push(new());
    }
    let last = list.len() - 1;
    &mut list[last]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_platform_and_language_stands_once() {
        let output = images();
        let mut seen = BTreeSet::new();
        let mut names = BTreeSet::new();
        for platform in &output.platforms {
            assert!(seen.insert((platform.platform, None)));
            for language in &platform.languages {
                assert!(seen.insert((platform.platform, language.language)), "{:?}", language.language);
                names.extend(language.images.iter().flat_map(|image| image.versions.iter().cloned()));
            }
        }
        for name in [
            "aws/codebuild/standard:7.0",
            "aws/codebuild/amazonlinux-x86_64-standard:5.0",
            "aws/codebuild/amazonlinux-aarch64-standard:3.0",
            "aws/codebuild/amazonlinux-x86_64-lambda-standard:python3.12",
            "kiln/python:1",
        ] {
            assert!(names.contains(name), "{name}");
        }
    }
}
