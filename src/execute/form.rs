//! Where the elements of a value lie.

use crate::kernels::gather::Position;

/// Channels, height and width of a value as kernels see it; the batch is left to each run.
pub(super) type Extent = [usize; 3];

/// The layout of a value: `[majors..][block of images][minors..]`, one pixel per element of one
/// image. A graph is compiled for one image, so that its shapes count what an image has; which
/// axis is that of the batch does not matter. Transposing a value is a change of its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    shape: Vec<usize>,
    /// Axes longer than one, outermost first.
    order: Vec<usize>,
    /// How many of them lie outside of the blocks.
    majors: usize,
}

/// Distance of neighbours along an axis; one of the two is zero.
pub(super) type Stride = Position;

impl Form {
    /// The given axes outside of the blocks, all others inside.
    pub fn new(shape: &[usize], majors: &[usize]) -> Self {
        let long = |axis: &usize| shape[*axis] > 1;
        let mut order: Vec<usize> = majors.iter().copied().filter(long).collect();
        let count = order.len();
        order.extend((0..shape.len()).filter(long).filter(|axis| !majors.contains(axis)));
        Self { shape: shape.to_vec(), order, majors: count }
    }

    /// Channels outside: what convolutions take.
    pub fn images(shape: &[usize]) -> Self {
        Self::new(shape, if shape.len() > 1 { &[1] } else { &[] })
    }

    /// The last axis outside: what linear maps take.
    pub fn features(shape: &[usize]) -> Self {
        let last: Vec<usize> = shape.len().checked_sub(1).into_iter().collect();
        Self::new(shape, &last)
    }

    /// Images where there may be some, features otherwise.
    pub fn usual(shape: &[usize]) -> Self {
        if shape.len() == 4 { Self::images(shape) } else { Self::features(shape) }
    }

    /// In the order of the elements.
    pub fn rows(shape: &[usize]) -> Self {
        let first: Vec<usize> =
            (0..shape.len()).find(|&axis| shape[axis] > 1).into_iter().collect();
        Self::new(shape, &first)
    }

    /// Extents of the axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Elements of one image outside and inside of the blocks.
    pub fn sizes(&self) -> [usize; 2] {
        let count = |axes: &[usize]| axes.iter().map(|&axis| self.shape[axis]).product();
        [count(&self.order[..self.majors]), count(&self.order[self.majors..])]
    }

    /// As kernels for images see it.
    pub fn extent(&self) -> Extent {
        match *self.shape {
            [1, channels, height, width] if *self == Self::images(&self.shape) => {
                [channels, height, width]
            }
            _ => {
                let [majors, minors] = self.sizes();
                [majors, minors, 1]
            }
        }
    }

    /// Whether an axis lies outside of the blocks; axes of extent one do not matter and do not.
    pub fn is_major(&self, axis: usize) -> bool {
        self.order[..self.majors].contains(&axis)
    }

    /// The distance of neighbours along an axis; none along an axis of extent one.
    pub fn stride(&self, axis: usize) -> Stride {
        let Some(place) = self.order.iter().position(|&other| other == axis) else {
            return Stride::default();
        };
        let end = if place < self.majors { self.majors } else { self.order.len() };
        let stride: usize =
            self.order[place + 1..end].iter().map(|&axis| self.shape[axis]).product();
        if place < self.majors {
            Stride { major: stride, minor: 0 }
        } else {
            Stride { major: 0, minor: stride }
        }
    }

    /// The axes longer than one, as they lie in memory, and how many are outside of the blocks.
    pub fn order(&self) -> (&[usize], usize) {
        (&self.order, self.majors)
    }

    /// Position of an element, by its number in the order of the axes.
    pub fn position(&self, mut element: usize) -> Position {
        let mut position = Position::default();
        for (axis, &extent) in self.shape.iter().enumerate().rev() {
            let stride = self.stride(axis);
            let index = element % extent.max(1);
            element /= extent.max(1);
            position.major += index * stride.major;
            position.minor += index * stride.minor;
        }
        position
    }

    /// Numbers of the elements, as they lie in memory.
    pub fn elements(&self) -> Vec<usize> {
        let mut strides = vec![1; self.shape.len()];
        for axis in (1..self.shape.len()).rev() {
            strides[axis - 1] = strides[axis] * self.shape[axis];
        }
        self.order.iter().fold(vec![0], |elements, &axis| {
            let along = |element: usize| (0..self.shape[axis]).map(move |index| (element, index));
            elements
                .into_iter()
                .flat_map(along)
                .map(|(element, index)| element + index * strides[axis])
                .collect()
        })
    }

    /// The same memory with the axes in another order: axis `i` is the former `permutation[i]`.
    pub fn permuted(&self, permutation: &[usize]) -> Self {
        let place = |axis: &usize| permutation.iter().position(|former| former == axis);
        Self {
            shape: permutation.iter().map(|&axis| self.shape[axis]).collect(),
            order: self.order.iter().filter_map(place).collect(),
            majors: self.majors,
        }
    }

    /// The same memory with other extents, in the order of the elements, if there is such a form.
    pub fn reshaped(&self, shape: &[usize]) -> Option<Self> {
        let long = |shape: &[usize]| -> Vec<usize> {
            (0..shape.len()).filter(|&axis| shape[axis] > 1).collect()
        };
        let (from, to) = (long(&self.shape), long(shape));
        let mut order = self.order.clone();
        let mut renamed: Vec<Option<Vec<usize>>> = vec![None; order.len()];
        let (mut from, mut to) = (from.into_iter(), to.into_iter());
        // Groups of axes, old and new, that hold the same elements.
        while let Some(first) = from.next() {
            let (mut old, mut new) = (vec![first], Vec::new());
            let (mut held, mut wanted) = (self.shape[first], 1);
            while held != wanted {
                if wanted < held {
                    let axis = to.next()?;
                    wanted *= shape[axis];
                    new.push(axis);
                } else {
                    let axis = from.next()?;
                    held *= self.shape[axis];
                    old.push(axis);
                }
            }
            let place = order.iter().position(|axis| *axis == first)?;
            let within =
                if place < self.majors { 0..self.majors } else { self.majors..order.len() };
            let run = place..place + old.len();
            if run.end > within.end || order[run.clone()] != old {
                return None;
            }
            renamed[run.clone()].fill(Some(Vec::new()));
            renamed[place] = Some(new);
        }
        if to.next().is_some() {
            return None;
        }
        let mut majors = 0;
        let old = std::mem::take(&mut order);
        for (place, names) in renamed.into_iter().enumerate().take(old.len()) {
            let names = names?;
            majors += if place < self.majors { names.len() } else { 0 };
            order.extend(names);
        }
        Some(Self { shape: shape.to_vec(), order, majors })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn attention_moves_nothing_to_split_heads() {
        let tokens = Form::features(&[1, 49, 64]);
        let heads = tokens.reshaped(&[1, 49, 4, 16]).unwrap().permuted(&[0, 2, 1, 3]);
        assert_eq!(heads.shape(), [1, 4, 49, 16]);
        assert_eq!([heads.is_major(1), heads.is_major(2), heads.is_major(3)], [true, false, true]);
        let merged = heads.permuted(&[0, 2, 1, 3]).reshaped(&[1, 49, 64]).unwrap();
        assert_eq!(merged, tokens);
        assert!(Form::images(&[1, 8, 4, 4]).reshaped(&[1, 128]).is_none());
        let patches = Form::images(&[1, 8, 4, 4]).reshaped(&[1, 8, 16]).unwrap();
        assert_eq!(patches.permuted(&[0, 2, 1]), Form::features(&[1, 16, 8]));
    }

    proptest! {
        #[test]
        fn every_element_has_a_place_of_its_own(
            shape in prop::collection::vec(1usize..4, 1..5),
            majors in prop::collection::hash_set(0usize..4, 0..3),
        ) {
            let majors: Vec<usize> = majors.into_iter().filter(|axis| *axis < shape.len()).collect();
            let form = Form::new(&shape, &majors);
            let [outer, inner] = form.sizes();
            for (place, element) in form.elements().into_iter().enumerate() {
                let position = form.position(element);
                prop_assert_eq!(position.major * inner + position.minor, place);
            }
            prop_assert_eq!(outer * inner, shape.iter().product::<usize>());
            prop_assert_eq!(form.extent().iter().product::<usize>(), outer * inner);
        }

        #[test]
        fn reshaping_keeps_places(
            parts in prop::collection::vec(1usize..4, 1..4),
            cut in 0usize..4,
            majors in 0usize..3,
        ) {
            let shape = parts.clone();
            let mut merged = parts;
            if cut + 1 < merged.len() {
                let second = merged.remove(cut + 1);
                merged[cut] *= second;
            }
            let form = Form::new(&shape, &(0..majors.min(shape.len())).collect::<Vec<_>>());
            if let Some(other) = form.reshaped(&merged) {
                prop_assert_eq!(other.elements(), form.elements());
                prop_assert_eq!(other.sizes(), form.sizes());
            }
            let back = Form::rows(&merged).reshaped(&shape);
            if let Some(back) = back {
                prop_assert_eq!(back.elements(), Form::rows(&merged).elements());
            }
        }
    }
}
