//! Compiles the agent as a static binary, for `src/agent_binary.rs` to embed.
//!
//! A cargo of its own does that: `+crt-static` for the whole workspace would break proc-macros. It has a target
//! directory of its own too (cargo locks them), shared by all profiles, so that the agent is compiled once.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

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
