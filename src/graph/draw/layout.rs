//! A layered drawing of a DAG (Sugiyama et al. 1981): layers by longest path, order within them by
//! barycentres, places by least squares. A tall drawing is cut into bands that stand side by side.

use std::ops::Range;

/// Space between layers.
const LAYER_GAP: f32 = 22.0;
/// Space between neighbours of a layer.
const GAP: f32 = 14.0;
/// Width of an edge that passes a layer.
const LANE: f32 = 6.0;
/// Space between bands, and what each edge between them adds.
const BAND_GAP: f32 = 36.0;
const TRACK: f32 = 7.0;
/// Rounds of ordering, and of placing.
const ROUNDS: usize = 16;
/// Edges times layers that they pass.
const LARGEST: usize = 1 << 19;

/// A graph whose edges pass more layers than anyone could follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the edges of the graph are too many and too long to be drawn")]
pub struct TooTangled;

/// One point of an edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stop {
    pub at: [f32; 2],
    /// Whether the way here is a straight line; otherwise it leaves and arrives vertically.
    pub straight: bool,
}

/// Where everything goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// Top left corner of every vertex.
    pub places: Vec<[f32; 2]>,
    /// The way of every edge.
    pub routes: Vec<Vec<Stop>>,
    /// Width and height of the whole.
    pub size: [f32; 2],
}

/// A vertex, or an edge on its way through a layer.
#[derive(Clone, Debug)]
struct Item {
    layer: usize,
    width: f32,
    vertex: bool,
    above: Vec<usize>,
    below: Vec<usize>,
    x: f32,
}

struct Layered {
    items: Vec<Item>,
    /// Items of each layer from left to right.
    layers: Vec<Vec<usize>>,
    /// Items that each edge goes through, its ends included.
    chains: Vec<Vec<usize>>,
}

/// Lays out vertices of the given widths and heights. Edges go from lower to higher numbers.
pub(super) fn layout(sizes: &[[f32; 2]], edges: &[[usize; 2]]) -> Result<Layout, TooTangled> {
    if sizes.is_empty() {
        return Ok(Layout::default());
    }
    let mut layered = Layered::new(sizes, edges)?;
    layered.order();
    layered.place();
    Ok(layered.draw(sizes))
}

impl Layered {
    fn new(sizes: &[[f32; 2]], edges: &[[usize; 2]]) -> Result<Self, TooTangled> {
        let layer = layers(sizes.len(), edges);
        let item = |layer, width, vertex| Item {
            layer,
            width,
            vertex,
            above: Vec::new(),
            below: Vec::new(),
            x: 0.0,
        };
        let vertices = sizes.iter().zip(&layer);
        let mut items: Vec<Item> =
            vertices.map(|([width, _], &layer)| item(layer, *width, true)).collect();
        let mut chains = Vec::with_capacity(edges.len());
        for &[from, to] in edges {
            let mut chain = vec![from];
            for layer in layer[from] + 1..layer[to] {
                chain.push(items.len());
                items.push(item(layer, LANE, false));
                if items.len() > LARGEST {
                    return Err(TooTangled);
                }
            }
            chain.push(to);
            for pair in chain.windows(2) {
                items[pair[0]].below.push(pair[1]);
                items[pair[1]].above.push(pair[0]);
            }
            chains.push(chain);
        }
        let mut layers = vec![Vec::new(); layer.iter().max().map_or(0, |last| last + 1)];
        for (index, item) in items.iter().enumerate() {
            layers[item.layer].push(index);
        }
        Ok(Self { items, layers, chains })
    }

    /// Orders each layer by the mean place of its neighbours, down and up; keeps the order with the
    /// fewest crossings.
    fn order(&mut self) {
        let mut place = vec![0; self.items.len()];
        let mut best = (self.crossings(&mut place), self.layers.clone());
        for round in 0..ROUNDS {
            if best.0 == 0 {
                break;
            }
            let down = round % 2 == 0;
            let count = self.layers.len();
            for step in 1..count {
                let layer = if down { step } else { count - 1 - step };
                let key = |&index: &usize| {
                    let item = &self.items[index];
                    let near = if down { &item.above } else { &item.below };
                    match near.len() {
                        0 => place[index] as f32,
                        count => {
                            near.iter().map(|&n| place[n]).sum::<usize>() as f32 / count as f32
                        }
                    }
                };
                let mut keyed: Vec<(f32, usize)> =
                    self.layers[layer].iter().map(|index| (key(index), *index)).collect();
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                self.layers[layer] = keyed.into_iter().map(|(_, index)| index).collect();
                for (position, &index) in self.layers[layer].iter().enumerate() {
                    place[index] = position;
                }
            }
            let crossings = self.crossings(&mut place);
            if crossings < best.0 {
                best = (crossings, self.layers.clone());
            }
        }
        self.layers = best.1;
    }

    /// Pairs of edges that cross; notes the place of every item in its layer.
    fn crossings(&self, place: &mut [usize]) -> usize {
        for layer in &self.layers {
            for (position, &index) in layer.iter().enumerate() {
                place[index] = position;
            }
        }
        let mut crossings = 0;
        for (layer, next) in self.layers.iter().zip(self.layers.iter().skip(1)) {
            // A Fenwick tree over the next layer counts the ends to the right of each.
            let mut ends = vec![0usize; next.len() + 1];
            let mut seen = 0;
            for &index in layer {
                let mut below: Vec<usize> =
                    self.items[index].below.iter().map(|&n| place[n]).collect();
                below.sort_unstable();
                for &end in &below {
                    let mut left = 0;
                    let mut at = end + 1;
                    while at > 0 {
                        left += ends[at];
                        at &= at - 1;
                    }
                    crossings += seen - left;
                }
                for end in below {
                    seen += 1;
                    let mut at = end + 1;
                    while at < ends.len() {
                        ends[at] += 1;
                        at += at & at.wrapping_neg();
                    }
                }
            }
        }
        crossings
    }

    /// Moves items to the mean of their neighbours, as near as order and widths let them.
    fn place(&mut self) {
        for layer in self.layers.clone() {
            self.fit(&layer, |_, _| None);
        }
        for round in 0..ROUNDS {
            let down = round % 2 == 0;
            let last = round + 2 >= ROUNDS;
            let mut layers = self.layers.clone();
            if !down {
                layers.reverse();
            }
            for layer in layers {
                self.fit(&layer, |items, index| {
                    let item: &Item = &items[index];
                    let near: Vec<usize> = match (last, down) {
                        (true, _) => item.above.iter().chain(&item.below).copied().collect(),
                        (_, true) => item.above.clone(),
                        (_, false) => item.below.clone(),
                    };
                    // Edges that pass many layers should be straight.
                    let weight =
                        |other: usize| if items[other].vertex || item.vertex { 1.0 } else { 8.0 };
                    let total: f32 = near.iter().map(|&other| weight(other)).sum();
                    let sum: f32 = near.iter().map(|&other| weight(other) * items[other].x).sum();
                    (total > 0.0).then(|| sum / total)
                });
            }
        }
    }

    /// Places a layer by least squares around wanted places: with the widths before each taken off,
    /// places must not fall, and the nearest such sequence is found by pooling neighbours.
    fn fit(&mut self, layer: &[usize], wanted: impl Fn(&[Item], usize) -> Option<f32>) {
        let mut offset = 0.0;
        let mut offsets = Vec::with_capacity(layer.len());
        // Sum and number of the places that stand together.
        let mut pools: Vec<(f32, usize)> = Vec::new();
        for (position, &index) in layer.iter().enumerate() {
            if position > 0 {
                let before = self.items[layer[position - 1]].width;
                offset += 0.5 * (before + self.items[index].width) + GAP;
            }
            offsets.push(offset);
            let place = wanted(&self.items, index).unwrap_or(self.items[index].x);
            pools.push((place - offset, 1));
            while let [.., (before, members), (after, more)] = pools[..]
                && before / members as f32 > after / more as f32
            {
                pools.pop();
                pools.pop();
                pools.push((before + after, members + more));
            }
        }
        let places = pools
            .iter()
            .flat_map(|&(sum, members)| std::iter::repeat_n(sum / members as f32, members));
        for ((&index, place), offset) in layer.iter().zip(places).zip(offsets) {
            self.items[index].x = place + offset;
        }
    }

    fn draw(&self, sizes: &[[f32; 2]]) -> Layout {
        let height = |layer: &Vec<usize>| {
            let heights = layer.iter().filter(|&&index| self.items[index].vertex);
            heights.map(|&index| sizes[index][1]).fold(0.0, f32::max)
        };
        let heights: Vec<f32> = self.layers.iter().map(height).collect();
        let bands = self.bands(&heights);
        let mut top = vec![0.0; heights.len()];
        let mut shift = vec![0.0; heights.len()];
        let mut band_of = vec![0; heights.len()];
        // Gutters to the left of each band, where edges come up from the band before.
        let mut gutters = vec![0.0; bands.len()];
        let mut bottoms = vec![0.0; bands.len()];
        let mut right = 0.0;
        let margin = |band: usize| TRACK * self.passing(bands[band].start) as f32;
        let head = (1..bands.len()).map(margin).fold(0.0, f32::max);
        for (number, band) in bands.iter().enumerate() {
            if number > 0 {
                gutters[number] = right + 0.5 * BAND_GAP;
                right += BAND_GAP + margin(number);
            }
            let items = || self.layers[band.clone()].iter().flatten().map(|&i| &self.items[i]);
            let left = items().map(|item| item.x - 0.5 * item.width).fold(f32::MAX, f32::min);
            let end = items().map(|item| item.x + 0.5 * item.width).fold(f32::MIN, f32::max);
            let mut y = head;
            for layer in band.clone() {
                (top[layer], shift[layer], band_of[layer]) = (y, right - left, number);
                y += heights[layer] + LAYER_GAP;
            }
            right += end - left;
            bottoms[number] = y - LAYER_GAP;
        }
        let x = |index: usize| self.items[index].x + shift[self.items[index].layer];
        let places = sizes.iter().enumerate().map(|(vertex, [width, height])| {
            let layer = self.items[vertex].layer;
            [x(vertex) - 0.5 * width, top[layer] + 0.5 * (heights[layer] - height)]
        });
        let places: Vec<[f32; 2]> = places.collect();
        let mut used = vec![0usize; bands.len()];
        let mut routes = Vec::with_capacity(self.chains.len());
        for chain in &self.chains {
            let mut stops: Vec<Stop> = Vec::new();
            let mut stop = |at, straight| stops.push(Stop { at, straight });
            for (position, &index) in chain.iter().enumerate() {
                let layer = self.items[index].layer;
                // The upper and the lower end of the item.
                let [upper, lower] = match self.items[index].vertex {
                    true => [places[index][1], places[index][1] + sizes[index][1]],
                    false => [top[layer], top[layer] + heights[layer]],
                };
                if position > 0 {
                    stop([x(index), upper], false);
                }
                let Some(&next) = chain.get(position + 1) else { break };
                stop([x(index), lower], true);
                let to = band_of[self.items[next].layer];
                if to != band_of[layer] {
                    let track = TRACK * used[to] as f32;
                    used[to] += 1;
                    let gutter = gutters[to] + track;
                    let under = bottoms[band_of[layer]] + 0.5 * LAYER_GAP + track;
                    let over = head - 0.5 * LAYER_GAP - track;
                    for at in [[x(index), under], [gutter, under], [gutter, over], [x(next), over]]
                    {
                        stop(at, true);
                    }
                }
            }
            routes.push(stops);
        }
        let bottom = bottoms.iter().copied().fold(0.0, f32::max);
        let foot = if bands.len() > 1 { head + LAYER_GAP } else { 0.0 };
        // Edges between bands run above the first layer, too.
        let rise = routes.iter().flatten().map(|stop| stop.at[1]).fold(0.0, f32::min);
        let mut layout = Layout { places, routes, size: [right, bottom + foot - rise] };
        layout.places.iter_mut().for_each(|place| place[1] -= rise);
        layout.routes.iter_mut().flatten().for_each(|stop| stop.at[1] -= rise);
        layout
    }

    /// Edges that pass from the layers before one into it or beyond.
    fn passing(&self, layer: usize) -> usize {
        self.layers[layer].iter().map(|&index| self.items[index].above.len()).sum()
    }

    /// Cuts the layers where few edges pass, into bands that make the whole about as wide as high.
    fn bands(&self, heights: &[f32]) -> Vec<Range<usize>> {
        let ends: Vec<f32> = heights
            .iter()
            .scan(0.0, |end, height| {
                *end += height + LAYER_GAP;
                Some(*end)
            })
            .collect();
        let tall = ends.last().copied().unwrap_or(0.0);
        let span = |layer: &Vec<usize>| {
            let edge = |side: f32| {
                layer.iter().map(move |&i| self.items[i].x + side * self.items[i].width)
            };
            edge(0.5).fold(f32::MIN, f32::max) - edge(-0.5).fold(f32::MAX, f32::min)
        };
        let wide = self.layers.iter().map(span).fold(0.0, f32::max) + 2.0 * BAND_GAP;
        let count = (1.3 * tall / wide).sqrt().round().clamp(1.0, 24.0) as usize;
        let mut cuts = vec![0];
        for number in 1..count {
            let ideal = tall * number as f32 / count as f32;
            let slack = 0.25 * tall / count as f32;
            let first = cuts.last().copied().unwrap_or(0) + 1;
            let near = (first..heights.len()).filter(|&cut| (ends[cut - 1] - ideal).abs() <= slack);
            let cost = |cut: usize| (self.passing(cut), ((ends[cut - 1] - ideal).abs()) as usize);
            cuts.extend(near.min_by_key(|&cut| cost(cut)));
        }
        cuts.push(heights.len());
        cuts.windows(2).map(|cut| cut[0]..cut[1]).collect()
    }
}

/// The layer of every vertex: its longest path from a source; sources stand right above the first
/// that reads them.
fn layers(vertices: usize, edges: &[[usize; 2]]) -> Vec<usize> {
    let mut layer = vec![0; vertices];
    let mut source = vec![true; vertices];
    let mut first_reader = vec![usize::MAX; vertices];
    let mut sorted = edges.to_vec();
    sorted.sort_unstable();
    for [from, to] in sorted {
        layer[to] = layer[to].max(layer[from] + 1);
        source[to] = false;
    }
    for &[from, to] in edges {
        first_reader[from] = first_reader[from].min(layer[to]);
    }
    for vertex in (0..vertices).filter(|&vertex| source[vertex]) {
        if (1..usize::MAX).contains(&first_reader[vertex]) {
            layer[vertex] = first_reader[vertex] - 1;
        }
    }
    layer
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: [f32; 2] = [40.0, 20.0];

    #[test]
    fn a_diamond_is_symmetric() {
        let Layout { places, .. } = layout(&[SIZE; 4], &[[0, 1], [0, 2], [1, 3], [2, 3]]).unwrap();
        assert_eq!(places[1][1], places[2][1]);
        approx::assert_abs_diff_eq!(places[0][0], places[3][0], epsilon = 1.0);
        approx::assert_abs_diff_eq!(places[0][0] * 2.0, places[1][0] + places[2][0], epsilon = 1.0);
    }

    #[test]
    fn crossed_edges_are_uncrossed() {
        let Layout { places, .. } =
            layout(&[SIZE; 6], &[[0, 3], [0, 5], [1, 4], [2, 3], [1, 5]]).unwrap();
        let x = |vertex: usize| places[vertex][0];
        assert_eq!(x(0) < x(1), x(3) < x(4));
    }

    #[test]
    fn a_tangle_is_refused() {
        let edges: Vec<[usize; 2]> = (1..3000).flat_map(|to| [[0, to], [to - 1, to]]).collect();
        assert_eq!(layout(&[SIZE; 3000], &edges).unwrap_err(), TooTangled);
    }

    proptest! {
        #[test]
        fn boxes_do_not_overlap_and_edges_go_down_or_round(
            edges in prop::collection::vec((0usize..30, 1usize..30), 0..60),
        ) {
            let edges: Vec<[usize; 2]> =
                edges.into_iter().filter(|(a, b)| a < b).map(|(a, b)| [a, b]).collect();
            let layout = layout(&[SIZE; 30], &edges).unwrap();
            for (index, a) in layout.places.iter().enumerate() {
                prop_assert!(a[0] >= -0.1 && a[0] + SIZE[0] <= layout.size[0] + 0.1);
                prop_assert!(a[1] >= -0.1 && a[1] + SIZE[1] <= layout.size[1] + 0.1);
                for b in &layout.places[index + 1..] {
                    let apart = (0..2).any(|axis| (a[axis] - b[axis]).abs() >= SIZE[axis] - 0.1);
                    prop_assert!(apart, "{a:?} {b:?}");
                }
            }
            for route in &layout.routes {
                for stop in route {
                    prop_assert!(stop.at.iter().all(|value| value.is_finite()));
                    prop_assert!(stop.at[1] >= -0.1 && stop.at[1] <= layout.size[1] + 0.1);
                }
            }
        }
    }
}
