//! Networks along the way from one parent to the other.

use serde::{Deserialize, Serialize};

/// A network on the way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Share of the second parent.
    pub alpha: f64,
    /// Share of images that it classifies right.
    pub top1: f64,
}

/// One way from the first parent to the second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// How networks on it are made.
    pub name: String,
    /// From the first parent to the second.
    pub points: Vec<Point>,
    /// How far it falls below the straight line between the parents, at most.
    pub barrier: f64,
}

impl Curve {
    /// Of points that begin and end with the parents.
    pub fn new(name: &str, points: Vec<Point>) -> Self {
        let barrier = match (points.first(), points.last()) {
            (Some(first), Some(last)) => points
                .iter()
                .map(|it| first.top1 + it.alpha * (last.top1 - first.top1) - it.top1)
                .fold(0.0, f64::max),
            _ => 0.0,
        };
        Self { name: name.to_owned(), points, barrier }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn a_barrier_is_measured_from_the_line_between_the_parents() {
        let points = [(0.0, 0.9), (0.5, 0.3), (1.0, 0.7)];
        let points = points.map(|(alpha, top1)| Point { alpha, top1 }).to_vec();
        assert_relative_eq!(Curve::new("as they are", points).barrier, 0.5);
        assert_eq!(Curve::new("nothing", Vec::new()).barrier, 0.0);
    }
}
