//! Run-time choice of the vector instructions that hot loops are compiled for.

/// Defines a function whose body is compiled for the baseline, for AVX2 + FMA and for AVX-512, and
/// dispatched on what the processor has. Bodies are plain loops that the compiler vectorises.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn wide($($argument: $type),*) $(-> $result)? {
                    body($($argument),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn medium($($argument: $type),*) $(-> $result)? {
                    body($($argument),*)
                }
                match $crate::kernels::simd::level() {
                    // SAFETY: `level` saw these features on this processor.
                    $crate::kernels::simd::Level::Wide => return unsafe { wide($($argument),*) },
                    // SAFETY: as above.
                    $crate::kernels::simd::Level::Medium => return unsafe { medium($($argument),*) },
                    $crate::kernels::simd::Level::Baseline => {}
                }
            }
            body($($argument),*)
        }
    };
}
pub(crate) use vectorised;

/// Instruction sets that loops are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// AVX-512.
    Wide,
    /// AVX2 and FMA.
    Medium,
    /// Whatever the target guarantees.
    Baseline,
}

/// What this processor has; the standard library caches the question.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn level() -> Level {
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
    {
        Level::Wide
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        Level::Medium
    } else {
        Level::Baseline
    }
}
