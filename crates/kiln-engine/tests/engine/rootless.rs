//! Without root: the calling user is root inside, and what is not enforced is said.

use std::{
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::Command,
};

use kiln_engine::{Access, Engine, Exit, Volume, leftovers, sweep};

use crate::{
    Case, NATIVE,
    fixture::{self, Fixture},
};

pub(crate) const CASES: &[Case] =
    &[Case { name: "an_ordinary_user_can_run_a_sandbox", kinds: NATIVE, run: ordinary_user }];

/// nobody, who has no sub-ids.
const USER: u32 = 65_534;

fn ordinary_user(fixture: &Fixture) {
    if !Path::new("/usr/bin/setpriv").exists() {
        crate::skip("setpriv is not installed (Debian: util-linux)");
    }
    // The program, and all directories above it, must be accessible to others.
    let program = std::path::PathBuf::from("/tmp").join(format!("kiln-rootless-{}", std::process::id()));
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    chown(fixture.path(), Some(USER), Some(USER)).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"])
        .arg(&program)
        .args(["--rootless", "native"])
        .arg(fixture.path())
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .output();
    std::fs::remove_file(&program).unwrap();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    if let Some(why) = text.strip_prefix("skip: ") {
        crate::skip(why.trim());
    }
}

/// The same as that user.
pub(crate) fn as_user(dir: &str) -> std::process::ExitCode {
    let disks = Path::new(dir).join("disks");
    let source = Path::new(dir).join("source");
    std::fs::create_dir_all(&source).unwrap();
    std::fs::write(source.join("f"), "original\n").unwrap();
    let user = rustix::process::geteuid().as_raw();
    assert_ne!(user, 0);
    let id = format!("rootless-{}", std::process::id());
    let mut spec = fixture::spec(
        &id,
        &disks,
        "id -u; cat /src/f; echo x >> /src/f; stat -c %u:%g /src/f; touch /tmp/x; grep -c Seccomp:.2 /proc/self/status; \
         ls /proc | grep -c '^[0-9]' | grep -qx '[1-4]' && echo alone; cat /etc/shadow 2>/dev/null && echo secrets; \
         mkdir -m 0 /tmp/locked; echo done",
    );
    spec.disk.templates = disks.join("templates");
    spec.volumes.push(Volume { source: source.clone(), target: "/src".into(), access: Access::CopyOnWrite });
    let mut sandbox_output = tempfile::tempfile().unwrap();
    spec.process.stdio[1] = Some(sandbox_output.try_clone().unwrap().into());
    let mut sandbox = match Engine::native().start(spec) {
        Ok(sandbox) => sandbox,
        Err(error) if error.to_string().contains("new namespaces") => {
            print!("skip: {error}");
            return std::process::ExitCode::SUCCESS;
        }
        Err(error) => panic!("{error}"),
    };
    let notices = sandbox.notices().to_vec();
    let exit = loop {
        if let Some(exit) = sandbox.wait(None).unwrap() {
            break exit;
        }
    };
    assert_eq!(sandbox.destroy(false).unwrap(), Vec::<String>::new());
    let mut text = String::new();
    std::io::Seek::rewind(&mut sandbox_output).unwrap();
    std::io::Read::read_to_string(&mut sandbox_output, &mut text).unwrap();
    assert_eq!((exit, text.as_str()), (Exit::Code(0), "0\noriginal\n0:0\n1\nalone\ndone\n"), "{notices:?}");
    assert_eq!(std::fs::read_to_string(source.join("f")).unwrap(), "original\n");
    for word in ["disk limit not enforced", "memory limit not enforced", "process limit not enforced"] {
        assert_eq!(notices.iter().filter(|notice| notice.contains(word)).count(), 1, "{word}: {notices:?}");
    }
    assert_eq!(leftovers(&id, &[&disks]), Vec::<String>::new());
    assert_eq!(sweep(&[&disks]), Vec::new());
    std::process::ExitCode::SUCCESS
}
