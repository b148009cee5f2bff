//! Sixteen images side by side, the unit of memory.

/// Images that are worked on together.
pub const IMAGES: usize = 16;

/// One pixel of one channel of [`IMAGES`] images: a cache line, and one register where the
/// processor has AVX-512.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub struct Pixel(pub [f32; IMAGES]);

impl Pixel {
    /// Zero in every image.
    pub const ZERO: Self = Self([0.0; IMAGES]);

    /// One value in every image.
    pub const fn splat(value: f32) -> Self {
        Self([value; IMAGES])
    }

    /// Combines two pixels image by image.
    #[inline(always)]
    pub fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let mut out = self;
        for (out, other) in out.0.iter_mut().zip(other.0) {
            *out = f(*out, other);
        }
        out
    }

    /// Sum over the images.
    pub fn total(self) -> f32 {
        self.0.iter().sum()
    }
}

/// Blocks of [`IMAGES`] images that hold a batch.
pub fn blocks(batch: usize) -> usize {
    batch.div_ceil(IMAGES)
}

/// The values of some pixels.
pub fn flat(pixels: &[Pixel]) -> &[f32] {
    // SAFETY: a `Pixel` is `IMAGES` values without padding, and is aligned more strictly.
    unsafe { std::slice::from_raw_parts(pixels.as_ptr().cast(), pixels.len() * IMAGES) }
}

/// The values of some pixels.
pub fn flat_mut(pixels: &mut [Pixel]) -> &mut [f32] {
    // SAFETY: as in `flat`; the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(pixels.as_mut_ptr().cast(), pixels.len() * IMAGES) }
}

/// From `[image][channel][pixel]`. Images missing in the last block are zero.
pub fn gather(x: &[f32], batch: usize, channels: usize, out: &mut [Pixel]) {
    let plane = x.len() / (batch * channels).max(1);
    for (index, out) in out.chunks_exact_mut(plane.max(1)).enumerate() {
        let (channel, block) = (index / blocks(batch), index % blocks(batch));
        for lane in 0..IMAGES {
            let image = block * IMAGES + lane;
            if image < batch {
                let x = &x[(image * channels + channel) * plane..][..plane];
                for (out, x) in out.iter_mut().zip(x) {
                    out.0[lane] = *x;
                }
            } else {
                out.iter_mut().for_each(|out| out.0[lane] = 0.0);
            }
        }
    }
}

/// To `[image][channel][pixel]`; the inverse of [`gather`].
pub fn scatter(x: &[Pixel], batch: usize, channels: usize, out: &mut [f32]) {
    let plane = out.len() / (batch * channels).max(1);
    for (index, x) in x.chunks_exact(plane.max(1)).enumerate() {
        let (channel, block) = (index / blocks(batch), index % blocks(batch));
        for lane in 0..IMAGES.min(batch - block * IMAGES) {
            let image = block * IMAGES + lane;
            let out = &mut out[(image * channels + channel) * plane..][..plane];
            for (out, x) in out.iter_mut().zip(x) {
                *out = x.0[lane];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathering_and_scattering_are_inverse() {
        for (batch, channels, plane) in [(1, 1, 1), (3, 2, 5), (16, 3, 4), (33, 2, 6)] {
            let x: Vec<f32> =
                (0..batch * channels * plane).map(|value| value as f32 + 1.0).collect();
            let mut pixels = vec![Pixel::splat(f32::NAN); channels * blocks(batch) * plane];
            gather(&x, batch, channels, &mut pixels);
            let mut back = vec![0.0; x.len()];
            scatter(&pixels, batch, channels, &mut back);
            assert_eq!(x, back);
            let total: f32 = pixels.iter().map(|pixel| pixel.total()).sum();
            assert_eq!(total, x.iter().sum::<f32>());
        }
    }
}
