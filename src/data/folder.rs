//! Images in folders by class, with folders of splits above them or without:
//! `train/<class>/<name>.png` or `<class>/<name>.png`.

use std::collections::BTreeSet;

use super::{
    DataError, Split,
    decoded::Decoded,
    encoded::{self, Encoded, Pictures},
    inventory::left_out,
    layout::{Layout, Place},
    source::Source,
};

/// Most bytes of image files.
const MAX_ENCODED: usize = 4 << 30;

/// An image file that is not looked into yet.
struct File {
    place: Place,
    name: String,
    bytes: Vec<u8>,
}

/// Gathers images.
#[derive(Default)]
pub struct Collector {
    files: Vec<File>,
    bytes: usize,
    /// Paths of files that are no images, and of folders, which end in `/`.
    others: Vec<String>,
}

impl Collector {
    /// Takes an image in.
    pub fn add(&mut self, place: Place, name: &str, bytes: Vec<u8>) -> Result<(), String> {
        self.bytes += bytes.len();
        if self.bytes > MAX_ENCODED {
            let limit = MAX_ENCODED >> 30;
            return Err(format!("more than {limit} GiB of image files; shrink the images first"));
        }
        self.files.push(File { place, name: name.to_owned(), bytes });
        Ok(())
    }

    /// Takes note of a file that is no image, or of a folder.
    pub fn note(&mut self, path: &str) {
        self.others.push(path.to_owned());
    }

    /// Everything taken in. The result does not depend on the order of the files. `seen` says what
    /// the source holds.
    pub fn finish(self, source: &Source, seen: &str) -> Result<Decoded, DataError> {
        let layout = Layout::of(self.files.iter().map(|file| &file.place));
        let Sorted { classes, images, mut left } = self.sorted(&layout);
        if let Some([(_, one, _), (_, other, _)]) =
            images.array_windows().find(|[one, other]| one.0 == other.0)
        {
            let problem = format!("stands for the same image as {other}; keep one of them");
            return Err(source.error(one, problem));
        }
        if classes.len() > usize::from(u16::MAX) {
            return Err(source.error("class folders", format!("more than {} classes", u16::MAX)));
        }
        let total = images.len() + left.len();
        let encoded = images.into_iter().map(|((split, class, _), name, bytes)| {
            let label = classes.binary_search(&class).unwrap_or_default() as u16;
            Encoded { name, bytes, split, label }
        });
        let Pictures { shape, parts, failed, resized } = encoded::decode(encoded.collect());
        left.extend(failed);
        left.sort();
        let counts = parts.counts(classes.len());
        let path = source.path().to_owned();
        if counts.iter().all(|&count| count == 0) {
            let told = left_out(&left).map(|told| format!(", of which none is used: {told}"));
            let seen = format!("{seen}{}", told.unwrap_or_default());
            return Err(DataError::Unrecognised { path, seen });
        }
        if let Some((class, _)) = classes.iter().zip(counts).find(|&(_, count)| count == 0) {
            left.retain(|(name, _)| {
                layout.class(&Place::of(name)).is_some_and(|(found, _)| found == class)
            });
            let found = left_out(&left).unwrap_or_else(|| "nothing".to_owned());
            return Err(DataError::EmptyClass { path, class: class.clone(), found });
        }
        let told = left_out(&left)
            .map(|told| format!("{} of {total} files are left out: {told}", left.len()));
        let notices = told.into_iter().chain(resized).collect();
        Ok(Decoded { classes, shape, parts, notices })
    }

    /// The files by what their places in a layout make of them.
    fn sorted(self, layout: &Layout) -> Sorted {
        let mut classes: BTreeSet<String> = BTreeSet::new();
        let (mut images, mut left) = (Vec::new(), Vec::new());
        for path in self.others {
            let place = Place::of(&path);
            let Some((class, file)) = layout.class(&place) else { continue };
            classes.insert(class.to_owned());
            if !file.is_empty() && !file.ends_with('/') {
                left.push((path, "not an image format that is read".to_owned()));
            }
        }
        for File { place, name, bytes } in self.files {
            match layout.class(&place) {
                Some((class, file)) => {
                    classes.insert(class.to_owned());
                    images.push(((place.split, class.to_owned(), file.to_owned()), name, bytes));
                }
                None => left.push((name, "in no class folder".to_owned())),
            }
        }
        images.sort_by(|a, b| a.0.cmp(&b.0));
        Sorted { classes: classes.into_iter().collect(), images, left }
    }
}

/// What images are ordered by: split, class, name.
type Key = (Option<Split>, String, String);

/// The files of a source.
struct Sorted {
    /// In order.
    classes: Vec<String>,
    /// Images in class folders, in order, with their paths and contents.
    images: Vec<(Key, String, Vec<u8>)>,
    /// Paths of files that are of no use, and why.
    left: Vec<(String, String)>,
}
