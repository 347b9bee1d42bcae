//! The parameters of a form.

use std::collections::HashMap;

use kiln_model::{
    ApiError,
    iam::{IamCode, IamError, Page, Tag},
};

use crate::form;

/// Parameters that one form may have: a thousand metrics with twenty each.
const MOST: usize = 20_000;

/// A decoded form.
#[derive(Debug, Default)]
pub(crate) struct Form(HashMap<String, String>);

impl Form {
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let mut values = HashMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (form::decode(name), form::decode(value)) else {
                return Err(ApiError::serialization("the form has an escape that is none, or is not UTF-8"));
            };
            if values.len() == MOST {
                return Err(ApiError::serialization(format!("the form has more than {MOST} parameters")));
            }
            // Of two with one name no reader knows which is meant.
            if values.insert(name.clone(), value).is_some() {
                return Err(ApiError::serialization(format!("the parameter '{name}' stands twice")));
            }
        }
        Ok(Self(values))
    }

    /// The value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there is a parameter of that name, or anything below it.
    pub(super) fn has_any(&self, name: &str) -> bool {
        self.0.keys().any(|known| known.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    }

    pub(super) fn optional(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    pub(super) fn required(&self, name: &str) -> Result<String, IamError> {
        self.optional(name).ok_or_else(|| {
            let place = small(name);
            IamError::new(
                IamCode::ValidationError,
                format!(
                    "1 validation error detected: Value null at '{place}' failed to satisfy constraint: Member must \
                     not be null"
                ),
            )
        })
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, IamError> {
        let parse =
            |text: &str| text.parse().map_err(|_| IamError::validation(&small(name), "Member must be a whole number"));
        self.get(name).map(parse).transpose()
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, IamError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(IamError::validation(&small(name), "Member must be true or false")),
        }
    }

    /// `Name.member.1`, `Name.member.2`, …
    pub(crate) fn list(&self, name: &str, suffix: &str) -> Vec<String> {
        (1..=MOST).map_while(|at| self.optional(&format!("{name}.member.{at}{suffix}"))).collect()
    }

    pub(crate) fn tags(&self) -> Result<Vec<Tag>, IamError> {
        let keys = self.list("Tags", ".Key");
        let value = |at: usize| self.required(&format!("Tags.member.{at}.Value"));
        keys.into_iter().zip(1..).map(|(key, at)| Ok(Tag { key, value: value(at)? })).collect()
    }

    pub(super) fn page(&self) -> Result<Page, IamError> {
        let max_items = self.number("MaxItems")?.map(usize::try_from).transpose();
        let max_items = max_items.map_err(|_| IamError::validation("maxItems", "Member must be greater than 0"))?;
        Ok(Page { marker: self.optional("Marker"), max_items })
    }
}

/// As messages name a parameter.
fn small(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_tags_of_a_form() {
        let form =
            Form::parse("Action=X&A.member.1=a&A.member.2=b&Tags.member.1.Key=k&Tags.member.1.Value=v+w").unwrap();
        assert_eq!(form.list("A", ""), ["a", "b"]);
        assert_eq!(form.tags().unwrap(), [Tag { key: "k".to_owned(), value: "v w".to_owned() }]);
        let missing = form.required("UserName").unwrap_err().to_string();
        assert!(missing.contains("Value null at 'userName' failed to satisfy constraint"), "{missing}");
        assert!(Form::parse("a=1&%61=2").is_err() && Form::parse("a=%zz").is_err());
        assert!(Form::parse(&"x=1&".repeat(2)).is_err());
    }
}
