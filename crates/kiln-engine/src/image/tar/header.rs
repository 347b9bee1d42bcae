//! The 512-byte header block.

/// Size of a block.
pub(crate) const BLOCK: usize = 512;

/// What an entry makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Dir,
    Symlink,
    HardLink,
    CharDevice,
    BlockDevice,
    Fifo,
}

impl EntryKind {
    /// Whether data follows the header.
    pub(super) fn has_data(self) -> bool {
        self == Self::File
    }
}

/// What a header block introduces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderType {
    Entry(EntryKind),
    PaxNext,
    PaxGlobal,
    GnuLongName,
    GnuLongLink,
}

/// The start of an old GNU sparse map, as it stands in the header.
#[derive(Debug)]
pub(super) struct GnuSparse {
    /// Four pairs of offset and length.
    pub(super) pairs: Vec<u8>,
    pub(super) extended: bool,
    pub(super) real_size: u64,
}

/// A decoded header block.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) kind: HeaderType,
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) size: u64,
    pub(super) mtime: i64,
    /// Written as type `0` or NUL, where a trailing slash in the name means a directory.
    pub(super) v7: bool,
    pub(super) gnu_sparse: Option<GnuSparse>,
}

impl Header {
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self, String> {
        let field = |from: usize, len: usize| block.get(from..from + len).unwrap_or_default();
        let stored =
            octal(field(148, 8)).ok_or("a header's checksum is no number: this is no tar archive, or it is damaged")?;
        let sum = |as_signed: bool| {
            block.iter().enumerate().fold(0i64, |sum, (i, b)| {
                let b = if (148..156).contains(&i) { b' ' } else { *b };
                // Some very old programs added the bytes up as signed.
                sum + if as_signed { i64::from(b.cast_signed()) } else { i64::from(b) }
            })
        };
        let stored = i64::try_from(stored).unwrap_or(-1);
        if stored != sum(false) && stored != sum(true) {
            return Err("a header's checksum is wrong: this is no tar archive, or it is damaged".to_owned());
        }
        let flag = field(156, 1).first().copied().unwrap_or(0);
        let magic = field(257, 8);
        let gnu = magic == b"ustar  \0";
        let ustar = magic.starts_with(b"ustar") && !gnu;
        let star = ustar && field(508, 4) == b"tar\0";

        let kind = match flag {
            0 | b'0' | b'7' | b'S' => HeaderType::Entry(EntryKind::File),
            b'1' => HeaderType::Entry(EntryKind::HardLink),
            b'2' => HeaderType::Entry(EntryKind::Symlink),
            b'3' => HeaderType::Entry(EntryKind::CharDevice),
            b'4' => HeaderType::Entry(EntryKind::BlockDevice),
            b'5' => HeaderType::Entry(EntryKind::Dir),
            b'6' => HeaderType::Entry(EntryKind::Fifo),
            b'x' | b'X' => HeaderType::PaxNext,
            b'g' => HeaderType::PaxGlobal,
            b'L' => HeaderType::GnuLongName,
            b'K' => HeaderType::GnuLongLink,
            b'M' => return Err("the archive is one volume of several; they must be joined first".to_owned()),
            other => {
                return Err(format!("an entry has the unknown type `{}`", char::from(other).escape_debug()));
            }
        };
        let mut path = until_nul(field(0, 100)).to_vec();
        if ustar {
            let prefix = until_nul(field(345, if star { 131 } else { 155 }));
            if !prefix.is_empty() {
                path = [prefix, b"/", &path].concat();
            }
        }
        let number = |from, len, name: &str| {
            numeric(field(from, len))
                .and_then(|n| u64::try_from(n).ok())
                .ok_or_else(|| format!("a header's {name} is no number"))
        };
        let gnu_sparse = if flag == b'S' {
            Some(GnuSparse {
                pairs: field(386, 96).to_vec(),
                extended: field(482, 1) != [0],
                real_size: number(483, 12, "real size")?,
            })
        } else {
            None
        };
        Ok(Self {
            kind,
            path,
            link: until_nul(field(157, 100)).to_vec(),
            // Some writers put the file type above the permission bits.
            mode: u32::try_from(number(100, 8, "mode")? & 0o7777).unwrap_or(0),
            uid: number(108, 8, "user id")?,
            gid: number(116, 8, "group id")?,
            size: number(124, 12, "size")?,
            mtime: numeric(field(136, 12))
                .and_then(|n| i64::try_from(n).ok())
                .ok_or("a header's modification time is no number")?,
            v7: matches!(flag, 0 | b'0'),
            gnu_sparse,
        })
    }
}

/// The bytes before the first NUL.
fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// A number field: octal digits, or GNU's base 256 when the first bit is set (two's complement). Blank fields are 0.
pub(super) fn numeric(field: &[u8]) -> Option<i128> {
    match field.split_first() {
        Some((first, rest)) if first & 0x80 != 0 => {
            // 12 bytes at most: no overflow of 128 bits.
            let start = if first & 0x40 != 0 { i128::from(*first) - 0x100 } else { i128::from(first & 0x7f) };
            Some(rest.iter().fold(start, |value, b| (value << 8) | i128::from(*b)))
        }
        _ => octal(field).map(i128::from),
    }
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = until_nul(field).trim_ascii();
    text.iter().try_fold(0u64, |value, b| match b {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(b - b'0')),
        _ => None,
    })
}
