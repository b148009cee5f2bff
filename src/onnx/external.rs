//! Tensor data beside the model file (ONNX *External Data*). A location is a relative path that
//! stays inside the model's folder; anything else is refused.

use std::{
    fmt::Display,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Component, Path, PathBuf},
};

use bytes::Bytes;

use super::{
    messages::StringStringEntryProto,
    tensor::{byte_length, shape},
};

/// A range of a file that holds the bytes of a tensor, as many as its shape and type ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    path: PathBuf,
    offset: u64,
    length: u64,
}

/// Finds the data of a tensor. The file is there and long enough when this returns.
pub fn locate(
    folder: &Path,
    entries: &[StringStringEntryProto],
    dims: &[i64],
    data_type: i32,
) -> Result<Located, String> {
    let location = entry(entries, "location").ok_or("its external data has no location")?;
    let relative = Path::new(location);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if location.is_empty() || location.contains(['\0', '\\']) || !plain {
        return Err(format!(
            "external location '{location}' leaves the model's folder; save the model with its data in \
             one folder"
        ));
    }
    let expected = byte_length(&shape(dims)?, data_type)? as u64;
    let length = number(entries, "length")?.unwrap_or(expected);
    if length != expected {
        return Err(format!("external length {length} is not the {expected} bytes of its shape"));
    }
    let offset = number(entries, "offset")?.unwrap_or(0);
    let in_file = |problem: &dyn Display| format!("external data '{location}': {problem}");
    let path = folder.join(relative).canonicalize().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            in_file(&"is not there; put it beside the model, under this name")
        }
        _ => in_file(&error),
    })?;
    let root = canonical(folder).map_err(|error| in_file(&error))?;
    if !path.starts_with(&root) {
        return Err(format!(
            "external location '{location}' is a link that leaves the model's folder"
        ));
    }
    let metadata = path.metadata().map_err(|error| in_file(&error))?;
    if !metadata.is_file() {
        return Err(in_file(&"is not a regular file"));
    }
    let held = metadata.len();
    if offset.checked_add(length).is_none_or(|end| end > held) {
        return Err(in_file(&format!(
            "offset {offset} + length {length} exceeds its {held} bytes; copy the whole file"
        )));
    }
    Ok(Located { path, offset, length })
}

impl Located {
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.length as usize
    }

    /// The bytes.
    pub fn read(&self) -> io::Result<Bytes> {
        let mut data = vec![0; self.len()];
        self.open()?.read_exact(&mut data)?;
        Ok(Bytes::from(data))
    }

    /// Copies the bytes without holding them.
    pub fn copy(&self, out: &mut dyn Write) -> io::Result<()> {
        let copied = io::copy(&mut self.open()?.take(self.length), out)?;
        match copied == self.length {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn open(&self) -> io::Result<File> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(file)
    }
}

fn entry<'a>(entries: &'a [StringStringEntryProto], key: &str) -> Option<&'a str> {
    entries
        .iter()
        .filter(|entry| entry.key.as_deref() == Some(key))
        .find_map(|entry| entry.value.as_deref())
}

fn number(entries: &[StringStringEntryProto], key: &str) -> Result<Option<u64>, String> {
    entry(entries, key)
        .map(|text| {
            text.parse::<u64>().map_err(|_| format!("external {key} '{text}' is not a number"))
        })
        .transpose()
}

fn canonical(folder: &Path) -> io::Result<PathBuf> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    folder.canonicalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(pairs: &[(&str, &str)]) -> Vec<StringStringEntryProto> {
        pairs
            .iter()
            .map(|(key, value)| StringStringEntryProto {
                key: Some((*key).to_owned()),
                value: Some((*value).to_owned()),
            })
            .collect()
    }

    fn find(folder: &Path, pairs: &[(&str, &str)]) -> Result<Located, String> {
        locate(folder, &entries(pairs), &[2], 1)
    }

    #[test]
    fn a_range_of_a_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("deep")).unwrap();
        std::fs::write(folder.path().join("deep/w.data"), [0u8, 1, 2, 3, 4, 5, 6, 7, 8, 9])
            .unwrap();
        let pairs = [("location", "deep/w.data"), ("offset", "1"), ("length", "8")];
        let located = find(folder.path(), &pairs).unwrap();
        assert_eq!(&located.read().unwrap()[..], [1, 2, 3, 4, 5, 6, 7, 8]);
        let mut copy = Vec::new();
        located.copy(&mut copy).unwrap();
        assert_eq!(copy, located.read().unwrap());
    }

    #[test]
    fn what_leaves_the_folder_or_the_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("w"), [0u8; 8]).unwrap();
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[], "no location"),
            (&[("location", "")], "leaves the model's folder"),
            (&[("location", "/etc/passwd")], "leaves the model's folder"),
            (&[("location", "../w")], "leaves the model's folder"),
            (&[("location", "a/../../w")], "leaves the model's folder"),
            (&[("location", "..\\w")], "leaves the model's folder"),
            (&[("location", "w\0")], "leaves the model's folder"),
            (&[("location", "missing")], "external data 'missing'"),
            (&[("location", ".")], "leaves the model's folder"),
            (&[("location", "w"), ("offset", "-1")], "offset '-1' is not a number"),
            (&[("location", "w"), ("offset", "1")], "exceeds its 8 bytes"),
            (&[("location", "w"), ("offset", "18446744073709551615")], "exceeds its 8 bytes"),
            (&[("location", "w"), ("length", "4")], "is not the 8 bytes"),
            (&[("location", "w"), ("length", "99999999999999999999")], "is not a number"),
        ];
        for (pairs, expected) in cases {
            let problem = find(folder.path(), pairs).unwrap_err();
            assert!(problem.contains(expected), "{pairs:?}: {problem}");
        }
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        let problem = find(folder.path(), &[("location", "inner")]).unwrap_err();
        assert!(problem.contains("not a regular file"), "{problem}");
    }

    #[cfg(unix)]
    #[test]
    fn links_may_not_leave_the_folder() {
        let outer = tempfile::tempdir().unwrap();
        std::fs::write(outer.path().join("secret"), [0u8; 8]).unwrap();
        let folder = outer.path().join("model");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("inside"), [0u8; 8]).unwrap();
        std::os::unix::fs::symlink("../secret", folder.join("out")).unwrap();
        std::os::unix::fs::symlink("inside", folder.join("in")).unwrap();
        assert!(find(&folder, &[("location", "out")]).unwrap_err().contains("link"));
        assert!(find(&folder, &[("location", "in")]).is_ok());
    }
}
