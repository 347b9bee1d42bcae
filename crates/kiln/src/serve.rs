//! `kiln serve`: the service. Configuration, start, and end; what it does is in the libraries.

use std::{
    fs,
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use kiln_api::{Api, Listener, State, Tls};
use kiln_core::{Core, Parts};
use kiln_model::Timestamp;
use kiln_store::{AuditLog, BlobError, Blobs, DataLock, Keys, Logs, Metadata, RemoteBucket, remote::RemoteSettings};
use kiln_wire::server::{ADDRESS, API_PORT};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::TcpListener,
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{
    app::App,
    data,
    exit::{self, usage},
    papers::Server,
};

mod access;
mod account;
pub(crate) mod config;
mod console;
mod log;
mod machine;
mod notify;
mod outgoing;
mod runners;
mod socket;
mod telemetry;

use access::Access;
use account::{Account, AccountKeys};
use config::{BlobsIn, Machine, Problems, Raw, Settings};
use runners::ServerRunners;

/// Threads that handle requests. What waits for disks has threads of its own.
const THREADS: usize = 2;
/// Stack of each. The deepest calls are those of JSON and SQL.
const STACK: usize = 512 * 1024;

/// So long a service whose disk failed tries to end in good order; what waits for that disk may never come back.
const GRACE: Duration = Duration::from_secs(10);

/// What `kiln serve` is told.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address and port to listen on [default: 127.0.0.1:5456]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,

    /// Configuration file (docs/configuration.md) [default: kiln.toml in the data directory]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Reads the configuration of a data directory.
///
/// # Errors
/// All mistakes in it at once, as one usage error.
pub(crate) fn settings(app: &App, file: Option<&Path>, listen: Option<&str>) -> anyhow::Result<Settings> {
    let named = file.or(app.environment.config.as_deref());
    let path = named.map_or_else(|| app.data.join(config::FILE), Path::to_owned);
    let path = std::path::absolute(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound && named.is_none() => String::new(),
        Err(e) => usage!("cannot read {}: {e}", path.display()),
    };
    let raw = Raw::default().file(&path, &text).variables(std::env::vars_os()).flag("--listen", "listen", listen);
    let base = path.parent().unwrap_or(&app.data);
    match Settings::from_raw(raw, base, Machine::this()) {
        Ok(mut settings) => {
            if settings.telemetry.is_none() {
                match telemetry::Collector::of_variables(|name| std::env::var(name).ok()) {
                    Ok(collector) => settings.telemetry = collector,
                    Err(why) => usage!("{why}"),
                }
            }
            Ok(settings)
        }
        Err(problems) => {
            let problems: Problems = problems;
            usage!("{problems}")
        }
    }
}

/// The address by which clients on this machine reach what listens there.
pub(crate) fn url(listen: SocketAddr, tls: bool) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(ip, listen.port()))
}

/// Runs the service until it is told to end.
pub(crate) fn run(args: &ServeArgs, app: &App) -> anyhow::Result<ExitCode> {
    let settings = settings(app, args.config.as_deref(), args.listen.as_deref())?;
    log::start(&settings.log)?;
    raise_open_files();
    let tls = settings.tls.as_ref().map(read_tls).transpose()?;
    data::ensure(&app.data, 0o711).with_context(|| format!("cannot create {}", app.data.display()))?;
    let _lock = match DataLock::take(&app.data) {
        Ok(lock) => lock,
        Err(e @ kiln_store::LockError::Taken { .. }) => usage!("{e}"),
        Err(e) => return Err(e.into()),
    };
    make_private(&app.data).with_context(|| format!("cannot write to {}", app.data.display()))?;
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_stack_size(STACK)
        .thread_name("kiln-api")
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let code = runtime.block_on(serve(settings, tls, app));
    // What a stuck request still does must not keep the process.
    runtime.shutdown_background();
    code
}

/// Each connection, build and follower has files open; the usual soft limit of 1,024 is for programs that use `select`.
/// Builds get limits of their own.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(e) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(error = %e, soft = ?limit.current, "the limit of open files cannot be raised");
    }
}

fn open_blobs(place: &BlobsIn, data: &Path, keys: Keys) -> Result<Blobs, BlobError> {
    let root = data.join("blobs");
    match place {
        BlobsIn::Data => Blobs::open(&root, keys),
        BlobsIn::Directory(directory) => Blobs::open_directory(&root, directory, keys),
        BlobsIn::Bucket(settings) => {
            let bucket = RemoteBucket::new(RemoteSettings::clone(settings), Blobs::partial(&root))?;
            Blobs::open_bucket(&root, bucket, keys)
        }
    }
}

/// Others may pass through the data directory (the processes of builds have to), but not read what is in it.
fn make_private(data: &Path) -> io::Result<()> {
    for name in ["audit", "blobs", "keys", "logs", "staging", "uploads"] {
        data::ensure(&data.join(name), 0o700)?;
    }
    // SQLite gives its other files the mode of this one.
    let database = data.join(kiln_store::metadata::DATABASE);
    fs::OpenOptions::new().append(true).create(true).mode(0o600).open(database).map(drop)
}

fn read_tls(files: &config::TlsFiles) -> anyhow::Result<Tls> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let (cert, key) = (read(&files.cert)?, read(&files.key)?);
    Tls::from_pem(&cert, &key).with_context(|| format!("TLS with {} and {}", files.cert.display(), files.key.display()))
}

async fn serve(settings: Settings, tls: Option<Tls>, app: &App) -> anyhow::Result<ExitCode> {
    // First, so that from here on a signal ends the service in good order.
    let mut signals = Signals::watch()?;
    let listener = match TcpListener::bind(settings.listen).await {
        Ok(listener) => listener,
        Err(e) => anyhow::bail!(
            "cannot listen on {}: {e} (choose another address with --listen ADDRESS:PORT)",
            settings.listen
        ),
    };
    let listen = listener.local_addr().context("cannot listen")?;
    let socket = socket::listen(&app.data)?;
    let url = url(listen, tls.is_some());

    let metadata = Metadata::open(&app.data)?;
    let now_ms = i64::try_from(app.clock.wall_ns() / 1_000_000).unwrap_or(i64::MAX);
    let keys = Keys::open(&app.data.join("keys"), &metadata, now_ms).context("the encryption keys cannot be used")?;
    let Account { new_root } = account::open(&app.data, &settings.home, &metadata, &keys, now_ms)?;
    let blobs = open_blobs(&settings.blobs, &app.data, keys.clone()).context("stored objects cannot be used")?;
    let logs = Logs::open(&app.data.join("logs")).context("stored logs cannot be used")?;
    let audit = AuditLog::open(&app.data, &keys, kiln_core::audit::options(&settings.home, app.clock.clone()))
        .context("the audit log cannot be used")?;
    let runners = ServerRunners::new(&app.data, app.environment.runner.clone()).context("cannot watch for builds")?;

    let config = core_config(&settings, app, url.clone(), listen);
    let clock = app.clock.clone();
    let traces = telemetry::start(settings.telemetry.as_ref(), &app.data, &settings.home)?;
    let outgoing = Arc::new(outgoing::Client::new(settings.providers.allowed())?);
    let core = Core::start(Parts { config, clock, metadata, keys, blobs, logs, audit, runners, traces, outgoing })
        .context("the service cannot start")?;
    let failed = core.failed();

    let mut config = api_config(&settings, app);
    config.tls = tls;
    let readiness = config.readiness.clone();
    let (stop, mut stopping) = watch::channel(false);
    let api = Api {
        service: Arc::new(core.clone()),
        keys: Arc::new(AccountKeys(core.clone())),
        authorizer: Access(core.clone()),
        trail: Arc::new(core.clone()),
    };
    let listeners = vec![Listener::Tcp(listener), Listener::Runners(socket)];
    let serving = tokio::spawn(kiln_api::serve(listeners, config, api, async move {
        stopping.wait_for(|stopping| *stopping).await.ok();
    }));
    Server::new(url.clone(), settings.home.region.clone(), settings.home.account.clone()).write(&app.data)?;
    readiness.set(State::Ready);
    announce(&settings, app, &url, new_root.as_ref());
    notify::notify(app.environment.notify_socket.as_deref(), "READY=1");

    let code = tokio::select! {
        name = signals.next() => {
            tracing::info!("{name}: the service ends, builds that run go on");
            ExitCode::SUCCESS
        }
        error = failed => {
            eprintln!("kiln: {error}");
            ExitCode::from(exit::FAULT)
        }
    };
    notify::notify(app.environment.notify_socket.as_deref(), "STOPPING=1");
    stop.send_replace(true);
    let ending = async {
        serving.await.ok();
        tokio::task::spawn_blocking(move || core.stop()).await.ok();
    };
    tokio::select! {
        () = ending => Ok(code),
        () = tokio::time::sleep(GRACE), if code != ExitCode::SUCCESS => Ok(code),
        name = signals.next() => {
            tracing::warn!("{name} again: the service ends at once");
            Ok(ExitCode::from(exit::STOPPED))
        }
    }
}

fn core_config(settings: &Settings, app: &App, url: String, listen: SocketAddr) -> kiln_core::config::Config {
    kiln_core::config::Config {
        home: settings.home.clone(),
        data: app.data.clone(),
        capacity: settings.capacity,
        queue_limit: settings.queue_limit,
        registry_host: settings.registry_host.clone(),
        registry_names: registry_names(settings, listen),
        default_bucket: account::default_bucket(&settings.home),
        allow_host_image: settings.allow_host_image,
        engine: settings.engine.clone(),
        network: settings.network,
        network_allow: settings.network_allow.clone(),
        max_log_bytes: settings.max_log_bytes,
        keep_budget: settings.keep_budget,
        retention: settings.retention,
        external: settings.external.clone(),
        providers: settings.providers.for_core(public_url(settings, &url, listen)),
        console_url: url,
    }
}

/// The address by which others reach the service.
fn public_url(settings: &Settings, url: &str, listen: SocketAddr) -> String {
    if let Some(url) = &settings.public_url {
        return url.clone();
    }
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let usual = if settings.tls.is_some() { 443 } else { 80 };
    match settings.domains.first() {
        Some(domain) if listen.port() == usual => format!("{scheme}://{domain}"),
        Some(domain) => format!("{scheme}://{domain}:{}", listen.port()),
        None => url.to_owned(),
    }
}

/// What references of images in the registry may begin with: the names of the service with their ports, those that builds
/// know it by, and AWS's form of each.
fn registry_names(settings: &Settings, listen: SocketAddr) -> Vec<String> {
    let port = listen.port();
    let mut names = settings.domains.clone();
    names.push("localhost".to_owned());
    let aws = format!("{}.dkr.ecr.{}", settings.home.account, settings.home.region);
    names.extend(
        names.clone().into_iter().filter(|name| name.parse::<IpAddr>().is_err()).map(|name| format!("{aws}.{name}")),
    );
    names.extend(settings.registry_host.clone());
    let mut addresses = vec![listen, SocketAddr::new(ADDRESS.into(), API_PORT)];
    if listen.ip().is_loopback() || listen.ip().is_unspecified() {
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        addresses.extend(loopback.map(|ip| SocketAddr::new(ip, port)));
    }
    // Without a port as well: something in front of the service may listen on the usual one.
    let with_port: Vec<String> =
        names.iter().filter(|name| !name.contains(':')).map(|name| format!("{name}:{port}")).collect();
    names.into_iter().chain(with_port).chain(addresses.iter().map(SocketAddr::to_string)).collect()
}

fn api_config(settings: &Settings, app: &App) -> kiln_api::Config {
    let clock = app.clock.clone();
    let now = move || Timestamp::from_millis(i64::try_from(clock.wall_ns() / 1_000_000).unwrap_or(i64::MAX));
    let mut config = kiln_api::Config::new(settings.home.region.clone(), Arc::new(now));
    config.account = settings.home.account.clone();
    config.domains = settings.domains.clone();
    config.scraping = settings.scraping.clone();
    config.limits.rates = settings.rates;
    config.console = console::FILES;
    let (data, started) = (app.data.clone(), app.clock.wall_ns() as f64 / 1e9);
    config.machine = Some(Arc::new(move || machine::figures(&data, started)));
    config
}

/// Says that the service is there, and what to do with it; at the first start also the root's key, this once.
fn announce(settings: &Settings, app: &App, url: &str, new_root: Option<&(String, kiln_iam::sigv4::SecretKey)>) {
    let mut text = String::new();
    if let Some((id, secret)) = new_root {
        text.push_str(&format!(
            "kiln: made {}: the data directory of account {} in {}\n\
             kiln: the account's root key, shown this once; it is kept in {} for kiln's own commands\n\n  \
             AWS_ACCESS_KEY_ID={id}\n  AWS_SECRET_ACCESS_KEY={}\n\n",
            app.data.display(),
            settings.home.account,
            settings.home.region,
            crate::papers::root_key_path(&app.data).display(),
            secret.expose()
        ));
    }
    text.push_str(&format!("kiln: ready on {url}\n"));
    if !console::FILES.is_empty() {
        text.push_str(&format!("kiln: `{} console` prints a link to the console in a browser\n", app.command));
    }
    if new_root.is_some() {
        text.push_str(&format!(
            "kiln: next: `{} configure` adds an AWS CLI profile; then `aws --profile kiln codebuild list-projects`\n",
            app.command
        ));
    }
    // Whoever started it in the background may have closed the stream.
    io::stderr().lock().write_all(text.as_bytes()).ok();
    if !settings.listen.ip().is_loopback() && settings.tls.is_none() {
        tracing::warn!(
            "{} is reached from other machines without TLS: what is sent can be read on the way (docs/configuration.md)",
            settings.listen
        );
    }
    tracing::info!(
        builds = settings.capacity.builds,
        memory_bytes = settings.capacity.memory_bytes,
        host_image = settings.allow_host_image,
        "up to {} builds at the same time",
        settings.capacity.builds
    );
}

/// The signals that end the service.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn watch() -> anyhow::Result<Self> {
        let watch = |kind| signal(kind).context("cannot watch for signals");
        Ok(Self { interrupt: watch(SignalKind::interrupt())?, terminate: watch(SignalKind::terminate())? })
    }

    /// The next one's name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_for_everybody_is_reached_over_loopback() {
        let url = |text: &str, tls| url(text.parse().unwrap(), tls);
        assert_eq!(url("0.0.0.0:80", false), "http://127.0.0.1:80");
        assert_eq!(url("[::]:80", true), "https://[::1]:80");
        assert_eq!(url("10.0.0.1:80", false), "http://10.0.0.1:80");
    }
}
