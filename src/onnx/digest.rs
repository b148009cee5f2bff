//! Hashes of what is written.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

/// Hashes what passes through to another writer.
pub struct Sha256Writer<'a> {
    out: &'a mut dyn Write,
    hasher: Sha256,
}

impl<'a> Sha256Writer<'a> {
    /// Nothing has passed yet.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self { out, hasher: Sha256::new() }
    }

    /// SHA-256 of all that passed, in lower-case hexadecimal.
    pub fn finish(self) -> String {
        format!("{:x}", self.hasher.finalize())
    }
}

impl Write for Sha256Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The first eight bytes of a hash as a number.
pub(crate) fn leading(hash: &[u8]) -> u64 {
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// SHA-256 of some bytes, in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_hashed() {
        let mut out = Vec::new();
        let mut writer = Sha256Writer::new(&mut out);
        writer.write_all(b"a").unwrap();
        writer.write_all(b"bc").unwrap();
        let hash = writer.finish();
        assert_eq!(out, b"abc");
        // FIPS 180-2, appendix B.1.
        assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sha256(b"abc"), hash);
    }
}
