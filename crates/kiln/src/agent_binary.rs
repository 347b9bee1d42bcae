//! The agent, embedded: a static binary that runs in any image, musl or distroless included.

/// The executable that is process 1 of a build's container.
pub(crate) static AGENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kiln-agent"));

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of an ELF file for 64-bit little-endian machines.
    fn segments(elf: &[u8]) -> Vec<u32> {
        let number = |at: usize, length: usize| {
            elf[at..at + length].iter().rev().fold(0usize, |number, byte| number << 8 | usize::from(*byte))
        };
        let (offset, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
        (0..count).map(|index| u32::try_from(number(offset + index * size, 4)).unwrap()).collect()
    }

    #[test]
    fn it_is_static_and_small() {
        const PT_LOAD: u32 = 1;
        const PT_INTERP: u32 = 3;
        assert_eq!(&AGENT[..5], b"\x7fELF\x02");
        let segments = segments(AGENT);
        assert!(segments.contains(&PT_LOAD), "{segments:?}");
        assert!(!segments.contains(&PT_INTERP), "it asks for a dynamic loader: {segments:?}");
        assert!(AGENT.len() < 1_700_000, "{} bytes", AGENT.len());
    }
}
