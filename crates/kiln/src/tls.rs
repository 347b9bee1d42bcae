//! `kiln tls init`: a certification authority of one's own, and a certificate for the service.

use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use kiln_runner::clock::Clock;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use time::OffsetDateTime;

use crate::{app::App, data, exit::usage, papers::write_whole, serve};

/// Days that the authority is valid.
const CA_DAYS: i64 = 3650;
/// Days that the server's certificate is valid: the most that Apple's systems take from an authority of one's own.
const SERVER_DAYS: i64 = 825;
/// The services whose clients put name and region in front of a configured domain.
const SERVICES: [&str; 15] = [
    "codebuild",
    "logs",
    "monitoring",
    "iam",
    "sts",
    "kms",
    "secretsmanager",
    "ssm",
    "codecommit",
    "git-codecommit",
    "codepipeline",
    "events",
    "sns",
    "s3",
    "kiln",
];

/// `kiln tls`.
#[derive(Debug, Args)]
pub(crate) struct TlsArgs {
    #[command(subcommand)]
    command: TlsCommand,
}

#[derive(Debug, Subcommand)]
enum TlsCommand {
    /// Make a certification authority of your own, and with it a certificate for the service
    Init(InitArgs),
}

#[derive(Debug, Args)]
struct InitArgs {
    /// Configuration file, for the domains [default: kiln.toml in the data directory]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Where the files are.
fn dir(data: &Path) -> PathBuf {
    data.join("tls")
}

/// The authority's certificate.
pub(crate) fn ca_path(data: &Path) -> PathBuf {
    dir(data).join("ca.pem")
}

/// Runs `kiln tls …`.
pub(crate) fn run(args: &TlsArgs, app: &App) -> anyhow::Result<ExitCode> {
    let TlsCommand::Init(args) = &args.command;
    let settings = serve::settings(app, args.config.as_deref(), None)?;
    let dir = dir(&app.data);
    data::ensure(&app.data, 0o711)
        .and_then(|()| data::ensure(&dir, 0o700))
        .with_context(|| format!("cannot create {}", dir.display()))?;
    let (ca, ca_key) = (ca_path(&app.data), dir.join("ca.key"));
    let (server, server_key) = (dir.join("server.pem"), dir.join("server.key"));
    for path in [&ca, &ca_key] {
        if path.exists() {
            usage!("{} is there already: clients may trust it; remove {} to begin anew", path.display(), dir.display());
        }
    }
    let made = make(&settings.domains, &settings.home.region, &app.clock)?;
    for (path, mode, pem) in [
        (&server_key, 0o600, &made.server_key),
        (&server, 0o600, &made.server),
        (&ca_key, 0o600, &made.ca_key),
        (&ca, 0o600, &made.ca),
    ] {
        write_whole(path, mode, pem.as_bytes())?;
    }
    print_hints(&app.data, &ca, &server, &server_key);
    Ok(ExitCode::SUCCESS)
}

fn print_hints(data: &Path, ca: &Path, server: &Path, server_key: &Path) {
    let file = data.join(serve::config::FILE);
    let there = fs::metadata(&file).map(|_| ()).map_err(|e: io::Error| e.kind());
    let verb = if there.is_ok() { "add to" } else { "write into" };
    eprintln!(
        "kiln: made {ca}, and with it {server}\n\
         kiln: {verb} {file}:\n\n  [tls]\n  cert = \"{server}\"\n  key = \"{key}\"\n\n\
         kiln: clients trust it so (copy {ca}, never ca.key):\n  \
         AWS clients    export AWS_CA_BUNDLE={ca}   (`kiln env` and `kiln configure` do)\n  \
         Node.js        export NODE_EXTRA_CA_CERTS={ca}\n  \
         this machine   sudo cp {ca} /usr/local/share/ca-certificates/kiln.crt && sudo update-ca-certificates",
        ca = ca.display(),
        server = server.display(),
        key = server_key.display(),
        file = file.display(),
    );
}

/// Everything as PEM.
struct Made {
    ca: String,
    ca_key: String,
    server: String,
    server_key: String,
}

fn make(domains: &[String], region: &str, clock: &Clock) -> anyhow::Result<Made> {
    let now =
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(clock.wall_ns())).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    // Clocks of clients may be a little behind.
    let begins = now - time::Duration::hours(1);
    let names: Vec<String> = ["localhost"].into_iter().map(str::to_owned).chain(domains.iter().cloned()).collect();

    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "Kiln certification authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.not_before = begins;
    authority.not_after = now + time::Duration::days(CA_DAYS);
    // Whoever steals its key impersonates this service, and nothing else that its clients talk to.
    let mut permitted: Vec<GeneralSubtree> = Vec::new();
    for name in &names {
        permitted.push(match name.parse::<IpAddr>() {
            Ok(address) => subtree(address),
            Err(_) => GeneralSubtree::DnsName(name.clone()),
        });
    }
    permitted.extend([IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])].map(subtree));
    authority.name_constraints = Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: Vec::new() });
    let ca_key = KeyPair::generate().context("cannot make a key")?;
    let ca_key_pem = ca_key.serialize_pem();
    let issuer = CertifiedIssuer::self_signed(authority, ca_key).context("cannot make the authority")?;

    let mut server = CertificateParams::default();
    server.distinguished_name.push(DnType::CommonName, "Kiln");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.use_authority_key_identifier_extension = true;
    server.not_before = begins;
    server.not_after = now + time::Duration::days(SERVER_DAYS);
    server.subject_alt_names = vec![
        SanType::IpAddress(IpAddr::from([127, 0, 0, 1])),
        SanType::IpAddress(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])),
    ];
    for name in &names {
        if let Ok(address) = name.parse() {
            server.subject_alt_names.push(SanType::IpAddress(address));
            continue;
        }
        let mut all = vec![name.clone(), format!("*.s3.{name}"), format!("*.s3.{region}.{name}")];
        if name.contains('.') {
            // In front of a name of one part, as `localhost` is, clients take the whole certificate for malformed.
            all.push(format!("*.{name}"));
        }
        all.extend(SERVICES.iter().map(|service| format!("{service}.{region}.{name}")));
        for name in all {
            let name = name.clone().try_into().with_context(|| format!("'{name}' cannot be in a certificate"))?;
            server.subject_alt_names.push(SanType::DnsName(name));
        }
    }
    let server_key = KeyPair::generate().context("cannot make a key")?;
    let certificate = server.signed_by(&server_key, &issuer).context("cannot make the certificate")?;
    Ok(Made {
        ca: issuer.pem(),
        ca_key: ca_key_pem,
        server: format!("{}{}", certificate.pem(), issuer.pem()),
        server_key: server_key.serialize_pem(),
    })
}

/// Exactly one address.
fn subtree(address: IpAddr) -> GeneralSubtree {
    GeneralSubtree::IpAddress(match address {
        IpAddr::V4(address) => rcgen::CidrSubnet::V4(address.octets(), [255; 4]),
        IpAddr::V6(address) => rcgen::CidrSubnet::V6(address.octets(), [255; 16]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_takes_what_is_made() {
        let domains = ["kiln.example".to_owned(), "10.1.2.3".to_owned()];
        let made = make(&domains, "eu-central-1", &Clock::system()).unwrap();
        kiln_api::Tls::from_pem(made.server.as_bytes(), made.server_key.as_bytes()).unwrap();
        assert_eq!(made.server.matches("BEGIN CERTIFICATE").count(), 2);
        assert!(made.ca_key.contains("PRIVATE KEY"));
    }
}
