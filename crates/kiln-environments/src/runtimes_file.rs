//! The runtimes file of an image, in AWS's format (`buildspec.md` 13.2).

use std::{collections::BTreeMap, fmt::Write as _};

use crate::recipes::Environment;

/// The file for an environment with those below it; `None` where there is no runtime to choose.
pub(crate) fn text(environment: &Environment) -> Option<String> {
    let mut runtimes: BTreeMap<&str, BTreeMap<&str, &[String]>> = BTreeMap::new();
    for environment in environment.chain() {
        for (runtime, versions) in &environment.recipe.runtimes {
            let all = runtimes.entry(runtime).or_default();
            all.extend(versions.iter().map(|(version, commands)| (version.as_str(), commands.as_slice())));
        }
    }
    if runtimes.is_empty() {
        return None;
    }
    let mut text = "version: 0.1\nruntimes:\n".to_owned();
    let mut add = |line: String| {
        // Writing to a string cannot fail.
        let _ok = writeln!(text, "{line}");
    };
    for (runtime, versions) in runtimes {
        add(format!("  {}:\n    versions:", quoted(runtime)));
        for (version, commands) in versions {
            add(format!("      {}:\n        commands:", quoted(version)));
            commands.iter().for_each(|command| add(format!("          - {}", quoted(command))));
        }
    }
    Some(text)
}

/// A YAML scalar that stays text: `3.10` is no number.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use kiln_buildspec::Runtimes;

    use crate::recipes::Recipes;

    #[test]
    fn what_is_written_reads_as_what_was_meant() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("recipe.toml"), text).unwrap();
        };
        write(
            "base",
            "description='b'\nlanguage='base'\n[debian]\nsuite='x'\n[runtimes.tool]\n'3.10' = [\"echo 'it''s'\", 'a: b']\n",
        );
        write(
            "top",
            "description='t'\nlanguage='golang'\nfrom='base'\n[runtimes.tool]\n'3.9' = ['true']\n[runtimes.other]\n1 = ['x']\n",
        );
        let recipes = Recipes::new(Some(dir.path().to_owned()), dir.path().join("locks"));
        let text = super::text(&recipes.load("top").unwrap()).unwrap();
        let runtimes = Runtimes::parse(text.as_bytes()).unwrap();
        let select = |version: &str| runtimes.select(&[("tool".to_owned(), version.to_owned())]).unwrap().remove(0);
        assert_eq!((select("latest").version, select("3.9").version), ("3.10".to_owned(), "3.9".to_owned()));
        let commands: Vec<String> = select("3.10").commands.iter().map(|command| command.text.clone()).collect();
        assert_eq!(commands, ["echo 'it''s'", "a: b"]);
        runtimes.select(&[("other".to_owned(), "1".to_owned())]).unwrap();
    }

    #[test]
    fn the_files_of_what_comes_along_are_right() {
        let none = tempfile::tempdir().unwrap();
        let recipes = Recipes::new(None, none.path().to_owned());
        for name in recipes.names().unwrap() {
            let environment = recipes.load(&name).unwrap();
            let Some(text) = super::text(&environment) else { continue };
            let runtimes = Runtimes::parse(text.as_bytes()).unwrap();
            for (runtime, versions) in &environment.recipe.runtimes {
                for version in versions.keys() {
                    runtimes.select(&[(runtime.clone(), version.clone())]).unwrap();
                }
            }
        }
    }
}
