//! The source directory of the build that makes an image's layer.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    error::Error,
    lock::{Kind, Lock, Package},
    packages::PackageCache,
    recipes::Environment,
    runtimes_file, sbom,
};

const BOOTSTRAP: &str = include_str!("../scripts/bootstrap.sh");
const INSTALL: &str = include_str!("../scripts/install.sh");
const PACK: &str = include_str!("../scripts/pack.sh");

/// What runs in the builds: part of what makes an image what it is.
pub(crate) const SCRIPTS: [&str; 3] = [BOOTSTRAP, INSTALL, PACK];

/// Name of the file with the layer, the build's only artifact.
pub const LAYER: &str = "layer.tar";

/// Which build it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Unpacks Debian's essential packages, on an image that has `dpkg-deb`: a file system in which the next can run.
    Bootstrap,
    /// Installs everything, in the bootstrap's file system or in the parent's image.
    Install,
}

/// Lays out the source directory in `dir`, which must not be there. Its package files are links to those of the cache,
/// or copies where there can be no links.
///
/// # Errors
/// If the lock cannot be used, the cache lacks a file, or the directory cannot be written.
pub fn prepare(environment: &Environment, stage: Stage, cache: &PackageCache, dir: &Path) -> Result<(), Error> {
    let lock = environment.usable_lock()?;
    crate::packages::private_dir(&dir.join("packages"))?;
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).map_err(Error::io("write", path))
    };
    let all = environment.packages()?;
    for package in all.iter().filter(|package| stage == Stage::Install || package.kind == Kind::Essential) {
        let file = cache.get(package).ok_or_else(|| Error::Io {
            what: "find the package",
            path: PathBuf::from(&package.file),
            source: io::Error::from(io::ErrorKind::NotFound),
        })?;
        link(&file, &dir.join("packages").join(&package.file))?;
    }
    write("essential", &lines(lock, &[Kind::Essential], |package| package.file.clone()))?;
    let script = match stage {
        Stage::Bootstrap => {
            write("bootstrap.sh", BOOTSTRAP)?;
            "bootstrap.sh"
        }
        Stage::Install => {
            install_files(environment, lock, &all, dir, &write)?;
            "install.sh"
        }
    };
    write(
        "buildspec.yml",
        &format!(
            "version: 0.2\nphases:\n  build:\n    commands:\n      - sh {script}\nartifacts:\n  files:\n    - {LAYER}\n"
        ),
    )
}

fn install_files(
    environment: &Environment,
    lock: &Lock,
    packages: &[Package],
    dir: &Path,
    write: &dyn Fn(&str, &str) -> Result<(), Error>,
) -> Result<(), Error> {
    let recipe = &environment.recipe;
    write("install.sh", INSTALL)?;
    write("pack.sh", PACK)?;
    write("epoch", &format!("{}\n", lock.epoch))?;
    // A file system without a parent is packed whole.
    write("changed", if environment.parent.is_some() { "yes\n" } else { "" })?;
    write("debian", &lines(lock, &[Kind::Essential, Kind::Debian], |package| package.file.clone()))?;
    write("wheels", &lines(lock, &[Kind::Wheel], |package| format!("{}=={}", package.name, package.version)))?;
    let mut unpack = String::new();
    for item in &recipe.unpack {
        // There is one for each: in the usable lock, or of a vendor.
        for package in packages.iter().filter(|package| item.is(package)) {
            let (strip, to) = (item.strip.trim_matches('/'), &item.to);
            // Writing to a string cannot fail.
            let _ok = writeln!(unpack, "{}|{strip}|{to}|{}", package.file, item.programs.join(" "));
        }
    }
    write("unpack", &unpack)?;
    write("links", &recipe.links.iter().map(|(path, target)| format!("{path}|{target}\n")).collect::<String>())?;
    write("before.sh", environment.before.as_deref().unwrap_or_default())?;
    write("after.sh", environment.after.as_deref().unwrap_or_default())?;
    let image = dir.join("image");
    for name in ["config", "sbom"] {
        fs::create_dir_all(image.join(name)).map_err(Error::io("create", &image))?;
    }
    if let Some(text) = runtimes_file::text(environment) {
        write("image/config/runtimes.yml", &text)?;
    }
    write(&format!("image/sbom/{}.spdx.json", environment.name), &sbom::document(environment, lock, packages))
}

fn lines(lock: &Lock, kinds: &[Kind], line: impl Fn(&Package) -> String) -> String {
    lock.packages.iter().filter(|package| kinds.contains(&package.kind)).map(|package| line(package) + "\n").collect()
}

fn link(from: &Path, to: &Path) -> Result<(), Error> {
    // Another file system, or one without hard links.
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ())).map_err(Error::io("link the package", to))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::recipes::Recipes;

    const TOP: &str = "description='t'\nlanguage='golang'\nfrom='base'\nafter='after.sh'\n[links]\n'/opt/x/current'='1'\n\
        [[unpack]]\nregistry='pypi'\nname='x'\nversion='1'\nstrip='x'\nto='/opt/x/1'\nprograms=['bin/*']\n[runtimes.x]\n1=['true']\n";

    fn environment(dir: &Path) -> (Environment, PackageCache) {
        let write = |path: &str, text: &str| {
            let path = dir.join("recipes").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("base/recipe.toml", "description='b'\nlanguage='base'\n[debian]\nsuite='x'\n");
        write("top/recipe.toml", TOP);
        write("top/after.sh", "echo after\n");
        let recipes = Recipes::new(Some(dir.join("recipes")), dir.join("locks"));
        let package = |kind, name: &str, file: &str| Package {
            kind,
            name: name.to_owned(),
            version: "1.2".to_owned(),
            file: file.to_owned(),
            size: 4,
            sha256: hex::encode(Sha256::digest(b"file")),
        };
        let base =
            Lock { epoch: 9, parent: None, packages: vec![package(Kind::Essential, "dpkg", "dpkg_1.2_amd64.deb")] };
        recipes.store_lock("base", &base).unwrap();
        let packages = vec![package(Kind::Pypi, "x", "x-1.2-py3-none-any.whl"), package(Kind::Wheel, "y", "y-1.2.whl")];
        recipes.store_lock("top", &Lock { epoch: 9, parent: Some(base.hash()), packages }).unwrap();
        let cache = PackageCache::open(dir.join("packages")).unwrap();
        (recipes.load("top").unwrap(), cache)
    }

    #[test]
    fn a_build_finds_its_packages_and_what_to_do_with_them() {
        let dir = tempfile::tempdir().unwrap();
        let (top, cache) = environment(dir.path());
        let stage = dir.path().join("stage");
        let error = prepare(&top, Stage::Install, &cache, &stage).unwrap_err().to_string();
        assert!(error.contains("find the package x-1.2-py3-none-any.whl"), "{error}");
        fs::remove_dir_all(&stage).unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "file").unwrap();
        cache.take(&file).unwrap();
        prepare(&top, Stage::Install, &cache, &stage).unwrap();
        let read = |name: &str| fs::read_to_string(stage.join(name)).unwrap();
        assert_eq!(read("packages/x-1.2-py3-none-any.whl"), "file");
        assert_eq!(read("unpack"), "x-1.2-py3-none-any.whl|x|/opt/x/1|bin/*\n");
        assert_eq!((read("wheels"), read("links")), ("y==1.2\n".to_owned(), "/opt/x/current|1\n".to_owned()));
        assert_eq!(
            (read("debian"), read("changed"), read("epoch")),
            (String::new(), "yes\n".to_owned(), "9\n".to_owned())
        );
        assert_eq!(read("after.sh"), "echo after\n");
        assert!(
            read("image/config/runtimes.yml").contains("'x'")
                && read("image/sbom/top.spdx.json").contains("pkg:pypi/x@1.2")
        );
        let base = dir.path().join("bootstrap");
        prepare(top.parent.as_deref().unwrap(), Stage::Bootstrap, &cache, &base).unwrap();
        assert_eq!(fs::read_to_string(base.join("essential")).unwrap(), "dpkg_1.2_amd64.deb\n");
        assert!(fs::read_to_string(base.join("buildspec.yml")).unwrap().contains("sh bootstrap.sh"));
    }

    #[test]
    fn the_scripts_are_ones() {
        for script in SCRIPTS {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("script"), script).unwrap();
            let output = Command::new("sh").arg("-n").arg(dir.path().join("script")).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
    }
}
