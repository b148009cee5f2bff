//! Data sets in folders and archives, intact and damaged, and the cache.

use std::{
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use image::{DynamicImage, ImageFormat};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tempfile::{TempDir, tempdir};
use weightsmith::data::{Augmentation, Batcher, Cache, DataError, Dataset, Split};

use super::beside::shared;

pub(super) type Files = Vec<(String, Vec<u8>)>;

pub(super) fn open(path: &Path, split: Split) -> Result<Dataset, DataError> {
    Dataset::open_with(path, split, &Cache::none())
}

pub(super) fn image(value: u8, [width, height]: [u32; 2], format: ImageFormat) -> Vec<u8> {
    let pixels = image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([value, value.wrapping_add(x as u8), value.wrapping_add(y as u8)])
    });
    encode(DynamicImage::ImageRgb8(pixels), format)
}

pub(super) fn encode(image: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// 24 training and 4 test images of two classes, and files that are none.
fn image_files() -> Files {
    let mut files = vec![("README.md".to_owned(), b"about".to_vec())];
    for index in 0..28_u8 {
        let split = if index < 24 { "train" } else { "test" };
        let class = if index % 2 == 0 { "cat" } else { "ant" };
        let name = format!("{split}/{class}/{index:04}.png");
        files.push((name, image(index, [5, 4], ImageFormat::Png)));
    }
    files.push(("train/cat/._0000.png".to_owned(), b"no image".to_vec()));
    files
}

pub(super) fn folder(files: &Files) -> TempDir {
    let folder = tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

pub(super) fn tar(files: &Files, lead: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("{lead}{name}"), bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn idx(sizes: &[u32], value: impl Fn(usize) -> u8) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend((0..sizes.iter().product::<u32>() as usize).map(value));
    bytes
}

fn idx_files() -> Files {
    vec![
        ("train-images-idx3-ubyte".into(), idx(&[20, 3, 2], |index| (index / 6) as u8)),
        ("train-labels-idx1-ubyte".into(), idx(&[20], |index| index as u8 % 5)),
        ("t10k-images-idx3-ubyte.gz".into(), gzip(&idx(&[2, 3, 2], |index| index as u8))),
        ("t10k-labels-idx1-ubyte.gz".into(), gzip(&idx(&[2], |index| index as u8))),
    ]
}

fn cifar_files() -> Files {
    let batch = |number: u8| -> Vec<u8> {
        let record = |label: u8| std::iter::once(label).chain(std::iter::repeat_n(number, 3072));
        (0..10).flat_map(record).collect()
    };
    let name = |number| format!("cifar-10-batches-bin/data_batch_{number}.bin");
    let mut files: Files = (1..=2).map(|number| (name(number), batch(number))).collect();
    files.push(("cifar-10-batches-bin/test_batch.bin".into(), batch(9)));
    files
}

/// The message of an error about a single file.
pub(super) fn entry_error(outcome: Result<Dataset, DataError>) -> (String, String) {
    match outcome {
        Err(DataError::Entry { entry, problem, .. }) => (entry, problem),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_image_folder_reads_the_same_from_every_container() {
    let files = image_files();
    let folder = folder(&files);
    let train = open(folder.path(), Split::Train).unwrap();
    let val = open(folder.path(), Split::Val).unwrap();
    let test = open(folder.path(), Split::Test).unwrap();
    assert_eq!([train.len(), val.len(), test.len()], [22, 2, 4]);
    assert_eq!(train.classes, ["ant", "cat"]);
    assert_eq!([train.channels, train.height, train.width], [3, 4, 5]);
    for (image, &label) in test.pixels.chunks(60).zip(&test.labels) {
        assert_eq!(label, u16::from(image[0] % 2 == 0));
        assert_eq!(image[20..25], [0, 1, 2, 3, 4].map(|x| x + image[0]), "planes, row by row");
    }
    let plain = tar(&files, "a/leading/folder/");
    for (name, bytes) in
        [("a.tar", plain.clone()), ("a.tar.gz", gzip(&plain)), ("a.tar.xz", xz(&plain))]
    {
        let (_folder, path) = file(name, &bytes);
        assert_eq!(open(&path, Split::Train).unwrap(), train, "{name}");
        assert_eq!(open(&path, Split::Test).unwrap(), test, "{name}");
    }
}

#[test]
fn long_names_in_archives_are_understood() {
    let name = format!("train/{}/{}.png", "c".repeat(120), "n".repeat(120));
    let files = vec![(name, image(1, [2, 2], ImageFormat::Png))];
    let (_folder, path) = file("a.tar", &tar(&files, ""));
    assert_eq!(open(&path, Split::Train).unwrap().classes, ["c".repeat(120)]);

    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions([("path", b"train/pax/1.png".as_slice())]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(files[0].1.len() as u64);
    builder.append_data(&mut header, "short", files[0].1.as_slice()).unwrap();
    let (_folder, path) = file("a.tar", &builder.into_inner().unwrap());
    assert_eq!(open(&path, Split::Train).unwrap().classes, ["pax"]);
}

#[test]
fn grey_images_have_one_channel_unless_colour_is_among_them() {
    let grey = |format| encode(DynamicImage::new_luma8(3, 3), format);
    let mut files: Files = vec![
        ("train/a/1.png".into(), grey(ImageFormat::Png)),
        ("train/a/2.jpg".into(), grey(ImageFormat::Jpeg)),
    ];
    assert_eq!(open(folder(&files).path(), Split::Train).unwrap().channels, 1);
    files.push(("train/b/3.JPEG".into(), image(9, [3, 3], ImageFormat::Jpeg)));
    let both = open(folder(&files).path(), Split::Train).unwrap();
    assert_eq!((both.channels, both.pixels.len()), (3, 3 * 27));
}

#[test]
fn idx_and_cifar_are_read_from_folders_and_archives() {
    for (files, shape, counts, classes) in
        [(idx_files(), [1, 3, 2], [18, 2, 2], 5), (cifar_files(), [3, 32, 32], [18, 2, 10], 10)]
    {
        let folder = folder(&files);
        let archive = file("data.tar.gz", &gzip(&tar(&files, "./")));
        for (split, count) in [Split::Train, Split::Val, Split::Test].into_iter().zip(counts) {
            let dataset = open(folder.path(), split).unwrap();
            assert_eq!([dataset.channels, dataset.height, dataset.width], shape);
            assert_eq!(dataset.len(), count);
            assert_eq!(dataset.pixels.len(), count * dataset.image_len());
            assert_eq!(dataset.classes.len(), classes);
            assert_eq!(dataset, open(&archive.1, split).unwrap());
        }
    }
}

#[test]
fn damage_is_named() {
    let check = |files: Files, entry: &str, problem: &str| {
        let found = entry_error(open(folder(&files).path(), Split::Train));
        assert!(found.0.contains(entry) && found.1.contains(problem), "{found:?}");
    };
    let png = |size| image(1, size, ImageFormat::Png);
    let one = |name: &str, bytes| vec![("train/a/1.png".into(), png([4, 4])), (name.into(), bytes)];
    check(one("x/train/a/1.png", png([4, 4])), "train/a/1.png", "same image as x/train/a/1.png");
    check(one("test_batch.bin", vec![0; 3073]), "train/a/1.png", "another format");

    let without = |name: &str| idx_files().into_iter().filter(|file| file.0 != name).collect();
    check(without("train-labels-idx1-ubyte"), "train-images-idx3-ubyte", "labels");
    check(without("train-images-idx3-ubyte"), "train-labels-idx1-ubyte", "images");
    let mut twice = idx_files();
    twice.push(("train-labels-idx1-ubyte.gz".into(), gzip(&twice[1].1)));
    check(twice, "train-labels-idx1-ubyte", "same part");
    let mut cut = idx_files();
    cut[2].1.truncate(30);
    check(cut, "t10k-images-idx3-ubyte.gz", "gzip");
    let mut short = idx_files();
    short[0].1.pop();
    check(short, "train-images-idx3-ubyte", "truncated");
    let mut short = cifar_files();
    short[1].1.pop();
    check(short, "data_batch_2.bin", "truncated");
    let mut wrong = cifar_files();
    wrong[0].1[3073] = 10;
    check(wrong, "data_batch_1.bin", "image 1 has label 10");
}

#[test]
fn truncated_archives_are_errors_at_any_length() {
    let files: Files = image_files().into_iter().take(4).collect();
    let plain = tar(&files, "");
    for (name, bytes) in
        [("a.tar", plain.clone()), ("a.tar.gz", gzip(&plain)), ("a.tar.xz", xz(&plain))]
    {
        for length in (0..bytes.len()).step_by(37).chain(bytes.len() - 30..bytes.len()) {
            let (_folder, path) = file(name, &bytes[..length]);
            // A plain archive may lose its second empty block: nothing but padding follows.
            let harmless = name == "a.tar" && length >= bytes.len() - 512;
            assert_eq!(open(&path, Split::Train).is_ok(), harmless, "{name} cut to {length}");
        }
    }
    // The last file has one block of header and one of content before the two of the end mark.
    for (cut, entry, problem) in [
        (1500, "train/cat/0002.png", "ends within this file"),
        (2000, "train/ant/0001.png", "after this, the archive is damaged"),
        (2048, "train/ant/0001.png", "ends after this"),
    ] {
        let (_folder, path) = file("a.tar", &plain[..plain.len() - cut]);
        let found = entry_error(open(&path, Split::Train));
        assert!(found.0 == entry && found.1.contains(problem), "{found:?}");
    }
}

#[test]
fn flipped_bits_never_panic() {
    let plain = tar(&image_files().into_iter().take(3).collect(), "");
    for (name, bytes) in
        [("a.tar", plain.clone()), ("a.tar.gz", gzip(&plain)), ("a.tar.xz", xz(&plain))]
    {
        for position in (0..bytes.len()).step_by(7) {
            let mut bytes = bytes.clone();
            bytes[position] ^= 1 << (position % 8);
            let (_folder, path) = file(name, &bytes);
            let _ = open(&path, Split::Train);
        }
    }
}

#[test]
fn links_in_archives_are_refused() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "train/a/1.png", "../../etc/passwd").unwrap();
    let (_folder, path) = file("a.tar", &builder.into_inner().unwrap());
    let (entry, problem) = entry_error(open(&path, Split::Train));
    assert_eq!(entry, "train/a/1.png");
    assert!(problem.contains("link"), "{problem}");
}

#[test]
fn what_is_no_dataset_is_refused() {
    let empty = tempdir().unwrap();
    assert!(matches!(open(empty.path(), Split::Train), Err(DataError::Unrecognised { .. })));
    let gone = empty.path().join("gone");
    assert!(matches!(open(&gone, Split::Train), Err(DataError::File(_))));
    let other = vec![("notes.txt".to_owned(), b"hello".to_vec())];
    let (_folder, path) = file("a.tar", &tar(&other, ""));
    assert!(matches!(open(&path, Split::Train), Err(DataError::Unrecognised { .. })));
    for bytes in [b"not an archive".repeat(99), gzip(&idx_files()[0].1.repeat(9))] {
        let (_folder, path) = file("a.tar", &bytes);
        assert!(matches!(open(&path, Split::Train), Err(DataError::Unrecognised { .. })));
    }
    let only_train = folder(&image_files().into_iter().take(5).collect());
    let error = open(only_train.path(), Split::Test).unwrap_err();
    assert!(matches!(error, DataError::NoSplit { split: Split::Test, .. }), "{error}");
}

#[test]
fn the_cache_is_used_checked_and_dispensable() {
    let cached = tempdir().unwrap();
    let cache = Cache::at(&cached.path().join("new/folder"));
    let (_folder, path) = file("a.tar", &tar(&image_files(), ""));
    let first = Dataset::open_with(&path, Split::Train, &cache).unwrap();
    let entries = || -> Vec<PathBuf> {
        let entries = fs::read_dir(cached.path().join("new/folder")).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    assert_eq!(entries().len(), 3, "every split is cached at once");
    assert_eq!(Dataset::open_with(&path, Split::Train, &cache).unwrap(), first);

    // Evidence that the cache is read: swap two splits.
    let [test, train, _] = &entries()[..] else { panic!() };
    let original = fs::read(train).unwrap();
    fs::copy(test, train).unwrap();
    assert_eq!(Dataset::open_with(&path, Split::Train, &cache).unwrap().len(), 4);

    for position in [0, 9, 30, original.len() / 2, original.len() - 1] {
        let mut bytes = original.clone();
        bytes[position] ^= 4;
        for damaged in [bytes.as_slice(), &original[..position], b""] {
            fs::write(train, damaged).unwrap();
            assert_eq!(Dataset::open_with(&path, Split::Train, &cache).unwrap(), first);
        }
    }
    assert_eq!(fs::read(train).unwrap(), original, "it was repaired");

    let fewer: Files = image_files().into_iter().take(11).collect();
    fs::write(&path, tar(&fewer, "")).unwrap();
    assert_eq!(Dataset::open_with(&path, Split::Train, &cache).unwrap().len(), 9);

    let blocked = Cache::at(&path.join("below/a/file"));
    assert_eq!(Dataset::open_with(&path, Split::Train, &blocked).unwrap().len(), 9);
}

#[test]
fn any_dataset_feeds_any_size() {
    let folder = folder(&image_files());
    let dataset = open(folder.path(), Split::Train).unwrap();
    let normalisation = dataset.normalisation();
    for size in [1, 3, 4, 8, 33] {
        let batcher = Batcher::new(
            &dataset,
            &normalisation.mean,
            &normalisation.std,
            size,
            Augmentation::Standard,
        )
        .unwrap();
        let (images, labels) = batcher.batch(6, &mut ChaCha8Rng::seed_from_u64(3));
        assert_eq!((images.len(), labels.len()), (6 * 3 * size * size, 6));
        assert!(images.iter().all(|value| value.is_finite()));
    }
    let grey = dataset.with_channels(1).unwrap();
    let batcher = Batcher::new(&grey, &[0.5], &[0.25], 4, Augmentation::None).unwrap();
    assert_eq!(batcher.range(0..2).0.len(), 32);
}

#[test]
fn mnist() {
    let Some(path) = shared("data/mnist") else { return };
    let cache = tempdir().unwrap();
    let cache = Cache::at(cache.path());
    let [train, val, test] = [Split::Train, Split::Val, Split::Test]
        .map(|split| Dataset::open_with(&path, split, &cache).unwrap());
    assert_eq!([train.len(), val.len(), test.len()], [55_000, 5_000, 10_000]);
    assert_eq!(train.classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!([train.channels, train.height, train.width], [1, 28, 28]);
    let sevens = test.labels.iter().filter(|&&label| label == 7).count();
    assert_eq!(sevens, 1028);
    let normalisation = train.normalisation();
    assert!((normalisation.mean[0] - 0.1307).abs() < 1e-3);
    assert!((normalisation.std[0] - 0.3081).abs() < 1e-3);
}

#[test]
fn cifar10() {
    let Some(path) = shared("data/cifar10_jpeg.tar.xz") else { return };
    let folder = tempdir().unwrap();
    let cache = Cache::at(folder.path());
    let start = Instant::now();
    let train = Dataset::open_with(&path, Split::Train, &cache).unwrap();
    println!("cold: {:?}", start.elapsed());
    let start = Instant::now();
    let test = Dataset::open_with(&path, Split::Test, &cache).unwrap();
    println!("warm: {:?}", start.elapsed());
    assert_eq!([train.len(), test.len()], [45_000, 10_000]);
    assert_eq!([train.channels, train.height, train.width], [3, 32, 32]);
    assert_eq!(train.classes[..3], ["airplane", "automobile", "bird"]);
    let normalisation = train.normalisation();
    println!("{normalisation:?} {}", train.hash);
    for size in [32, 16, 28] {
        let [mean, std] = [&normalisation.mean, &normalisation.std];
        let batcher = Batcher::new(&train, mean, std, size, Augmentation::Standard).unwrap();
        let random = &mut ChaCha8Rng::seed_from_u64(0);
        let start = Instant::now();
        (0..100).for_each(|_| drop(batcher.batch(64, random)));
        println!("a batch of 64 at {size}: {:?}", start.elapsed() / 100);
    }
}
