//! Recipes: `environments/NAME/recipe.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::lock::{Kind, Package, is_hash};

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
    /// Environments that lie on what this one lies on too, and whose packages, links, variables, runtimes and `after` it
    /// takes on as if they were its own.
    #[serde(default)]
    pub with: Vec<String>,
    /// A script of the directory that runs before packages are installed.
    pub before: Option<String>,
    /// A script of the directory that runs after all else.
    pub after: Option<String>,
    /// The program that starts the image's containers, with arguments (ENTRYPOINT).
    #[serde(default)]
    pub entrypoint: Vec<String>,
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
    /// .NET.
    Dotnet,
    /// Android.
    Android,
    /// Images of containers.
    Docker,
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
    /// Its version, or the beginning of it: `22` is the newest 22.x.y when the lock is made. A vendor's is exact.
    pub version: String,
    /// The directory of the archive whose content is taken; none: all of it.
    #[serde(default)]
    pub strip: String,
    /// Where to.
    pub to: String,
    /// Where the vendor has it; for the registry `vendor`, and only there.
    pub url: Option<String>,
    /// SHA-256 of the vendor's file, in hex.
    pub sha256: Option<String>,
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
    /// No registry, but the program's own maker, by URL: needs the internet.
    Vendor,
}

impl Unpack {
    /// The file that a vendor serves, which the recipe pins and no lock; `None` of what comes from a registry.
    #[must_use]
    pub fn vendored(&self) -> Option<Package> {
        let (url, sha256) = (self.url.as_ref()?, self.sha256.as_ref()?);
        Some(Package {
            kind: Kind::Vendor,
            name: self.name.clone(),
            version: self.version.clone(),
            file: url.rsplit('/').next().unwrap_or_default().to_owned(),
            size: 0,
            sha256: sha256.clone(),
        })
    }

    /// Whether the lock's package is the one that this asks for.
    #[must_use]
    pub fn is(&self, package: &Package) -> bool {
        let kind = match self.registry {
            Registry::Pypi => Kind::Pypi,
            Registry::Npm => Kind::Npm,
            Registry::Vendor => Kind::Vendor,
        };
        let rest = package.version.strip_prefix(&self.version);
        kind == package.kind
            && self.name == package.name
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl Unpack {
    /// A vendor's file has a URL and a hash, and a package of a registry has none.
    fn check_origin(&self) -> Result<(), String> {
        let name = &self.name;
        match (self.registry, &self.url, &self.sha256) {
            (Registry::Vendor, Some(url), Some(sha256)) => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "/:._+-".contains(c);
                // Without encryption only from this machine, as tests and mirrors on it are.
                let secure = url.starts_with("https://") || url.starts_with("http://127.0.0.1:");
                let file = url.rsplit('/').next().unwrap_or_default();
                let archive = [".tar.gz", ".tar.xz", ".tgz", ".zip"].iter().any(|end| file.ends_with(end));
                if !secure || !url.chars().all(plain) || !archive || file.starts_with(['-', '.']) {
                    return Err(format!("unpack.url of `{name}` is no https URL of a .tar.gz, .tar.xz or .zip file"));
                }
                if !is_hash(sha256) {
                    return Err(format!("unpack.sha256 of `{name}` has not 64 lower-case hex digits"));
                }
                Ok(())
            }
            (Registry::Vendor, ..) => Err(format!("`{name}` comes from its vendor: it needs `url` and `sha256`")),
            (_, None, None) => Ok(()),
            _ => Err(format!("`{name}` comes from a registry: `url` and `sha256` are for the registry `vendor`")),
        }
    }
}

impl Recipe {
    /// Takes on what a recipe has of which [`with`](Self::with) says so. What both name is as this one has it.
    ///
    /// # Errors
    /// If it cannot be part of another: in words.
    pub(crate) fn take_on(&mut self, part: Self) -> Result<(), String> {
        if part.before.is_some() || part.debian.suite.is_some() || !part.with.is_empty() {
            return Err("it cannot be part of another, since it has `before`, `debian.suite` or `with`".to_owned());
        }
        let pythons = (&self.pypi.python, &part.pypi.python);
        if let (Some(ours), Some(parts)) = pythons
            && ours != parts
        {
            return Err(format!("its packages are for Python {parts}, and others for {ours}"));
        }
        self.pypi.python = self.pypi.python.take().or(part.pypi.python);
        self.pypi.packages.extend(part.pypi.packages);
        if self.entrypoint.is_empty() {
            self.entrypoint = part.entrypoint;
        }
        self.debian.packages.extend(part.debian.packages);
        self.unpack.extend(part.unpack);
        part.links.into_iter().for_each(|(path, target)| {
            self.links.entry(path).or_insert(target);
        });
        part.environment.into_iter().for_each(|(name, value)| {
            self.environment.entry(name).or_insert(value);
        });
        part.runtimes.into_iter().for_each(|(runtime, versions)| {
            self.runtimes.entry(runtime).or_insert(versions);
        });
        Ok(())
    }

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
            unpack.check_origin()?;
            let patterns = unpack.programs.iter();
            for pattern in patterns {
                absolute("unpack.programs: /", &format!("/{}", pattern.replace('*', "")))?;
            }
        }
        if let Some(program) = self.entrypoint.first() {
            absolute("entrypoint:", program)?;
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
        let hash = "0a".repeat(32);
        let of = |registry: &str| {
            format!("[[unpack]]\nregistry = '{registry}'\nname = 'n'\nversion = '1'\nstrip = 'p'\nto = '/opt'\n")
        };
        let (npm, vendor) = (of("npm"), of("vendor"));
        Recipe::parse(&format!("{good}{vendor}url = 'https://a.test/n.zip'\nsha256 = '{hash}'\n")).unwrap();
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
            ("entrypoint = ['init']", "entrypoint: `init`"),
            ("[[unpack]]\nregistry = 'vendor'\nname = 'n'\nversion = '1'\nto = '/opt'", "needs `url` and `sha256`"),
            (&format!("{npm}url = 'https://a.test/n.zip'"), "are for the registry `vendor`"),
            (&format!("{vendor}url = 'https://a.test/n.zip'\nsha256 = 'ABC'"), "64 lower-case hex digits"),
            (&format!("{vendor}url = 'http://a.test/n.zip'\nsha256 = '{hash}'"), "no https URL"),
            (&format!("{vendor}url = 'https://a.test/n.exe'\nsha256 = '{hash}'"), "no https URL"),
            (&format!("{vendor}url = 'https://a.test/?n.zip'\nsha256 = '{hash}'"), "no https URL"),
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
            url: None,
            sha256: None,
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

    #[test]
    fn what_a_part_has_is_taken_on_and_our_own_wins() {
        let head = "description = 'x'\nlanguage = 'base'\nfrom = 'base'\n";
        let recipe = |more: &str| Recipe::parse(&format!("{head}{more}")).unwrap();
        let part = "after = 'a'\nentrypoint = ['/init', 'x']\n[debian]\npackages = ['q']\n[links]\n'/a' = 'part'\n'/b' = 'part'\n\
            [environment]\nPATH = 'part'\nHOME = 'part'\n[runtimes.go]\n1 = ['x']\n";
        let mut whole = recipe("[debian]\npackages = ['p']\n[links]\n'/a' = 'own'\n[environment]\nPATH = 'own'\n");
        whole.take_on(recipe(part)).unwrap();
        assert_eq!(whole.debian.packages, ["p", "q"]);
        assert_eq!((whole.links["/a"].as_str(), whole.links["/b"].as_str()), ("own", "part"));
        assert_eq!((whole.environment["PATH"].as_str(), whole.environment["HOME"].as_str()), ("own", "part"));
        assert!(whole.runtimes.contains_key("go") && whole.after.is_none());
        assert_eq!(whole.entrypoint, ["/init", "x"]);
        let other = |python: &str| recipe(&format!("[pypi]\npython = '{python}'\npackages = ['z']\n"));
        whole.take_on(other("3.13")).unwrap();
        assert!(whole.take_on(other("3.12")).unwrap_err().contains("for Python 3.12, and others for 3.13"));
        assert!(whole.take_on(recipe("before = 'b'\n")).unwrap_err().contains("cannot be part"));
    }
}
