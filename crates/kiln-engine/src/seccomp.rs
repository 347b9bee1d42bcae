//! The system call filter: compiled ahead from `seccomp/profile.json` by `tools/kiln-seccomp`, since compiling it takes
//! longer than all the rest of a start (spikes.md 1.3).

/// The filter as the kernel loads it, and as an OCI runtime's `linux.seccomp`.
struct Grade {
    bpf: &'static [u8],
    oci: &'static str,
}

#[cfg(target_arch = "x86_64")]
const DEFAULT: Grade =
    Grade { bpf: include_bytes!("../seccomp/default.x86_64.bpf"), oci: include_str!("../seccomp/default.oci.json") };
#[cfg(target_arch = "x86_64")]
const PRIVILEGED: Grade = Grade {
    bpf: include_bytes!("../seccomp/privileged.x86_64.bpf"),
    oci: include_str!("../seccomp/privileged.oci.json"),
};
#[cfg(target_arch = "aarch64")]
const DEFAULT: Grade =
    Grade { bpf: include_bytes!("../seccomp/default.aarch64.bpf"), oci: include_str!("../seccomp/default.oci.json") };
#[cfg(target_arch = "aarch64")]
const PRIVILEGED: Grade = Grade {
    bpf: include_bytes!("../seccomp/privileged.aarch64.bpf"),
    oci: include_str!("../seccomp/privileged.oci.json"),
};
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("no system call filter is compiled for this architecture: add it to tools/kiln-seccomp");

fn grade(privileged: bool) -> &'static Grade {
    if privileged { &PRIVILEGED } else { &DEFAULT }
}

/// The compiled filter for this machine.
pub(crate) fn filter(privileged: bool) -> &'static [u8] {
    grade(privileged).bpf
}

/// The same as JSON for an OCI runtime.
pub(crate) fn oci(privileged: bool) -> &'static str {
    grade(privileged).oci
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_grade_is_whole_instructions_that_fit_the_kernels_limit() {
        for privileged in [false, true] {
            let filter = super::filter(privileged);
            assert_eq!(filter.len() % 8, 0);
            // BPF_MAXINSNS
            assert!((100..=4096).contains(&(filter.len() / 8)), "{} instructions", filter.len() / 8);
            let json: serde_json::Value = serde_json::from_str(super::oci(privileged)).unwrap();
            assert_eq!(json["defaultAction"], "SCMP_ACT_ERRNO");
        }
    }
}
