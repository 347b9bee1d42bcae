//! Logs of builds as people search them, with `kiln logs --search` and the Kiln API.

use serde_json::{Value, json};

use crate::{
    client::{Client, id},
    server::{Server, not_root, wait_for},
};

/// Numbers of the lines that a search finds, page by page.
fn numbers(client: &Client, input: &Value) -> Vec<u64> {
    let mut input = input.clone();
    let mut numbers = Vec::new();
    loop {
        let page = client.kiln("SearchBuildLog", &input).unwrap();
        numbers.extend(page["matches"].as_array().unwrap().iter().map(|found| found["number"].as_u64().unwrap()));
        if page["complete"] == true {
            return numbers;
        }
        input["fromLine"] = page["nextLine"].clone();
    }
}

#[test]
fn a_log_is_searched_as_people_read_it() {
    if not_root() {
        return;
    }
    let mut server = Server::with(&[("KILN_NETWORK_MODE", "none")]);
    let client = server.client();
    client.project(
        "demo",
        &[
            "printf '\\033[1;31merror\\033[0m: no such file\\n'",
            "for i in 1 2 3 4 5; do echo line $i; done",
            "printf 'Error: '; sleep 0.2; printf 'no end'",
            "seq 2500",
        ],
    );
    let build = client.start_build("demo");
    let ended = client.finished(&build);
    assert_eq!(ended["buildStatus"], "SUCCEEDED", "{ended}");
    let log = client.log(&build);
    let at = |wanted: &dyn Fn(&str) -> bool| log.iter().position(|line| wanted(line)).unwrap() as u64 + 1;
    let coloured = at(&|line| line.starts_with("\x1b[1;31merror"));
    let three = at(&|line| line == "line 3");

    let found = client.kiln("SearchBuildLog", &json!({ "id": id(&build), "pattern": "^error: no s" })).unwrap();
    assert_eq!(found["matches"][0]["number"], coloured, "{found}");
    assert_eq!(found["matches"][0]["ranges"], json!([{ "start": 7, "end": 22 }]), "{found}");
    // Printed in two pieces.
    let end = json!({ "id": id(&build), "pattern": "^error: no", "ignoreCase": true });
    assert_eq!(numbers(&client, &end), [coloured, at(&|line| line == "Error: no end")]);

    let searched = |args: &[&str]| {
        let name = id(&build);
        let output = server.kiln(&[&["logs", &name], args].concat()).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    assert_eq!(searched(&["--search", "LINE 3", "-i"]), (format!("{three}:line 3\n"), Some(0)));
    let around = format!("{}-line 2\n{three}:line 3\n{}-line 4\n", three - 1, three + 1);
    assert_eq!(searched(&["--search", "^line 3$", "--regex", "-C", "1"]), (around, Some(0)));
    let two = format!("{}:line 1\n{}-line 2\n--\n{}-line 4\n{}:line 5\n", three - 2, three - 1, three + 1, three + 2);
    let (text, status) = searched(&["--search", "^line [15]$", "--regex", "-C", "1"]);
    assert_eq!(status, Some(0));
    // What stands around the first and the last one are the service's own lines.
    assert!(text.contains(&two), "{text}");
    assert_eq!(searched(&["--search", "not there"]), (String::new(), Some(1)));
    assert_eq!(searched(&["--search", "(", "--regex"]).1, Some(2));

    // More lines than one answer of the service has: each once, with those around it or not.
    let first = at(&|line| line == "1");
    let plain: String = (0..2500).map(|n| format!("{}:{}\n", first + n, n + 1)).collect();
    assert_eq!(searched(&["--search", "^[0-9]+$", "--regex"]), (plain.clone(), Some(0)));
    let (text, _) = searched(&["--search", "^[0-9]+$", "--regex", "-C", "2"]);
    assert!(text.contains(&plain) && text.lines().count() == 2504, "{} lines", text.lines().count());
    server.check(&[build]);
}

#[test]
fn a_running_builds_log_is_searched_up_to_its_last_line() {
    if not_root() {
        return;
    }
    let mut server = Server::with(&[("KILN_NETWORK_MODE", "none")]);
    let client = server.client();
    client.project("runs", &["seq 1000; echo a needle; sleep 600"]);
    let build = client.start_build("runs");
    let name = id(&build);
    let search = json!({ "id": &name, "pattern": "^a needle$" });
    let found = wait_for("the line to be found", || {
        let found = client.kiln("SearchBuildLog", &search).ok()?;
        (found["matches"] != json!([])).then_some(found)
    });
    assert_eq!(found["complete"], false, "more may come");
    let number = &found["matches"][0]["number"];
    assert_eq!(client.kiln("CountBuildLog", &search).unwrap()["matchedLines"], 1);
    let shown = server.kiln(&["logs", &name, "--search", "^(1000|a needle)$", "--regex"]).output().unwrap();
    let before = number.as_u64().unwrap() - 1;
    assert_eq!(String::from_utf8(shown.stdout).unwrap(), format!("{before}:1000\n{number}:a needle\n"));
    client.call("StopBuild", &json!({ "id": &name })).unwrap();
    client.finished(&build);
    server.check(&[build]);
}
