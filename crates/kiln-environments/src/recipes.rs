//! Where recipes are: in this program, or in a directory; and the environments that they make.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{
    error::Error,
    lock::{Lock, Package},
    recipe::{Recipe, Unpack},
    stage,
};

/// Files of an environment by name.
type Files = &'static [(&'static str, &'static str)];

/// Includes the files of an environment.
macro_rules! files {
    ($name:literal: $($file:literal),+) => {
        ($name, &[$(($file, include_str!(concat!("../../../environments/", $name, "/", $file)))),+])
    };
}

/// The environments that come with the program: the directory `environments/`.
const BUILT_IN: [(&str, Files); 12] = [
    files!("android": "recipe.toml", "lock"),
    files!("base": "recipe.toml", "before.sh", "after.sh", "lock"),
    files!("docker": "recipe.toml", "after.sh", "lock"),
    files!("dotnet": "recipe.toml", "lock"),
    files!("go": "recipe.toml", "lock"),
    files!("gradle": "recipe.toml", "lock"),
    files!("java": "recipe.toml", "after.sh", "lock"),
    files!("node": "recipe.toml", "lock"),
    files!("php": "recipe.toml", "lock"),
    files!("python": "recipe.toml", "lock"),
    files!("ruby": "recipe.toml", "lock"),
    files!("standard": "recipe.toml", "lock"),
];

/// Longest chain of environments that lie on one another.
const MAX_CHAIN: usize = 8;
/// Longest file of a recipe that is read.
const MAX_FILE: u64 = 4 << 20;

/// Recipes and their locks.
#[derive(Debug, Clone)]
pub struct Recipes {
    /// The directory that takes the place of [`BUILT_IN`].
    directory: Option<PathBuf>,
    /// Where locks are that this machine made itself: they win over those of the recipes.
    own_locks: PathBuf,
}

/// An environment with those below it.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Its name: `python`.
    pub name: String,
    /// Its recipe.
    pub recipe: Recipe,
    /// Its lock; `None`: it has none yet.
    pub lock: Option<Lock>,
    /// Where the lock is, for messages.
    pub lock_place: String,
    /// The script that runs before packages are installed.
    pub before: Option<String>,
    /// The script that runs after all else.
    pub after: Option<String>,
    /// The environment on whose layers it lies.
    pub parent: Option<Box<Environment>>,
}

impl Recipes {
    /// Those of `directory`, or those that come with the program. `own_locks` (`<data>/environments`) has the locks that
    /// this machine made of the latter.
    #[must_use]
    pub fn new(directory: Option<PathBuf>, own_locks: PathBuf) -> Self {
        Self { directory, own_locks }
    }

    /// All names, sorted.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let Some(directory) = &self.directory else {
            return Ok(BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect());
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).map_err(Error::io("list", directory))? {
            let entry = entry.map_err(Error::io("list", directory))?;
            if let (Ok(name), true) = (entry.file_name().into_string(), entry.path().join("recipe.toml").is_file())
                && is_name(&name)
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The environment of this name with all those below it.
    ///
    /// # Errors
    /// [`Error::Unknown`]; of its files.
    pub fn load(&self, name: &str) -> Result<Environment, Error> {
        self.load_chain(name, 0)
    }

    fn load_chain(&self, name: &str, depth: usize) -> Result<Environment, Error> {
        let known = self.names()?;
        if !known.iter().any(|known| known == name) {
            return Err(Error::Unknown { name: shown(name), known: known.join(", ") });
        }
        let wrong =
            |file: &str, problem: String| Error::Recipe { name: name.to_owned(), file: file.to_owned(), problem };
        let text = self.file(name, "recipe.toml")?.unwrap_or_default();
        let mut recipe = Recipe::parse(&text).map_err(|problem| wrong("recipe.toml", problem))?;
        let script = |file: &Option<String>| match file {
            None => Ok(None),
            Some(file) if !is_file_name(file) => {
                Err(wrong("recipe.toml", format!("`{}` is no name of a file beside it", shown(file))))
            }
            Some(file) => match self.file(name, file)? {
                Some(text) => Ok(Some(text)),
                None => Err(wrong(file, "the recipe names it, and it is not there".to_owned())),
            },
        };
        let (before, mut after) = (script(&recipe.before)?, script(&recipe.after)?);
        let parent = match &recipe.from {
            Some(_) if depth >= MAX_CHAIN => {
                return Err(wrong("recipe.toml", format!("more than {MAX_CHAIN} environments lie on one another")));
            }
            Some(from) => Some(Box::new(self.load_chain(from, depth + 1)?)),
            None => None,
        };
        for with in recipe.with.clone() {
            let cannot = |problem: String| wrong("recipe.toml", format!("with `{}`: {problem}", shown(&with)));
            // One that is part of itself ends as a chain that is too long: a part lies on something, too.
            let part = self.load_chain(&with, depth + 1)?;
            let below = parent.as_deref().map(Environment::chain).unwrap_or_default();
            if !part.parent.as_ref().is_some_and(|on| below.iter().any(|there| there.name == on.name)) {
                return Err(cannot(format!("it does not lie on what `{name}` lies on")));
            }
            recipe.take_on(part.recipe).map_err(cannot)?;
            // In the order of the parts, after its own.
            after = match (after, part.after) {
                (Some(first), Some(then)) => Some(format!("{first}\n{then}")),
                (first, then) => first.or(then),
            };
        }
        let (lock_place, lock_text) = self.lock_text(name)?;
        let lock = match lock_text {
            Some(text) => Some(Lock::parse(&text).map_err(|problem| Error::Lock {
                name: name.to_owned(),
                problem: format!("{lock_place}: {problem}"),
            })?),
            None => None,
        };
        Ok(Environment { name: name.to_owned(), recipe, lock, lock_place, before, after, parent })
    }

    /// Stores a lock, where [`load`](Self::load) finds it. Returns where that is.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn store_lock(&self, name: &str, lock: &Lock) -> Result<PathBuf, Error> {
        let directory = match &self.directory {
            Some(directory) => directory.join(name),
            None => self.own_locks.join(name),
        };
        if self.directory.is_none() {
            crate::packages::private_dir(&directory)?;
        }
        let (path, new) = (directory.join("lock"), directory.join("lock.new"));
        fs::write(&new, lock.text()).map_err(Error::io("write", &new))?;
        fs::rename(&new, &path).map_err(Error::io("write", &path))?;
        Ok(path)
    }

    /// The lock of an environment and where it is.
    fn lock_text(&self, name: &str) -> Result<(String, Option<String>), Error> {
        if self.directory.is_none() {
            let own = self.own_locks.join(name).join("lock");
            if let Some(text) = read(&own)? {
                return Ok((own.display().to_string(), Some(text)));
            }
        }
        let place = match &self.directory {
            Some(directory) => directory.join(name).join("lock").display().to_string(),
            None => "the lock that came with this program".to_owned(),
        };
        // An empty lock is how a recipe begins that the program includes.
        Ok((place, self.file(name, "lock")?.filter(|text| !text.is_empty())))
    }

    fn file(&self, name: &str, file: &str) -> Result<Option<String>, Error> {
        if let Some(directory) = &self.directory {
            return read(&directory.join(name).join(file));
        }
        let files = BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, files)| *files).unwrap_or_default();
        Ok(files.iter().find(|(known, _)| *known == file).map(|(_, text)| (*text).to_owned()))
    }
}

impl Environment {
    /// The image's name: `kiln/python:1`.
    #[must_use]
    pub fn image(&self) -> String {
        image_name(&self.name)
    }

    /// Those below it and itself, the lowest first.
    #[must_use]
    pub fn chain(&self) -> Vec<&Self> {
        let mut chain = self.parent.as_deref().map(Self::chain).unwrap_or_default();
        chain.push(self);
        chain
    }

    /// Its lock, if its image can be made of it.
    ///
    /// # Errors
    /// [`Error::Lock`] if there is none, or it does not fit the recipe or the parent's lock.
    pub fn usable_lock(&self) -> Result<&Lock, Error> {
        let name = &self.name;
        let update = format!("`kiln image build --update {name}` makes one of what the registries have now");
        let wrong = |problem: String| Error::Lock { name: name.clone(), problem };
        // What lies below first: without it there is nothing to say of this one.
        let parent = match &self.parent {
            Some(parent) => Some(parent.usable_lock()?.hash()),
            None => None,
        };
        let lock =
            self.lock.as_ref().ok_or_else(|| wrong(format!("it has no lock yet ({}): {update}", self.lock_place)))?;
        if lock.parent != parent {
            let below = self.recipe.from.as_deref().unwrap_or("nothing");
            return Err(wrong(format!("{} was made on another lock of `{below}`: {update}", self.lock_place)));
        }
        for unpack in self.recipe.unpack.iter().filter(|unpack| unpack.vendored().is_none()) {
            if !lock.packages.iter().any(|package| unpack.is(package)) {
                let what = format!("{} {}", unpack.name, unpack.version);
                return Err(wrong(format!("{} lacks {what}, which the recipe asks for: {update}", self.lock_place)));
            }
        }
        Ok(lock)
    }

    /// Every package file of its layer: those of the lock, and those that vendors serve.
    ///
    /// # Errors
    /// As [`usable_lock`](Self::usable_lock).
    pub fn packages(&self) -> Result<Vec<Package>, Error> {
        let vendored = self.recipe.unpack.iter().filter_map(Unpack::vendored);
        Ok(self.usable_lock()?.packages.iter().cloned().chain(vendored).collect())
    }

    /// The variables of its image, with those from below.
    #[must_use]
    pub fn variables(&self) -> BTreeMap<&str, &str> {
        let all = self.chain().into_iter().flat_map(|environment| &environment.recipe.environment);
        all.map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// The entry point of its image: its own, or else that of the nearest below that has one.
    #[must_use]
    pub fn entrypoint(&self) -> &[String] {
        match (&self.recipe.entrypoint, &self.parent) {
            (own, Some(parent)) if own.is_empty() => parent.entrypoint(),
            (own, _) => own,
        }
    }

    /// A hash, in hex, of all that its image is made of: equal ones have equal images.
    ///
    /// # Errors
    /// As [`usable_lock`](Self::usable_lock).
    pub fn inputs(&self) -> Result<String, Error> {
        let mut hasher = Sha256::new();
        for environment in self.chain() {
            // The recipe as it was understood: a comment changes nothing.
            let parts = [
                format!("{:?}", environment.recipe),
                format!("{:?}", (&environment.before, &environment.after)),
                environment.usable_lock()?.text(),
            ];
            for part in parts {
                hasher.update(part.len().to_le_bytes());
                hasher.update(part);
            }
        }
        for script in stage::SCRIPTS {
            hasher.update(script);
        }
        Ok(hex::encode(hasher.finalize()))
    }
}

/// The name of an environment's image.
#[must_use]
pub fn image_name(environment: &str) -> String {
    format!("kiln/{environment}:1")
}

/// A file's text; `None` where there is none.
fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::metadata(path) {
        Ok(found) if found.len() > MAX_FILE => Err(Error::Io {
            what: "read",
            path: path.to_owned(),
            source: std::io::Error::other(format!("it is larger than {MAX_FILE} bytes")),
        }),
        Ok(_) => fs::read_to_string(path).map(Some).map_err(Error::io("read", path)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", path)(e)),
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.ends_with('-')
}

fn is_file_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('.') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// For an error message: cut, and without control characters.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Kind;

    fn recipes(dir: &Path, files: &[(&str, &str)]) -> Recipes {
        for (path, text) in files {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Recipes::new(Some(dir.to_owned()), dir.join("locks"))
    }

    const BASE: &str =
        "description = 'b'\nlanguage = 'base'\n[debian]\nsuite = 'trixie'\n[environment]\nA = '1'\nB = '1'\n";
    const TOP: &str = "description = 't'\nlanguage = 'golang'\nfrom = 'base'\n[environment]\nB = '2'\n";

    fn lock(parent: Option<&Lock>) -> Lock {
        Lock { epoch: 1, parent: parent.map(Lock::hash), packages: Vec::new() }
    }

    #[test]
    fn what_comes_with_the_program_is_complete_and_fits() {
        let none = tempfile::tempdir().unwrap();
        let recipes = Recipes::new(None, none.path().to_owned());
        let names = recipes.names().unwrap();
        assert_eq!(names.len(), BUILT_IN.len());
        for name in names {
            let environment = recipes.load(&name).unwrap();
            environment.usable_lock().unwrap();
            assert_eq!(environment.inputs().unwrap(), recipes.load(&name).unwrap().inputs().unwrap());
            assert!(environment.variables().contains_key("PATH"), "{name}");
            // What is not from a registry is not there without the internet, and lists say so.
            let vendored = environment.recipe.unpack.iter().any(|unpack| unpack.vendored().is_some());
            assert_eq!(vendored, environment.recipe.description.ends_with("(needs the internet)"), "{name}");
        }
    }

    #[test]
    fn the_service_lists_what_comes_with_the_program() {
        let none = tempfile::tempdir().unwrap();
        let recipes = Recipes::new(None, none.path().to_owned());
        let mut listed = Vec::new();
        for platform in kiln_model::curated::images().platforms {
            for language in platform.languages {
                let word = language.language.map(|language| format!("{language:?}").to_lowercase()).unwrap_or_default();
                let ours = language.images.into_iter().filter(|image| image.versions[0].starts_with("kiln/"));
                listed.extend(ours.map(|image| (image.versions[0].clone(), image.description.unwrap(), word.clone())));
            }
        }
        let environments = recipes.names().unwrap().into_iter().map(|name| recipes.load(&name).unwrap());
        let mut ours: Vec<_> = environments
            .map(|e| (e.image(), e.recipe.description.clone(), format!("{:?}", e.recipe.language).to_lowercase()))
            .collect();
        listed.sort();
        ours.sort();
        assert_eq!(listed, ours);
    }

    #[test]
    fn an_environment_lies_on_its_parents_lock_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let recipes = recipes(dir.path(), &[("base/recipe.toml", BASE), ("top/recipe.toml", TOP), ("not/x", "")]);
        assert_eq!(recipes.names().unwrap(), ["base", "top"]);
        let top = recipes.load("top").unwrap();
        assert_eq!(top.variables(), BTreeMap::from([("A", "1"), ("B", "2")]));
        let says = |environment: &Environment| environment.usable_lock().unwrap_err().to_string();
        assert!(says(&top).contains("`base`: it has no lock yet"), "{}", says(&top));
        let base = lock(None);
        recipes.store_lock("base", &base).unwrap();
        recipes.store_lock("top", &lock(Some(&base))).unwrap();
        let top = recipes.load("top").unwrap();
        let inputs = top.inputs().unwrap();
        recipes.store_lock("base", &Lock { epoch: 2, ..base }).unwrap();
        let stale = recipes.load("top").unwrap();
        assert!(says(&stale).contains("made on another lock of `base`"), "{}", says(&stale));
        assert!(says(&stale).contains("kiln image build --update top"));
        assert!(stale.inputs().is_err());
        assert_ne!(recipes.load("base").unwrap().inputs().unwrap(), inputs);
    }

    #[test]
    fn an_environment_has_what_it_is_made_with() {
        let dir = tempfile::tempdir().unwrap();
        let tool = "description = 't'\nlanguage = 'golang'\nfrom = 'base'\nafter = 'after.sh'\nentrypoint = ['/t']\n[debian]\npackages = ['tool']\n\
            [[unpack]]\nregistry = 'vendor'\nname = 'v'\nversion = '1'\nto = '/opt/v'\nurl = 'https://v.test/v-1.zip'\n";
        let tool = format!("{tool}sha256 = '{}'\n", "0b".repeat(32));
        let all = "description = 'a'\nlanguage = 'base'\nfrom = 'top'\nwith = ['tool']\nafter = 'after.sh'\n";
        let files = [
            ("base/recipe.toml", BASE),
            ("top/recipe.toml", TOP),
            ("tool/recipe.toml", tool.as_str()),
            ("tool/after.sh", "echo tool"),
            ("above/recipe.toml", "description = 'x'\nlanguage = 'base'\nfrom = 'all'\n"),
            ("all/recipe.toml", all),
            ("all/after.sh", "echo all"),
        ];
        let recipes = recipes(dir.path(), &files);
        let base = lock(None);
        let top = lock(Some(&base));
        recipes.store_lock("base", &base).unwrap();
        recipes.store_lock("top", &top).unwrap();
        recipes.store_lock("all", &lock(Some(&top))).unwrap();
        let all = recipes.load("all").unwrap();
        assert_eq!(all.recipe.debian.packages, ["tool"]);
        assert_eq!(all.entrypoint(), ["/t"]);
        assert_eq!(recipes.load("above").unwrap().entrypoint(), ["/t"]);
        assert!(recipes.load("top").unwrap().entrypoint().is_empty());
        assert_eq!(all.after.as_deref(), Some("echo all\necho tool"));
        assert_eq!(all.chain().iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["base", "top", "all"]);
        let packages = all.packages().unwrap();
        assert_eq!((packages.len(), packages[0].file.as_str(), packages[0].kind), (1, "v-1.zip", Kind::Vendor));
        // What a part is made of is what the whole is made of.
        let inputs = all.inputs().unwrap();
        fs::write(dir.path().join("tool/after.sh"), "echo other").unwrap();
        assert_ne!(recipes.load("all").unwrap().inputs().unwrap(), inputs);
    }

    #[test]
    fn a_lock_of_this_machine_wins_over_the_one_that_came_along() {
        let dir = tempfile::tempdir().unwrap();
        let recipes = Recipes::new(None, dir.path().to_owned());
        let own = lock(None);
        let path = recipes.store_lock("base", &own).unwrap();
        let base = recipes.load("base").unwrap();
        assert_eq!((base.lock, base.lock_place), (Some(own), path.display().to_string()));
    }

    #[test]
    fn broken_directories_say_which_file() {
        let dir = tempfile::tempdir().unwrap();
        let ring = TOP.replace("base", "ring");
        let files = [
            ("base/recipe.toml", "description = 3"),
            ("ring/recipe.toml", ring.as_str()),
            ("script/recipe.toml", "description = 'x'\nlanguage = 'base'\nafter = 'gone.sh'\n[debian]\nsuite = 'x'\n"),
            ("outside/recipe.toml", "description = 'x'\nlanguage = 'base'\nafter = '../x'\n[debian]\nsuite = 'x'\n"),
            ("good/recipe.toml", BASE),
            ("locked/recipe.toml", BASE),
            ("locked/lock", "kiln-lock 9"),
            ("self/recipe.toml", "description = 'x'\nlanguage = 'base'\nfrom = 'good'\nwith = ['self']\n"),
            ("stranger/recipe.toml", "description = 'x'\nlanguage = 'base'\nfrom = 'good'\nwith = ['good']\n"),
        ];
        let recipes = recipes(dir.path(), &files);
        for (name, says) in [
            ("nothing", "there are base, good, locked, outside, ring, script, self, stranger"),
            ("base", "recipe.toml: "),
            ("ring", "more than 8 environments"),
            ("script", "gone.sh: the recipe names it"),
            ("outside", "`../x` is no name of a file"),
            ("locked", "locked/lock: its head"),
            ("self", "more than 8 environments"),
            ("stranger", "with `good`: it does not lie on what `stranger` lies on"),
            ("../base", "there is no environment"),
        ] {
            let error = recipes.load(name).unwrap_err().to_string();
            assert!(error.contains(says), "{name}: {error}");
        }
    }
}
