//! Tables of encoded images and labels, as the Hugging Face Hub stores data sets: files such as
//! `train-00000-of-00001.parquet`, whose rows hold an image file and a class. `schema` finds the
//! columns, `column` reads them, `hybrid` unpacks indices.

mod column;
mod hybrid;
mod schema;

use std::{collections::BTreeSet, io::Cursor};

use parquet2::read::read_metadata;

use self::{
    column::{Value, text},
    schema::Columns,
};
use super::{
    Split,
    decoded::Decoded,
    encoded::{self, Encoded, Pictures},
    inventory::left_out,
};

/// A table, and the split that its path promises.
#[derive(Clone, Debug, PartialEq)]
pub struct Part(Option<Split>);

impl Part {
    /// The part that a path promises.
    pub fn of(path: &str) -> Option<Self> {
        let (_, ending) = path.rsplit_once('.')?;
        ending.eq_ignore_ascii_case("parquet").then(|| Self(Split::of_path(path)))
    }
}

/// A label as a table gives it.
enum Label {
    Number(u16),
    Name(String),
}

impl Label {
    fn number(&self) -> Option<u16> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    fn name(&self) -> Option<&str> {
        if let Self::Name(name) = self { Some(name) } else { None }
    }

    fn index(&self, classes: &[String]) -> Option<u16> {
        match self {
            Self::Number(number) => Some(*number).filter(|&at| usize::from(at) < classes.len()),
            Self::Name(name) => {
                classes.iter().position(|class| class == name).and_then(|at| at.try_into().ok())
            }
        }
    }
}

/// A row of a table.
struct Row {
    split: Option<Split>,
    name: String,
    image: Vec<u8>,
    label: Label,
}

/// Gathers the files.
#[derive(Default)]
pub struct Collector {
    rows: Vec<Row>,
    classes: Option<Vec<String>>,
    left: Vec<(String, String)>,
}

impl Collector {
    /// Takes a file in.
    pub fn add(&mut self, part: Part, path: &str, bytes: Vec<u8>) -> Result<(), String> {
        let metadata = read_metadata(&mut Cursor::new(&bytes)).map_err(text)?;
        let columns = Columns::of(&metadata)?;
        if let Some(classes) = columns.classes
            && *self.classes.get_or_insert_with(|| classes.clone()) != classes
        {
            let problem = "its class names are not those of the files before it; keep data sets in \
                           separate folders";
            return Err(problem.to_owned());
        }
        let mut number = 0;
        for group in &metadata.row_groups {
            let column = |index: usize| {
                let chunk = group.columns().get(index).ok_or("a column is missing from a group")?;
                column::read(chunk, &bytes)
            };
            let (images, labels) = (column(columns.images)?, column(columns.labels)?);
            if images.len() != labels.len() {
                return Err(format!("{} images, but {} labels", images.len(), labels.len()));
            }
            for (image, label) in images.into_iter().zip(labels) {
                let name = format!("{path}: row {number}");
                number += 1;
                match row(image, label) {
                    Ok((image, label)) => {
                        self.rows.push(Row { split: part.0, name, image, label });
                    }
                    Err(why) => self.left.push((name, why)),
                }
            }
        }
        Ok(())
    }

    /// Everything taken in, or the file that is at fault and why.
    pub fn finish(self) -> Result<Decoded, (String, String)> {
        let Self { rows, classes, mut left } = self;
        let fail = |problem: String| ("tables".to_owned(), problem);
        if rows.iter().any(|row| row.split.is_some()) && rows.iter().any(|row| row.split.is_none())
        {
            let problem = "some name their split (train-….parquet) and some do not; name them all";
            return Err(fail(problem.to_owned()));
        }
        let names: BTreeSet<&str> = rows.iter().filter_map(|row| row.label.name()).collect();
        let classes = classes.unwrap_or_else(|| match names.len() {
            0 => {
                let count = rows.iter().filter_map(|row| row.label.number()).max();
                (0..count.map_or(0, |last| last + 1)).map(|class| class.to_string()).collect()
            }
            _ => names.into_iter().map(Into::into).collect(),
        });
        let total = rows.len() + left.len();
        let mut images = Vec::with_capacity(rows.len());
        for Row { split, name, image, label } in rows {
            let Some(label) = label.index(&classes) else {
                let problem = format!("a label that is none of the {} classes", classes.len());
                return Err((name, problem));
            };
            images.push(Encoded { name, bytes: image, split, label });
        }
        let Pictures { shape, parts, failed, resized } = encoded::decode(images);
        left.extend(failed);
        let told = left_out(&left);
        if parts.counts(classes.len()).iter().all(|&count| count == 0) {
            let told = told.unwrap_or_else(|| "they have no rows".to_owned());
            return Err(fail(format!("none of {total} rows has an image: {told}")));
        }
        let told = told.map(|told| format!("{} of {total} rows are left out: {told}", left.len()));
        let notices = told.into_iter().chain(resized).collect();
        Ok(Decoded { classes, shape, parts, notices })
    }
}

/// The content of a row, or why it is of no use.
fn row(image: Option<Value>, label: Option<Value>) -> Result<(Vec<u8>, Label), String> {
    let Some(Value::Bytes(image)) = image else { return Err("no bytes of an image".to_owned()) };
    let label = match label {
        Some(Value::Bytes(name)) => Label::Name(String::from_utf8_lossy(&name).into_owned()),
        Some(Value::Integer(number)) => match u16::try_from(number) {
            Ok(number) if number < u16::MAX => Label::Number(number),
            _ => return Err(format!("label {number}")),
        },
        None => return Err("no label".to_owned()),
    };
    Ok((image, label))
}
