//! How often each class is recognised.

use serde::{Deserialize, Serialize};

/// How often the images of one class are taken for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassAccuracy {
    /// Name of the class.
    pub class: String,
    /// Images of it that were judged.
    pub images: usize,
    /// Share of them that is right; none where no image was judged.
    pub top1: Option<f64>,
}

impl ClassAccuracy {
    /// Of every class in order. `labels` are those of the images, `wrong` which of them were judged
    /// wrong; see [`Tally::wrong`](super::Tally::wrong).
    pub fn of(classes: &[String], labels: &[u16], wrong: &[bool]) -> Vec<Self> {
        let mut counts = vec![[0_usize; 2]; classes.len()];
        for (&label, &wrong) in labels.iter().zip(wrong) {
            if let Some([images, right]) = counts.get_mut(usize::from(label)) {
                *images += 1;
                *right += usize::from(!wrong);
            }
        }
        let accuracy = |(class, [images, right]): (&String, [usize; 2])| {
            let top1 = (images > 0).then(|| right as f64 / images as f64);
            Self { class: class.clone(), images, top1 }
        };
        classes.iter().zip(counts).map(accuracy).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_counted_apart() {
        let classes = ["ant", "bee", "cat"].map(str::to_owned);
        let wrong = [false, true, false, false];
        let found = ClassAccuracy::of(&classes, &[0, 0, 1, 1, 2], &wrong);
        let found: Vec<_> =
            found.iter().map(|it| (it.class.as_str(), it.images, it.top1)).collect();
        assert_eq!(found, [("ant", 2, Some(0.5)), ("bee", 2, Some(1.0)), ("cat", 0, None)]);
    }
}
