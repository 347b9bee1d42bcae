//! Settings that do not do what they seem to.

use crate::{
    diagnostic::{Code, Diagnostic, Severity},
    display::quote,
    keys,
    model::Version,
};

use super::Linter;

impl Linter<'_> {
    pub(super) fn settings(&mut self) {
        self.shell();
        self.variables();
        self.exported();
        self.runtimes();
        self.artifact_names();
    }

    fn shell(&mut self) {
        let Some(shell) = &self.buildspec.env.shell else { return };
        if keys::SHELLS.iter().any(|known| known.eq_ignore_ascii_case(shell)) {
            return;
        }
        let span = self.find(&["env", "shell"]).map(|(_, value)| self.document.span(value));
        let message = format!("the service documents no shell '{}'", quote(shell));
        self.found.push(
            Diagnostic::new(Severity::Warning, Code::UnknownShell, span.unwrap_or(self.key_span(&["env"])), message)
                .with_hint("use bash or /bin/sh, on Windows powershell.exe or cmd.exe"),
        );
    }

    fn variables(&mut self) {
        let old = self.buildspec.version == Version::V0_1;
        let sections = [&["env", "variables"], &["environment_variables", "plaintext"]];
        for path in sections.into_iter().take(if old { 2 } else { 1 }) {
            let Some((_, variables)) = self.find(path) else { continue };
            for (key, value) in self.children(variables) {
                let (Some(name), Some(text)) = (self.document.text(*key), self.document.text(*value)) else { continue };
                let span = self.document.span(*value);
                if let Some(kind) = credential(text) {
                    let message = format!("the value of '{}' looks like {kind}", quote(name));
                    self.found.push(
                        Diagnostic::new(Severity::Warning, Code::PlainTextSecret, span, message).with_hint(
                            "revoke it; keep credentials in Secrets Manager or Parameter Store (`env/secrets-manager`)",
                        ),
                    );
                } else if let Some(reference) = expansion(text) {
                    // A literal $PATH breaks every command; other values may be meant for a later `eval` or a template.
                    let path_lost = name == "PATH" || reference.contains("$PATH") || reference.contains("${PATH");
                    let severity = if path_lost { Severity::Warning } else { Severity::Hint };
                    let shown = quote(reference);
                    let message = format!("'{}' gets the literal text {shown}: nothing is expanded here", quote(name));
                    self.found.push(
                        Diagnostic::new(severity, Code::NotExpanded, span, message)
                            .with_hint(format!("set it in a command: - export {}=…", quote(name))),
                    );
                }
            }
        }
    }

    fn exported(&mut self) {
        let Some((_, list)) = self.find(&["env", "exported-variables"]) else { return };
        for item in self.items(list) {
            let Some(name) = self.document.text(item).filter(|name| name.starts_with("AWS_")) else { continue };
            let message = format!("'{}' is not exported: no variable whose name begins with AWS_ is", quote(name));
            self.found.push(
                Diagnostic::new(Severity::Warning, Code::NotExported, self.document.span(item), message)
                    .with_hint("copy the value to a variable of another name and export that"),
            );
        }
    }

    fn runtimes(&mut self) {
        let Some((_, runtimes)) = self.find(&["phases", "install", "runtime-versions"]) else { return };
        if let Some((key, _)) = self.child(runtimes, "docker") {
            let message = "docker is no runtime any more: current images refuse it";
            self.found.push(
                Diagnostic::new(Severity::Warning, Code::LegacyRuntime, self.document.span(key), message)
                    .with_aws("Unknown runtime named 'docker'")
                    .with_hint("remove it: the images have docker"),
            );
        }
    }

    fn artifact_names(&mut self) {
        let Some((key, _)) = self.find(&["artifacts", "name"]) else { return };
        let message = "the name is used only when the project lets the buildspec name its artifact";
        self.found.push(
            Diagnostic::new(Severity::Hint, Code::ArtifactName, self.document.span(key), message)
                .with_hint("set overrideArtifactName (\"enable semantic versioning\") in the project's artifacts"),
        );
    }

    pub(super) fn empty_phases(&mut self) {
        let phases: Vec<_> = self.buildspec.phases.iter().collect();
        let batch_only = phases.is_empty() && self.find(&["batch"]).is_some();
        let idle = phases.iter().all(|(_, phase)| {
            phase.commands.is_empty() && phase.finally.is_empty() && phase.runtime_versions.is_empty()
        });
        if idle && !batch_only {
            self.found.push(
                Diagnostic::new(
                    Severity::Warning,
                    Code::NoCommands,
                    self.key_span(&["phases"]),
                    "the build has nothing to do: no phase has a command",
                )
                .with_hint("write commands under phases/build/commands"),
            );
            return;
        }
        for name in ["pre_build", "build", "post_build"] {
            let Some((key, body)) = self.find(&["phases", name]) else { continue };
            let has = |list| self.child(body, list).is_some_and(|(_, value)| !self.document.is_null(value));
            if !has("commands") && !has("finally") {
                let message = format!("the phase {name} has no commands");
                self.found.push(
                    Diagnostic::new(Severity::Hint, Code::NoCommands, self.document.span(key), message)
                        .with_hint("add `commands`, or remove the phase"),
                );
            }
        }
    }
}

/// The first `$NAME`, `${NAME}` or `$(command)` of a text; a backslash in front makes it literal.
fn expansion(text: &str) -> Option<&str> {
    text.match_indices('$').find_map(|(at, _)| {
        let rest = text.get(at..)?;
        let mut chars = rest.char_indices().skip(1);
        let escaped = text.get(..at).is_some_and(|before| before.ends_with(['\\', '$']));
        let (_, first) = chars.next()?;
        let end = match first {
            _ if escaped => return None,
            '{' => rest.find('}')? + 1,
            '(' => rest.find(')')? + 1,
            c if c.is_ascii_alphabetic() || c == '_' => {
                chars.find(|(_, c)| !(c.is_ascii_alphanumeric() || *c == '_')).map_or(rest.len(), |(end, _)| end)
            }
            _ => return None,
        };
        rest.get(..end)
    })
}

/// What kind of credential a text is. Only forms that nothing else has.
fn credential(text: &str) -> Option<&'static str> {
    let word = |prefix: &str, length: usize| {
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| {
            word.len() == length
                && word.starts_with(prefix)
                // Documentation uses such keys on purpose.
                && !word.ends_with("EXAMPLE")
                && !word.bytes().all(|b| b.is_ascii_uppercase())
        })
    };
    if word("AKIA", 20) || word("ASIA", 20) {
        Some("an AWS access key")
    } else if word("ghp_", 40) || word("ghs_", 40) || word("gho_", 40) {
        Some("a GitHub token")
    } else if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        Some("a private key")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expansions_are_found() {
        for (text, expected) in [
            ("/x:$PATH", Some("$PATH")),
            ("${A}/b", Some("${A}")),
            ("v$(date +%F)", Some("$(date +%F)")),
            ("$A.$B", Some("$A")),
            ("5$", None),
            ("US$ 5", None),
            ("\\$A", None),
            ("$$A", None),
            ("a${", None),
            ("^x$|^y$", None),
        ] {
            assert_eq!(expansion(text), expected, "{text}");
        }
    }

    #[test]
    fn credentials_are_told_from_examples() {
        assert!(credential("AKIAABCDEFGHIJ234567").is_some());
        assert!(credential("key=ASIAABCDEFGHIJ234567;").is_some());
        assert!(credential("AKIAIOSFODNN7EXAMPLE").is_none());
        assert!(credential("AKIAABCDEFGHIJ2345678").is_none());
        assert!(credential(&format!("ghp_{}", "a1".repeat(18))).is_some());
        assert!(credential("-----BEGIN RSA PRIVATE KEY-----\nx").is_some());
    }
}
