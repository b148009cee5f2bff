//! One file in a signature, and how files are listed and hashed.

use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// The only hash of files that is known here.
pub(super) const SHA256: &str = "sha256";
/// What is at the top of a folder and no part of a model.
pub(super) const NEVER_SIGNED: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];

/// How files are listed and hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serialization {
    /// `files`, or `shards` where files are hashed in pieces.
    pub method: String,
    /// Hash of files: `sha256`.
    pub hash_type: String,
    /// Bytes of a piece.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "whole_number")]
    pub shard_size: Option<u64>,
    /// Whether the files behind symbolic links count as files of the folder.
    pub allow_symlinks: bool,
    /// Files and folders that do not count, by their paths in the folder.
    #[serde(default)]
    pub ignore_paths: Vec<String>,
}

/// One file, or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Path in the folder with `/` between its parts; of a piece, `path:start:end`.
    pub name: String,
    /// Hash of the content in hexadecimal.
    pub digest: String,
    /// Which hash: `sha256`, of a piece also `sha256-sharded-SIZE`.
    pub algorithm: String,
}

/// A number without a fraction, which some programs write as `150.0`.
fn whole_number<'de, D: Deserializer<'de>>(source: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(source)? else { return Ok(None) };
    match number.fract() == 0.0 && (0.0..=u64::MAX as f64).contains(&number) {
        true => Ok(Some(number as u64)),
        false => Err(D::Error::custom(format!("{number} is no number of bytes"))),
    }
}

impl Serialization {
    /// Whole files, no links; a path in the folder does not count, if there is one.
    pub(super) fn of_files(but: Option<String>) -> Self {
        let mut ignored: Vec<String> = NEVER_SIGNED.map(str::to_owned).into();
        ignored.extend(but);
        ignored.sort();
        Self {
            method: "files".to_owned(),
            hash_type: SHA256.to_owned(),
            shard_size: None,
            allow_symlinks: false,
            ignore_paths: ignored,
        }
    }
}

impl Resource {
    pub(super) fn pair(&self) -> (&str, &str) {
        (&self.name, &self.digest)
    }

    /// Whether this is the only file, which some programs give no name.
    pub(super) fn is_unnamed(&self) -> bool {
        self.name == "." || self.name.starts_with(".:")
    }

    /// The file that it is, or that it is a piece of.
    pub(super) fn path(&self, serialization: &Serialization) -> &str {
        match serialization.shard_size {
            None => &self.name,
            Some(_) => self.name.rsplitn(3, ':').nth(2).unwrap_or(&self.name),
        }
    }
}

/// The bytes of a hash in lower-case hexadecimal.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[high, low]| Some(16 * digit(high)? + digit(low)?));
    bytes.collect::<Option<_>>().filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_pieces_are_whole_numbers_however_they_are_written() {
        let read = |size: &str| {
            let text = format!(
                r#"{{"method":"shards","hash_type":"sha256","allow_symlinks":false,"shard_size":{size}}}"#
            );
            serde_json::from_str::<Serialization>(&text).map(|it| it.shard_size)
        };
        assert_eq!(read("150").unwrap(), Some(150));
        assert_eq!(read("150.0").unwrap(), Some(150));
        assert_eq!(read("null").unwrap(), None);
        assert!(read("1.5").is_err() && read("-1").is_err());
    }

    #[test]
    fn only_lower_case_hexadecimal_is_a_hash() {
        assert_eq!(from_hex("0aff"), Some(vec![10, 255]));
        assert_eq!([from_hex("0AFF"), from_hex("0af"), from_hex("zz")], [None, None, None]);
    }
}
