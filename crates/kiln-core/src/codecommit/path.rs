//! Paths in repositories.

use kiln_model::{ApiError, ErrorCode};

use super::error::error;

/// Characters of a path (AWS's quota).
const LONGEST: usize = 4096;

/// The path of a file or folder as git has it: no slash at either end; empty for the root.
///
/// # Errors
/// `InvalidPathException` for what a working tree could not or must not have.
pub(super) fn clean(path: &str) -> Result<String, ApiError> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(String::new());
    }
    let is_fine = |part: &str| {
        // As git itself refuses them in trees, on whatever file system they are checked out.
        let plain = part.trim_end_matches(['.', ' ']).to_ascii_lowercase();
        !part.is_empty() && part != "." && part != ".." && plain != ".git" && !plain.starts_with("git~1")
    };
    let has_control = path.chars().any(char::is_control);
    if path.chars().count() > LONGEST || has_control || path.contains('\\') || !path.split('/').all(is_fine) {
        return Err(error(ErrorCode::InvalidPath, "The specified path is not valid."));
    }
    Ok(path.to_owned())
}

/// The path of a file.
///
/// # Errors
/// As [`clean`]; `PathRequiredException` for the root.
pub(super) fn file(path: &str) -> Result<String, ApiError> {
    let path = clean(path)?;
    if path.is_empty() {
        return Err(error(ErrorCode::PathRequired, "The path was not specified."));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_tree() {
        assert_eq!(clean("/a/b.txt").unwrap(), "a/b.txt");
        assert_eq!(clean("a b/ä/").unwrap(), "a b/ä");
        assert_eq!((clean("/").unwrap(), clean("").unwrap()), (String::new(), String::new()));
        let bad = [
            "../a",
            "a/../b",
            "./a",
            "a//b",
            ".git",
            ".git/config",
            "a/.GIT/x",
            ".git.",
            "git~1/x",
            "a\nb",
            "a\0b",
            "//a",
            "a\\..\\b",
            &"a".repeat(4097),
        ];
        for bad in bad {
            assert_eq!(clean(bad).unwrap_err().code, ErrorCode::InvalidPath, "{bad}");
        }
        assert_eq!(file("/").unwrap_err().code, ErrorCode::PathRequired);
    }
}
