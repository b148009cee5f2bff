//! Registers: the values of one [`super::Pixel`] at a time.

/// The values of a pixel in registers.
///
/// # Safety
/// Every function needs the processor features of the implementor; pointers must be readable or
/// writable for [`super::pixel::IMAGES`] values. Implementations are meant to be inlined into
/// functions compiled with these features.
pub(super) unsafe trait Vector: Copy {
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    /// `self · other + sum`
    unsafe fn multiply_add(self, other: Self, sum: Self) -> Self;
}

use super::pixel::IMAGES;

// SAFETY: plain arithmetic, no features needed.
unsafe impl Vector for [f32; IMAGES] {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        [value; IMAGES]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: promised by the caller.
        unsafe { from.cast::<Self>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: promised by the caller.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }

    #[inline(always)]
    unsafe fn add(mut self, other: Self) -> Self {
        for lane in 0..IMAGES {
            self[lane] += other[lane];
        }
        self
    }

    #[inline(always)]
    unsafe fn multiply_add(self, other: Self, mut sum: Self) -> Self {
        for lane in 0..IMAGES {
            sum[lane] += self[lane] * other[lane];
        }
        sum
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Vector;

    /// One register.
    #[derive(Clone, Copy)]
    pub(in crate::kernels) struct Avx512(__m512);

    /// Two registers; also needs FMA.
    #[derive(Clone, Copy)]
    pub(in crate::kernels) struct Avx2(__m256, __m256);

    // SAFETY: all functions need AVX-512F, which is the caller's promise, as are the pointers.
    unsafe impl Vector for Avx512 {
        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            Self(unsafe { _mm512_set1_ps(value) })
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Self(unsafe { _mm512_loadu_ps(from) })
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, self.0) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }

        #[inline(always)]
        unsafe fn multiply_add(self, other: Self, sum: Self) -> Self {
            Self(unsafe { _mm512_fmadd_ps(self.0, other.0, sum.0) })
        }
    }

    // SAFETY: all functions need AVX2 and FMA, which is the caller's promise, as are the pointers.
    unsafe impl Vector for Avx2 {
        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            let half = unsafe { _mm256_set1_ps(value) };
            Self(half, half)
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe {
                _mm256_storeu_ps(to, self.0);
                _mm256_storeu_ps(to.add(8), self.1);
            }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            unsafe { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
        }

        #[inline(always)]
        unsafe fn multiply_add(self, other: Self, sum: Self) -> Self {
            unsafe {
                Self(
                    _mm256_fmadd_ps(self.0, other.0, sum.0),
                    _mm256_fmadd_ps(self.1, other.1, sum.1),
                )
            }
        }
    }
}
