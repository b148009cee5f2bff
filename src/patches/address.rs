//! Where a patch belongs.

use serde::{Deserialize, Serialize};

use crate::graph::{Layout, Parameter, Role, Slot};

/// Channels along one side of a tile, and length of a run.
pub const TILE: usize = 64;
/// Channels along one side of a patch.
pub const PATCH: usize = 16;
/// Kernel taps are told apart up to this distance from the centre in each direction.
const REACH: usize = 5;
/// Number of distinct kernel taps.
pub const TAPS: usize = (2 * REACH + 1) * (2 * REACH + 1);

/// Parameters that share the predictor's output layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Convolutions that read an image: at most four input channels.
    Stem,
    /// Dense convolutions with a window.
    Spatial,
    /// 1 × 1 convolutions and inner linear layers.
    Pointwise,
    /// The last linear map: its rows are the classes.
    Classifier,
    /// Depthwise kernels, one run per tap.
    Depthwise,
    /// Additive vectors of linear maps.
    Bias,
    /// Multiplicative vectors of normalisations.
    Gain,
    /// Additive vectors of normalisations.
    Shift,
    /// PRelu slopes and free tensors.
    Free,
}

impl Family {
    /// Every family, in the order of its index.
    pub const ALL: [Self; 9] = [
        Self::Stem,
        Self::Spatial,
        Self::Pointwise,
        Self::Classifier,
        Self::Depthwise,
        Self::Bias,
        Self::Gain,
        Self::Shift,
        Self::Free,
    ];

    /// Rows and columns of one patch of this family.
    pub fn patch(self) -> [usize; 2] {
        match self {
            Self::Stem => [TILE, 4],
            Self::Spatial | Self::Pointwise | Self::Classifier => [PATCH, PATCH],
            Self::Depthwise | Self::Bias | Self::Gain | Self::Shift | Self::Free => [TILE, 1],
        }
    }

    /// Rows and columns of one tile of this family.
    pub fn tile(self) -> [usize; 2] {
        match self {
            Self::Stem => [TILE, 4],
            Self::Spatial | Self::Pointwise | Self::Classifier => [TILE, TILE],
            Self::Depthwise | Self::Bias | Self::Gain | Self::Shift | Self::Free => [TILE, 1],
        }
    }

    /// Patch positions inside a tile: the number of output layers of the family.
    pub fn positions(self) -> usize {
        let ([patch_rows, patch_columns], [rows, columns]) = (self.patch(), self.tile());
        (rows / patch_rows) * (columns / patch_columns)
    }

    /// The family of a parameter used in a slot; `None` for roles that are measured or defaulted.
    pub fn of(parameter: &Parameter, slot: &Slot, classifier: bool) -> Option<Self> {
        let shape = slot.view.as_deref().or(parameter.shape.as_deref())?;
        Some(match slot.role {
            Role::RunningMean | Role::RunningVariance => return None,
            Role::Bias => Self::Bias,
            Role::Gain => Self::Gain,
            Role::Shift => Self::Shift,
            Role::Slope | Role::Free => Self::Free,
            Role::Weight => {
                let [_, inputs] = channels(shape, slot.layout)?;
                let windowed = shape.iter().skip(2).any(|&extent| extent > 1);
                match () {
                    () if classifier => Self::Classifier,
                    () if inputs == 1 && slot.groups > 1 => Self::Depthwise,
                    () if inputs <= 4 && shape.len() > 2 => Self::Stem,
                    () if windowed => Self::Spatial,
                    () => Self::Pointwise,
                }
            }
        })
    }
}

/// Where one hidden vector of the predictor belongs: a tile of one tap of one parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Row of the node token among the tokens given to the predictor.
    pub token: usize,
    /// Family of the parameter.
    pub family: Family,
    /// Kernel tap, counted from the centre and clamped; below [`TAPS`].
    pub tap: usize,
    /// Tile row and column.
    pub tile: [usize; 2],
}

/// One patch: elements of a tensor that one application of an output layer writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Position inside its tile.
    pub position: usize,
    /// Offset of its first element in the tensor.
    pub offset: usize,
    /// Valid rows and columns.
    pub extent: [usize; 2],
    /// Distance in the tensor between rows and between columns.
    pub stride: [usize; 2],
}

/// Output and input channels (per group) of a weight.
fn channels(shape: &[usize], layout: Layout) -> Option<[usize; 2]> {
    match (layout, shape) {
        (Layout::OutIn, [output, input, ..]) => Some([*output, *input]),
        (Layout::InOut, [input, output, ..]) => Some([*output, *input]),
        _ => None,
    }
}

/// Cuts a parameter into tiles and their patches: `visit` is called once per tile of each tap with
/// the address and the patches of the tile. Together the patches cover every element once.
pub fn patches_of(
    shape: &[usize],
    layout: Layout,
    family: Family,
    token: usize,
    mut visit: impl FnMut(Address, &[Patch]),
) {
    let total: usize = shape.iter().product();
    let matrix =
        channels(shape, layout).filter(|_| family.tile()[1] > 1 || family == Family::Depthwise);
    let (rows, columns, taps) = match matrix {
        Some([rows, columns]) => (rows, columns, &shape[2..]),
        None => (total, 1, &shape[..0]),
    };
    let count: usize = taps.iter().product();
    let [row_stride, column_stride] = match (matrix, layout) {
        (None, _) => [1, 1],
        (Some(_), Layout::InOut) => [count, rows * count],
        (Some(_), _) => [columns * count, count],
    };
    let [tile_rows, tile_columns] = family.tile();
    let [patch_rows, patch_columns] = family.patch();
    let mut patches = Vec::with_capacity(family.positions());
    for tap in 0..count {
        for top in (0..rows).step_by(tile_rows) {
            for left in (0..columns).step_by(tile_columns) {
                patches.clear();
                for row in (top..rows.min(top + tile_rows)).step_by(patch_rows) {
                    for column in (left..columns.min(left + tile_columns)).step_by(patch_columns) {
                        let across = tile_columns / patch_columns;
                        patches.push(Patch {
                            position: (row - top) / patch_rows * across
                                + (column - left) / patch_columns,
                            offset: row * row_stride + column * column_stride + tap,
                            extent: [
                                patch_rows.min(rows - row),
                                patch_columns.min(columns - column),
                            ],
                            stride: [row_stride, column_stride],
                        });
                    }
                }
                let tile = [top / tile_rows, left / tile_columns];
                visit(Address { token, family, tap: centred(tap, taps), tile }, &patches);
            }
        }
    }
}

/// Index of a kernel tap relative to the centre of its window; the last two axes count.
fn centred(tap: usize, window: &[usize]) -> usize {
    let (height, width) = match window {
        [] => (1, 1),
        [width] => (1, *width),
        [.., height, width] => (*height, *width),
    };
    let relative = |position: usize, extent: usize| {
        (position as isize - (extent as isize - 1) / 2).clamp(-(REACH as isize), REACH as isize)
    };
    let row = relative(tap / width % height, height) + REACH as isize;
    let column = relative(tap % width, width) + REACH as isize;
    row as usize * (2 * REACH + 1) + column as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn patches_cover_every_element_once(
            shape in prop::collection::vec(1usize..80, 1..3),
            window in prop::collection::vec(1usize..4, 0..3),
            in_out in any::<bool>(),
            family in prop::sample::select(&Family::ALL[..]),
        ) {
            let mut shape = shape;
            if shape.len() == 2 {
                shape.extend(window);
            }
            let layout = match (shape.len(), in_out) {
                (1, _) => Layout::Vector,
                (_, true) => Layout::InOut,
                _ => Layout::OutIn,
            };
            let mut seen = vec![0u8; shape.iter().product()];
            patches_of(&shape, layout, family, 0, |address, patches| {
                assert!(address.tap < TAPS);
                for patch in patches {
                    assert!(patch.position < family.positions());
                    for row in 0..patch.extent[0] {
                        for column in 0..patch.extent[1] {
                            let at = patch.offset + row * patch.stride[0] + column * patch.stride[1];
                            seen[at] += 1;
                        }
                    }
                }
            });
            prop_assert!(seen.iter().all(|&count| count == 1));
        }
    }

    #[test]
    fn the_centre_tap_is_the_same_for_every_window() {
        assert_eq!(centred(0, &[]), TAPS / 2);
        assert_eq!(centred(4, &[3, 3]), TAPS / 2);
        assert_eq!(centred(12, &[5, 5]), TAPS / 2);
        assert_eq!(centred(0, &[3, 3]), TAPS / 2 - (2 * REACH + 1) - 1);
    }
}
