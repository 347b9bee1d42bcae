//! Whether a delivery is from who knows the webhook's secret (`security.md` 5.8). Signatures are of the bytes as they came,
//! and are compared in constant time.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::event::Provider;

/// By so much the time in a signature of GitLab's newer kind may differ from ours, in seconds.
const SKEW: i64 = 5 * 60;

/// Whether the sender knows the secret. `now`: seconds since the epoch.
#[must_use]
pub fn is_right<'a>(
    provider: Provider,
    secret: &str,
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
    now: i64,
) -> bool {
    match provider {
        // The SHA-1 header alone proves too little.
        Provider::Github => is_hex(secret, header("x-hub-signature-256"), Some("sha256="), body),
        Provider::Bitbucket => is_hex(secret, header("x-hub-signature"), Some("sha256="), body),
        Provider::Gitea => {
            let own = header("x-gitea-signature").or_else(|| header("x-forgejo-signature"));
            match own {
                Some(_) => is_hex(secret, own, None, body),
                None => is_hex(secret, header("x-hub-signature-256"), Some("sha256="), body),
            }
        }
        Provider::Gitlab => match header("webhook-signature") {
            Some(signatures) => {
                let (Some(id), Some(time)) = (header("webhook-id"), header("webhook-timestamp")) else { return false };
                let is_recent = time.parse::<i64>().is_ok_and(|then| now.saturating_sub(then).saturating_abs() <= SKEW);
                let signed = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
                // Some senders have several keys.
                is_recent && signatures.split(' ').any(|one| is_base64(secret, one, &signed))
            }
            None => header("x-gitlab-token").is_some_and(|token| is_same(token, secret)),
        },
    }
}

fn is_hex(secret: &str, given: Option<&str>, prefix: Option<&str>, body: &[u8]) -> bool {
    let Some(given) = given.and_then(|text| text.strip_prefix(prefix.unwrap_or_default())) else { return false };
    let mut tag = [0; 32];
    if given.len() != 64 {
        return false;
    }
    for (at, byte) in tag.iter_mut().enumerate() {
        let Some(digits) = given.get(2 * at..2 * at + 2).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())) else {
            return false;
        };
        *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
    }
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body, &tag).is_ok()
}

fn is_base64(secret: &str, given: &str, signed: &[u8]) -> bool {
    let Some(tag) = given.strip_prefix("v1,").and_then(|text| BASE64.decode(text).ok()) else { return false };
    // A key that begins so is written in base64 ("Standard Webhooks"); others are the key themselves.
    let decoded = secret.strip_prefix("whsec_").and_then(|text| BASE64.decode(text).ok());
    let key = decoded.as_deref().unwrap_or(secret.as_bytes());
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), signed, &tag).is_ok()
}

/// Compares texts of whatever length: what is compared are their hashes under a key of nobody's.
fn is_same(one: &str, other: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"kiln webhook token");
    hmac::verify(&key, one.as_bytes(), hmac::sign(&key, other.as_bytes()).as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"{\"zen\":\"x\"}";

    fn hex(secret: &str, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn check(provider: Provider, headers: &[(&str, &str)], body: &[u8]) -> bool {
        let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        is_right(provider, "s3cret", header, body, 1_000_000)
    }

    #[test]
    fn githubs_own_example_holds() {
        // docs.github.com, "Validating webhook deliveries".
        let given = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let header = |name: &str| (name == "x-hub-signature-256").then_some(given);
        assert!(is_right(Provider::Github, "It's a Secret to Everybody", header, b"Hello, World!", 0));
    }

    #[test]
    fn right_signatures_pass_and_changed_ones_do_not() {
        let right = hex("s3cret", BODY);
        let (prefixed, wrong) = (format!("sha256={right}"), format!("sha256={}", hex("other", BODY)));
        for (provider, header, value) in [
            (Provider::Github, "x-hub-signature-256", &prefixed),
            (Provider::Bitbucket, "x-hub-signature", &prefixed),
            (Provider::Gitea, "x-gitea-signature", &right),
            (Provider::Gitea, "x-forgejo-signature", &right),
            (Provider::Gitea, "x-hub-signature-256", &prefixed),
        ] {
            assert!(check(provider, &[(header, value)], BODY), "{provider:?} {header}");
            assert!(check(provider, &[(header, &value.to_uppercase().replace("SHA", "sha"))], BODY));
            assert!(!check(provider, &[(header, value)], b"{\"zen\":\"y\"}"), "a changed body");
            for bad in [&wrong, "", "sha256=", &right[..63], "sha256=\u{e9}", &format!("{value}0"), "+0"] {
                assert!(!check(provider, &[(header, bad)], BODY), "{provider:?} {bad}");
            }
            assert!(!check(provider, &[], BODY));
        }
        assert!(!check(Provider::Github, &[("x-hub-signature", &prefixed)], BODY), "SHA-1's header");
        // Its own header decides, if it is there.
        let both = [("x-gitea-signature", "00"), ("x-hub-signature-256", prefixed.as_str())];
        assert!(!check(Provider::Gitea, &both, BODY));
    }

    #[test]
    fn gitlab_has_a_token_or_a_signature() {
        assert!(check(Provider::Gitlab, &[("x-gitlab-token", "s3cret")], BODY));
        for bad in ["", "s3cre", "s3cret ", "S3CRET", "s3crets"] {
            assert!(!check(Provider::Gitlab, &[("x-gitlab-token", bad)], BODY), "{bad}");
        }
        let signed = |time: &str, body: &[u8]| {
            let text = [b"id-1.".as_slice(), time.as_bytes(), b".", body].concat();
            let key = hmac::Key::new(hmac::HMAC_SHA256, b"s3cret");
            format!("v1,{}", BASE64.encode(hmac::sign(&key, &text)))
        };
        let headers = |time: &'static str, signature: String| {
            vec![
                ("webhook-id", "id-1".to_owned()),
                ("webhook-timestamp", time.to_owned()),
                ("webhook-signature", signature),
            ]
        };
        let checked = |headers: Vec<(&str, String)>, body: &[u8]| {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            check(Provider::Gitlab, &headers, body)
        };
        assert!(checked(headers("1000000", signed("1000000", BODY)), BODY));
        assert!(checked(headers("999800", format!("v1,AAAA {}", signed("999800", BODY))), BODY));
        assert!(!checked(headers("1000000", signed("999800", BODY)), BODY), "the time is signed");
        assert!(!checked(headers("1000301", signed("1000301", BODY)), BODY), "too far in the future");
        assert!(!checked(headers("-9223372036854775808", signed("-9223372036854775808", BODY)), BODY));
        assert!(!checked(headers("1000000", signed("1000000", b"x")), BODY));
        // A wrong signature is not mended by the token.
        let both = [("webhook-signature", "v1,AAAA"), ("x-gitlab-token", "s3cret")];
        assert!(!check(Provider::Gitlab, &both, BODY));
    }
}
