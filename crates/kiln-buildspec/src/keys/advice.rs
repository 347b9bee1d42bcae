//! What to write instead of an unknown key.

use super::{ALL, Section};

/// Longest unknown key that suggestions are sought for.
const MAX_WORD: usize = 64;

fn plain(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// What to write instead of an unknown key: the families of `buildspecs-in-the-wild.md` 3.3, in the order of certainty.
pub(crate) fn advice(section: &Section, word: &str) -> Option<String> {
    if word.len() > MAX_WORD {
        return None;
    }
    let wanted = plain(word);
    if let Some((_, advice)) = section.foreign.iter().find(|(foreign, _)| plain(foreign) == wanted) {
        return Some((*advice).to_owned());
    }
    let similar = |limit: usize| {
        section
            .keys
            .iter()
            .map(|key| (strsim::damerau_levenshtein(&plain(key.name), &wanted), key.name))
            .filter(|(distance, _)| *distance <= limit)
            .min()
    };
    // Hyphens, underscores, capitals, one letter: another place is less likely than a slip.
    if let Some((_, name)) = similar(usize::from(wanted.len() > 3)) {
        return Some(format!("did you mean `{name}`?"));
    }
    if let Some(home) = ALL.iter().find(|home| home.keys.iter().any(|key| plain(key.name) == wanted)) {
        return Some(format!("it belongs {}", home.place));
    }
    if section.key("variables").is_some()
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    {
        return Some("environment variables stand one level deeper, under `variables`".to_owned());
    }
    similar(wanted.len() / 3).map(|(_, name)| format!("did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{ARTIFACTS, BATCH, CACHE, GRAPH_ITEM, ITEM_ENVIRONMENT, PHASE, PHASE_LIST, ROOT};

    #[test]
    fn the_families_of_wrong_keys() {
        for (section, word, expected) in [
            (&PHASE_LIST, "post-build", "did you mean `post_build`?"),
            (&PHASE_LIST, "prebuild", "did you mean `pre_build`?"),
            (&PHASE_LIST, "artifacts", "it belongs at the top level"),
            (&PHASE_LIST, "reports", "it belongs at the top level"),
            (&PHASE_LIST, "runtime-versions", "it belongs in the install phase"),
            (&PHASE_LIST, "commands", "it belongs in the install phase"),
            (&PHASE_LIST, "deploy", "deploy in `post_build`"),
            (&PHASE, "run_as", "did you mean `run-as`?"),
            (&PHASE, "Commands", "did you mean `commands`?"),
            (&PHASE, "command", "did you mean `commands`?"),
            (&PHASE, "steps", "did you mean `commands`?"),
            (&PHASE, "runtime-versions", "it belongs in the install phase"),
            (&PHASE, "post_build", "it belongs under `phases`"),
            (&ROOT, "pases", "did you mean `phases`?"),
            (&ROOT, "ersion", "did you mean `version`?"),
            (&ROOT, "build", "it belongs under `phases`"),
            (&ROOT, "files", "it belongs under `artifacts`"),
            (&ROOT, "build-matrix", "it belongs under `batch`"),
            (&ARTIFACTS, "baseDirectory", "did you mean `base-directory`?"),
            (&ARTIFACTS, "type", "packaging (ZIP or not) is a setting of the project"),
            (&GRAPH_ITEM, "depends-on", "did you mean `depend-on`?"),
            (&BATCH, "static", "write it under `build-matrix`"),
            (&ITEM_ENVIRONMENT, "CLI_REGION", "environment variables stand one level deeper, under `variables`"),
            (&CACHE, "directories", "did you mean `paths`?"),
        ] {
            assert_eq!(advice(section, word).as_deref(), Some(expected), "{word}");
        }
        assert_eq!(advice(&ROOT, "x-my-own-thing"), None);
        assert_eq!(advice(&ROOT, &"k".repeat(1 << 20)), None);
    }
}
