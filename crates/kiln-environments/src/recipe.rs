//! Recipes: `environments/NAME/recipe.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::lock::{Kind, Package};

/// What goes into an image, as a person writes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// In a few words, for lists.
    pub description: String,
    /// For which language it is.
    pub language: Language,
    /// The environment on whose layers it lies; none: it begins with an empty file system.
    pub from: Option<String>,
    /// A script of the directory that runs before packages are installed.
    pub before: Option<String>,
    /// A script of the directory that runs after all else.
    pub after: Option<String>,
    /// Debian's packages.
    #[serde(default)]
    pub debian: Debian,
    /// PyPI's packages, installed for the system's Python.
    #[serde(default)]
    pub pypi: Pypi,
    /// Packages of registries that are unpacked somewhere, without being installed.
    #[serde(default)]
    pub unpack: Vec<Unpack>,
    /// Symbolic links: path → target.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
    /// Variables of the image.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// What `runtime-versions` may ask for: runtime → version → commands.
    #[serde(default)]
    pub runtimes: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// The language that an image is made for: LanguageType of ListCuratedEnvironmentImages (`api.md` 2.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// None in particular.
    Base,
    /// Java.
    Java,
    /// Python.
    Python,
    /// JavaScript.
    Nodejs,
    /// Go.
    Golang,
    /// Ruby.
    Ruby,
    /// PHP.
    Php,
}

/// Debian's packages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debian {
    /// The release, for the environment that begins; the others take their parent's.
    pub suite: Option<String>,
    /// Packages; what they depend on comes along, what they recommend does not.
    #[serde(default)]
    pub packages: Vec<String>,
}

/// PyPI's packages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pypi {
    /// Version of the Python that they are for: `3.13`.
    pub python: Option<String>,
    /// Packages, as `pip` takes them; what they depend on comes along. Wheels only: nothing is compiled.
    #[serde(default)]
    pub packages: Vec<String>,
}

/// A package that is unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unpack {
    /// Where it comes from.
    pub registry: Registry,
    /// Its name.
    pub name: String,
    /// Its version, or the beginning of it: `22` is the newest 22.x.y when the lock is made.
    pub version: String,
    /// The directory of the archive whose content is taken.
    pub strip: String,
    /// Where to.
    pub to: String,
    /// Files that are programs, as patterns below `to`: wheels do not say.
    #[serde(default)]
    pub programs: Vec<String>,
}

/// A registry of packages that can be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registry {
    /// Python's.
    Pypi,
    /// Node's.
    Npm,
}

impl Unpack {
    /// Whether the lock's package is the one that this asks for.
    #[must_use]
    pub fn is(&self, package: &Package) -> bool {
        let kind = match self.registry {
            Registry::Pypi => Kind::Pypi,
            Registry::Npm => Kind::Npm,
        };
        let rest = package.version.strip_prefix(&self.version);
        kind == package.kind
            && self.name == package.name
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// In words, with the place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let recipe: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        recipe.check()?;
        Ok(recipe)
    }

    /// What ends up in files whose fields are separated by `|`, and in commands, must be plain.
    fn check(&self) -> Result<(), String> {
        let absolute = |what: &str, path: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
            if path.starts_with('/') && path.chars().all(plain) && path.split('/').all(|part| part != "..") {
                Ok(())
            } else {
                Err(format!("{what} `{path}` is no plain absolute path"))
            }
        };
        for unpack in &self.unpack {
            absolute("unpack.to", &unpack.to)?;
            absolute("unpack.strip: /", &format!("/{}", unpack.strip))?;
            let patterns = unpack.programs.iter();
            for pattern in patterns {
                absolute("unpack.programs: /", &format!("/{}", pattern.replace('*', "")))?;
            }
        }
        for (path, target) in &self.links {
            absolute("links:", path)?;
            absolute("links: the target /", &format!("/{}", target.replace("..", "")))?;
        }
        let word = |text: &str| {
            !text.is_empty()
                && !text.starts_with('-')
                && text.bytes().all(|b| b.is_ascii_graphic() && !b"|'\"\\`$;&<>(){}".contains(&b))
        };
        let names = self.debian.packages.iter().chain(self.unpack.iter().flat_map(|u| [&u.name, &u.version]));
        // `?essential` and the like are patterns of apt's, which only this crate may use.
        for name in names.chain(&self.debian.suite).chain(&self.pypi.python) {
            if !word(name) || name.starts_with(['?', '~', '!']) {
                return Err(format!("`{name}` is no name or version of a package"));
            }
        }
        for name in self.environment.keys() {
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(format!("`{name}` is no name of a variable"));
            }
        }
        if self.from.is_none() != self.debian.suite.is_some() {
            return Err("an environment without `from` has a `debian.suite`, and only such a one".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_recipe_must_not_say_is_refused() {
        let good = "description = 'x'\nlanguage = 'golang'\nfrom = 'base'\n";
        Recipe::parse(good).unwrap();
        for (more, says) in [
            ("colour = 'red'", "colour"),
            ("[debian]\nsuite = 'trixie'", "debian.suite"),
            ("[debian]\npackages = ['a b']", "`a b`"),
            ("[debian]\npackages = ['--yes']", "`--yes`"),
            ("[debian]\npackages = ['?essential']", "`?essential`"),
            ("[links]\n'/opt/../etc/passwd' = 'x'", "/opt/../etc/passwd"),
            ("[links]\n'opt' = 'x'", "`opt`"),
            ("[links]\n'/a' = 'x|y'", "x|y"),
            ("[[unpack]]\nregistry = 'npm'\nname = 'n'\nversion = '1'\nstrip = 'p'\nto = 'opt'", "`opt`"),
            ("[[unpack]]\nregistry = 'cpan'\nname = 'n'\nversion = '1'\nstrip = 'p'\nto = '/opt'", "cpan"),
            ("[environment]\n'A B' = 'x'", "`A B`"),
        ] {
            let error = Recipe::parse(&format!("{good}{more}\n")).unwrap_err();
            assert!(error.contains(says), "{more}: {error}");
        }
        assert!(Recipe::parse("description = 'x'\nlanguage = 'base'\n").is_err());
    }

    #[test]
    fn a_version_is_a_prefix_that_ends_at_a_dot() {
        let unpack = Unpack {
            registry: Registry::Npm,
            name: "node".to_owned(),
            version: "2".to_owned(),
            strip: "package".to_owned(),
            to: "/opt/node".to_owned(),
            programs: Vec::new(),
        };
        let package = |kind, version: &str| Package {
            kind,
            name: "node".to_owned(),
            version: version.to_owned(),
            file: "f".to_owned(),
            size: 1,
            sha256: "0".repeat(64),
        };
        assert!(unpack.is(&package(Kind::Npm, "2.1")) && unpack.is(&package(Kind::Npm, "2")));
        assert!(!unpack.is(&package(Kind::Npm, "22.1")) && !unpack.is(&package(Kind::Pypi, "2.1")));
    }
}
