//! Maps of sparse files.

use std::io::{self, Read};

use super::TarError;
use super::header::{BLOCK, GnuSparse, numeric};
use super::pax::decimal;

/// Most data segments of one file.
pub(super) const MAX_SEGMENTS: usize = 65_536;

/// Where the stored data of a sparse file goes; the rest are holes.
#[derive(Debug)]
pub(crate) struct Sparse {
    /// Size of the file with its holes.
    pub(crate) real_size: u64,
    /// Offset and length of each piece, ascending, not overlapping, within `real_size`.
    pub(crate) segments: Vec<(u64, u64)>,
}

/// A map that cannot be read or makes no sense.
#[derive(Debug)]
pub(super) enum SparseError {
    Io(io::Error),
    Malformed(&'static str),
}

impl SparseError {
    pub(super) fn into_tar(self, at: u64) -> TarError {
        match self {
            Self::Io(e) => TarError::Io(e),
            Self::Malformed(problem) => TarError::Malformed { problem: problem.to_owned(), at },
        }
    }
}

impl From<io::Error> for SparseError {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

impl Sparse {
    /// Checks a map.
    pub(super) fn checked(real_size: u64, segments: Vec<(u64, u64)>) -> Result<Self, SparseError> {
        const PROBLEM: SparseError = SparseError::Malformed("a sparse file's map is out of order or beyond its end");
        let mut end = 0u64;
        for (offset, length) in &segments {
            if *offset < end {
                return Err(PROBLEM);
            }
            end = offset.checked_add(*length).ok_or(PROBLEM)?;
        }
        if end > real_size || i64::try_from(real_size).is_err() {
            return Err(PROBLEM);
        }
        Ok(Self { real_size, segments })
    }

    /// Checks a map given as offset, length, offset, length, …
    pub(super) fn from_numbers(real_size: u64, numbers: &[u64]) -> Result<Self, SparseError> {
        let segments = numbers
            .chunks(2)
            .map(|pair| match pair {
                [offset, length] => Ok((*offset, *length)),
                _ => Err(SparseError::Malformed("a sparse file's map ends in the middle")),
            })
            .collect::<Result<_, _>>()?;
        Self::checked(real_size, segments)
    }

    /// Bytes that the archive holds of the file. (No overflow: the segments lie within the file.)
    pub(super) fn stored(&self) -> u64 {
        self.segments.iter().map(|(_, length)| length).sum()
    }
}

/// Reads an old GNU map: four pairs in the header, then blocks of 21 until one says it is the last.
pub(super) fn old_gnu(
    start: GnuSparse,
    mut next_block: impl FnMut(&mut [u8; BLOCK]) -> io::Result<()>,
) -> Result<Sparse, SparseError> {
    let mut numbers = Vec::new();
    let mut push = |pairs: &[u8]| -> Result<(), SparseError> {
        for field in pairs.chunks(12) {
            // Unused fields at the end are zero.
            if numbers.len() >= 2 * MAX_SEGMENTS {
                return Err(SparseError::Malformed("a sparse file's map is too long"));
            }
            let number = numeric(field).and_then(|n| u64::try_from(n).ok());
            numbers
                .push(number.ok_or(SparseError::Malformed("a sparse file's map holds something that is no number"))?);
        }
        Ok(())
    };
    push(&start.pairs)?;
    let mut extended = start.extended;
    let mut block = [0; BLOCK];
    while extended {
        next_block(&mut block)?;
        push(block.get(..504).unwrap_or_default())?;
        extended = block.get(504).is_some_and(|b| *b != 0);
    }
    // Unused pairs are all zero; a last pair of (size, 0) marks a hole at the end.
    while let [.., 0, 0] = numbers.as_slice() {
        numbers.truncate(numbers.len().saturating_sub(2));
    }
    Sparse::from_numbers(start.real_size, &numbers)
}

/// Reads a PAX 1.0 map from the start of the data: decimal numbers, one a line, padded to a block.
pub(super) fn read_map(data: &mut impl Read) -> Result<Vec<(u64, u64)>, SparseError> {
    let mut block = [0; BLOCK];
    let mut digits = Vec::with_capacity(20);
    let mut count: Option<u64> = None;
    let mut numbers = Vec::new();
    loop {
        data.read_exact(&mut block)?;
        for byte in block {
            match byte {
                b'\n' => {
                    let number = decimal(&digits)
                        .ok_or(SparseError::Malformed("a sparse file's map holds something that is no number"))?;
                    digits.clear();
                    match count {
                        None if number > MAX_SEGMENTS as u64 => {
                            return Err(SparseError::Malformed("a sparse file's map is too long"));
                        }
                        None => count = Some(number),
                        Some(_) => numbers.push(number),
                    }
                    if count.is_some_and(|count| numbers.len() as u64 >= 2 * count) {
                        let segments = numbers.chunks_exact(2).map(|p| (p.first().copied(), p.last().copied()));
                        return Ok(segments.filter_map(|(o, l)| o.zip(l)).collect());
                    }
                }
                _ if digits.len() >= 20 => {
                    return Err(SparseError::Malformed("a sparse file's map holds something that is no number"));
                }
                _ => digits.push(byte),
            }
        }
    }
}
