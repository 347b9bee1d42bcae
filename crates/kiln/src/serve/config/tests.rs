use std::{ffi::OsString, net::Ipv6Addr};

use kiln_store::remote::{Patience, RemoteEncryption, RemoteSettings};

use super::*;

const MACHINE: Machine = Machine { cpus: 2, memory_bytes: 8 << 30 };

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Settings, Problems> {
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let raw = Raw::default().file(Path::new("kiln.toml"), text).variables(variables);
    Settings::from_raw(raw, Path::new("/data"), MACHINE)
}

#[test]
fn nothing_said_gives_the_defaults() {
    let settings = read("", &[]).unwrap();
    assert_eq!(settings.home.account, "000000000000");
    assert_eq!(settings.home.region, "us-east-1");
    assert_eq!(settings.listen.to_string(), "127.0.0.1:5456");
    assert_eq!(settings.capacity, Capacity { memory_bytes: 8 << 30, builds: 8 });
    assert_eq!(settings.queue_limit, 20_000);
    assert_eq!(settings.engine, EngineChoice::Native);
    assert_eq!(settings.tls, None);
    assert!(settings.allow_host_image, "only this machine reaches it");
}

#[test]
fn every_key_is_read() {
    let text = r#"
account = "123456789012"
region = "eu-central-1"
listen = "[::]:443"
domains = ["Kiln.Example", "10.0.0.7"]
public_url = "https://ci.example/"
engine = "oci"
runtime = "/usr/sbin/runc"
keep_budget = "0"
max_log_bytes = "5MiB"
allow_host_image = true
[log]
level = "info,kiln_api=debug"
format = "json"
requests = true
[limits]
reads_per_second = 300
changes_per_second = 200
strangers_per_second = 70
deliveries_per_second = 60
[tls]
cert = "tls/server.pem"
key = "/etc/kiln/key.pem"
[capacity]
max_builds = 200
memory = "4GiB"
memory_overcommit = 2.5
queue_limit = 10
[registry]
host = "Images.Example:5000"
[providers]
github_url = "http://10.0.0.9:3000/api"
gitlab_url = "https://gitlab.example/api/v4/"
bitbucket_url = "https://bitbucket.example/2.0"
allow = ["git.example", "10.2.0.0/16"]
[network]
mode = "none"
allow = ["10.1.0.0/16", "fd00::/8"]
[retention]
build_days = 30
source_days = 1
upload_days = 2
audit_days = 400
[metrics]
token = "0123456789abcdef"
public = false
[telemetry]
otlp_endpoint = "http://collector.example:4318"
otlp_headers = ["authorization=Bearer%20x"]
[storage]
blobs = "s3://kiln-blobs/a/b/"
endpoint = "https://s3.example:9000/"
region = "garage"
access_key_id = "AK"
secret_access_key = "SK"
path_style = false
[[external_s3]]
buckets = ["releases", "team-*"]
endpoint = "http://10.0.0.8"
[[external_s3]]
buckets = ["aws"]
region = "eu-west-1"
"#;
    let settings = read(text, &[]).unwrap();
    let reached = RemoteSettings {
        bucket: String::new(),
        prefix: String::new(),
        endpoint: None,
        region: "eu-central-1".into(),
        credentials: None,
        path_style: false,
        encryption: RemoteEncryption::Bucket,
        patience: Patience::default(),
    };
    let wanted = Settings {
        home: Home { account: "123456789012".into(), region: "eu-central-1".into() },
        listen: SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 443),
        domains: vec!["kiln.example".into(), "10.0.0.7".into()],
        log: Log { level: "info,kiln_api=debug".into(), json: true, requests: true },
        tls: Some(TlsFiles { cert: "/data/tls/server.pem".into(), key: "/etc/kiln/key.pem".into() }),
        capacity: Capacity { memory_bytes: 10 << 30, builds: 200 },
        queue_limit: 10,
        rates: Rates { reads: 300, changes: 200, strangers: 70, deliveries: 60 },
        telemetry: Some(Collector {
            url: "http://collector.example:4318/v1/traces".into(),
            headers: vec![("authorization".into(), "Bearer x".into())],
        }),
        public_url: Some("https://ci.example".into()),
        providers: Providers {
            github: Some("http://10.0.0.9:3000/api".into()),
            gitlab: Some("https://gitlab.example/api/v4".into()),
            bitbucket: Some("https://bitbucket.example/2.0".into()),
            allow: vec!["git.example".into(), "10.2.0.0/16".into()],
        },
        registry_host: Some("images.example:5000".into()),
        network: Network::None,
        network_allow: vec!["10.1.0.0/16".into(), "fd00::/8".into()],
        engine: EngineChoice::Oci { runtime: "/usr/sbin/runc".into() },
        keep_budget: 0,
        retention: Retention {
            builds: Duration::from_secs(30 * 24 * 60 * 60),
            sources: Duration::from_secs(24 * 60 * 60),
            uploads: Duration::from_secs(2 * 24 * 60 * 60),
            audit: Duration::from_secs(400 * 24 * 60 * 60),
        },
        max_log_bytes: 5 << 20,
        scraping: Scraping::Token("0123456789abcdef".into()),
        allow_host_image: true,
        blobs: BlobsIn::Bucket(Box::new(RemoteSettings {
            bucket: "kiln-blobs".into(),
            prefix: "a/b".into(),
            endpoint: Some("https://s3.example:9000".into()),
            region: "garage".into(),
            credentials: Some(("AK".into(), "SK".to_owned().into())),
            path_style: false,
            ..reached.clone()
        })),
        external: vec![
            ExternalS3 {
                buckets: vec!["releases".into(), "team-*".into()],
                settings: RemoteSettings {
                    endpoint: Some("http://10.0.0.8".into()),
                    path_style: true,
                    ..reached.clone()
                },
            },
            ExternalS3 {
                buckets: vec!["aws".into()],
                settings: RemoteSettings { region: "eu-west-1".into(), ..reached },
            },
        ],
    };
    assert_eq!(settings, wanted);
    let all = Raw::default().file(Path::new("kiln.toml"), text);
    for key in keys::KEYS {
        assert!(all.origin(key.path).is_some(), "{} is missing in this test", key.path);
    }
}

#[test]
fn figures_are_for_this_machine_unless_something_else_is_said() {
    assert_eq!(read("", &[]).unwrap().scraping, Scraping::ThisMachine);
    assert_eq!(read("metrics.public = true", &[]).unwrap().scraping, Scraping::Anybody);
    let token = read("", &[("KILN_METRICS_TOKEN", "0123456789abcdef")]).unwrap().scraping;
    assert_eq!(token, Scraping::Token("0123456789abcdef".into()));
    for (text, what) in [
        ("metrics.token = \"short\"", "fewer than 16 characters"),
        ("metrics.token = \"0123456789abcdef\"\nmetrics.public = true", "nobody needs one"),
    ] {
        let problems = read(text, &[]).unwrap_err().to_string();
        assert!(problems.contains(what) && !problems.contains("0123456789abcdef"), "{problems}");
    }
}

#[test]
fn the_later_wins() {
    let variables = [("KILN_LISTEN", "127.0.0.1:2"), ("KILN_DOMAINS", "a.example, b.example"), ("KILN_REGION", "")];
    let settings = read("listen = \"127.0.0.1:1\"\nregion = \"eu-west-1\"\n", &variables).unwrap();
    assert_eq!(settings.listen.port(), 2);
    assert_eq!(settings.domains, ["a.example", "b.example"]);
    assert_eq!(settings.home.region, "eu-west-1", "an empty variable is not set");
    let raw = Raw::default().variables([("KILN_LISTEN".into(), "127.0.0.1:2".into())]);
    let raw = raw.flag("--listen", "listen", Some("127.0.0.1:3"));
    assert_eq!(Settings::from_raw(raw, Path::new("/"), MACHINE).unwrap().listen.port(), 3);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = "acount = \"123456789012\"\nlisten = \"5456\"\n\n[capacity]\nmax_builds = 0\nmemory = [1]\nmax_bulds = 3\n\
                [tls]\ncert = \"c.pem\"\n[console]\ncolour = \"red\"\n";
    let variables =
        [("KILN_LOG_FORMAT", "xml"), ("KILN_LISEN", "x"), ("KILN_DATA", "/is/for/others"), ("KILN_SOAK_SECONDS", "9")];
    let problems = read(text, &variables).unwrap_err().to_string();
    let lines: Vec<_> = problems.lines().collect();
    assert_eq!(lines[0], "the configuration has 9 mistakes:", "{problems}");
    for line in [
        "  kiln.toml:1: there is no key 'acount'; did you mean 'account'?",
        "  kiln.toml:7: there is no key 'capacity.max_bulds'; did you mean 'capacity.max_builds'?",
        "  kiln.toml:10: there is no key 'console'; docs/configuration.md has them all",
        "  KILN_LISEN: no such variable; see docs/configuration.md",
        "  kiln.toml:2: listen: '5456' is not an address with a port, e.g. 127.0.0.1:5456 or [::1]:5456",
        "  KILN_LOG_FORMAT: log.format: 'xml' is not one of text, json",
        "  kiln.toml:9: tls.cert needs tls.key beside it",
        "  kiln.toml:6: capacity.memory: is a list of other things than texts, where one value is wanted",
        "  kiln.toml:5: capacity.max_builds: '0' is not a number from 1 to 10000",
    ] {
        assert!(lines.contains(&line), "{line}\n{problems}");
    }
}

#[test]
fn broken_toml_is_told_with_its_line_and_the_rest_is_read() {
    let problems = read("listen = \n[capacity]\nmax_builds = -1\n", &[]).unwrap_err().to_string();
    assert!(problems.contains("kiln.toml:1: "), "{problems}");
    assert!(problems.contains("kiln.toml:3: capacity.max_builds: '-1'"), "{problems}");
}

#[test]
fn beyond_loopback_the_host_image_must_be_allowed() {
    assert!(!read("listen = \"0.0.0.0:5456\"", &[]).unwrap().allow_host_image);
    assert!(read("listen = \"0.0.0.0:5456\"\nallow_host_image = true", &[]).unwrap().allow_host_image);
    assert!(!read("allow_host_image = false", &[]).unwrap().allow_host_image);
}

#[test]
fn values_that_cannot_be() {
    for (text, why) in [
        ("account = 12", "twelve digits"),
        ("region = \"Europe\"", "lower-case"),
        ("domains = [\"*.kiln.example\"]", "host name"),
        ("domains = \"kiln.example\"", "write [\"kiln.example\"]"),
        ("engine = \"docker\"", "native, oci"),
        ("runtime = \"runc\"", "engine = \"oci\""),
        ("keep_budget = \"much\"", "is not a size"),
        ("max_log_bytes = 5", "too small"),
        ("allow_host_image = \"yes\"", "neither true nor false"),
        ("capacity.memory_overcommit = 0.5", "from 1 to 100"),
        ("network.allow = [\"10.0.0.0/33\"]", "range of addresses"),
        ("retention.build_days = 0", "from 1 to 36500"),
        ("log.level = \"x=y=z\"", "is no level"),
        ("registry.host = \"images\"", "needs a point or a port"),
        ("registry.host = \"images.example:x\"", "is no port"),
    ] {
        let problems = read(text, &[]).unwrap_err();
        assert_eq!(problems.0.len(), 1, "{problems}");
        assert!(problems.to_string().contains(why), "{problems}");
    }
}

#[test]
fn rates_of_calls_may_be_set() {
    assert_eq!(read("", &[]).unwrap().rates, Rates::default());
    let set = read("[limits]\nreads_per_second = 7", &[("KILN_LIMITS_STRANGERS_PER_SECOND", "3")]).unwrap().rates;
    assert_eq!(set, Rates { reads: 7, strangers: 3, ..Rates::default() });
    let problems = read("limits.changes_per_second = 0", &[]).unwrap_err().to_string();
    assert!(problems.contains("'0' is not a number from 1 to 1000000"), "{problems}");
}

#[test]
fn a_collector_of_traces_may_be_named() {
    let text = "[telemetry]\notlp_endpoint = \"http://localhost:4318/\"\notlp_headers = [\"x-token=a%3Db\"]";
    let collector = read(text, &[]).unwrap().telemetry.unwrap();
    assert_eq!(collector.url, "http://localhost:4318/v1/traces");
    assert_eq!(collector.headers, [("x-token".to_owned(), "a=b".to_owned())]);
    assert!(!format!("{collector:?}").contains("a=b"), "{collector:?}");
    for (text, why) in [
        ("telemetry.otlp_endpoint = \"localhost:4318\"", "is not an endpoint"),
        ("telemetry.otlp_headers = [\"a=b\"]", "is for telemetry.otlp_endpoint only"),
        ("telemetry.otlp_endpoint = \"http://c\"\ntelemetry.otlp_headers = [\"secret\"]", "is no NAME=VALUE"),
    ] {
        let problems = read(text, &[]).unwrap_err().to_string();
        assert!(problems.contains(why) && !problems.contains("secret"), "{problems}");
    }
}

#[test]
fn every_key_is_documented() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = std::fs::read_to_string(page).unwrap();
    for key in keys::KEYS {
        let row = format!("| `{}` | `{}` |", key.path, key.variable());
        assert!(page.contains(&row), "docs/configuration.md has no row {row}");
        assert!(!keys::is_for_others(&key.variable()), "{} would not be read", key.variable());
    }
}

#[test]
fn mistakes_about_other_s3_servers_are_told() {
    let text = "[storage]\nregion = \"x\"\n[[external_s3]]\nbucket = \"x\"\n[[external_s3]]\nbuckets = [\"b\"]\n\
                endpoint = \"s3.example\"\naccess_key_id = \"AK\"\n";
    let problems = read(text, &[]).unwrap_err().to_string();
    for line in [
        "  kiln.toml:4: there is no key 'external_s3.bucket'; did you mean 'external_s3.buckets'?",
        "  kiln.toml:2: storage.region: is for storage.blobs = \"s3://BUCKET\" only",
        "  kiln.toml:3: external_s3: name its 'buckets', e.g. [\"releases\", \"team-*\"]",
        "  kiln.toml:7: external_s3.endpoint: 's3.example' is not an endpoint, e.g. https://s3.example:9000",
        "  kiln.toml:8: external_s3: access_key_id and secret_access_key need each other",
    ] {
        assert!(problems.lines().any(|l| l == line), "{line}\n{problems}");
    }
    let elsewhere = read("[storage]\nblobs = \"/mnt/blobs\"\n", &[]).unwrap().blobs;
    assert_eq!(elsewhere, BlobsIn::Directory("/mnt/blobs".into()));
}
