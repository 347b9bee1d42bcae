//! Compiles the agent as a static binary, for `src/agent_binary.rs` to embed, and packs the web console for
//! `src/serve/console.rs`, where `scripts/console` has built it.
//!
//! A cargo of its own compiles the agent: `+crt-static` for the whole workspace would break proc-macros. It has a target
//! directory of its own too (cargo locks them), shared by all profiles, so that the agent is compiled once.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use flate2::{Compression, write::GzEncoder};

/// The crates that the agent is made of, below `crates/`.
const SOURCES: &[&str] = &["kiln-agent", "kiln-wire", "kiln-model"];

/// What a surrounding cargo, clippy, rust-analyzer or the user's shell set for *this* build.
const NOT_INHERITED: &[&str] = &[
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

fn main() {
    let workspace = Path::new(&variable("CARGO_MANIFEST_DIR")).join("../..");
    pack_console(&workspace.join("console/dist"), &PathBuf::from(variable("OUT_DIR")));
    for source in SOURCES {
        watch(&workspace.join("crates").join(source).join("src"));
        watch(&workspace.join("crates").join(source).join("Cargo.toml"));
    }
    watch(&workspace.join("Cargo.toml"));
    watch(&workspace.join("Cargo.lock"));

    let target = variable("TARGET");
    let out = PathBuf::from(variable("OUT_DIR"));
    let target_dir = target_directory(&out).join("agent");
    let mut cargo = Command::new(variable("CARGO"));
    // Offline and locked: all that the agent depends on the surrounding cargo has just resolved and fetched for kiln.
    cargo.args(["build", "--locked", "--offline", "--package", "kiln-agent", "--bin", "kiln-agent"]);
    cargo.args(["--profile", "agent", "--target", &target]);
    cargo.arg("--target-dir").arg(&target_dir);
    cargo.arg("--manifest-path").arg(workspace.join("Cargo.toml"));
    for name in NOT_INHERITED {
        cargo.env_remove(name);
    }
    // The agent aborts on a panic, so that nothing reads unwind tables.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static\x1f-Cforce-unwind-tables=no");
    cargo.stdout(Stdio::null());
    let status = cargo.status().unwrap_or_else(|error| panic!("cargo cannot be run for the agent: {error}"));
    assert!(
        status.success(),
        "the agent cannot be compiled ({status}); it is linked statically, which needs the C library's static part \
         (libc6-dev on Debian, glibc-static on Fedora)"
    );
    let binary = target_dir.join(&target).join("agent/kiln-agent");
    if let Err(error) = fs::copy(&binary, out.join("kiln-agent")) {
        panic!("{} cannot be copied: {error}", binary.display());
    }
}

/// Writes a table of the console's files, compressed: `[kiln_api::ConsoleFile; …]`. It is empty where nobody has built the
/// console, for which npm is needed.
fn pack_console(dist: &Path, out: &Path) {
    watch(dist);
    let app = dist.join("app");
    let mut files = Vec::new();
    list(&app, &mut files);
    files.sort();
    let mut table = "&[\n".to_owned();
    for (number, file) in files.iter().enumerate() {
        let packed = out.join(format!("console-{number}.gz"));
        let bytes = fs::read(file).unwrap_or_else(|error| panic!("{} cannot be read: {error}", file.display()));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let gzip = encoder.write_all(&bytes).and_then(|()| encoder.finish());
        if let Err(error) = gzip.and_then(|gzip| fs::write(&packed, gzip)) {
            panic!("{} cannot be written: {error}", packed.display());
        }
        let name = file.strip_prefix(&app).unwrap_or(file);
        table.push_str(&format!(
            "    kiln_api::ConsoleFile {{ path: {:?}, content_type: {:?}, gzip: include_bytes!({packed:?}) }},\n",
            name.to_string_lossy(),
            media_type(file)
        ));
    }
    table.push_str("]\n");
    if let Err(error) = fs::write(out.join("console.rs"), table) {
        panic!("the table of the console's files cannot be written: {error}");
    }
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}

fn media_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        other => panic!("{}: no media type is known for {other:?}", file.display()),
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("cargo sets {name} for build scripts: {error}"))
}

fn watch(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

/// The target directory that `OUT_DIR` lies in: cargo marks it with a file for backup programs.
fn target_directory(out: &Path) -> PathBuf {
    let marked = out.ancestors().find(|directory| directory.join("CACHEDIR.TAG").exists());
    marked.unwrap_or(out).to_path_buf()
}
