//! Which channels are the same channel: union–find over atoms.
//!
//! An axis of a value is a list of *elements*, each a part of an *atom*: the weight that makes a
//! channel makes one atom, whose only part has number 0; a flattened image has as many parts of each
//! channel as it has pixels. Operators tie elements to each other, and atoms that must not move are
//! frozen. Two atoms may be exchanged if they stand with the same parts in the same lists.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    rc::Rc,
};

/// A part of an atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Element {
    pub atom: usize,
    pub part: usize,
}

/// An axis of a value.
#[derive(Clone, Debug)]
pub(super) enum Axis {
    /// Of places that keep their order: pixels, tokens, images. Holds the extent.
    Fixed(usize),
    /// Of channels.
    Listed(Rc<[Element]>),
}

impl Axis {
    pub fn extent(&self) -> usize {
        match self {
            Self::Fixed(extent) => *extent,
            Self::Listed(list) => list.len(),
        }
    }
}

/// Where an atom hangs.
#[derive(Clone, Copy, Debug)]
struct Link {
    to: usize,
    /// Which part of `to` the atom is; only atoms without further parts are others' parts.
    part: usize,
}

#[derive(Debug, Default)]
pub(super) struct Ties {
    links: Vec<Link>,
    frozen: Vec<bool>,
    /// Whether an atom has other parts than number 0.
    parted: Vec<bool>,
    lists: Vec<Rc<[Element]>>,
}

impl Ties {
    /// Channels of which nothing is known yet. A single one has nowhere to move.
    pub fn fresh(&mut self, extent: usize) -> Axis {
        if extent < 2 {
            return Axis::Fixed(extent);
        }
        let elements = (0..extent).map(|_| self.atom()).collect();
        self.list(elements)
    }

    fn atom(&mut self) -> Element {
        let atom = self.links.len();
        self.links.push(Link { to: atom, part: 0 });
        self.frozen.push(false);
        self.parted.push(false);
        Element { atom, part: 0 }
    }

    /// An axis of elements that are known from elsewhere.
    pub fn list(&mut self, elements: Vec<Element>) -> Axis {
        let list: Rc<[Element]> = elements.into();
        self.lists.push(Rc::clone(&list));
        Axis::Listed(list)
    }

    /// The elements of an axis; those of a fixed one are frozen.
    pub fn elements(&mut self, axis: &Axis) -> Vec<Element> {
        match axis {
            Axis::Listed(list) => list.to_vec(),
            Axis::Fixed(extent) => (0..*extent)
                .map(|_| {
                    let element = self.atom();
                    self.frozen[element.atom] = true;
                    element
                })
                .collect(),
        }
    }

    /// Part `part` of `parts` that an element is cut into.
    pub fn cut(&mut self, element: Element, part: usize, parts: usize) -> Element {
        let root = self.find(element);
        self.parted[root.atom] |= parts > 1;
        Element { atom: root.atom, part: root.part * parts + part }
    }

    /// Keeps the channels of an axis where they are.
    pub fn freeze(&mut self, axis: &Axis) {
        let Axis::Listed(list) = axis else { return };
        for &element in list.iter() {
            let root = self.find(element);
            self.frozen[root.atom] = true;
        }
    }

    /// Two axes of one order.
    pub fn tie(&mut self, a: &Axis, b: &Axis) {
        match (a, b) {
            (Axis::Listed(a), Axis::Listed(b)) if a.len() == b.len() => {
                if !Rc::ptr_eq(a, b) {
                    a.iter().zip(b.iter()).for_each(|(&a, &b)| self.unite(a, b));
                }
            }
            _ => {
                self.freeze(a);
                self.freeze(b);
            }
        }
    }

    /// Two axes under broadcasting, and that of the result.
    pub fn spread(&mut self, a: &Axis, b: &Axis) -> Axis {
        match [a.extent(), b.extent()] {
            [1, _] => b.clone(),
            [_, 1] => a.clone(),
            _ => {
                self.tie(a, b);
                a.clone()
            }
        }
    }

    fn find(&self, mut element: Element) -> Element {
        loop {
            let Link { to, part } = self.links[element.atom];
            if to == element.atom {
                return element;
            }
            // Of an atom that is a part, there is only part 0.
            element = Element { atom: to, part: if part > 0 { part } else { element.part } };
        }
    }

    fn unite(&mut self, a: Element, b: Element) {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return;
        }
        let whole = |it: Element| it.part == 0 && !self.parted[it.atom];
        let (child, parent) = match (a.part == b.part, whole(a), whole(b)) {
            _ if a.atom == b.atom => return self.frozen[a.atom] = true,
            // The younger one hangs from the older.
            (true, ..) if a.atom < b.atom => (b, a),
            (true, ..) => (a, b),
            (_, true, _) => (a, b),
            (_, _, true) => (b, a),
            _ => {
                self.frozen[a.atom] = true;
                self.frozen[b.atom] = true;
                return;
            }
        };
        let part = if child.part == parent.part { 0 } else { parent.part };
        self.links[child.atom] = Link { to: parent.atom, part };
        self.frozen[parent.atom] |= self.frozen[child.atom];
        self.parted[parent.atom] |= self.parted[child.atom];
    }

    /// Group, channel in it and part of every element that may move.
    pub fn settle(mut self) -> Settled {
        let lists: HashSet<Vec<Element>> = self
            .lists
            .iter()
            .map(|list| list.iter().map(|&element| self.find(element)).collect())
            .collect();
        // The order does not matter to what is found, but to the numbers of classes.
        let lists: BTreeSet<Vec<Element>> = lists.into_iter().collect();
        for list in &lists {
            let mut seen = HashSet::new();
            for element in list {
                if !seen.insert(element) {
                    self.frozen[element.atom] = true;
                }
            }
        }
        let mut class = vec![0; self.links.len()];
        let mut classes = 1;
        for list in &lists {
            let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            list.iter().for_each(|it| parts.entry(it.atom).or_default().push(it.part));
            let mut split: HashMap<(usize, Vec<usize>), usize> = HashMap::new();
            for (atom, mut parts) in parts {
                parts.sort_unstable();
                class[atom] = *split.entry((class[atom], parts)).or_insert_with(|| {
                    classes += 1;
                    classes - 1
                });
            }
        }
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); classes];
        for atom in 0..self.links.len() {
            if self.links[atom].to == atom && !self.frozen[atom] {
                members[class[atom]].push(atom);
            }
        }
        members.retain(|members| members.len() > 1);
        members.sort_unstable();
        let mut places = vec![None; self.links.len()];
        for (group, members) in members.iter().enumerate() {
            for (channel, &atom) in members.iter().enumerate() {
                places[atom] = Some((group, channel));
            }
        }
        let sizes = members.iter().map(Vec::len).collect();
        Settled { ties: self, sizes, places }
    }
}

/// What became of the atoms.
#[derive(Debug)]
pub(super) struct Settled {
    ties: Ties,
    /// Channels by group; groups in the order of their first atoms.
    pub sizes: Vec<usize>,
    places: Vec<Option<(usize, usize)>>,
}

impl Settled {
    /// Group, channel and part.
    pub fn place(&self, element: Element) -> Option<(usize, usize, usize)> {
        let root = self.ties.find(element);
        self.places[root.atom].map(|(group, channel)| (group, channel, root.part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(ties: Ties) -> Vec<usize> {
        ties.settle().sizes
    }

    #[test]
    fn channels_in_different_lists_are_not_exchanged() {
        let mut ties = Ties::default();
        let (a, b) = (ties.fresh(3), ties.fresh(2));
        let (a, b) = (ties.elements(&a), ties.elements(&b));
        let joined = ties.list([a, b].concat());
        let sum = ties.fresh(5);
        ties.tie(&sum, &joined);
        assert_eq!(sizes(ties), [3, 2]);
    }

    #[test]
    fn what_is_tied_to_a_fixed_axis_or_to_itself_stays() {
        let mut ties = Ties::default();
        let a = ties.fresh(3);
        ties.tie(&a, &Axis::Fixed(3));
        let c = ties.fresh(3);
        let c = ties.elements(&c);
        ties.list([c.clone(), c].concat());
        assert_eq!(sizes(ties), [0; 0]);
    }

    #[test]
    fn rows_of_a_matrix_follow_the_pixels_they_read() {
        let mut ties = Ties::default();
        let channels = ties.fresh(2);
        let elements = ties.elements(&channels);
        let pixels =
            elements.iter().flat_map(|&element| [(element, 0), (element, 1), (element, 2)]);
        let flat = pixels.map(|(element, part)| ties.cut(element, part, 3)).collect();
        let flat = ties.list(flat);
        let rows = ties.fresh(6);
        ties.tie(&rows, &flat);
        let rows = ties.elements(&rows);
        let settled = ties.settle();
        assert_eq!(settled.sizes, [2]);
        let found: Vec<_> = rows.iter().map(|&row| settled.place(row).unwrap()).collect();
        let expected: Vec<_> = (0..6).map(|row| (0, row / 3, row % 3)).collect();
        assert_eq!(found, expected);
    }
}
