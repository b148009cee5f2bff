//! From the files of a source to raw images, whatever the format.

use super::{DataError, cifar, decoded::Decoded, folder, idx, source::Source};

/// What a file is, to go by its path.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// Part of CIFAR-10 in binary form.
    Cifar(cifar::Part),
    /// Part of an IDX dataset.
    Idx(idx::Part),
    /// An image in a folder.
    Image(folder::Place),
}

impl Role {
    /// The role of a file; `None` for a file that is no part of a dataset.
    pub fn of(name: &str) -> Option<Self> {
        let mut components = name.rsplit('/').filter(|part| !part.is_empty());
        let file = components.next().filter(|file| !file.starts_with('.'))?;
        cifar::Part::of(file)
            .map(Self::Cifar)
            .or_else(|| idx::Part::of(file).map(Self::Idx))
            .or_else(|| {
                let class = components.next()?;
                folder::Place::of(components.next()?, class, file).map(Self::Image)
            })
    }
}

/// Reads all images of a source.
pub fn decode(source: &Source) -> Result<Decoded, DataError> {
    let mut cifar = cifar::Collector::default();
    let mut idx = idx::Collector::default();
    let mut folder = folder::Collector::new(source);
    let mut first: Option<Role> = None;
    source.visit(
        |name| Role::of(name).is_some(),
        |name, bytes| {
            let Some(role) = Role::of(name) else { return Ok(()) };
            let first = first.get_or_insert_with(|| role.clone());
            if std::mem::discriminant(first) != std::mem::discriminant(&role) {
                let problem = "belongs to another format than the files before it; keep datasets \
                               in separate folders";
                return Err(source.error(name, problem));
            }
            match role {
                Role::Cifar(part) => {
                    cifar.add(part, bytes).map_err(|problem| source.error(name, problem))
                }
                Role::Idx(part) => {
                    idx.add(part, name, bytes).map_err(|problem| source.error(name, problem))
                }
                Role::Image(place) => folder.add(place, name, bytes),
            }
        },
    )?;
    match first {
        Some(Role::Cifar(_)) => Ok(cifar.finish()),
        Some(Role::Idx(_)) => {
            idx.finish().map_err(|(entry, problem)| source.error(&entry, problem))
        }
        Some(Role::Image(_)) => folder.finish(),
        None => Err(DataError::Unrecognised { path: source.path().to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_follow_from_paths() {
        let image = |name| matches!(Role::of(name), Some(Role::Image(_)));
        assert!(image("train/cat/0001.jpg"));
        assert!(image("./a/leading/folder/test/cat/0001.PNG"));
        assert!(!image("train/cat/._0001.jpg"));
        assert!(!image("train/0001.jpg"));
        assert!(!image("train/cat/readme.txt"));
        assert!(!image("valid/cat/0001.jpg"));
        assert!(matches!(Role::of("cifar-10-batches-bin/test_batch.bin"), Some(Role::Cifar(_))));
        assert!(matches!(Role::of("mnist/t10k-labels-idx1-ubyte.gz"), Some(Role::Idx(_))));
        assert_eq!(Role::of("README.md"), None);
    }
}
