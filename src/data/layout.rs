//! What the path of an image says: its split, its class, its name.

use std::collections::BTreeSet;

use super::Split;

/// Where a file stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The split whose folder holds it, if there is one.
    pub split: Option<Split>,
    /// Path below that folder, or the whole path.
    path: String,
}

impl Place {
    /// The place of a path. The folder of a split is the innermost one of such a name with a class
    /// folder in it, so that a class may be called `test`.
    pub fn of(path: &str) -> Self {
        let components: Vec<&str> = path.split('/').collect();
        let folders = components.len() - 1;
        let innermost = folders.checked_sub(1);
        let found = (0..folders.saturating_sub(1))
            .rev()
            .chain(innermost)
            .find_map(|at| Some((at, Split::from_name(components[at])?)));
        match found {
            Some((at, split)) => Self { split: Some(split), path: components[at + 1..].join("/") },
            None => Self { split: None, path: path.to_owned() },
        }
    }

    /// Whether the file stands in a class folder of a split.
    pub fn is_given(&self) -> bool {
        self.split.is_some() && self.path.contains('/')
    }

    fn folders(&self) -> Vec<&str> {
        let folders = self.path.rsplit_once('/').map(|(folders, _)| folders);
        folders.map(|folders| folders.split('/').collect()).unwrap_or_default()
    }
}

/// How the images of a source name their classes.
#[derive(Debug, PartialEq, Eq)]
pub enum Layout {
    /// By folders in the folders of splits.
    Splits,
    /// By folders in the folder with this path, which is empty or ends in `/`.
    Classes(String),
}

impl Layout {
    /// The layout of images. Where no folder of a split holds class folders, the class folders are
    /// those that stand side by side in the outermost folder with more than one.
    pub fn of<'a>(images: impl Iterator<Item = &'a Place> + Clone) -> Self {
        if images.clone().any(Place::is_given) {
            return Self::Splits;
        }
        let whole = images.filter(|place| place.split.is_none());
        let folders: Vec<Vec<&str>> = whole.map(Place::folders).collect();
        let mut base = folders.first().cloned().unwrap_or_default();
        for folders in &folders {
            let common = base.iter().zip(folders).take_while(|(a, b)| a == b).count();
            base.truncate(common);
        }
        let below: BTreeSet<&&str> =
            folders.iter().filter_map(|folders| folders.get(base.len())).collect();
        if below.len() < 2 {
            base.pop();
        }
        Self::Classes(base.into_iter().map(|folder| format!("{folder}/")).collect())
    }

    /// Class and name of what stands in a class folder; the name is empty for the folder itself.
    pub fn class<'a>(&self, place: &'a Place) -> Option<(&'a str, &'a str)> {
        let path = match self {
            Self::Splits if place.split.is_some() => place.path.as_str(),
            Self::Classes(base) if place.split.is_none() => place.path.strip_prefix(base)?,
            _ => return None,
        };
        path.split_once('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(paths: &[&str]) -> Layout {
        let places: Vec<Place> = paths.iter().map(|path| Place::of(path)).collect();
        Layout::of(places.iter())
    }

    #[test]
    fn folders_of_splits_hold_class_folders() {
        for (path, split, class, name) in [
            ("train/cat/1.png", Split::Train, "cat", "1.png"),
            ("a/leading/folder/Valid/cat/1.png", Split::Val, "cat", "1.png"),
            ("train/test/1.png", Split::Train, "test", "1.png"),
            ("test/train/cat/1.png", Split::Train, "cat", "1.png"),
            ("testing/cat/images/1.png", Split::Test, "cat", "images/1.png"),
            ("train/cat/", Split::Train, "cat", ""),
        ] {
            let place = Place::of(path);
            assert_eq!(place.split, Some(split), "{path}");
            assert!(place.is_given());
            assert_eq!(Layout::Splits.class(&place), Some((class, name)), "{path}");
        }
        let flat = Place::of("train/1.png");
        assert_eq!((flat.split, flat.is_given()), (Some(Split::Train), false));
        assert_eq!(Layout::Splits.class(&flat), None);
        assert_eq!(Layout::Splits.class(&Place::of("cat/1.png")), None);
    }

    #[test]
    fn class_folders_stand_side_by_side() {
        let base = |base: &str| Layout::Classes(base.to_owned());
        assert_eq!(layout(&["cat/1.png", "dog/2.png"]), base(""));
        assert_eq!(layout(&["pets/cat/1.png", "pets/dog/2.png"]), base("pets/"));
        assert_eq!(layout(&["pets/cat/1.png", "pets/dog/2.png", "pets/3.png"]), base("pets/"));
        assert_eq!(layout(&["pets/cat/a/1.png", "pets/cat/b/2.png"]), base("pets/cat/"));
        assert_eq!(layout(&["cat/1.png", "cat/2.png"]), base(""), "a single class");
        assert_eq!(layout(&["cat/1.png", "cat/more/2.png"]), base(""));
        assert_eq!(layout(&["1.png", "cat/2.png"]), base(""));
        assert_eq!(layout(&["train/1.png", "test/2.png"]), base(""));
        assert_eq!(layout(&["train/cat/1.png", "dog/2.png"]), Layout::Splits);
    }

    #[test]
    fn what_stands_in_no_class_folder_has_no_class() {
        let pets = Layout::Classes("pets/".to_owned());
        assert_eq!(pets.class(&Place::of("pets/cat/a/1.png")), Some(("cat", "a/1.png")));
        assert_eq!(pets.class(&Place::of("pets/3.png")), None);
        assert_eq!(pets.class(&Place::of("3.png")), None);
        assert_eq!(pets.class(&Place::of("test/1.png")), None);
    }
}
