//! A policy's document.

use std::collections::HashSet;

use super::{
    error::{PolicyError, quoted},
    evaluate::Effect,
    index::Index,
    json::Json,
    kind::Kind,
    principal::{Entry, Standing},
    statement::{Question, Statement},
};

/// A policy, checked and ready to be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    kind: Kind,
    statements: Vec<Statement>,
    index: Index,
}

/// More than any kind may have, white space included: longer texts are not even read.
const LONGEST_TEXT: usize = 131_072;

impl Policy {
    /// Reads and checks the text of a policy.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, PolicyError> {
        let limit = kind.limit();
        if text.len() > LONGEST_TEXT || kind.length(text) > limit {
            return Err(PolicyError::TooLong { quota: kind.quota(), limit });
        }
        let document: Json = serde_json::from_str(text)
            .map_err(|error| PolicyError::new("This policy contains invalid Json.", "document", error.to_string()))?;
        let Json::Object(members) = &document else {
            return Err(PolicyError::syntax("document", format!("expected an object, not {}", document.kind())));
        };
        let (mut has_variables, mut statements) = (false, None);
        for (name, value) in members {
            match name.as_str() {
                "Version" => has_variables = has_variables_in(value)?,
                "Id" if matches!(value, Json::Text(_)) => {}
                "Id" => return Err(PolicyError::syntax("Id", format!("expected a text, not {}", value.kind()))),
                "Statement" => statements = Some(value),
                _ => {
                    return Err(PolicyError::syntax(
                        quoted(name),
                        "a policy has Version, Id and Statement (their names are case-sensitive)",
                    ));
                }
            }
        }
        let Some(value) = statements else {
            return Err(PolicyError::syntax("document", "a policy has a Statement"));
        };
        let is_list = matches!(value, Json::List(_));
        let statements = value
            .items()
            .iter()
            .enumerate()
            .map(|(at, value)| {
                let place = if is_list { format!("Statement[{at}]") } else { "Statement".to_owned() };
                Statement::parse(value, kind, has_variables, &place)
            })
            .collect::<Result<Vec<_>, _>>()?;
        if statements.is_empty() {
            return Err(PolicyError::syntax("Statement", "the list is empty"));
        }
        let mut sids = HashSet::new();
        for sid in statements.iter().filter_map(|statement| statement.sid.as_ref()) {
            if !sids.insert(sid) {
                return Err(PolicyError::new(
                    "Statement IDs (SID) in a single policy must be unique.",
                    "Statement",
                    format!("'{}' stands twice", quoted(sid)),
                ));
            }
        }
        Ok(Self { kind, index: Index::new(&statements), statements })
    }

    /// What it is attached to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whom it names, in `Principal` and `NotPrincipal`: whoever keeps it checks that they exist.
    pub fn principals(&self) -> impl Iterator<Item = &Entry> {
        self.statements.iter().filter_map(|statement| statement.principal.as_ref()).flat_map(|all| &all.entries)
    }

    /// The same without the users, roles and sessions whose ARNs are not to be taken for the ones that it means: those
    /// were deleted, and others have their names now.
    #[must_use]
    pub fn naming_only(&self, is_meant: impl Fn(&str) -> bool) -> Self {
        let mut policy = self.clone();
        for statement in &mut policy.statements {
            if let Some(principal) = &mut statement.principal {
                principal.entries.retain(|entry| !matches!(entry, Entry::Arn(arn) if !is_meant(arn)));
            }
        }
        policy
    }

    /// The texts of `Resource` and `NotResource`: a bucket's policy may name the bucket and its objects only.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        let lists = self.statements.iter().filter_map(|statement| statement.resources.as_ref());
        lists.flat_map(|list| list.items.iter().map(|resource| resource.text.as_str()))
    }

    pub(super) fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The id of a statement, if it has one.
    pub(super) fn sid(&self, statement: usize) -> Option<&str> {
        self.statements.get(statement)?.sid.as_deref()
    }

    /// The statements with that effect that speak of the question, and how.
    pub(super) fn matching<'a>(
        &'a self,
        effect: Effect,
        question: &'a Question<'_>,
    ) -> impl Iterator<Item = (usize, Standing)> + 'a {
        let candidates = self.index.candidates(effect, question.action.service());
        let statements = candidates.iter().filter_map(|at| Some((*at, self.statements.get(*at)?)));
        statements.flat_map(move |(at, statement)| {
            statement.standings(question).into_iter().map(move |standing| (at, standing))
        })
    }
}

/// Variables came with the second version of the language.
fn has_variables_in(version: &Json) -> Result<bool, PolicyError> {
    match version {
        Json::Text(version) if version == "2012-10-17" => Ok(true),
        Json::Text(version) if version == "2008-10-17" => Ok(false),
        _ => {
            Err(PolicyError::syntax("Version", "expected \"2012-10-17\" (or \"2008-10-17\", which knows no variables)"))
        }
    }
}
