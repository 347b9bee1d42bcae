//! Pages of lists: the opaque tokens that say where the next one begins.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use kiln_model::ApiError;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Items of a page (`api.md` 2.3).
pub(crate) const PAGE: usize = 100;

#[derive(Serialize, Deserialize)]
struct Token<T> {
    /// What list it is of, with its order: a token of another list is refused.
    list: String,
    after: T,
}

/// A token for the page behind `after` of `list`.
pub(crate) fn token<T: Serialize>(list: &str, after: T) -> Option<String> {
    serde_json::to_vec(&Token { list: list.to_owned(), after }).ok().map(|json| URL_SAFE_NO_PAD.encode(json))
}

/// Where the page begins that a token asks for; `None` without a token.
///
/// # Errors
/// `InvalidInputException` for a token that is not one of this list.
pub(crate) fn after<T: DeserializeOwned>(list: &str, token: Option<&str>) -> Result<Option<T>, ApiError> {
    let Some(token) = token.filter(|t| !t.is_empty()) else { return Ok(None) };
    let parsed = URL_SAFE_NO_PAD.decode(token).ok().and_then(|json| serde_json::from_slice::<Token<T>>(&json).ok());
    match parsed {
        Some(parsed) if parsed.list == list => Ok(Some(parsed.after)),
        _ => Err(ApiError::invalid_input("Invalid token: give the nextToken of the page before, with the same order")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_of_one_list() {
        let token = token("builds DESCENDING", 7i64).unwrap();
        assert_eq!(after("builds DESCENDING", Some(&token)).unwrap(), Some(7i64));
        assert_eq!(after::<i64>("builds DESCENDING", None).unwrap(), None);
        assert!(after::<i64>("builds ASCENDING", Some(&token)).is_err());
        for bad in ["x", "e30", "\u{0}", "====", &"A".repeat(10_000)] {
            assert!(after::<i64>("builds DESCENDING", Some(bad)).is_err(), "{bad}");
        }
    }
}
