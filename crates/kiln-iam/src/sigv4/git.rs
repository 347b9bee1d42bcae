//! Signatures of git clients: the password of `git-remote-codecommit` and of the AWS CLI's credential helper (`api.md` 8.7).
//!
//! Signed are the method `GIT`, the path of the repository, and the host; one signature serves all requests of a clone or a
//! push, so that it is good for some time and for more than one request.

use time::{Duration, OffsetDateTime};

use super::{
    ALGORITHM, MAX_SKEW_MINUTES,
    claim::Scope,
    date::{amz_date, day, parse_amz_date},
    key::{Key, SecretKey, SigningKey, dummy, same, same_text, sha256},
};
use crate::error::AuthError;

/// SigV4's name of the service.
const SERVICE: &str = "codecommit";

/// A password that is a signature.
#[derive(Clone)]
pub struct GitSignature {
    date: OffsetDateTime,
    signature: [u8; 32],
}

/// What a client may have signed.
#[derive(Debug, Clone, Copy)]
pub struct GitRequest<'a> {
    /// Region of the service.
    pub region: &'a str,
    /// Names of the host: as it is in the request, with its port and without.
    pub hosts: &'a [&'a str],
    /// Path of the repository, `/v1/repos/<name>`.
    pub path: &'a str,
}

impl GitSignature {
    /// Reads a password; `None` when it is another kind of password.
    #[must_use]
    pub fn parse(password: &str) -> Option<Self> {
        let (date, digits) = password.split_at_checked("20150830T123600Z".len())?;
        let date = parse_amz_date(date)?;
        let mut signature = [0; 32];
        hex::decode_to_slice(digits, &mut signature).ok()?;
        Some(Self { date, signature })
    }

    /// Whether it is not too old, and by the clock of the client not of the future.
    ///
    /// # Errors
    /// [`AuthError::NotYetCurrent`], [`AuthError::Expired`].
    pub fn check(&self, now: OffsetDateTime) -> Result<(), AuthError> {
        let (skew, date) = (Duration::minutes(MAX_SKEW_MINUTES), self.date);
        if date - now > skew {
            return Err(AuthError::NotYetCurrent { date, now });
        }
        if now - date > skew { Err(AuthError::Expired { date, now }) } else { Ok(()) }
    }

    /// Whether it was made with a key. `key` is what the look-up of the access key found, `token` the session token that the
    /// client gave. A key that was not found takes as long as a wrong signature.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(
        &self,
        request: &GitRequest<'_>,
        key: Option<&Key>,
        token: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<(), AuthError> {
        let nobody = dummy();
        let secret = &key.unwrap_or(&nobody).secret;
        let mut is_genuine = false;
        for host in request.hosts {
            // Clients that were given the path with a slash at its end sign that.
            for path in [request.path.to_owned(), format!("{}/", request.path)] {
                is_genuine |= same(&signed(secret, request.region, host, &path, self.date), &self.signature);
            }
        }
        let Some(key) = key else { return Err(AuthError::UnknownKey) };
        match (&key.session, token) {
            (None, None) => {}
            (Some(session), Some(token)) if same_text(&session.token, token) => {
                if now >= session.expires {
                    return Err(AuthError::ExpiredToken);
                }
            }
            _ => return Err(AuthError::InvalidToken),
        }
        if is_genuine { Ok(()) } else { Err(AuthError::WrongSignature) }
    }
}

/// The password that git signs in with at a repository: what a client gives, made by the same rules.
#[must_use]
pub fn git_password(secret: &SecretKey, region: &str, host: &str, path: &str, now: OffsetDateTime) -> String {
    format!("{}{}", amz_date(now), hex::encode(signed(secret, region, host, path, now)))
}

fn signed(secret: &SecretKey, region: &str, host: &str, path: &str, date: OffsetDateTime) -> [u8; 32] {
    let canonical = format!("GIT\n{path}\n\nhost:{host}\n\nhost\n");
    let scope = Scope { day: day(date), region: region.to_owned(), service: SERVICE.to_owned() };
    let date = amz_date(date);
    // Without the Z that the password has.
    let date = date.trim_end_matches('Z');
    let text = format!("{ALGORITHM}\n{date}\n{}\n{}", scope.text(), hex::encode(sha256(canonical.as_bytes())));
    SigningKey::derive(secret, &scope).sign(&text)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use zeroize::Zeroizing;

    use super::*;
    use crate::sigv4::Session;

    const NOW: OffsetDateTime = datetime!(2026-11-27 07:00:00 UTC);
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn key(session: Option<Session>) -> Key {
        Key { secret: SecretKey::new(SECRET.to_owned()), session }
    }

    fn request() -> GitRequest<'static> {
        GitRequest { region: "us-east-1", hosts: &["localhost:5456", "localhost"], path: "/v1/repos/demo" }
    }

    fn password(host: &str, path: &str, region: &str) -> GitSignature {
        GitSignature::parse(&git_password(&key(None).secret, region, host, path, NOW)).unwrap()
    }

    #[test]
    fn what_botocore_signs_is_taken() {
        // Made with botocore's SigV4Auth as git-remote-codecommit 1.17 calls it.
        assert_eq!(
            git_password(&key(None).secret, "us-east-1", "localhost:5456", "/v1/repos/demo", NOW),
            "20261127T070000Z9c6afb50e252eb1e2f56e80e1162347ca756fedc6809f6c5c15a1da1cc74731c"
        );
    }

    #[test]
    fn only_the_signed_repository_host_and_region() {
        for host in ["localhost", "localhost:5456"] {
            for path in ["/v1/repos/demo", "/v1/repos/demo/"] {
                password(host, path, "us-east-1").verify(&request(), Some(&key(None)), None, NOW).unwrap();
            }
        }
        for (host, path, region) in [
            ("other", "/v1/repos/demo", "us-east-1"),
            ("localhost", "/v1/repos/other", "us-east-1"),
            ("localhost", "/v1/repos/demo", "us-east-2"),
        ] {
            let refused = password(host, path, region).verify(&request(), Some(&key(None)), None, NOW).unwrap_err();
            assert_eq!(refused, AuthError::WrongSignature, "{host} {path} {region}");
        }
        let good = password("localhost", "/v1/repos/demo", "us-east-1");
        assert_eq!(good.verify(&request(), None, None, NOW), Err(AuthError::UnknownKey));
        let other = Key { secret: SecretKey::new("other".to_owned()), session: None };
        assert_eq!(good.verify(&request(), Some(&other), None, NOW), Err(AuthError::WrongSignature));
    }

    #[test]
    fn sessions_need_their_token_and_time() {
        let session = Session { token: Zeroizing::new("tok/en%".to_owned()), expires: NOW + Duration::hours(1) };
        let key = key(Some(session));
        let good = password("localhost", "/v1/repos/demo", "us-east-1");
        let verify = |token, now| good.verify(&request(), Some(&key), token, now);
        assert_eq!(verify(Some("tok/en%"), NOW), Ok(()));
        assert_eq!(verify(None, NOW), Err(AuthError::InvalidToken));
        assert_eq!(verify(Some("tok"), NOW), Err(AuthError::InvalidToken));
        assert_eq!(verify(Some("tok/en%"), NOW + Duration::hours(1)), Err(AuthError::ExpiredToken));
    }

    #[test]
    fn signatures_are_good_for_a_quarter_of_an_hour() {
        let good = password("localhost", "/v1/repos/demo", "us-east-1");
        for minutes in [-15, 0, 15] {
            assert_eq!(good.check(NOW + Duration::minutes(minutes)), Ok(()));
        }
        let late = NOW + Duration::minutes(16);
        assert_eq!(good.check(late), Err(AuthError::Expired { date: NOW, now: late }));
        let early = NOW - Duration::minutes(16);
        assert_eq!(good.check(early), Err(AuthError::NotYetCurrent { date: NOW, now: early }));
    }

    #[test]
    fn other_passwords_are_no_signatures() {
        let hex = "0".repeat(64);
        for other in
            ["", "secret", &hex, &format!("20261127T070000{hex}"), &format!("20261127T070000Z{hex}0"), "ä20261127"]
        {
            assert!(GitSignature::parse(other).is_none(), "{other}");
        }
        assert!(GitSignature::parse(&format!("20261327T070000Z{hex}")).is_none());
    }
}
