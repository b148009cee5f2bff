//! Folders of images as people have them: formats, names of splits, sizes, damage.

use std::fs;

use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use tempfile::tempdir;
use weightsmith::data::{Cache, DataError, Dataset, Split};

use super::data::{Files, encode, file, folder, gzip, image, open, tar, xz};

const SPLITS: [Split; 3] = [Split::Train, Split::Val, Split::Test];

fn png(value: u8) -> Vec<u8> {
    image(value, [4, 4], ImageFormat::Png)
}

fn named(paths: &[&str]) -> Files {
    paths.iter().zip(1..).map(|(path, value)| ((*path).to_owned(), png(value))).collect()
}

fn train(files: &Files) -> Dataset {
    open(folder(files).path(), Split::Train).unwrap()
}

/// What is said about the training images, which are there.
fn notice(files: &Files) -> String {
    train(files).notices.join("; ")
}

fn refusal(files: &Files) -> String {
    open(folder(files).path(), Split::Train).unwrap_err().to_string()
}

/// Fifty images of two classes in class folders: 30 and 20.
fn class_folders(lead: &str) -> Files {
    (0..50_u8)
        .map(|index| {
            let class = if index < 30 { "cat" } else { "ant" };
            (format!("{lead}{class}/{index:02}.png"), png(5 * index))
        })
        .collect()
}

#[test]
fn every_format_is_read() {
    for (name, format, exact) in [
        ("1.PNG", ImageFormat::Png, true),
        ("1.jpg", ImageFormat::Jpeg, false),
        ("1.JPEG", ImageFormat::Jpeg, false),
        ("1.webp", ImageFormat::WebP, true),
        ("1.Bmp", ImageFormat::Bmp, true),
        ("1.gif", ImageFormat::Gif, true),
        ("1.tif", ImageFormat::Tiff, true),
        ("1.tiff", ImageFormat::Tiff, true),
    ] {
        let files = vec![(format!("train/ant/{name}"), image(40, [6, 5], format))];
        let dataset = train(&files);
        assert_eq!([dataset.channels, dataset.height, dataset.width], [3, 5, 6], "{name}");
        assert!(dataset.notices.is_empty(), "{name}: {:?}", dataset.notices);
        for (index, &value) in dataset.pixels[..30].iter().enumerate() {
            assert!(value.abs_diff(40) <= if exact { 0 } else { 6 }, "{name}, {index}: {value}");
        }
    }
}

#[test]
fn splits_have_the_names_that_people_give_them() {
    for [first, second, third] in [
        ["train", "val", "test"],
        ["Training", "Valid", "Testing"],
        ["TRAIN", "validation", "TEST"],
        ["training", "dev", "test"],
    ] {
        let files = named(&[
            &format!("{first}/ant/1.png"),
            &format!("{second}/ant/2.png"),
            &format!("{third}/ant/3.png"),
        ]);
        let folder = folder(&files);
        for (split, value) in SPLITS.into_iter().zip(1..) {
            let dataset = open(folder.path(), split).unwrap();
            assert_eq!((dataset.len(), dataset.pixels[0]), (1, value), "{split} as {second}");
        }
    }
}

#[test]
fn class_folders_without_splits_are_split_and_it_is_said() {
    let files = class_folders("");
    let folder = folder(&files);
    let parts = SPLITS.map(|split| open(folder.path(), split).unwrap());
    let counts = parts.each_ref().map(|part| {
        let ants = part.labels.iter().filter(|&&label| label == 0).count();
        [ants, part.len() - ants]
    });
    assert_eq!(counts, [[16, 24], [2, 3], [2, 3]], "ants and cats");
    assert_eq!(parts[0].classes, ["ant", "cat"]);
    let mut seen: Vec<u8> =
        parts.iter().flat_map(|part| part.pixels.chunks(48)).map(|image| image[0] / 5).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<u8>>());
    let notice = &parts[0].notices[0];
    assert!(notice.contains("40 images are for training, 5 for validation and 5"), "{notice}");

    let plain = tar(&class_folders("a/pets/"), "");
    for (name, bytes) in
        [("a.tar", plain.clone()), ("a.tar.gz", gzip(&plain)), ("a.tar.xz", xz(&plain))]
    {
        let (_folder, path) = file(name, &bytes);
        assert_eq!(SPLITS.map(|split| open(&path, split).unwrap()), parts, "{name}");
    }
}

#[test]
fn images_of_other_sizes_are_stretched_and_it_is_said() {
    let mut files = named(&["train/ant/1.png", "train/ant/2.png"]);
    files.push(("test/ant/3.png".into(), image(90, [8, 12], ImageFormat::Png)));
    let folder = folder(&files);
    let test = open(folder.path(), Split::Test).unwrap();
    assert_eq!([test.height, test.width], [4, 4], "the size of most");
    assert!(test.pixels[..16].iter().all(|&red| red == 90));
    assert_eq!(test.pixels[16..20], [91, 93, 95, 97], "means of pairs of green, rounded up");
    let notice = &test.notices[0];
    assert!(notice.contains("2 sizes, 4×4 to 8×12") && notice.contains("to 4×4"), "{notice}");
}

#[test]
fn white_shows_through_transparent_images() {
    let clear = RgbaImage::from_fn(2, 1, |x, _| Rgba([10, 20, 30, if x == 0 { 0 } else { 255 }]));
    let clear = encode(DynamicImage::ImageRgba8(clear), ImageFormat::Png);
    let dataset = train(&vec![("train/ant/1.png".into(), clear)]);
    assert_eq!(dataset.pixels, [255, 10, 255, 20, 255, 30]);
    let grey = image::GrayAlphaImage::from_raw(2, 1, vec![7, 255, 7, 0]).unwrap();
    let grey = encode(DynamicImage::ImageLumaA8(grey), ImageFormat::Png);
    let dataset = train(&vec![("train/ant/1.png".into(), grey)]);
    assert_eq!((dataset.channels, dataset.pixels), (1, vec![7, 255]));
    let deep = image::ImageBuffer::<image::Luma<u16>, _>::from_vec(2, 1, vec![257, 0]).unwrap();
    let deep = encode(DynamicImage::ImageLuma16(deep), ImageFormat::Tiff);
    let dataset = train(&vec![("train/ant/1.tif".into(), deep)]);
    assert_eq!((dataset.channels, dataset.pixels), (1, vec![1, 0]));
}

#[test]
fn what_is_no_image_is_counted_named_and_left_out() {
    let mut files = named(&["train/ant/1.png", "train/bee/2.png", "cover.png"]);
    let mut lying = png(1);
    lying[16..20].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
    files.extend([
        ("train/ant/3.png".to_owned(), Vec::new()),
        ("train/ant/4.jpg".to_owned(), b"nonsense".to_vec()),
        ("train/ant/5.png".to_owned(), png(5)[..60].to_vec()),
        ("train/bee/6.png".to_owned(), lying),
        ("train/bee/notes.txt".to_owned(), b"about bees".to_vec()),
        ("train/bee/.DS_Store".to_owned(), b"hidden".to_vec()),
        ("README.md".to_owned(), b"about".to_vec()),
    ]);
    let dataset = train(&files);
    assert_eq!((dataset.len(), dataset.classes.len()), (2, 2));
    let [notice] = &dataset.notices[..] else { panic!("{:?}", dataset.notices) };
    assert!(notice.starts_with("6 of 8 files are left out: cover.png (in no class"), "{notice}");
    assert!(notice.contains("train/ant/3.png (empty), train/ant/4.jpg ("), "{notice}");
    assert!(notice.ends_with("and 3 more"), "{notice}");

    let cached = tempdir().unwrap();
    let folder = folder(&files);
    let open =
        || Dataset::open_with(folder.path(), Split::Train, &Cache::at(cached.path())).unwrap();
    assert_eq!(open(), dataset);
    assert_eq!(open(), dataset, "the cache keeps what is to be said");

    let (_folder, path) = file("a.tar", &tar(&files, ""));
    assert_eq!(super::data::open(&path, Split::Train).unwrap(), dataset);
}

#[test]
fn a_class_without_an_image_is_named() {
    for lead in ["train/", "", "pets/"] {
        let mut files = class_folders(lead);
        files.extend([
            (format!("{lead}dog/1.heic"), b"photo".to_vec()),
            (format!("{lead}dog/2.png"), b"damaged".to_vec()),
        ]);
        let found = refusal(&files);
        assert!(found.contains("class \"dog\" has no image"), "{found}");
        assert!(found.contains(&format!("{lead}dog/1.heic (not an image format")), "{found}");
        assert!(found.contains(&format!("{lead}dog/2.png (")), "{found}");
    }
    let folder = folder(&class_folders(""));
    fs::create_dir(folder.path().join("dog")).unwrap();
    let error = open(folder.path(), Split::Train).unwrap_err();
    assert!(matches!(&error, DataError::EmptyClass { class, .. } if class == "dog"), "{error}");
    assert!(error.to_string().contains("in its folder: nothing"), "{error}");
}

#[test]
fn a_folder_without_an_image_says_what_was_seen() {
    let text = |path: &str| (path.to_owned(), b"text".to_vec());
    for (files, seen) in [
        (vec![], "no files"),
        (vec![text("a.heic"), text("b/c.HEIC"), text("d.txt")], "3 files (2 .heic, 1 .txt)"),
        (named(&["1.png", "2.png"]), "1.png (in no class folder), 2.png (in no class folder)"),
        (named(&["train/1.png"]), "train/1.png (in no class folder)"),
        (vec![text("ant/1.png"), text("bee/2.png")], "none is used: ant/1.png ("),
    ] {
        let found = refusal(&files);
        assert!(found.contains(seen), "{found}");
        assert!(found.contains("Expected") && found.contains("<class>/*.png"), "{found}");
    }
    let (_folder, path) = file("photos.zip", b"PK\x03\x04 and more");
    let zip = open(&path, Split::Train).unwrap_err().to_string();
    assert!(zip.contains("a zip archive, which is not read: unpack it"), "{zip}");
}

#[test]
fn a_split_that_is_missing_is_named_with_those_that_are_there() {
    let files = named(&["train/ant/1.png", "valid/ant/2.png"]);
    let error = open(folder(&files).path(), Split::Test).unwrap_err().to_string();
    assert!(error.contains("no test images, only train and val images"), "{error}");
    assert!(error.contains("named \"test\""), "{error}");
}

#[test]
fn images_may_stand_deeper_and_beside() {
    let deep = train(&named(&["train/ant/images/1.png", "train/bee/2.png", "docs/logo.png"]));
    assert_eq!(deep.classes, ["ant", "bee"]);
    assert!(notice(&named(&["train/ant/1.png", "cat/2.png"])).contains("cat/2.png (in no class"));
    let same = refusal(&named(&["a/train/ant/1.png", "b/train/ant/1.png"]));
    assert!(same.contains("b/train/ant/1.png; keep one"), "{same}");
}

#[test]
fn classes_are_ordered_as_text() {
    let paths: Vec<String> = (1..=12).map(|class| format!("train/{class}/1.png")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let classes = train(&named(&paths)).classes;
    assert_eq!(classes, ["1", "10", "11", "12", "2", "3", "4", "5", "6", "7", "8", "9"]);
}
