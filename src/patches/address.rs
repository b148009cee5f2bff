//! Where a patch belongs.

use std::collections::HashMap;

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
    /// Row of the token of the node that made the channels read here, where that is known.
    pub source: Option<usize>,
}

/// One patch: elements of a tensor that one application of an output layer writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Position inside its tile.
    pub position: usize,
    /// First row and column that the tensor takes.
    pub start: [usize; 2],
    /// Offset of the element there.
    pub offset: usize,
    /// Number of rows and columns that it takes.
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

/// Channels that lie side by side in one patch, and at equal distances in the tensor.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Token of the node that made them.
    source: Option<usize>,
    tile: usize,
    /// Patch inside the tile.
    patch: usize,
    /// First channel inside the patch.
    start: usize,
    /// The same in the tensor.
    first: usize,
    step: usize,
    count: usize,
}

/// How an axis of channels is cut: `places` are the maker (by token row) and number of every channel,
/// or the axis stands for itself. Runs of the same tile follow each other. Where a channel has several
/// places, every one of them gets runs.
fn runs(extent: usize, tile: usize, patch: usize, places: Option<&[Place]>) -> Vec<Run> {
    let own: Vec<Place>;
    let places = match places {
        Some(places) => places,
        None => {
            own = (0..extent).map(|channel| Place { source: None, channel }).collect();
            &own
        }
    };
    let mut order: Vec<usize> = (0..extent).collect();
    // Makers in the order in which they first appear.
    let mut makers: Vec<Option<usize>> = Vec::new();
    for place in places {
        if !makers.contains(&place.source) {
            makers.push(place.source);
        }
    }
    let mut seen: HashMap<Place, usize> = HashMap::new();
    let mut position = |place: Place| {
        let count = seen.entry(place).or_default();
        std::mem::replace(count, *count + 1)
    };
    let positions: Vec<usize> = places.iter().map(|&place| position(place)).collect();
    let rank = |&index: &usize| {
        let Place { source, channel } = places[index];
        let maker = makers.iter().position(|maker| *maker == source);
        (maker, channel / tile, positions[index], channel)
    };
    order.sort_by_cached_key(rank);
    let mut runs: Vec<Run> = Vec::new();
    for index in order {
        let Place { source, channel } = places[index];
        let next = Run {
            source,
            tile: channel / tile,
            patch: channel % tile / patch,
            start: channel % patch,
            first: index,
            step: 1,
            count: 1,
        };
        if let Some(last) = runs.last_mut() {
            let same = (last.source, last.tile, last.patch) == (source, next.tile, next.patch);
            let step = index.wrapping_sub(last.first + (last.count - 1) * last.step);
            let fits = last.count == 1 || step == last.step;
            if same && fits && index > last.first && next.start == last.start + last.count {
                last.step = step;
                last.count += 1;
                continue;
            }
        }
        runs.push(next);
    }
    runs
}

/// Which channel of which maker, by the row of the maker's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The maker; `None` where it is not known.
    pub source: Option<usize>,
    /// Its channel.
    pub channel: usize,
}

/// Cuts a parameter into tiles and their patches: `visit` is called once per tile of each tap with
/// the address and the patches of the tile. Together the patches cover every element once. `places`
/// are those of the channels that the parameter reads: its input channels if it has any, its only
/// channels otherwise.
pub fn patches_of(
    shape: &[usize],
    layout: Layout,
    family: Family,
    token: usize,
    places: Option<&[Place]>,
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
    let ([tile_rows, tile_columns], [patch_rows, patch_columns]) = (family.tile(), family.patch());
    let reads_rows = tile_columns == 1;
    let of_axis =
        |extent: usize, is_read: bool| places.filter(|places| is_read && places.len() == extent);
    let rows = runs(rows, tile_rows, patch_rows, of_axis(rows, reads_rows));
    let columns = runs(columns, tile_columns, patch_columns, of_axis(columns, !reads_rows));
    let is_together = |a: &Run, b: &Run| (a.source, a.tile) == (b.source, b.tile);
    let mut patches = Vec::with_capacity(family.positions());
    for tap in 0..count {
        for rows in rows.chunk_by(is_together) {
            for columns in columns.chunk_by(is_together) {
                patches.clear();
                for row in rows {
                    for column in columns {
                        patches.push(Patch {
                            position: row.patch * (tile_columns / patch_columns) + column.patch,
                            start: [row.start, column.start],
                            offset: row.first * row_stride + column.first * column_stride + tap,
                            extent: [row.count, column.count],
                            stride: [row.step * row_stride, column.step * column_stride],
                        });
                    }
                }
                let tile = [rows[0].tile, columns[0].tile];
                let source = rows[0].source.or(columns[0].source);
                let tap = centred(tap, taps);
                visit(Address { token, family, tap, tile, source }, &patches);
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
            interleaved in prop::option::of(1usize..4),
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
            let [rows, columns] = channels(&shape, layout).unwrap_or([shape.iter().product(), 1]);
            let read = if family.tile()[1] > 1 { columns } else { rows };
            let places = interleaved.map(|makers: usize| -> Vec<Place> {
                (0..read)
                    .map(|index| Place { source: Some(index % makers), channel: index / makers + 5 })
                    .collect()
            });
            patches_of(&shape, layout, family, 0, places.as_deref(), |address, patches| {
                assert!(address.tap < TAPS);
                for patch in patches {
                    assert!(patch.position < family.positions());
                    for axis in 0..2 {
                        assert!(patch.start[axis] + patch.extent[axis] <= family.patch()[axis]);
                    }
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
    fn channels_are_written_like_those_of_their_maker() {
        // A shuffle of two groups of 20: every second channel comes from the second maker.
        let places: Vec<Place> = (0..40)
            .map(|index| Place { source: Some(7 + index % 2), channel: index / 2 })
            .collect();
        let mut seen = Vec::new();
        let (shape, family) = ([8, 40, 1, 1], Family::Pointwise);
        patches_of(&shape, Layout::OutIn, family, 0, Some(&places), |address, patches| {
            for patch in patches {
                seen.push((
                    address.source,
                    patch.position,
                    patch.offset,
                    patch.extent,
                    patch.stride,
                ));
            }
        });
        let expected = [
            (Some(7), 0, 0, [8, 16], [40, 2]),
            (Some(7), 1, 32, [8, 4], [40, 2]),
            (Some(8), 0, 1, [8, 16], [40, 2]),
            (Some(8), 1, 33, [8, 4], [40, 2]),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_centre_tap_is_the_same_for_every_window() {
        assert_eq!(centred(0, &[]), TAPS / 2);
        assert_eq!(centred(4, &[3, 3]), TAPS / 2);
        assert_eq!(centred(12, &[5, 5]), TAPS / 2);
        assert_eq!(centred(0, &[3, 3]), TAPS / 2 - (2 * REACH + 1) - 1);
    }
}
