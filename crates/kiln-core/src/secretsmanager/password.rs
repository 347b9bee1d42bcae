//! Random passwords.

use kiln_model::{
    ApiError, ErrorCode, Secret,
    secretsmanager::{GetRandomPasswordRequest, GetRandomPasswordResponse},
    service::Context,
};
use kiln_store::keys::Keys;
use zeroize::Zeroizing;

use super::error;
use crate::{core::Inner, records::keys_failed, runners::Runners};

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// A number below `below`, each as likely: bytes above the last whole multiple are thrown away.
fn number(below: usize) -> Result<usize, ApiError> {
    let range = u32::try_from(below).unwrap_or(u32::MAX).max(1);
    let limit = u32::MAX - u32::MAX % range;
    loop {
        let bytes = Keys::random(4).map_err(|e| keys_failed(&e))?;
        let number = <[u8; 4]>::try_from(bytes.as_slice()).map(u32::from_le_bytes).unwrap_or_default();
        if number < limit {
            return Ok(usize::try_from(number % range).unwrap_or_default());
        }
    }
}

/// So many random characters of some.
pub(super) fn characters(of: &str, count: usize) -> Result<Zeroizing<String>, ApiError> {
    let letters: Vec<char> = of.chars().collect();
    let mut text = Zeroizing::new(String::with_capacity(count));
    for _ in 0..count {
        text.extend(letters.get(number(letters.len())?));
    }
    Ok(text)
}

pub(super) async fn get_random_password<R: Runners>(
    _: &Inner<R>,
    _: &Context,
    input: GetRandomPasswordRequest,
) -> Result<GetRandomPasswordResponse, ApiError> {
    let length = usize::try_from(input.password_length.unwrap_or(32)).unwrap_or(32);
    let excluded = input.exclude_characters.unwrap_or_default();
    let kinds: Vec<String> = [
        (input.exclude_uppercase, false, UPPER),
        (input.exclude_lowercase, false, LOWER),
        (input.exclude_numbers, false, DIGITS),
        (input.exclude_punctuation, false, PUNCTUATION),
        // A blank is there only when it is asked for.
        (input.include_space.map(|space| !space), true, " "),
    ]
    .into_iter()
    .filter(|(excluded, usual, _)| !excluded.unwrap_or(*usual))
    .map(|(_, _, kind)| kind.chars().filter(|c| !excluded.contains(*c)).collect::<String>())
    .filter(|kind| !kind.is_empty())
    .collect();
    if kinds.is_empty() {
        return Err(error(ErrorCode::InvalidParameter, "Password can't be generated: all characters are excluded."));
    }
    let required = if input.require_each_included_type == Some(false) { 0 } else { kinds.len() };
    if length < required {
        let message = "Password length is too short based on the required types.";
        return Err(error(ErrorCode::InvalidParameter, message));
    }
    let mut password: Zeroizing<Vec<char>> = Zeroizing::new(Vec::with_capacity(length));
    for kind in kinds.iter().take(required) {
        password.extend(characters(kind, 1)?.chars());
    }
    let all: String = kinds.concat();
    password.extend(characters(&all, length - required)?.chars());
    // Or the first characters would be of known kinds.
    for at in (1..password.len()).rev() {
        password.swap(at, number(at + 1)?);
    }
    Ok(GetRandomPasswordResponse { random_password: Some(Secret::new(password.iter().collect())) })
}
