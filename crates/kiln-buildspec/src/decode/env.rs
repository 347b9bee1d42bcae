//! `env`, `environment_variables`, `proxy`.

use std::collections::HashMap;

use super::{Decoder, fields::Fields};
use crate::{
    diagnostic::{Code, Diagnostic, Severity},
    display::quote,
    keys,
    model::{Env, Proxy, SecretReference, Version},
    yaml::NodeId,
};

/// Name, value and the node of the name.
type Variable = (String, String, NodeId);

impl Decoder<'_> {
    pub(super) fn env(&mut self, root: &Fields, version: Option<Version>) -> Env {
        let mut env = Env::default();
        let mut seen = HashMap::new();
        if let Some((key, _)) = root.get("environment_variables") {
            let old = self.subsection(root, "environment_variables", &keys::ENVIRONMENT_VARIABLES);
            if version == Some(Version::V0_2) {
                self.warn(
                    Code::UnknownKey,
                    self.document.span(key),
                    "`environment_variables` belongs to version 0.1 and is ignored in version 0.2",
                    "write the variables under `env/variables`",
                );
            } else if let Some(fields) = old {
                env.variables = self.variables(&fields, "plaintext", &mut seen);
                env.parameter_store = self.variables(&fields, "parameter-store", &mut seen);
            }
        }
        let Some(fields) = self.subsection(root, "env", &keys::ENV) else { return env };
        env.shell = self.text_field(&fields, "shell");
        env.variables.extend(self.variables(&fields, "variables", &mut seen));
        env.parameter_store.extend(self.variables(&fields, "parameter-store", &mut seen));
        env.secrets_manager = self.secrets(&fields, &mut seen);
        env.exported_variables = self.texts_field(&fields, "exported-variables");
        env.git_credential_helper = self.switch_field(&fields, "git-credential-helper");
        env
    }

    pub(super) fn proxy(&mut self, root: &Fields) -> Proxy {
        let Some(fields) = self.subsection(root, "proxy", &keys::PROXY) else { return Proxy::default() };
        Proxy {
            upload_artifacts: self.switch_field(&fields, "upload-artifacts"),
            logs: self.switch_field(&fields, "logs"),
        }
    }

    fn variables(&mut self, fields: &Fields, name: &str, seen: &mut HashMap<String, u32>) -> Vec<(String, String)> {
        self.checked_variables(fields, name, seen).into_iter().map(|(name, value, _)| (name, value)).collect()
    }

    fn secrets(&mut self, fields: &Fields, seen: &mut HashMap<String, u32>) -> Vec<(String, SecretReference)> {
        let variables = self.checked_variables(fields, "secrets-manager", seen);
        let mut secrets = Vec::with_capacity(variables.len());
        for (name, value, key) in variables {
            match value.parse::<SecretReference>() {
                Ok(reference) => {
                    if reference.version_stage.is_some() && reference.version_id.is_some() {
                        self.warn(
                            Code::SecretReference,
                            self.document.span(key),
                            "a version stage and a version id exclude each other",
                            "give one of the two: secret-id:json-key:version-stage or secret-id:json-key::version-id",
                        );
                    }
                    secrets.push((name, reference));
                }
                Err(error) => {
                    let message = format!("the secret of '{}' cannot be read: {error}", quote(&name));
                    let span = self.document.span(key);
                    self.push(Diagnostic::new(Severity::Error, Code::SecretReference, span, message));
                }
            }
        }
        secrets
    }

    /// Reads a mapping of variables; a null value is the empty text.
    fn checked_variables(&mut self, fields: &Fields, name: &str, seen: &mut HashMap<String, u32>) -> Vec<Variable> {
        let Some((_, id)) = fields.get(name) else { return Vec::new() };
        let path = fields.path_of(name);
        let mut variables = Vec::new();
        for (variable, key, value) in self.entries(id, &path) {
            self.check_name(&variable, key);
            let line = self.document.span(key).start.line;
            if let Some(first) = seen.insert(variable.clone(), line) {
                let message = format!("the variable '{}' is also defined on line {first}", quote(&variable));
                self.warn(Code::VariableTwice, self.document.span(key), message, "keep one of the two");
            }
            if self.document.is_null(value) {
                variables.push((variable, String::new(), key));
            } else if let Some(text) = self.text_value(value, &format!("{path}/{}", quote(&variable))) {
                variables.push((variable, text, key));
            }
        }
        variables
    }

    fn check_name(&mut self, name: &str, key: NodeId) {
        let span = self.document.span(key);
        let shown = quote(name);
        if name.is_empty() || name.contains(['=', '\0']) {
            let message = format!("'{shown}' cannot be the name of an environment variable");
            self.push(Diagnostic::new(Severity::Error, Code::VariableName, span, message));
        } else if !is_shell_name(name) {
            let message = format!("a shell cannot use a variable named '{shown}'");
            self.warn(Code::VariableName, span, message, "use letters, digits and _, and no digit first");
        } else if name.starts_with("CODEBUILD_") {
            let message = format!("'{shown}': names that begin with CODEBUILD_ belong to the service");
            self.warn(Code::ReservedVariable, span, message, "choose another name");
        }
    }
}

fn is_shell_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
