//! A sandbox cannot use more than it was given, and the kernel's counters say when it tried (fault tests 9c, 15, 17).

use kiln_engine::Exit;

use crate::{BOTH, Case, fixture::Fixture};

pub(crate) const CASES: &[Case] = &[
    Case { name: "memory_beyond_the_limit_is_killed_and_counted", kinds: BOTH, run: memory },
    Case { name: "a_fork_bomb_stops_at_the_limit", kinds: BOTH, run: processes },
    Case { name: "a_full_disk_stays_inside", kinds: BOTH, run: disk_full },
    Case { name: "inodes_end_and_odd_names_are_removed", kinds: BOTH, run: odd_files },
    Case { name: "open_files_are_limited", kinds: BOTH, run: open_files },
    Case { name: "use_is_counted", kinds: BOTH, run: counted },
];

const MIB: u64 = 1 << 20;

fn memory(fixture: &Fixture) {
    let mut spec = fixture.spec("head -c 300M /dev/zero | tail -n 1 | wc -c; echo survived");
    spec.limits.memory_bytes = Some(64 * MIB);
    let outcome = fixture.run(spec);
    assert!(outcome.stdout.contains("survived"), "the shell, which is small, lives: {outcome:?}");
    assert!(!outcome.stdout.contains("314572800"), "{outcome:?}");
    assert!(outcome.usage.oom_kills >= 1, "{outcome:?}");
    let peak = outcome.usage.memory_peak_bytes;
    assert!((60 * MIB..=65 * MIB).contains(&peak), "peak {peak}");
    // Without pressure nothing is counted.
    assert_eq!(fixture.sh("true").usage.oom_kills, 0);
}

fn processes(fixture: &Fixture) {
    let mut spec = fixture.spec(
        "(bomb() { bomb | bomb & }; bomb) 2>/dev/null; i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo over; \
         while :; do :; done",
    );
    spec.limits.pids = Some(40);
    let running = fixture.start(spec).unwrap();
    running.expect("over");
    let usage = running.sandbox.usage();
    assert!(usage.pids <= 40 && usage.pids_refused > 0, "{usage:?}");
    running.sandbox.kill();
    assert_eq!(running.finish(&fixture.disks()).exit, Exit::Signal(9));
}

fn disk_full(fixture: &Fixture) {
    let mut spec = fixture.spec(
        "cd /tmp; dd if=/dev/zero of=big bs=1M count=200 2>&1 | grep -o 'No space left on device'; \
         truncate -s 900G sparse && echo sparse; rm big sparse; dd if=/dev/zero of=small bs=1M count=10 2>/dev/null && echo again; \
         exec 5> deleted; rm deleted; dd if=/dev/zero bs=1M count=200 >&5 2>/dev/null; df -m /tmp | tail -1 | awk '{print $2 < 70}'",
    );
    spec.disk.bytes = 64 * MIB;
    let outcome = fixture.run(spec);
    assert_eq!(outcome.stdout, "No space left on device\nsparse\nagain\n1\n", "{outcome:?}");
    assert!(outcome.notices.iter().all(|notice| !notice.contains("disk")), "{:?}", outcome.notices);
}

fn odd_files(fixture: &Fixture) {
    let mut spec = fixture.spec(
        "mkdir /tmp/many; cd /tmp/many; i=0; while [ $i -lt 20000 ]; do echo > f$i || break; i=$((i+1)); done 2>/dev/null; \
         test $i -lt 20000 && echo no more; cd /tmp; rm -rf many; \
         mkdir deep; i=0; while [ $i -lt 300 ]; do mkdir over && mv deep over/deepdeepdeepdeep && mv over deep || break; \
         i=$((i+1)); done; echo $i; i=1; while [ $i -lt 256 ]; do test $i -eq 47 || : > \"$(printf \"x\\\\$(printf %03o $i)y\")\"; \
         i=$((i+1)); done; ls | wc -l",
    );
    spec.disk.bytes = 64 * MIB;
    let outcome = fixture.run(spec);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.first(), Some(&"no more"), "{outcome:?}");
    assert_eq!(lines.get(1), Some(&"300"), "{outcome:?}");
}

fn open_files(fixture: &Fixture) {
    let script = "ulimit -Sn; test $(ulimit -Hn) -le 1048576 && echo bounded; \
                  ulimit -n 100; i=0; while [ $i -lt 200 ]; do eval \"exec 9< /etc/passwd\"; i=$((i+1)); done; echo alive";
    let output = fixture.sh(script).ok();
    assert!(output.ends_with("bounded\nalive\n"), "{output}");
}

fn counted(fixture: &Fixture) {
    let running = fixture.start(fixture.spec(
        "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; dd if=/dev/zero of=/dev/shm/x bs=1M count=20 2>/dev/null; \
         sleep 1000 & sleep 1000 & echo ready; wait",
    ));
    let running = running.unwrap();
    running.expect("ready");
    let usage = running.sandbox.usage();
    assert!(usage.cpu_ns > 10_000_000, "{usage:?}");
    assert_eq!(usage.pids, 3, "{usage:?}");
    assert!(usage.memory_bytes > 20 * MIB && usage.memory_peak_bytes >= usage.memory_bytes, "{usage:?}");
    running.sandbox.kill();
    // Also after its end.
    let outcome = running.finish(&fixture.disks());
    assert!(outcome.usage.cpu_ns >= usage.cpu_ns && outcome.usage.pids == 0, "{outcome:?}");
}
