//! Which service is meant, and the key for it.

use std::{fs, path::Path};

use anyhow::Context as _;
use clap::Args;
use kiln_iam::sigv4::{Credentials, SecretKey};
use zeroize::Zeroizing;

use crate::{
    app::App,
    environment::Aws,
    exit::{UsageError, usage},
    papers::{self, Server},
    serve::{
        config::{LISTEN, address},
        url,
    },
};

/// Profile of the AWS CLI that `kiln configure` makes.
pub(crate) const PROFILE: &str = "kiln";

/// An address: `http://127.0.0.1:5456`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) tls: bool,
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Endpoint {
    pub(crate) fn parse(url: &str) -> anyhow::Result<Self> {
        let parts = url.split_once("://").and_then(|(scheme, rest)| {
            let tls = match scheme {
                "http" => false,
                "https" => true,
                _ => return None,
            };
            let rest = rest.strip_suffix('/').unwrap_or(rest);
            let (host, port) = match rest.rsplit_once(':') {
                Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
                _ => (rest, if tls { 443 } else { 80 }),
            };
            let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
            let fits = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:_".contains(&b));
            fits.then(|| Self { tls, host: host.to_owned(), port })
        });
        match parts {
            Some(endpoint) => Ok(endpoint),
            None => usage!("'{url}' is not the address of a service, e.g. http://127.0.0.1:5456"),
        }
    }

    /// Host and port, as the header `Host` has them.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.tls { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

/// Where the service is said to be: an option that commands of the service share.
#[derive(Debug, Default, Args)]
pub(crate) struct Listen {
    /// Address and port of the service [default: where it listened last]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl Listen {
    /// A service that was found, at that address if one was said.
    ///
    /// # Errors
    /// It is no address.
    pub(crate) fn of(&self, access: Access) -> anyhow::Result<Access> {
        let Some(listen) = &self.listen else { return Ok(access) };
        let listen = address(listen).map_err(|e| UsageError(format!("--listen: {e}")))?;
        Ok(Access { endpoint: Endpoint::parse(&url(listen, access.endpoint.tls))?, ..access })
    }
}

/// A service and a key for it.
pub(crate) struct Access {
    pub(crate) endpoint: Endpoint,
    pub(crate) region: String,
    pub(crate) credentials: Credentials,
}

impl Access {
    /// In this order: the data directory that was named (`--data`); `AWS_ENDPOINT_URL` with the keys of the environment;
    /// the default data directory; the AWS CLI's profile `kiln`.
    pub(crate) fn find(app: &App) -> anyhow::Result<Self> {
        let of_data = || Self::of_data(&app.data);
        if app.data_named {
            return match of_data()? {
                Some(access) => Ok(access),
                None => usage!("no service was ever started in {}: `{} serve`", app.data.display(), app.command),
            };
        }
        if let Some(access) = of_environment(&app.environment.aws)? {
            return Ok(access);
        }
        // The data directory of another user, whose key is not ours: the profile may be.
        let found = of_data();
        if let Ok(Some(access)) = found {
            return Ok(access);
        }
        if let Some(access) = of_profile(app)? {
            return Ok(access);
        }
        found?;
        usage!(
            "no service is known: start one (`kiln serve`), or name it with AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY (`kiln env` on its machine prints them)"
        )
    }

    /// The service of a data directory, with the root's key; `None` when none was ever started there.
    pub(crate) fn of_data(data: &Path) -> anyhow::Result<Option<Self>> {
        let Some(credentials) = papers::read_root_key(data)? else { return Ok(None) };
        let server = Server::read(data)?;
        let url = server.as_ref().map_or_else(|| url(LISTEN, false), |server| server.url.clone());
        let region = server.map_or_else(|| "us-east-1".to_owned(), |server| server.region);
        Ok(Some(Self { endpoint: Endpoint::parse(&url)?, region, credentials }))
    }
}

fn of_environment(aws: &Aws) -> anyhow::Result<Option<Access>> {
    let (Some(url), Some(id), Some(secret)) = (&aws.endpoint_url, &aws.access_key_id, &aws.secret_access_key) else {
        return Ok(None);
    };
    Ok(Some(Access {
        endpoint: Endpoint::parse(url)?,
        region: aws.region.clone().unwrap_or_else(|| "us-east-1".to_owned()),
        credentials: Credentials {
            access_key_id: id.clone(),
            secret: SecretKey::new(secret.0.clone()),
            session_token: aws.session_token.as_ref().map(|token| Zeroizing::new(token.0.clone())),
        },
    }))
}

fn of_profile(app: &App) -> anyhow::Result<Option<Access>> {
    let Some((config, credentials)) = profile_files(app) else { return Ok(None) };
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let (config, credentials) = (read(&config), read(&credentials));
    let config = section(&config, &format!("profile {PROFILE}"));
    let credentials = section(&credentials, PROFILE);
    let get = |lines: &[(&str, &str)], name: &str| {
        lines.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    let (Some(url), Some(id), Some(secret)) = (
        get(&config, "endpoint_url"),
        get(&credentials, "aws_access_key_id"),
        get(&credentials, "aws_secret_access_key"),
    ) else {
        return Ok(None);
    };
    Ok(Some(Access {
        endpoint: Endpoint::parse(&url).context("the profile 'kiln' of the AWS CLI")?,
        region: get(&config, "region").unwrap_or_else(|| "us-east-1".to_owned()),
        credentials: Credentials { access_key_id: id, secret: SecretKey::new(secret), session_token: None },
    }))
}

/// The AWS CLI's files: configuration and credentials. `None`: there is no home.
pub(crate) fn profile_files(app: &App) -> Option<(std::path::PathBuf, std::path::PathBuf)> {
    let (aws, home) = (&app.environment.aws, app.environment.home.as_deref());
    let file =
        |named: &Option<std::path::PathBuf>, name: &str| named.clone().or_else(|| Some(home?.join(".aws").join(name)));
    Some((file(&aws.config_file, "config")?, file(&aws.credentials_file, "credentials")?))
}

/// The settings of a section of an INI file.
fn section<'a>(text: &'a str, name: &str) -> Vec<(&'a str, &'a str)> {
    let mut lines = text.lines().map(str::trim).skip_while(|line| header(line) != Some(name));
    lines.next();
    lines
        .take_while(|line| header(line).is_none())
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect()
}

/// The name in `[name]`.
pub(crate) fn header(line: &str) -> Option<&str> {
    Some(line.trim().strip_prefix('[')?.split_once(']')?.0.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (url, authority) in [
            ("http://127.0.0.1:5456", "127.0.0.1:5456"),
            ("https://kiln.example/", "kiln.example"),
            ("https://[::1]:5456", "[::1]:5456"),
            ("http://[::1]", "[::1]"),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!(endpoint.authority(), authority);
            assert_eq!(endpoint.url(), url.trim_end_matches('/'));
        }
        for url in ["", "127.0.0.1:5456", "ftp://x", "http://", "http://a/b", "http://a:b", "http://u@h"] {
            assert!(Endpoint::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn sections_of_ini_files() {
        let text =
            "[default]\nregion = x\n[profile kiln]\n region=us-east-1 \nendpoint_url = http://h:1\n[other]\nregion=y\n";
        assert_eq!(section(text, "profile kiln"), [("region", "us-east-1"), ("endpoint_url", "http://h:1")]);
        assert!(section(text, "none").is_empty());
    }
}
