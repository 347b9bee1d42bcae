//! Clocks that are set while the service runs (fault test 19 of `reliability.md`): what takes time takes as much as
//! before, and whoever is refused is told the server's time. The clock is the process's own, by Debian's `libfaketime`.
//! What a token's life has to do with it is shown in `kiln-core`.

use std::{fs, path::PathBuf};

use kiln_check::Accepted;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    client::{Client, accepted, id},
    server::{Server, not_root, wait_for},
};

/// 2038-01-19T03:14:08Z: seconds since 1970 no longer fit in 32 bits.
const IN_2038: i64 = 1 << 31;

/// The library; says so when it is not there.
fn libfaketime() -> Option<PathBuf> {
    let found = fs::read_dir("/usr/lib").ok().and_then(|dirs| {
        let mut paths = dirs.filter_map(|dir| Some(dir.ok()?.path().join("faketime/libfaketimeMT.so.1")));
        paths.find(|path| path.exists())
    });
    if found.is_none() {
        println!("skipped: libfaketime is needed to set a clock");
    }
    found
}

/// What a process takes the time to be.
pub(crate) struct Time {
    library: PathBuf,
    dir: TempDir,
}

impl Time {
    /// That of this machine; `None` where none can be set.
    pub(crate) fn new() -> Option<Self> {
        let time = Self { library: libfaketime()?, dir: TempDir::new().unwrap() };
        time.set(0);
        Some(time)
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("clock")
    }

    /// What a process needs in its environment to have this time.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        vec![
            ("LD_PRELOAD", text(self.library.clone())),
            ("FAKETIME_TIMESTAMP_FILE", text(self.file())),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            // As on a machine whose clock is set: the monotonic one goes on.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    /// Seconds by which it is ahead of this machine's.
    pub(crate) fn set(&self, ahead: i64) {
        let new = self.dir.path().join("new");
        fs::write(&new, format!("{ahead:+}\n")).unwrap();
        fs::rename(new, self.file()).unwrap();
    }
}

/// What a client is told whose clock is another one. Until the server has noticed its new time, the old one passes.
fn refused_by_the_clock(client: &Client) -> String {
    wait_for("the old time to be refused", || match client.call("ListProjects", &json!({})) {
        Err(fault) => {
            let (code, message) = match fault {
                crate::client::Fault::Refused { code, message, .. } => (code, message),
                crate::client::Fault::Lost(e) => panic!("the server is gone: {e}"),
            };
            assert_eq!(code, "InvalidSignatureException", "{message}");
            Some(message)
        }
        Ok(_) => None,
    })
}

fn start(client: &Client, token: &str) -> Accepted {
    let limits = json!({
        "projectName": "clock", "idempotencyToken": token,
        "timeoutInMinutesOverride": 5, "queuedTimeoutInMinutesOverride": 5,
    });
    accepted(&client.retried("StartBuild", &limits)["build"])
}

#[track_caller]
fn assert_goes_forward(build: &Value) {
    let time = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{build}"));
    assert!(time(&build["endTime"]) >= time(&build["startTime"]), "{build}");
    let mut last = time(&build["startTime"]);
    for phase in build["phases"].as_array().unwrap() {
        assert!(time(&phase["startTime"]) >= last, "{build}");
        last = time(&phase["startTime"]);
        if !phase["endTime"].is_null() {
            assert!(time(&phase["endTime"]) >= last && phase["durationInSeconds"].as_i64().unwrap() >= 0, "{build}");
        }
    }
}

#[test]
fn a_clock_that_is_set_moves_nothing_but_the_time_of_day() {
    let (false, Some(time)) = (not_root(), Time::new()) else { return };
    let variables = time.variables();
    let mut all = vec![("KILN_CAPACITY_MAX_BUILDS", "1"), ("KILN_NETWORK_MODE", "none")];
    all.extend(variables.iter().map(|(name, value)| (*name, value.as_str())));
    let mut server = Server::with(&all);
    let here = server.client();
    here.project("clock", &["echo begun; sleep ${LONG:-0}"]);
    let long = json!({
        "projectName": "clock", "timeoutInMinutesOverride": 5,
        "environmentVariablesOverride": [{ "name": "LONG", "value": "1000" }],
    });
    let running = accepted(&here.retried("StartBuild", &long)["build"]);
    wait_for("a build to run", || {
        let page = here.kiln("GetBuildLog", &json!({ "id": id(&running) })).ok()?;
        page["lines"].as_array()?.iter().any(|l| l["text"] == "begun").then_some(())
    });
    let waiting = start(&here, "once");

    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let mut all = vec![waiting.clone()];
    let mut before = 0;
    for (n, ahead) in [3600, 0, -3600, IN_2038 - now, 0, IN_2038 - now].into_iter().enumerate() {
        time.set(ahead);
        let told = refused_by_the_clock(&here.ahead(before));
        // The day, or the next one at midnight.
        let said = [0, 3600].map(|later| {
            let day = time::OffsetDateTime::from_unix_timestamp(now + ahead + later).unwrap();
            format!("({}{:02}{:02}T", day.year(), u8::from(day.month()), day.day())
        });
        assert!(said.iter().any(|day| told.contains(day)), "the server's time is said: {told}");
        let there = here.ahead(ahead);
        before = ahead;
        if n == 5 {
            // Nor does a server that finds the clock so, in another time zone too.
            server.kill();
            server.set("TZ", Some("Pacific/Kiritimati"));
            server.run();
        }
        // Whoever looks at the queue sees what is due.
        all.push(start(&there, &format!("at {n}")));
        if n < 5 {
            // Over a restart a token is judged by the wall clock, which alone is left.
            assert_eq!(start(&there, "once"), waiting, "a token of a moment ago");
        }
        let queue = there.kiln("DescribeQueue", &json!({})).unwrap();
        assert_eq!(queue["capacity"]["queuedBuilds"], json!(all.len()), "set by {ahead}: {queue}");
        for build in all.iter().chain([&running]) {
            assert_eq!(there.build(build)["buildStatus"], "IN_PROGRESS", "set by {ahead}");
        }
    }
    let there = here.ahead(before);
    there.retried("StopBuild", &json!({ "id": id(&running) }));
    let ended = there.finished(&running);
    assert_eq!(ended["buildStatus"], "STOPPED", "{ended}");
    assert_goes_forward(&ended);
    for build in &all {
        let ended = there.finished(build);
        assert_eq!(ended["buildStatus"], "SUCCEEDED", "{ended}");
        assert_goes_forward(&ended);
    }
    all.push(running);
    server.check(&all);
}
