use std::fs;

use crate::support::{Place, mode};

#[test]
fn env_and_configure_say_what_clients_need() {
    let place = Place::new();
    let none = place.run(&["env"]);
    assert_eq!(none.code(), 2);
    assert!(none.stderr().contains("start the service once"), "{}", none.stderr());

    let server = place.serve(&[]);
    let url = server.said.split("ready on ").nth(1).unwrap().lines().next().unwrap().to_owned();
    let env = place.run(&["env"]).succeeded().stdout();
    for line in
        [&format!("export AWS_ENDPOINT_URL={url}"), "export AWS_REGION=us-east-1", "export AWS_ACCESS_KEY_ID=AKIA"]
    {
        assert!(env.contains(line), "{line}: {env}");
    }
    assert!(env.contains("export AWS_SECRET_ACCESS_KEY="));
    let other = place.run(&["env", "--listen", "10.0.0.1:80"]).succeeded().stdout();
    assert!(other.contains("AWS_ENDPOINT_URL=http://10.0.0.1"), "{other}");

    let aws = place.path("home/.aws");
    fs::create_dir(&aws).unwrap();
    fs::write(aws.join("config"), "[default]\nregion = eu-west-1\n").unwrap();
    for _ in 0..2 {
        place.run(&["configure"]).succeeded();
    }
    let config = fs::read_to_string(aws.join("config")).unwrap();
    assert!(config.starts_with("[default]\nregion = eu-west-1\n"), "{config}");
    assert_eq!(config.matches("[profile kiln]").count(), 1, "{config}");
    assert!(config.contains(&format!("endpoint_url = {url}\n")), "{config}");
    assert!(config.contains("s3 =\n    signature_version = s3v4\n    addressing_style = path\n"), "{config}");
    let credentials = fs::read_to_string(aws.join("credentials")).unwrap();
    assert!(credentials.starts_with("[kiln]\naws_access_key_id = AKIA"), "{credentials}");
    assert_eq!(mode(&aws.join("credentials")), 0o600);
}

#[test]
fn a_service_that_is_away_is_said_to_be() {
    let place = Place::new();
    let none = place.run(&["build", "ls"]);
    assert_eq!(none.code(), 2);
    assert!(none.stderr().contains("no service was ever started in"), "{}", none.stderr());
    drop(place.serve(&[]));
    let away = place.run(&["build", "ls"]);
    assert_eq!(away.code(), 3);
    assert!(away.stderr().contains("cannot be reached"), "{}", away.stderr());
}

#[test]
fn refusals_are_the_services_own_words() {
    let place = Place::new();
    let _server = place.serve(&[]);
    let refused = place.run(&["build", "start", "nothing"]);
    assert_eq!(refused.code(), 3);
    assert!(refused.stderr().contains("Project cannot be found"), "{}", refused.stderr());
    assert!(refused.stderr().contains("(ResourceNotFoundException)"), "{}", refused.stderr());
    let listed = place.run(&["build", "ls"]).succeeded().stdout();
    assert!(listed.contains("0 of "), "{listed}");
}

#[test]
fn the_same_port_takes_tls_with_an_authority_of_its_own() {
    let place = Place::new();
    fs::create_dir(place.data()).unwrap();
    fs::write(place.data().join("kiln.toml"), "domains = [\"kiln.example\"]\n").unwrap();
    let made = place.run(&["tls", "init"]).succeeded();
    assert!(made.stderr().contains("[tls]") && made.stderr().contains("AWS_CA_BUNDLE"), "{}", made.stderr());
    for name in ["ca.pem", "ca.key", "server.pem", "server.key"] {
        assert_eq!(mode(&place.data().join("tls").join(name)), 0o600, "{name}");
    }
    let again = place.run(&["tls", "init"]);
    assert_eq!(again.code(), 2, "an authority that clients trust is not replaced");
    let tls = "domains = [\"kiln.example\"]\n[tls]\ncert = \"tls/server.pem\"\nkey = \"tls/server.key\"\n";
    fs::write(place.data().join("kiln.toml"), tls).unwrap();
    let server = place.serve(&[]);
    assert!(server.said.contains("ready on https://127.0.0.1:"), "{}", server.said);
    place.run(&["build", "ls"]).succeeded();
    let env = place.run(&["env"]).succeeded().stdout();
    assert!(env.contains("AWS_CA_BUNDLE="), "{env}");
    let plain = env.lines().find_map(|line| line.strip_prefix("export AWS_ENDPOINT_URL=https")).unwrap();
    let value = |name: &str| {
        let line = env.lines().find_map(|line| line.strip_prefix(&format!("export {name}="))).unwrap();
        line.trim_matches('\'').to_owned()
    };
    let over_plain = std::process::Command::new(env!("CARGO_BIN_EXE_kiln"))
        .args(["build", "ls"])
        .env_clear()
        .env("AWS_ENDPOINT_URL", format!("http{plain}"))
        .env("AWS_ACCESS_KEY_ID", value("AWS_ACCESS_KEY_ID"))
        .env("AWS_SECRET_ACCESS_KEY", value("AWS_SECRET_ACCESS_KEY"))
        .output()
        .unwrap();
    assert!(over_plain.status.success(), "{}", String::from_utf8_lossy(&over_plain.stderr));
}

#[test]
fn a_backup_comes_back_with_its_key() {
    let place = Place::new();
    let server = place.serve(&[]);
    let key = fs::read(place.data().join("keys/root-access-key")).unwrap();
    let backup = place.path("backup");
    place.run(&["backup", backup.to_str().unwrap()]).succeeded();
    drop(server);
    fs::remove_dir_all(place.data()).unwrap();
    place.run(&["restore", backup.to_str().unwrap()]).succeeded();
    let server = place.serve(&[]);
    assert!(!server.said.contains("shown this once"), "{}", server.said);
    assert_eq!(fs::read(place.data().join("keys/root-access-key")).unwrap(), key);
    place.run(&["build", "ls"]).succeeded();
}
