//! Data sets in arrays of NumPy and tables of Parquet.

use std::{
    fs,
    io::{Cursor, Write},
    path::PathBuf,
};

use tempfile::tempdir;
use weightsmith::data::{DataError, Dataset, Split};
use zip::{CompressionMethod, ZipWriter, write::FileOptions};

use super::{
    beside::repository,
    data::{entry_error, file, folder, open, tar},
};

fn fixture(name: &str) -> PathBuf {
    repository("tests/fixtures/data").join(name)
}

/// A file of NumPy: type, shape and values of each array.
fn npz(arrays: &[(&str, &str, &str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, descr, shape, values) in arrays {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let stored = FileOptions::default().compression_method(CompressionMethod::Stored);
        writer.start_file(format!("{name}.npy"), stored).unwrap();
        writer.write_all(b"\x93NUMPY\x01\x00").unwrap();
        writer.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
        writer.write_all(header.as_bytes()).unwrap();
        writer.write_all(values).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The images of a file of NumPy, in the order of their labels.
fn images(name: &str, arrays: &[(&str, &str, &str, &[u8])]) -> Dataset {
    let (_folder, path) = file(name, &npz(arrays));
    open(&path, Split::Test).unwrap()
}

fn refusal(name: &str, bytes: &[u8]) -> String {
    let (_folder, path) = file(name, bytes);
    open(&path, Split::Train).unwrap_err().to_string()
}

#[test]
fn arrays_of_keras_are_read_from_a_file_a_folder_and_an_archive() {
    let path = fixture("keras.npz");
    let [train, val, test] =
        [Split::Train, Split::Val, Split::Test].map(|s| open(&path, s).unwrap());
    assert_eq!([train.len(), val.len(), test.len()], [18, 2, 2]);
    assert_eq!([train.channels, train.height, train.width], [1, 3, 4]);
    assert_eq!(train.classes, ["0", "1", "2", "3"]);
    assert!(train.notices.is_empty());
    for (image, &label) in train.pixels.chunks(12).zip(&train.labels) {
        assert_eq!(u16::from(image[0] / 12) % 4, label);
    }
    let files = vec![("sets/keras.npz".to_owned(), fs::read(&path).unwrap())];
    assert_eq!(open(folder(&files).path(), Split::Train).unwrap(), train);
    let (_folder, archive) = file("a.tar", &tar(&files, "./"));
    assert_eq!(open(&archive, Split::Test).unwrap(), test);
}

#[test]
fn arrays_have_their_channels_first_or_last() {
    let values: Vec<u8> = (0..12).collect();
    let labels: (&str, &str, &str, &[u8]) = ("y_test", "<i8", "(1, 1)", &[0; 8]);
    let last = images("a.npz", &[("x_test", "|u1", "(1, 2, 2, 3)", &values), labels]);
    assert_eq!((last.channels, last.height, last.width), (3, 2, 2));
    assert_eq!(last.pixels, [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]);
    let first = images("a.npz", &[("x_test", "|u1", "(1, 3, 2, 2)", &values), labels]);
    assert_eq!((first.channels, first.height, first.width), (3, 2, 2));
    assert_eq!(first.pixels, values);
    let grey = images("a.npz", &[("test_images", "|u1", "(1, 3, 4, 1)", &values), labels]);
    assert_eq!((grey.channels, grey.height, grey.width), (1, 3, 4));
    let clear = [9, 9, 9, 0, 9, 9, 9, 255];
    let clear = images("a.npz", &[("x_test", "|u1", "(1, 1, 2, 4)", &clear), labels]);
    assert_eq!(clear.pixels, [255, 9, 255, 9, 255, 9], "white shows through");
}

#[test]
fn arrays_without_splits_are_split() {
    let pixels: Vec<u8> = (0..80).collect();
    let labels: Vec<u8> = (0..20).map(|index| index % 2).collect();
    let whole =
        npz(&[("images", "|u1", "(20, 2, 2)", &pixels), ("labels", "|u1", "(20,)", &labels)]);
    let (_folder, path) = file("whole.npz", &whole);
    let counts =
        [Split::Train, Split::Val, Split::Test].map(|split| open(&path, split).unwrap().len());
    assert_eq!(counts, [16, 2, 2]);
    assert!(open(&path, Split::Train).unwrap().notices[0].contains("by a fixed seed"));
    let (_folder, path) = file("my_test.npz", &whole);
    assert_eq!(open(&path, Split::Test).unwrap().len(), 20, "the file names the split");
}

#[test]
fn arrays_that_are_no_images_are_refused() {
    let objects = fs::read(fixture("objects.npz")).unwrap();
    let refused = refusal("objects.npz", &objects);
    assert!(refused.contains("x: an array of Python objects"), "{refused}");
    let labels = ("y_train", "|u1", "(2,)", [0, 1].as_slice());
    for (arrays, why) in [
        (vec![("x_train", "<f4", "(2, 1, 1)", [0; 8].as_slice()), labels], "astype('uint8')"),
        (vec![("x_train", "|u1", "(2, 4)", &[0; 8]), labels], "N×H×W"),
        (vec![("x_train", "|u1", "(3, 1, 1)", &[0; 3]), labels], "3 images, but 2 labels"),
        (vec![("x_train", "|u1", "(2, 1, 1)", &[0; 2])], "labels beside it is missing"),
        (vec![labels], "images beside it is missing"),
        (
            vec![("x_train", "|u1", "(2, 1, 1)", &[0; 2]), ("y_train", "|u1", "(2, 3)", &[0; 6])],
            "argmax",
        ),
        (
            vec![("x_train", "|u1", "(1, 1, 1)", &[0]), ("y_train", "|i1", "(1,)", &[255])],
            "label -1",
        ),
        (vec![("weights", "|u1", "(2,)", &[0; 2])], "but weights"),
        (vec![("x_train", "|u1", "(2, 2000, 1)", &[0; 4000]), labels], "side 2000"),
    ] {
        let refused = refusal("a.npz", &npz(&arrays));
        assert!(refused.contains(why), "{refused}");
    }
    assert!(refusal("a.npz", b"nothing").contains("a.npz"));
}

#[test]
fn tables_of_the_hub_are_read_with_their_class_names() {
    let path = fixture("hub");
    let [train, val, test] =
        [Split::Train, Split::Val, Split::Test].map(|s| open(&path, s).unwrap());
    assert_eq!([train.len(), val.len(), test.len()], [18, 2, 4]);
    assert_eq!([train.channels, train.height, train.width], [3, 3, 4]);
    assert_eq!(train.classes, ["worm", "ant", "bee"], "in the order of labels");
    assert!(train.notices.is_empty(), "{:?}", train.notices);
    for dataset in [&train, &test] {
        for (image, &label) in dataset.pixels.chunks(36).zip(&dataset.labels) {
            assert_eq!(u16::from(image[0] / 10) % 3, label);
            assert_eq!((image[12], image[24]), (0, 100));
        }
    }
    let mut reds: Vec<u8> = train.pixels.chunks(36).map(|image| image[0] / 10).collect();
    reds.extend(val.pixels.chunks(36).map(|image| image[0] / 10));
    reds.sort_unstable();
    assert_eq!(reds, (0..20).collect::<Vec<u8>>(), "every row of both files");
    let one = fixture("hub/data/test-00000-of-00001.parquet");
    assert_eq!(open(&one, Split::Test).unwrap(), test);
}

#[test]
fn tables_without_names_of_classes_or_splits_are_read() {
    let whole = open(&fixture("whole.parquet"), Split::Train).unwrap();
    assert_eq!(whole.classes, ["0", "1", "2", "3"], "by the fine labels");
    assert_eq!(whole.len(), 12, "four classes of five, one each for validation and testing");
    for (image, &label) in whole.pixels.chunks(36).zip(&whole.labels) {
        assert_eq!(u16::from(image[0] / 10) % 4, label);
    }
    let names = open(&fixture("names-train.parquet"), Split::Train).unwrap();
    assert_eq!((names.classes.len(), names.len()), (2, 6));
    assert_eq!(names.classes, ["ant", "bee"]);
    for (image, &label) in names.pixels.chunks(36).zip(&names.labels) {
        assert_eq!(u16::from(image[0] / 10) % 2, 1 - label);
    }
    let notice = &names.notices[0];
    assert!(notice.contains("2 of 8 rows are left out"), "{notice}");
    assert!(notice.contains("row 3 (no label)") && notice.contains("row 5 (no bytes"), "{notice}");
}

#[test]
fn tables_without_images_are_refused() {
    let (entry, problem) = entry_error(open(&fixture("strange.parquet"), Split::Train));
    assert_eq!(entry, "strange.parquet");
    assert!(problem.contains("no column of images"), "{problem}");
    assert!(problem.contains("its columns are text, score"), "{problem}");
    let folder = tempdir().unwrap();
    for name in ["train.parquet", "other.parquet"] {
        fs::copy(fixture("whole.parquet"), folder.path().join(name)).unwrap();
    }
    let error = open(folder.path(), Split::Train).unwrap_err();
    assert!(error.to_string().contains("some name their split"), "{error}");
    let only = open(&fixture("names-train.parquet"), Split::Test).unwrap_err();
    assert!(matches!(only, DataError::NoSplit { .. }), "{only}");
}

#[test]
fn damaged_tables_and_arrays_never_panic() {
    let folder = tempdir().unwrap();
    for name in ["hub/data/test-00000-of-00001.parquet", "whole.parquet", "keras.npz"] {
        let bytes = fs::read(fixture(name)).unwrap();
        let path = folder.path().join(name.rsplit('/').next().unwrap());
        let step = if name == "whole.parquet" { 5 } else { 3 };
        for position in (0..bytes.len()).step_by(step) {
            for flip in [1 << (position % 8), 0xff] {
                let mut damaged = bytes.clone();
                damaged[position] ^= flip;
                fs::write(&path, &damaged).unwrap();
                let _ = open(&path, Split::Test);
            }
            fs::write(&path, &bytes[..position]).unwrap();
            assert!(open(&path, Split::Test).is_err(), "{name} cut to {position}");
        }
    }
}
