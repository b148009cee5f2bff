//! Which instructions the kernels run on, chosen at run time.
//!
//! By default the processor decides. The environment variable `WEIGHTSMITH_KERNELS=portable`, read
//! once, takes the plain loops that every target has. Any other value is warned of and ignored.

use std::sync::LazyLock;

/// The environment variable that takes the choice from the processor.
const VARIABLE: &str = "WEIGHTSMITH_KERNELS";

/// Instruction sets that kernels are compiled for, from the plainest to the fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Plain loops and nothing else: matrix products do without the `gemm` crate, too.
    Portable,
    /// Plain loops, compiled for whatever the target guarantees. Matrix products are those of the
    /// `gemm` crate, which chooses its instructions itself.
    Baseline,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 (F, BW, DQ, VL), AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The level that all kernels run at.
#[inline]
pub(crate) fn level() -> Level {
    static CHOSEN: LazyLock<Level> = LazyLock::new(choose);
    #[cfg(test)]
    if let Some(level) = held::LEVEL.get() {
        return level;
    }
    *CHOSEN
}

fn choose() -> Level {
    let wanted = std::env::var_os(VARIABLE).unwrap_or_default();
    let wanted = wanted.to_string_lossy();
    parse(&wanted).unwrap_or_else(|| {
        tracing::warn!(
            "{VARIABLE}={wanted} is ignored: set it to 'portable' for plain loops, or not at all \
             for the fastest kernels"
        );
        fastest()
    })
}

/// The level that a value of [`VARIABLE`] stands for, if any.
fn parse(wanted: &str) -> Option<Level> {
    match wanted {
        "" => Some(fastest()),
        "portable" => Some(Level::Portable),
        _ => None,
    }
}

/// The best that this processor has.
fn fastest() -> Level {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        return if avx512 { Level::Avx512 } else { Level::Avx2 };
    }
    Level::Baseline
}

/// Evaluates one of three expressions of the same type, compiled for AVX-512, for AVX2 + FMA or for
/// the target's baseline, at the current [`level`]. They see the listed variables and no others.
macro_rules! dispatch {
    ([$($argument:ident: $type:ty),*] $(-> $result:ty)?; $avx512:expr, $avx2:expr, $plain:expr) => {
        match $crate::kernels::simd::level() {
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::simd::Level::Avx512 => {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn run($($argument: $type),*) $(-> $result)? {
                    $avx512
                }
                // SAFETY: `level` is never above what the processor has.
                unsafe { run($($argument),*) }
            }
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::simd::Level::Avx2 => {
                #[target_feature(enable = "avx2,fma")]
                fn run($($argument: $type),*) $(-> $result)? {
                    $avx2
                }
                // SAFETY: `level` is never above what the processor has.
                unsafe { run($($argument),*) }
            }
            $crate::kernels::simd::Level::Baseline | $crate::kernels::simd::Level::Portable => {
                $plain
            }
        }
    };
}
pub(crate) use dispatch;

/// Defines a function that is compiled for every instruction set and runs at the current [`level`].
/// Its body is a plain loop that the compiler vectorises.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body($($argument: $type),*) $(-> $result)? $body

            $crate::kernels::simd::dispatch!(
                [$($argument: $type),*] $(-> $result)?;
                body($($argument),*), body($($argument),*), body($($argument),*)
            )
        }
    };
}
pub(crate) use vectorised;

/// The level that a test holds its own thread at.
#[cfg(test)]
mod held {
    use std::cell::Cell;

    use super::Level;

    thread_local! {
        pub(super) static LEVEL: Cell<Option<Level>> = const { Cell::new(None) };
    }
}

/// Runs a check on this thread at every level that the processor has, the plainest first.
#[cfg(test)]
pub(super) fn at_every_level(mut check: impl FnMut(Level)) {
    let levels = [
        Level::Portable,
        Level::Baseline,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512,
    ];
    for level in levels.into_iter().filter(|level| *level <= fastest()) {
        println!("at level {level:?}");
        held::LEVEL.set(Some(level));
        check(level);
    }
    held::LEVEL.set(None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_takes_the_portable_path() {
        assert_eq!(parse("portable"), Some(Level::Portable));
        assert_eq!(parse(""), Some(fastest()));
        assert_eq!(parse("avx9000"), None);
        assert!(fastest() > Level::Portable);
        let set = std::env::var(VARIABLE).unwrap_or_default();
        assert_eq!(level(), parse(&set).unwrap_or_else(fastest));
    }

    #[test]
    fn a_test_runs_at_every_level_that_the_processor_has() {
        let mut seen = Vec::new();
        at_every_level(|held| seen.push((held, level())));
        assert!(seen.iter().all(|(held, level)| held == level) && seen.is_sorted());
        assert_eq!(seen.first().unwrap().0, Level::Portable);
        assert_eq!(seen.last().unwrap().0, fastest());
    }
}
