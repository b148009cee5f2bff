//! Names of classes.

use super::Dataset;

/// Names that a list shows before it is cut short.
const SHOWN: usize = 12;

/// How many classes there are and what they are called, for the user: `3 classes (ant, bee, cat)`.
pub fn class_list(classes: &[String]) -> String {
    let names = classes.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let further = match classes.len().saturating_sub(SHOWN) {
        0 => String::new(),
        count => format!(", and {count} more"),
    };
    format!("{} classes ({names}{further})", classes.len())
}

impl Dataset {
    /// The same images with labels that count through `classes`; `None` if a class is not among them.
    pub fn with_classes(&self, classes: &[String]) -> Option<Self> {
        let place = |class| u16::try_from(classes.iter().position(|known| known == class)?).ok();
        let places: Vec<u16> = self.classes.iter().map(place).collect::<Option<_>>()?;
        let labels = self.labels.iter().map(|&label| places[usize::from(label)]).collect();
        let shape = [self.channels, self.height, self.width];
        let mapped = Self::new(classes.to_vec(), shape, self.pixels.clone(), labels);
        Some(Self { notices: self.notices.clone(), ..mapped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn labels_follow_the_names() {
        let data = Dataset::new(names(&["ant", "bee"]), [1, 1, 1], vec![1, 2, 3], vec![0, 1, 1]);
        let wanted = names(&["bee", "cat", "ant"]);
        let mapped = data.with_classes(&wanted).unwrap();
        assert_eq!((mapped.labels.as_slice(), &mapped.classes), ([2, 0, 0].as_slice(), &wanted));
        assert_eq!(mapped.pixels, data.pixels);
        assert_eq!(data.with_classes(&names(&["ant", "cat"])), None);
    }

    #[test]
    fn long_lists_are_cut_short() {
        assert_eq!(class_list(&names(&["1", "10", "2"])), "3 classes (1, 10, 2)");
        let many: Vec<String> = (0..14).map(|number| number.to_string()).collect();
        assert!(class_list(&many).ends_with("10, 11, and 2 more)"));
    }
}
