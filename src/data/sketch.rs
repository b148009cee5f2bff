//! A small set of hashes that says what training saw without showing it.

use prost::encoding::{decode_varint, encode_varint};

/// Bits of a hash that are kept.
const KEPT: u32 = 40;
/// Beginning of the file.
const MAGIC: &[u8; 8] = b"WSKETCH2";

/// A set of 64-bit hashes, each cut to 40 bits: about four bytes an element. One in 2⁴⁰ / n strangers is
/// taken for an element; with 45,000 elements that is one of 24 million, so that ten thousand test
/// images are all told apart but for once in 2,400 sketches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Ascending, without repetition.
    hashes: Vec<u64>,
}

/// Why bytes are no sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a sketch of hashes in ascending order")]
pub struct NoSketch;

impl Sketch {
    /// Whether a hash is, up to the chance above, that of an element.
    pub fn contains(&self, hash: u64) -> bool {
        self.hashes.binary_search(&cut(hash)).is_ok()
    }

    /// The elements of both.
    pub fn union(&self, other: &Self) -> Self {
        let mut hashes = [&self.hashes[..], &other.hashes].concat();
        hashes.sort_unstable();
        hashes.dedup();
        Self { hashes }
    }

    /// The elements that the other does not have.
    pub fn without(&self, other: &Self) -> Self {
        let strange = |hash: &u64| other.hashes.binary_search(hash).is_err();
        Self { hashes: self.hashes.iter().copied().filter(strange).collect() }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// `WSKETCH2`, then by how much each element is larger than the one before it, as a varint of protocol buffers.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (mut bytes, mut last) = (MAGIC.to_vec(), 0);
        for &hash in &self.hashes {
            encode_varint(hash - last, &mut bytes);
            last = hash;
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NoSketch> {
        let mut steps = bytes.strip_prefix(MAGIC).ok_or(NoSketch)?;
        let (mut hashes, mut last) = (Vec::new(), 0u64);
        while !steps.is_empty() {
            let step = decode_varint(&mut steps).map_err(|_| NoSketch)?;
            let hash = last.checked_add(step).filter(|hash| hash >> KEPT == 0).ok_or(NoSketch)?;
            if step == 0 && !hashes.is_empty() {
                return Err(NoSketch);
            }
            hashes.push(hash);
            last = hash;
        }
        Ok(Self { hashes })
    }
}

impl FromIterator<u64> for Sketch {
    fn from_iter<I: IntoIterator<Item = u64>>(hashes: I) -> Self {
        let mut hashes: Vec<u64> = hashes.into_iter().map(cut).collect();
        hashes.sort_unstable();
        hashes.dedup();
        Self { hashes }
    }
}

/// The bits that are kept, mixed first so that they depend on all (SplitMix64's finaliser).
fn cut(hash: u64) -> u64 {
    let mut mixed = hash;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ mixed >> 31) >> (64 - KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_and_strangers_are_not() {
        let sketch: Sketch = (0..10_000).chain(0..10).collect();
        assert_eq!(sketch.len(), 10_000);
        assert!((0..10_000).all(|hash| sketch.contains(hash)));
        assert!(!(10_000..200_000).any(|hash| sketch.contains(hash)));
        assert!(Sketch::default().is_empty());
        let other: Sketch = (9_000..11_000).collect();
        assert_eq!(sketch.union(&other), (0..11_000).collect());
        assert_eq!(sketch.without(&other), (0..9_000).collect());
    }

    #[test]
    fn bytes_are_read_back_and_checked() {
        let sketch: Sketch = (0..10_000).map(|index| index * 77).collect();
        let bytes = sketch.to_bytes();
        assert!(bytes.len() < 8 + 42_000, "{}", bytes.len());
        assert_eq!(Sketch::from_bytes(&bytes), Ok(sketch));
        assert_eq!(Sketch::from_bytes(MAGIC), Ok(Sketch::default()));
        assert_eq!(Sketch::from_bytes(b"something"), Err(NoSketch));
        let after = |steps: &[u8]| Sketch::from_bytes(&[MAGIC, steps].concat());
        assert_eq!(after(&[0, 1]).map(|sketch| sketch.len()), Ok(2));
        assert_eq!(after(&[1, 0]), Err(NoSketch), "twice the same");
        assert_eq!(after(&[0x80]), Err(NoSketch), "cut short");
        assert_eq!(
            after(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
            Err(NoSketch),
            "more than 40 bits"
        );
    }
}
