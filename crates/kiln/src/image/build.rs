//! `kiln image build`: makes curated images of their recipes and locks (`docs/environments.md`).
//!
//! Package files are fetched by the registries' own clients, which run nothing of them. What does run of them, install
//! scripts, runs in a build like any other, `kiln run`, without network; its artifact is the image's layer.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::Context as _;
use clap::Args;
use kiln_engine::image::{Composition, Image, ImageStore, Reference};
use kiln_environments::{
    Environment, Error, PackageCache, Recipes,
    clients::{self, Step},
    sbom,
    stage::{self, LAYER, Stage},
};

use super::{Display, explained, said, with_operation};
use crate::{
    app::App,
    exit::{self, UsageError, usage},
    terminal::{
        output::print,
        table::aligned,
        text::{bytes, count, one_line},
    },
};

/// The label with the hash of all that an image was made of.
const INPUTS: &str = "kiln.environment.inputs";
/// The label with the name of its recipe.
const NAME: &str = "kiln.environment.name";
/// The file system in which the lowest environment is installed. It is removed when that is done.
const BOOTSTRAP: &str = "kiln/bootstrap:1";
/// Of the log of a build that failed, as many lines are shown.
const SHOWN_LINES: usize = 40;

/// What `kiln image build` is told.
#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// Environments: python, or kiln/python:1 [default: list them]
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Take recipes and locks from this directory [default: those that came with kiln]
    #[arg(long, value_name = "DIR")]
    recipes: Option<PathBuf>,

    /// Lock the versions that the registries have now, of NAME and of what it lies on
    #[arg(long, requires = "names")]
    update: bool,

    /// Build the image anew, even if it is there
    #[arg(long, requires = "names")]
    force: bool,

    /// Print no progress
    #[arg(short, long)]
    quiet: bool,
}

/// What a build of images needs all along.
struct Work<'a> {
    app: &'a App,
    store: &'a ImageStore,
    recipes: Recipes,
    cache: PackageCache,
    quiet: bool,
}

/// Does what is asked.
pub(super) fn run(args: &BuildArgs, app: &App, store: &ImageStore) -> anyhow::Result<ExitCode> {
    let recipes = Recipes::new(args.recipes.clone(), app.data.join("environments"));
    if args.names.is_empty() {
        print(list(&recipes, store)?.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if std::env::consts::ARCH != "x86_64" {
        usage!("curated images are for x86-64, and this machine is none: use `kiln image pull` or `kiln image import`");
    }
    let cache = PackageCache::open(app.data.join("packages")).map_err(told)?;
    let work = Work { app, store, recipes, cache, quiet: args.quiet };
    let _turn = work.turn()?;
    let mut updated = BTreeSet::new();
    let mut images = Vec::new();
    for name in &args.names {
        let name = environment_name(name);
        let mut environment = work.recipes.load(name).map_err(told)?;
        if args.update {
            work.update(&environment, &mut updated)?;
            environment = work.recipes.load(name).map_err(told)?;
        }
        images.push(work.ensure(&environment, args.force)?);
    }
    print(said(&images).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// `kiln/python:1` is `python`.
fn environment_name(text: &str) -> &str {
    let name = text.strip_prefix("kiln/").unwrap_or(text);
    name.strip_suffix(":1").unwrap_or(name)
}

/// One line for each environment, beneath a heading.
fn list(recipes: &Recipes, store: &ImageStore) -> anyhow::Result<String> {
    let mut rows = vec![["NAME", "IMAGE", "STATE", "DESCRIPTION"].map(str::to_owned)];
    for name in recipes.names().map_err(told)? {
        let environment = recipes.load(&name).map_err(told)?;
        let image = store.resolve(&environment.image()).map_err(explained)?;
        let state = match (image, environment.inputs()) {
            (_, Err(_)) => "no lock",
            (None, _) => "not built",
            (Some(image), Ok(inputs)) if is_current(&image, &inputs) => "ready",
            (Some(_), Ok(_)) => "out of date",
        };
        let description = one_line(&environment.recipe.description);
        rows.push([name, environment.image(), state.to_owned(), description]);
    }
    Ok(aligned(&rows, &[]))
}

fn is_current(image: &Image, inputs: &str) -> bool {
    image.config.labels.get(INPUTS).is_some_and(|made_of| made_of == inputs)
}

/// What the user can put right is bad usage.
fn told(error: Error) -> anyhow::Error {
    match error {
        Error::Unknown { .. } | Error::Recipe { .. } | Error::Lock { .. } | Error::NoClient { .. } => {
            UsageError(error.to_string()).into()
        }
        other => other.into(),
    }
}

impl Work<'_> {
    /// One at a time: two would fetch the same files, and build the same images.
    fn turn(&self) -> anyhow::Result<File> {
        use rustix::fs::{FlockOperation, flock};
        let path = self.app.data.join("packages/lock");
        let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            eprintln!("Waiting until another `kiln image build` has ended…");
            flock(&file, FlockOperation::LockExclusive).with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Ok(file)
    }

    fn note(&self, environment: &Environment, text: &str) {
        if !self.quiet {
            eprintln!("{}: {text}", environment.image());
        }
    }

    /// Locks what the registries have now, for those below first.
    fn update(&self, environment: &Environment, updated: &mut BTreeSet<String>) -> anyhow::Result<()> {
        let names: Vec<String> = environment.chain().iter().map(|environment| environment.name.clone()).collect();
        for name in names {
            if !updated.insert(name.clone()) {
                continue;
            }
            // Anew, as the lock below it may be another now.
            let environment = self.recipes.load(&name).map_err(told)?;
            let epoch = self.app.clock.wall_ns() / 1_000_000_000;
            let mut tell = |step| self.step(&environment, step);
            let new = clients::resolve(&environment, &self.cache, epoch, &mut tell).map_err(told)?;
            let same =
                environment.lock.as_ref().is_some_and(|old| old.packages == new.packages && old.parent == new.parent);
            if same {
                self.note(&environment, "its lock is up to date");
                continue;
            }
            let path = self.recipes.store_lock(&name, &new).map_err(told)?;
            let packages = count(new.packages.len() as u64, "package");
            self.note(&environment, &format!("locked {packages}, {}, in {}", bytes(new.size()), path.display()));
        }
        Ok(())
    }

    fn step(&self, environment: &Environment, step: Step) {
        match step {
            Step::Resolving { of } => self.note(environment, &format!("asking {of} what there is")),
            Step::Fetching { of, count: files, bytes: size } => {
                let packages = count(files as u64, "package");
                // Of what vendors serve only the hash is known.
                let size = if size == 0 { String::new() } else { format!(", {}", bytes(size)) };
                self.note(environment, &format!("fetching {packages} of {of}{size}"));
            }
        }
    }

    /// The image of an environment, which is made if it is not there.
    fn ensure(&self, environment: &Environment, force: bool) -> anyhow::Result<Image> {
        let inputs = environment.inputs().map_err(told)?;
        let there = self.store.resolve(&environment.image()).map_err(explained)?;
        if let (Some(image), false) = (there.filter(|image| is_current(image, &inputs)), force) {
            self.note(environment, "is up to date");
            return Ok(image);
        }
        let parent = match &environment.parent {
            Some(parent) => Some(self.ensure(parent, false)?),
            None => None,
        };
        clients::fetch(environment, &self.cache, &mut |step| self.step(environment, step)).map_err(told)?;
        let from = match &parent {
            Some(parent) => parent.reference.clone(),
            None => {
                self.note(environment, "unpacking what the others are installed with");
                self.layer(environment, Stage::Bootstrap, "host", |layer| {
                    let made = Composition {
                        name: Reference::parse(BOOTSTRAP).map_err(explained)?,
                        parent: None,
                        env: variables(environment),
                        entrypoint: Vec::new(),
                        labels: [(NAME.to_owned(), "bootstrap".to_owned())].into(),
                        created: String::new(),
                    };
                    self.compose(&made, layer)
                })?
                .reference
            }
        };
        self.note(environment, "installing");
        let image = self.layer(environment, Stage::Install, &from, |layer| {
            self.note(environment, "storing the image");
            let made = Composition {
                name: Reference::parse(&environment.image()).map_err(explained)?,
                parent: parent.clone(),
                env: variables(environment),
                entrypoint: environment.entrypoint().to_vec(),
                labels: labels(environment, &inputs),
                created: sbom::created(environment.usable_lock().map_err(told)?),
            };
            self.compose(&made, layer)
        })?;
        if parent.is_none() {
            self.store.remove(BOOTSTRAP).map_err(explained)?;
        }
        Ok(image)
    }

    fn compose(&self, composition: &Composition, layer: &Path) -> anyhow::Result<Image> {
        let display = Display::new(&composition.name.familiar(), self.app.streams, true);
        let result = with_operation(self.app, &display, |operation| self.store.compose(composition, layer, operation));
        display.end();
        result.map_err(explained)
    }

    /// Runs the build that makes a layer, and hands the layer's file on.
    fn layer<T>(
        &self,
        environment: &Environment,
        stage: Stage,
        image: &str,
        then: impl FnOnce(&Path) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let scratch = self.cache.scratch("build").map_err(told)?;
        let (source, artifacts) = (scratch.path().join(&environment.name), scratch.path().join("artifacts"));
        stage::prepare(environment, stage, &self.cache, &source).map_err(told)?;
        let log = scratch.path().join("log");
        let output = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        let this = std::env::current_exe().context("where this program is")?;
        let mut command = Command::new(this);
        command.arg("--data").arg(&self.app.data).arg("run").arg(&source).args(["--image", image]);
        command.arg("--artifacts").arg(&artifacts).args(["--packaging", "none", "--network", "none", "--no-cache"]);
        let errors = output.try_clone().context("the log of a build")?;
        let status = command.stdin(Stdio::null()).stdout(output).stderr(errors).status().context("start a build")?;
        match status.code() {
            Some(0) => then(&artifacts.join("artifacts").join(LAYER)),
            Some(code) if code == i32::from(exit::STOPPED) => {
                Err(anyhow::anyhow!("the build of {} was stopped", environment.image()))
            }
            _ => {
                let log = fs::read(&log).unwrap_or_default();
                let text = String::from_utf8_lossy(&log);
                let lines: Vec<String> = text.lines().map(one_line).collect();
                let end = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default().join("\n");
                Err(anyhow::anyhow!("the build of {} has failed:\n{end}", environment.image()))
            }
        }
    }
}

fn variables(environment: &Environment) -> Vec<String> {
    environment.variables().into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn labels(environment: &Environment, inputs: &str) -> std::collections::BTreeMap<String, String> {
    [
        (INPUTS, inputs),
        (NAME, environment.name.as_str()),
        ("org.opencontainers.image.title", environment.image().as_str()),
        ("org.opencontainers.image.description", environment.recipe.description.as_str()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_named_as_its_image_or_short() {
        for text in ["python", "kiln/python", "kiln/python:1", "python:1"] {
            assert_eq!(environment_name(text), "python");
        }
        assert_eq!(environment_name("kiln/python:2"), "python:2");
    }
}
