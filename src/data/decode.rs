//! From the files of a source to raw images, whatever the format.

use super::{
    DataError, cifar,
    decoded::Decoded,
    folder, idx,
    inventory::Inventory,
    layout::Place,
    npz, parquet, picture,
    source::{Source, Visitor},
};

/// What a file is, to go by its path.
#[derive(Clone, Debug, PartialEq)]
enum Role {
    /// Part of CIFAR-10 in binary form.
    Cifar(cifar::Part),
    /// Part of an IDX dataset.
    Idx(idx::Part),
    /// Arrays of NumPy.
    Npz(npz::Part),
    /// A table.
    Parquet(parquet::Part),
    /// An image.
    Image(Place),
}

impl Role {
    /// The role of a file; `None` for a file that is no part of a dataset.
    fn of(path: &str) -> Option<Self> {
        let file = path.rsplit('/').next()?;
        cifar::Part::of(file)
            .map(Self::Cifar)
            .or_else(|| idx::Part::of(file).map(Self::Idx))
            .or_else(|| npz::Part::of(path).map(Self::Npz))
            .or_else(|| parquet::Part::of(path).map(Self::Parquet))
            .or_else(|| picture::is_picture(file).then(|| Self::Image(Place::of(path))))
    }

    /// Whether the file may stand beside a dataset of another format, such as an image in a README.
    fn is_loose(&self) -> bool {
        matches!(self, Self::Image(place) if !place.is_given())
    }
}

/// Whether a path leads through a hidden folder, or to a hidden file.
fn is_hidden(path: &str) -> bool {
    path.split('/').any(|part| part == "__MACOSX" || part.starts_with('.'))
}

/// Reads all images of a source.
pub fn decode(source: &Source) -> Result<Decoded, DataError> {
    let mut collector = Collector {
        source,
        seen: Inventory::default(),
        first: None,
        cifar: cifar::Collector::default(),
        idx: idx::Collector::default(),
        npz: npz::Collector::default(),
        parquet: parquet::Collector::default(),
        folder: folder::Collector::default(),
    };
    source.visit(&mut collector)?;
    let fail = |(entry, problem): (String, String)| source.error(&entry, problem);
    match collector.first {
        Some(Role::Cifar(_)) => Ok(collector.cifar.finish()),
        Some(Role::Idx(_)) => collector.idx.finish().map_err(fail),
        Some(Role::Npz(_)) => collector.npz.finish().map_err(fail),
        Some(Role::Parquet(_)) => collector.parquet.finish().map_err(fail),
        Some(Role::Image(_)) | None => collector.folder.finish(source, &collector.seen.text()),
    }
}

/// The collectors of all formats, of which one ends up with the dataset.
struct Collector<'a> {
    source: &'a Source,
    seen: Inventory,
    /// The first file that decides about the format.
    first: Option<Role>,
    cifar: cifar::Collector,
    idx: idx::Collector,
    npz: npz::Collector,
    parquet: parquet::Collector,
    folder: folder::Collector,
}

impl Visitor for Collector<'_> {
    fn wants(&mut self, path: &str) -> bool {
        if is_hidden(path) {
            return false;
        }
        self.seen.add(path);
        let wanted = Role::of(path).is_some();
        if !wanted {
            self.folder.note(path);
        }
        wanted
    }

    fn take(&mut self, path: &str, bytes: Vec<u8>) -> Result<(), DataError> {
        let Some(role) = Role::of(path) else { return Ok(()) };
        if !role.is_loose() {
            let first = self.first.get_or_insert_with(|| role.clone());
            if std::mem::discriminant(first) != std::mem::discriminant(&role) {
                let problem = "belongs to another format than the files before it; keep data sets \
                               in separate folders";
                return Err(self.source.error(path, problem));
            }
        }
        match role {
            Role::Cifar(part) => self.cifar.add(part, bytes),
            Role::Idx(part) => self.idx.add(part, path, bytes),
            Role::Npz(part) => self.npz.add(part, path, bytes),
            Role::Parquet(part) => self.parquet.add(part, path, bytes),
            Role::Image(place) => self.folder.add(place, path, bytes),
        }
        .map_err(|problem| self.source.error(path, problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_follow_from_paths() {
        let is_image = |path| matches!(Role::of(path), Some(Role::Image(_)));
        assert!(is_image("train/cat/0001.jpg"));
        assert!(is_image("cat/0001.WebP"));
        assert!(!is_image("train/cat/readme.txt"));
        assert!(matches!(Role::of("cifar-10-batches-bin/test_batch.bin"), Some(Role::Cifar(_))));
        assert!(matches!(Role::of("mnist/t10k-labels-idx1-ubyte.gz"), Some(Role::Idx(_))));
        assert!(matches!(Role::of("mnist.npz"), Some(Role::Npz(_))));
        assert!(matches!(Role::of("data/train-0.parquet"), Some(Role::Parquet(_))));
        assert_eq!(Role::of("README.md"), None);
    }

    #[test]
    fn hidden_files_have_no_role() {
        assert!(is_hidden("train/cat/._0001.jpg"));
        assert!(is_hidden(".git/logo.png"));
        assert!(is_hidden("__MACOSX/cat/1.png"));
        assert!(!is_hidden("a/leading/folder/test/cat/0001.png"));
    }
}
