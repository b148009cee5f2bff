//! Registers, generic over the instruction set.

use super::pixel::IMAGES;

/// The values of one [`super::Pixel`] in registers.
///
/// # Safety
/// Every function needs the processor features of the implementor, and pointers that are readable or
/// writable for [`IMAGES`] values. They are inlined into functions compiled with these features.
pub(super) unsafe trait Vector: Copy {
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    /// `self · other + sum`
    unsafe fn multiply_add(self, other: Self, sum: Self) -> Self;
}

/// Calls an unsafe function that is generic over a [`Vector`] and the extents of its register tiles,
/// at the current level. Whoever calls answers for its contract, but for the processor features.
macro_rules! on_registers {
    (unsafe $function:ident($($argument:ident: $type:ty),*): avx512 [$($avx512:literal),*], avx2 [$($avx2:literal),*], plain [$($plain:literal),*]) => {
        $crate::kernels::simd::dispatch!(
            [$($argument: $type),*];
            // SAFETY: the user's promise; the features are enabled here.
            unsafe { $function::<$crate::kernels::vector::Avx512, $($avx512),*>($($argument),*) },
            // SAFETY: as above.
            unsafe { $function::<$crate::kernels::vector::Avx2, $($avx2),*>($($argument),*) },
            // SAFETY: as above; arrays need no features.
            unsafe { $function::<[f32; $crate::kernels::pixel::IMAGES], $($plain),*>($($argument),*) }
        )
    };
}
pub(super) use on_registers;

// SAFETY: plain arithmetic, no features needed.
unsafe impl Vector for [f32; IMAGES] {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        [value; IMAGES]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller promises a readable pointer.
        unsafe { from.cast::<Self>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller promises a writable pointer.
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

    /// One register of sixteen values.
    #[derive(Clone, Copy)]
    pub(in crate::kernels) struct Avx512(__m512);

    /// Two registers of eight values.
    #[derive(Clone, Copy)]
    pub(in crate::kernels) struct Avx2(__m256, __m256);

    // SAFETY: AVX-512F and the pointers are the caller's promise.
    unsafe impl Vector for Avx512 {
        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: the caller promises AVX-512F.
            Self(unsafe { _mm512_set1_ps(value) })
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller promises AVX-512F and a readable pointer.
            Self(unsafe { _mm512_loadu_ps(from) })
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller promises AVX-512F and a writable pointer.
            unsafe { _mm512_storeu_ps(to, self.0) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller promises AVX-512F.
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }

        #[inline(always)]
        unsafe fn multiply_add(self, other: Self, sum: Self) -> Self {
            // SAFETY: the caller promises AVX-512F.
            Self(unsafe { _mm512_fmadd_ps(self.0, other.0, sum.0) })
        }
    }

    // SAFETY: AVX2, FMA and the pointers are the caller's promise.
    unsafe impl Vector for Avx2 {
        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: the caller promises AVX2.
            let half = unsafe { _mm256_set1_ps(value) };
            Self(half, half)
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller promises AVX2 and a pointer readable for sixteen values.
            unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller promises AVX2 and a pointer writable for sixteen values.
            unsafe {
                _mm256_storeu_ps(to, self.0);
                _mm256_storeu_ps(to.add(8), self.1);
            }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller promises AVX2.
            unsafe { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
        }

        #[inline(always)]
        unsafe fn multiply_add(self, other: Self, sum: Self) -> Self {
            // SAFETY: the caller promises AVX2 and FMA.
            unsafe {
                Self(
                    _mm256_fmadd_ps(self.0, other.0, sum.0),
                    _mm256_fmadd_ps(self.1, other.1, sum.1),
                )
            }
        }
    }
}
