//! `kiln env` and `kiln configure`: what AWS's clients need to talk to the service.

use std::{fs, io, path::Path, process::ExitCode};

use anyhow::Context as _;
use clap::Args;

use crate::{
    app::App,
    client::access::{Access, Listen, PROFILE, header, profile_files},
    exit::usage,
    papers,
    terminal::{output::print, text},
    tls,
};

/// What `kiln env` and `kiln configure` are told.
#[derive(Debug, Args)]
pub(crate) struct ConfigureArgs {
    #[command(flatten)]
    listen: Listen,
}

/// The service of the data directory, and the authority of its certificate.
fn access(args: &ConfigureArgs, app: &App) -> anyhow::Result<Access> {
    let access = match Access::of_data(&app.data)? {
        Some(access) => access,
        None => usage!(
            "there is no root key in {}: start the service once (`{} serve`)",
            papers::root_key_path(&app.data).display(),
            app.command
        ),
    };
    args.listen.of(access)
}

/// Prints the variables, for `eval "$(kiln env)"`.
pub(crate) fn env(args: &ConfigureArgs, app: &App) -> anyhow::Result<ExitCode> {
    let access = access(args, app)?;
    let mut out = String::new();
    let mut export = |name: &str, value: &str| out.push_str(&format!("export {name}={}\n", text::quoted(value)));
    export("AWS_ENDPOINT_URL", &access.endpoint.url());
    export("AWS_ACCESS_KEY_ID", &access.credentials.access_key_id);
    export("AWS_SECRET_ACCESS_KEY", access.credentials.secret.expose());
    export("AWS_REGION", &access.region);
    export("AWS_DEFAULT_REGION", &access.region);
    // Unasked, clients put `stream-` before the host for a live tail, which need not be a name.
    export("AWS_DISABLE_HOST_PREFIX_INJECTION", "true");
    let ca = tls::ca_path(&app.data);
    if access.endpoint.tls && ca.exists() {
        export("AWS_CA_BUNDLE", &ca.to_string_lossy());
    }
    print(out.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Adds a profile to the AWS CLI's files, or brings it up to date.
pub(crate) fn run(args: &ConfigureArgs, app: &App) -> anyhow::Result<ExitCode> {
    let access = access(args, app)?;
    let Some((config, credentials)) = profile_files(app) else {
        usage!("HOME is not set: where are the AWS CLI's files?")
    };
    let mut lines = vec![
        format!("region = {}", access.region),
        format!("endpoint_url = {}", access.endpoint.url()),
        "output = json".to_owned(),
        "disable_host_prefix_injection = true".to_owned(),
    ];
    let ca = tls::ca_path(&app.data);
    if access.endpoint.tls && ca.exists() {
        lines.push(format!("ca_bundle = {}", ca.display()));
    }
    // Unasked, clients sign links (`aws s3 presign`) with version 2 for an endpoint that is not AWS's.
    lines.push("s3 =\n    signature_version = s3v4".to_owned());
    if access.endpoint.host.parse::<std::net::IpAddr>().is_ok() {
        // There are no names in front of an address.
        lines.push("    addressing_style = path".to_owned());
    }
    edit(&config, &format!("profile {PROFILE}"), &lines)?;
    let secret = [
        format!("aws_access_key_id = {}", access.credentials.access_key_id),
        format!("aws_secret_access_key = {}", access.credentials.secret.expose()),
    ];
    edit(&credentials, PROFILE, &secret)?;
    eprintln!(
        "kiln: the profile '{PROFILE}' is in {} and {}\nkiln: try: aws --profile {PROFILE} codebuild list-projects",
        config.display(),
        credentials.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Replaces a section of an INI file, or adds it; nothing else of the file changes.
fn edit(path: &Path, name: &str, lines: &[String]) -> anyhow::Result<()> {
    let old = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
    };
    if let Some(dir) = path.parent() {
        crate::data::ensure(dir, 0o700).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    // A link, as people who keep their settings elsewhere have it, stays one.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    papers::write_whole(&path, 0o600, replaced(&old, name, lines).as_bytes())
}

fn replaced(old: &str, name: &str, lines: &[String]) -> String {
    let mut new = String::new();
    let mut written = false;
    let mut inside = false;
    let section = format!("[{name}]\n{}\n", lines.join("\n"));
    for line in old.lines() {
        if let Some(found) = header(line) {
            inside = found == name;
            if inside && !written {
                new.push_str(&section);
                written = true;
            }
        }
        if !inside || line.trim().is_empty() {
            new.push_str(line);
            new.push('\n');
        }
    }
    if !written {
        if !new.is_empty() && !new.ends_with("\n\n") {
            new.push('\n');
        }
        new.push_str(&section);
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_added_or_replaced_and_nothing_else_changes() {
        let lines = ["a = 1".to_owned(), "b = 2".to_owned()];
        assert_eq!(replaced("", "profile kiln", &lines), "[profile kiln]\na = 1\nb = 2\n");
        let other = "# mine\n[default]\nregion = x\n";
        let once = replaced(other, "kiln", &lines);
        assert_eq!(once, format!("{other}\n[kiln]\na = 1\nb = 2\n"));
        assert_eq!(replaced(&once, "kiln", &lines), once);
        let between = "[kiln]\nold = 3\n\n[z]\nq = 1\n";
        assert_eq!(replaced(between, "kiln", &lines), "[kiln]\na = 1\nb = 2\n\n[z]\nq = 1\n");
    }
}
