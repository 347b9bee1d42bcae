//! Chunked encryption: C2SP "chunked-encryption", AES-256-GCM with SHA-512 (Cobblestone-256; `security.md` 3.3).
//!
//! HKDF-Expand over the input key with label, AEAD's name, a random salt of 24 bytes and the context gives key (32), base
//! nonce (12) and commitment (32). A message is salt ‖ commitment ‖ chunks of 16 KiB, each with its tag; the nonce of
//! chunk n is the base XOR n; the last chunk is always shorter than 16 KiB, possibly empty. So reordering, truncation,
//! what is added at the end, another key and another context are all refused.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    constant_time::verify_slices_are_equal,
    hkdf::{HKDF_SHA512, KeyType, Prk},
};
use zeroize::Zeroizing;

/// Bytes of plain text in each chunk but the last.
pub(crate) const CHUNK: usize = 16 << 10;
/// Bytes that sealing adds to a chunk.
pub(crate) const TAG: usize = 16;
/// Salt and commitment.
pub(crate) const HEADER: usize = 24 + 32;
/// Length of keys.
pub(crate) const KEY: usize = 32;

/// What key material is kept in: wiped when dropped.
pub(crate) type Key = Zeroizing<[u8; KEY]>;

const LABEL: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";
const DERIVED: usize = KEY + 12 + 32;

/// Not what was sealed: another key, another context, or changed bytes. It cannot be told which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

/// Seals and opens the chunks of one message.
pub(crate) struct Chunks {
    key: LessSafeKey,
    nonce: [u8; 12],
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive(key: &[u8; KEY], salt: &[u8; 24], context: &[u8]) -> Result<(Chunks, [u8; 32]), Refused> {
    let mut derived = Zeroizing::new([0; DERIVED]);
    Prk::new_less_safe(HKDF_SHA512, key)
        .expand(&[LABEL, salt, context], Length(DERIVED))
        .and_then(|okm| okm.fill(derived.as_mut_slice()))
        .map_err(|_| Refused)?;
    let (key, rest) = derived.split_first_chunk::<KEY>().ok_or(Refused)?;
    let (nonce, commitment) = rest.split_first_chunk::<12>().ok_or(Refused)?;
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| Refused)?;
    let chunks = Chunks { key: LessSafeKey::new(key), nonce: *nonce };
    Ok((chunks, commitment.try_into().map_err(|_| Refused)?))
}

impl Chunks {
    /// Begins a new message; returns its header too.
    pub(crate) fn seal(key: &[u8; KEY], context: &[u8]) -> Result<(Self, [u8; HEADER]), Refused> {
        let mut salt = [0; 24];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| Refused)?;
        let (chunks, commitment) = derive(key, &salt, context)?;
        let mut header = [0; HEADER];
        header[..24].copy_from_slice(&salt);
        header[24..].copy_from_slice(&commitment);
        Ok((chunks, header))
    }

    /// Begins to open a message.
    pub(crate) fn open(key: &[u8; KEY], context: &[u8], header: &[u8; HEADER]) -> Result<Self, Refused> {
        let (salt, commitment) = header.split_first_chunk::<24>().ok_or(Refused)?;
        let (chunks, expected) = derive(key, salt, context)?;
        verify_slices_are_equal(&expected, commitment).map_err(|_| Refused)?;
        Ok(chunks)
    }

    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = self.nonce;
        for (byte, with) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= with;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// Seals chunk `number` in place; it grows by its tag. The caller seals each number once, and only the last chunk is
    /// shorter than [`CHUNK`].
    pub(crate) fn seal_chunk(&self, number: u64, chunk: &mut Vec<u8>) -> Result<(), Refused> {
        self.key.seal_in_place_append_tag(self.nonce(number), Aad::empty(), chunk).map_err(|_| Refused)
    }

    /// Opens chunk `number` in place.
    pub(crate) fn open_chunk<'a>(&self, number: u64, chunk: &'a mut [u8]) -> Result<&'a [u8], Refused> {
        match self.key.open_in_place(self.nonce(number), Aad::empty(), chunk) {
            Ok(plain) => Ok(plain),
            Err(_) => Err(Refused),
        }
    }
}

/// Length of the plain text of `sealed` bytes of chunks; `None` when no message has that length.
pub(crate) fn plain_length(sealed: u64) -> Option<u64> {
    let (whole, last) = (sealed / (CHUNK + TAG) as u64, sealed % (CHUNK + TAG) as u64);
    let last = last.checked_sub(TAG as u64)?;
    whole.checked_mul(CHUNK as u64)?.checked_add(last)
}

/// A whole message at once, for what is small.
pub(crate) fn seal(key: &[u8; KEY], context: &[u8], plain: &[u8]) -> Result<Vec<u8>, Refused> {
    let (chunks, header) = Chunks::seal(key, context)?;
    let mut sealed = header.to_vec();
    let (whole, last) = plain.as_chunks::<CHUNK>();
    for (number, chunk) in (0..).zip(whole.iter().map(<[u8; CHUNK]>::as_slice).chain([last])) {
        let mut chunk = chunk.to_vec();
        chunks.seal_chunk(number, &mut chunk)?;
        sealed.append(&mut chunk);
    }
    Ok(sealed)
}

/// Opens what [`seal`] gave.
pub(crate) fn open(key: &[u8; KEY], context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refused> {
    let (header, body) = sealed.split_first_chunk::<HEADER>().ok_or(Refused)?;
    let chunks = Chunks::open(key, context, header)?;
    plain_length(body.len() as u64).ok_or(Refused)?;
    let mut plain = Zeroizing::new(Vec::with_capacity(body.len()));
    for (number, chunk) in (0..).zip(body.chunks(CHUNK + TAG)) {
        let mut chunk = Zeroizing::new(chunk.to_vec());
        plain.extend_from_slice(chunks.open_chunk(number, chunk.as_mut_slice())?);
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use aws_lc_rs::digest::{SHA512, digest};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// The published vectors (see `testdata/README.md`).
    #[test]
    fn published_vectors_agree() {
        let text = include_str!("../testdata/c2sp_chunked_encryption_aes_256_gcm_test.json");
        let vectors: Value = serde_json::from_str(text).unwrap();
        let mut seen = 0;
        for test in vectors["testGroups"].as_array().unwrap().iter().flat_map(|g| g["tests"].as_array().unwrap()) {
            let bytes = |name: &str| hex::decode(test[name].as_str().unwrap()).unwrap();
            let mut sealed = Vec::new();
            flate2::read::ZlibDecoder::new(bytes("ct").as_slice()).read_to_end(&mut sealed).unwrap();
            let Ok(key) = <[u8; KEY]>::try_from(bytes("key")) else {
                assert_eq!(test["result"], "invalid", "{test}");
                seen += 1;
                continue;
            };
            let opened = open(&key, &bytes("ctx"), &sealed);
            assert_eq!(opened.is_ok(), test["result"] == "valid", "{}", test["comment"]);
            if let Ok(plain) = opened {
                assert_eq!(digest(&SHA512, &plain).as_ref(), bytes("msgSha512"), "{}", test["comment"]);
                let again = seal(&key, &bytes("ctx"), &plain).unwrap();
                assert_eq!(again.len(), sealed.len());
                assert_eq!(open(&key, &bytes("ctx"), &again).unwrap(), plain);
            }
            seen += 1;
        }
        assert_eq!(seen, 35);
    }

    proptest! {
        #[test]
        fn lengths_are_those_of_messages(plain in 0usize..100_000) {
            let sealed = seal(&[1; KEY], b"c", &vec![0; plain]).unwrap();
            prop_assert_eq!(plain_length((sealed.len() - HEADER) as u64), Some(plain as u64));
        }

        #[test]
        fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(open(&[1; KEY], b"c", &bytes).err(), Some(Refused));
        }
    }
}
