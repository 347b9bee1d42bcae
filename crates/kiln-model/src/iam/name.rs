//! Constraints of names and texts.

use super::{IamCode, IamError, Tag};

const WORD: &str = "[\\w+=,.@-]+";

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

/// A name of up to so many characters.
///
/// # Errors
/// `ValidationError`.
pub fn check_name(place: &str, name: &str, longest: usize) -> Result<(), IamError> {
    if name.len() > longest {
        return Err(IamError::validation(place, &format!("Member must have length less than or equal to {longest}")));
    }
    if !is_word(name) {
        return Err(IamError::new(
            IamCode::ValidationError,
            format!(
                "The specified value for {place} is invalid. It must contain only alphanumeric characters and/or the \
                 following: +=,.@_-"
            ),
        ));
    }
    Ok(())
}

/// The name of a policy.
///
/// # Errors
/// `ValidationError`.
pub fn check_policy_name(name: &str) -> Result<(), IamError> {
    check_name("policyName", name, 128)
}

/// The name of a session, 2 to 64 characters.
///
/// # Errors
/// `ValidationError`.
pub fn check_session_name(name: &str) -> Result<(), IamError> {
    if !(2..=64).contains(&name.len()) || !is_word(name) {
        return Err(IamError::validation(
            "roleSessionName",
            &format!("Member must satisfy regular expression pattern: {WORD} with a length of 2 to 64"),
        ));
    }
    Ok(())
}

/// A path: `/`, or `/…/`.
///
/// # Errors
/// `ValidationError`.
pub fn check_path(path: &str) -> Result<(), IamError> {
    let is_path = path.starts_with('/')
        && path.ends_with('/')
        && path.len() <= 512
        && path.bytes().all(|b| (0x21..=0x7e).contains(&b) && !b"*?".contains(&b));
    if is_path {
        return Ok(());
    }
    Err(IamError::new(
        IamCode::ValidationError,
        "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters \
         and/or / characters.",
    ))
}

/// A description.
///
/// # Errors
/// `ValidationError`.
pub fn check_description(text: &str) -> Result<(), IamError> {
    if text.chars().count() > 1000 {
        return Err(IamError::validation("description", "Member must have length less than or equal to 1000"));
    }
    if text.chars().any(|c| c.is_control() && !"\t\n\r".contains(c)) {
        return Err(IamError::validation("description", "Member must have no control characters"));
    }
    Ok(())
}

/// Tags: at most 50, names unique without regard to case.
///
/// # Errors
/// `InvalidInput`, `ValidationError`, `LimitExceeded`.
pub fn check_tags(tags: &[Tag]) -> Result<(), IamError> {
    if tags.len() > 50 {
        return Err(IamError::new(IamCode::LimitExceeded, "The number of tags has reached the maximum limit."));
    }
    for (at, tag) in tags.iter().enumerate() {
        let is_text = |text: &str| !text.chars().any(char::is_control);
        if tag.key.is_empty() || tag.key.chars().count() > 128 || !is_text(&tag.key) {
            return Err(IamError::validation("tags.member.key", "Member must have 1 to 128 printable characters"));
        }
        if tag.value.chars().count() > 256 || !is_text(&tag.value) {
            return Err(IamError::validation("tags.member.value", "Member must have up to 256 printable characters"));
        }
        if tag.key.to_lowercase().starts_with("aws:") {
            return Err(IamError::new(IamCode::InvalidInput, "Tag keys that begin with 'aws:' are reserved."));
        }
        let (before, _) = tags.split_at(at);
        if before.iter().any(|other| other.key.to_lowercase() == tag.key.to_lowercase()) {
            return Err(IamError::new(
                IamCode::InvalidInput,
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_paths_and_tags_have_their_constraints() {
        assert!(check_name("userName", "a.b@c-d_e+f=g,h", 64).is_ok());
        for wrong in ["", "a b", "a/b", "ä"] {
            assert!(check_name("userName", wrong, 64).is_err(), "{wrong}");
        }
        assert!(check_name("userName", &"a".repeat(65), 64).is_err());
        assert!(check_path("/").is_ok() && check_path("/a/b/").is_ok());
        for wrong in ["", "a", "/a", "a/", "/a b/", "/*/"] {
            assert!(check_path(wrong).is_err(), "{wrong}");
        }
        let tag = |key: &str| Tag { key: key.to_owned(), value: String::new() };
        assert!(check_tags(&[tag("a"), tag("b")]).is_ok());
        assert!(check_tags(&[tag("a"), tag("A")]).is_err());
        assert!(check_tags(&[tag("aws:x")]).is_err() && check_tags(&[tag("")]).is_err());
        assert!(check_session_name("s1").is_ok() && check_session_name("s").is_err());
    }
}
