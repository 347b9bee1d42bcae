//! The ZIP records (APPNOTE 6.3.10, sections 4.3 to 4.5; section numbers below are its own).

use time::OffsetDateTime;

/// Sizes and offsets from here on need ZIP64.
pub(super) const U32_LIMIT: u64 = 0xFFFF_FFFF;
/// An entry announced with at least this size gets ZIP64 sizes: deflate may add 5 bytes in 65,535, and a file may
/// still grow a little.
pub(super) const ANNOUNCE_ZIP64: u64 = 0xFFE0_0000;

/// Compression method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Store,
    Deflate,
}

impl Method {
    fn code(self) -> u16 {
        match self {
            Self::Store => 0,
            Self::Deflate => 8,
        }
    }
}

/// What the header and the directory say of an entry before its data is known.
#[derive(Debug, Clone)]
pub(super) struct Description {
    pub(super) name: Vec<u8>,
    /// File type and permission bits, as `st_mode`.
    pub(super) unix_mode: u32,
    pub(super) stamp: Stamp,
    /// Sizes have 8 bytes.
    pub(super) zip64: bool,
}

/// What is known once the data is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) method: Method,
    pub(super) crc: u32,
    pub(super) compressed: u64,
    pub(super) size: u64,
    /// Sizes stand in a data descriptor behind the data (4.3.9).
    pub(super) descriptor: bool,
}

/// An entry's time: DOS fields, and UTC seconds in the extended-timestamp extra field that Info-ZIP defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    dos_time: u16,
    dos_date: u16,
    unix: Option<i32>,
}

impl Stamp {
    /// From seconds since the epoch, in UTC; DOS fields are bound to the years 1980 to 2107.
    pub(super) fn new(seconds: i64, with_unix: bool) -> Self {
        const FIRST: i64 = 315_532_800; // 1980-01-01T00:00:00Z
        const LAST: i64 = 4_354_819_198; // 2107-12-31T23:59:58Z
        let at = OffsetDateTime::from_unix_timestamp(seconds.clamp(FIRST, LAST)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let year = u16::try_from(at.year().saturating_sub(1980)).unwrap_or(0);
        Self {
            dos_time: (u16::from(at.hour()) << 11) | (u16::from(at.minute()) << 5) | u16::from(at.second() / 2),
            dos_date: (year << 9) | (u16::from(u8::from(at.month())) << 5) | u16::from(at.day()),
            unix: if with_unix { i32::try_from(seconds).ok() } else { None },
        }
    }

    fn put_extra(self, out: &mut Vec<u8>) {
        if let Some(seconds) = self.unix {
            put16(out, 0x5455);
            put16(out, 5);
            out.push(1); // modification time only
            out.extend_from_slice(&seconds.to_le_bytes());
        }
    }

    fn extra_len(self) -> u16 {
        if self.unix.is_some() { 9 } else { 0 }
    }
}

impl Description {
    /// 4.4.4: bit 3 for a data descriptor, bit 11 for a name in UTF-8. A name of other bytes is kept as it is, which
    /// readers take for their own code page.
    fn flags(&self, descriptor: bool) -> u16 {
        let utf8 = !self.name.is_ascii() && std::str::from_utf8(&self.name).is_ok();
        (u16::from(descriptor) << 3) | (u16::from(utf8) << 11)
    }

    fn name_len(&self) -> u16 {
        u16::try_from(self.name.len()).unwrap_or(u16::MAX) // names are checked to be shorter than 4,096 bytes
    }

    /// Local file header (4.3.7). With a descriptor, the extent's sum and sizes are not written.
    pub(super) fn put_local(&self, extent: &Extent, out: &mut Vec<u8>) {
        put32(out, 0x0403_4b50);
        put16(out, if self.zip64 { 45 } else { 20 });
        put16(out, self.flags(extent.descriptor));
        put16(out, extent.method.code());
        put16(out, self.stamp.dos_time);
        put16(out, self.stamp.dos_date);
        let (crc, compressed, size) =
            if extent.descriptor { (0, 0, 0) } else { (extent.crc, extent.compressed, extent.size) };
        put32(out, crc);
        for value in [compressed, size] {
            put32(out, if self.zip64 { u32::MAX } else { low32(value) });
        }
        put16(out, self.name_len());
        put16(out, self.stamp.extra_len() + if self.zip64 { 20 } else { 0 });
        out.extend_from_slice(&self.name);
        self.stamp.put_extra(out);
        if self.zip64 {
            put16(out, 0x0001);
            put16(out, 16);
            put64(out, size);
            put64(out, compressed);
        }
    }

    /// Data descriptor (4.3.9).
    pub(super) fn put_descriptor(&self, extent: &Extent, out: &mut Vec<u8>) {
        put32(out, 0x0807_4b50);
        put32(out, extent.crc);
        for value in [extent.compressed, extent.size] {
            if self.zip64 { put64(out, value) } else { put32(out, low32(value)) }
        }
    }

    /// Central directory header (4.3.12).
    pub(super) fn put_central(&self, extent: &Extent, offset: u64, out: &mut Vec<u8>) {
        let wide_sizes = self.zip64;
        let wide_offset = offset >= U32_LIMIT;
        let wide = u16::from(wide_sizes) * 16 + u16::from(wide_offset) * 8;
        put32(out, 0x0201_4b50);
        put16(out, (3 << 8) | 45); // made on Unix, by a writer that knows version 4.5
        put16(out, if wide > 0 { 45 } else { 20 });
        put16(out, self.flags(extent.descriptor));
        put16(out, extent.method.code());
        put16(out, self.stamp.dos_time);
        put16(out, self.stamp.dos_date);
        put32(out, extent.crc);
        for value in [extent.compressed, extent.size] {
            put32(out, if wide_sizes { u32::MAX } else { low32(value) });
        }
        put16(out, self.name_len());
        put16(out, self.stamp.extra_len() + if wide > 0 { 4 + wide } else { 0 });
        put16(out, 0); // comment
        put16(out, 0); // disk
        put16(out, 0); // internal attributes
        put32(out, self.unix_mode << 16);
        put32(out, if wide_offset { u32::MAX } else { low32(offset) });
        out.extend_from_slice(&self.name);
        self.stamp.put_extra(out);
        if wide > 0 {
            put16(out, 0x0001);
            put16(out, wide);
            if wide_sizes {
                put64(out, extent.size);
                put64(out, extent.compressed);
            }
            if wide_offset {
                put64(out, offset);
            }
        }
    }
}

/// End of central directory, with the ZIP64 records where a figure needs them (4.3.14 to 4.3.16).
pub(super) fn put_end(entries: u64, directory_size: u64, directory_offset: u64, out: &mut Vec<u8>) {
    let few = u16::try_from(entries).ok().filter(|&n| n < u16::MAX);
    if few.is_none() || directory_size >= U32_LIMIT || directory_offset >= U32_LIMIT {
        put32(out, 0x0606_4b50);
        put64(out, 44); // size of the rest of this record
        put16(out, (3 << 8) | 45);
        put16(out, 45);
        put32(out, 0);
        put32(out, 0);
        put64(out, entries);
        put64(out, entries);
        put64(out, directory_size);
        put64(out, directory_offset);
        put32(out, 0x0706_4b50);
        put32(out, 0);
        put64(out, directory_offset.saturating_add(directory_size));
        put32(out, 1);
    }
    put32(out, 0x0605_4b50);
    put16(out, 0);
    put16(out, 0);
    put16(out, few.unwrap_or(u16::MAX));
    put16(out, few.unwrap_or(u16::MAX));
    put32(out, low32(directory_size));
    put32(out, low32(directory_offset));
    put16(out, 0);
}

/// The value, or all ones when it does not fit: "see the ZIP64 field".
fn low32(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dos_fields_are_utc_and_bounded() {
        let s = Stamp::new(1_700_000_001, true); // 2023-11-14T22:13:21Z
        assert_eq!(s.dos_date, (43 << 9) | (11 << 5) | 14);
        assert_eq!(s.dos_time, (22 << 11) | (13 << 5) | 10);
        assert_eq!(s.unix, Some(1_700_000_001));
        let first = Stamp::new(i64::MIN, false);
        assert_eq!((first.dos_date, first.dos_time, first.unix), ((1 << 5) | 1, 0, None));
        let last = Stamp::new(i64::MAX, true);
        assert_eq!(last.dos_date >> 9, 127);
        assert_eq!(last.unix, None);
    }

    #[test]
    fn figures_that_need_it_get_zip64_records() {
        let mut small = Vec::new();
        put_end(65_534, 100, 200, &mut small);
        assert_eq!(small.len(), 22);
        for (entries, size, offset) in [(65_535, 100, 200), (1, U32_LIMIT, 200), (1, 100, U32_LIMIT)] {
            let mut out = Vec::new();
            put_end(entries, size, offset, &mut out);
            assert_eq!(out.len(), 22 + 56 + 20);
        }
        let d = Description { name: b"a".to_vec(), unix_mode: 0o100_644, stamp: Stamp::new(0, false), zip64: false };
        let e = Extent { method: Method::Store, crc: 0, compressed: 0, size: 0, descriptor: false };
        let (mut near, mut far) = (Vec::new(), Vec::new());
        d.put_central(&e, U32_LIMIT - 1, &mut near);
        d.put_central(&e, U32_LIMIT, &mut far);
        assert_eq!(far.len(), near.len() + 12);
        assert_eq!(far.get(far.len() - 8..).unwrap(), U32_LIMIT.to_le_bytes());
    }
}
