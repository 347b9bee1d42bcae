//! Tools that a user installed below a home.

use std::path::{Component, Path, PathBuf};

/// A directory below a home, and the variable that names it.
type Part = (&'static str, Option<&'static str>);

/// Managers of tools: what PATH names below a home, what must be visible for it, and the variable that names that.
const MANAGERS: [(&str, &[Part]); 14] = [
    (".asdf", &[(".asdf", Some("ASDF_DATA_DIR"))]),
    (".bun", &[(".bun/bin", None)]),
    (".cargo", &[(".cargo/bin", None), (".rustup", Some("RUSTUP_HOME"))]),
    (".deno", &[(".deno/bin", None)]),
    (".dotnet", &[(".dotnet", Some("DOTNET_ROOT"))]),
    (".fnm", &[(".fnm", None)]),
    (".goenv", &[(".goenv", None)]),
    (".jenv", &[(".jenv", None)]),
    (".nodenv", &[(".nodenv", None)]),
    (".nvm", &[(".nvm", Some("NVM_DIR"))]),
    (".pyenv", &[(".pyenv", Some("PYENV_ROOT"))]),
    (".rbenv", &[(".rbenv", Some("RBENV_ROOT"))]),
    (".sdkman", &[(".sdkman", Some("SDKMAN_DIR"))]),
    (".volta", &[(".volta", Some("VOLTA_HOME"))]),
];

/// A directory to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tool {
    pub(super) dir: PathBuf,
    pub(super) variable: Option<&'static str>,
}

/// What entries of PATH below homes need. `home` is the caller's; `/root` and `/home/*` are homes as well.
pub(super) fn below_homes(path: &[PathBuf], home: Option<&Path>) -> Vec<Tool> {
    let mut tools: Vec<Tool> = Vec::new();
    for entry in path {
        let Some(home) = home_of(entry, home) else { continue };
        let Ok(relative) = entry.strip_prefix(&home) else { continue };
        // A home itself, or something with `..` in it, is no directory of tools.
        let Some(Component::Normal(first)) = relative.components().next() else { continue };
        if relative.components().any(|component| !matches!(component, Component::Normal(_))) {
            continue;
        }
        let manager = MANAGERS.iter().find(|(name, _)| first == *name);
        let wanted: Vec<Tool> = match manager {
            Some((_, dirs)) => {
                dirs.iter().map(|(dir, variable)| Tool { dir: home.join(dir), variable: *variable }).collect()
            }
            None => vec![Tool { dir: entry.clone(), variable: None }],
        };
        for tool in wanted {
            if tool.dir.is_dir() && !tools.contains(&tool) {
                tools.push(tool);
            }
        }
    }
    // What lies below another tool's directory is visible with it.
    let all = tools.clone();
    tools.retain(|tool| !all.iter().any(|other| tool.dir != other.dir && tool.dir.starts_with(&other.dir)));
    tools
}

/// The home that `path` is below.
fn home_of(path: &Path, home: Option<&Path>) -> Option<PathBuf> {
    if let Some(home) = home.filter(|home| *home != Path::new("/") && path.starts_with(home)) {
        return Some(home.to_path_buf());
    }
    if path.starts_with("/root") {
        return Some("/root".into());
    }
    let name = path.strip_prefix("/home").ok()?.components().next()?;
    Some(Path::new("/home").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn managers_are_shown_whole_and_unknown_directories_alone() {
        let home = tempfile::tempdir().unwrap();
        for dir in [".cargo/bin", ".rustup/toolchains", ".pyenv/shims", ".pyenv/bin", "my/tools", ".ssh"] {
            std::fs::create_dir_all(home.path().join(dir)).unwrap();
        }
        let path: Vec<PathBuf> = [".pyenv/shims", ".pyenv/bin", ".cargo/bin", "my/tools", "missing", "", "my/../.ssh"]
            .map(|entry| home.path().join(entry))
            .into_iter()
            .chain(["/usr/bin".into()])
            .collect();
        let tools = below_homes(&path, Some(home.path()));
        let expected = [
            (".pyenv", Some("PYENV_ROOT")),
            (".cargo/bin", None),
            (".rustup", Some("RUSTUP_HOME")),
            ("my/tools", None),
        ];
        assert_eq!(tools, expected.map(|(dir, variable)| Tool { dir: home.path().join(dir), variable }));
    }
}
