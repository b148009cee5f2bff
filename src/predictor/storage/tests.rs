use std::path::Path;

use safetensors::Dtype;

use crate::{
    neural::{self, Entry},
    onnx::safetensors::{Entry as Stored, write},
};

use super::{ModelFile, Tensor, compact, half, read};

fn entries() -> Vec<Entry> {
    [("outputs.1.0.weight", vec![4, 64]), ("taps", vec![3, 4, 8]), ("norm.gamma", vec![64])]
        .map(|(name, shape)| Entry { name: name.to_owned(), shape })
        .into()
}

/// Each entry's values, larger than training starts with.
fn values(entries: &[Entry]) -> Vec<Vec<f32>> {
    let all: Vec<f32> = neural::initialise(entries, 0).iter().map(|value| 3.0 * value).collect();
    let mut rest = all.as_slice();
    let take = |entry: &Entry| rest.split_off(..entry.len()).unwrap_or_default().to_vec();
    entries.iter().map(take).collect()
}

fn packed() -> Vec<Tensor> {
    let entries = entries();
    let values = values(&entries);
    entries
        .iter()
        .zip(&values)
        .flat_map(|(entry, values)| compact(entry, values).unwrap())
        .collect()
}

fn file(tensors: Vec<Tensor>) -> Vec<u8> {
    let stored: Vec<Stored> = tensors.into_iter().map(Stored::from).collect();
    let mut bytes = Vec::new();
    write(&mut bytes, &stored).unwrap();
    bytes
}

fn named<'a>(tensors: &'a mut [Tensor], name: &str) -> &'a mut Tensor {
    tensors.iter_mut().find(|tensor| tensor.name == name).unwrap()
}

#[test]
fn long_rows_are_packed_and_come_back() {
    let entries = entries();
    let tensors = packed();
    let forms: Vec<_> =
        tensors.iter().map(|it| (it.name.as_str(), it.dtype, it.shape.as_slice())).collect();
    assert_eq!(
        forms,
        [
            ("outputs.1.0.weight.scale", Dtype::F16, &[4][..]),
            ("outputs.1.0.weight", Dtype::U8, &[4, 48]),
            ("taps.scale", Dtype::F16, &[3]),
            ("taps", Dtype::U8, &[3, 32]),
            ("norm.gamma", Dtype::F16, &[64]),
        ]
    );
    let bytes = file(tensors);
    let model = ModelFile::parse(Path::new("m"), &bytes).unwrap();
    let back = read(&entries, &[model]).unwrap();
    for ((entry, levels), (values, start)) in entries
        .iter()
        .zip([31.0, 127.0, f32::INFINITY])
        .zip(values(&entries).iter().zip([0, 256, 352]))
    {
        let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let bound = 0.501 * largest / levels;
        for (value, back) in values.iter().zip(&back[start..]) {
            assert!((value - back).abs() <= bound, "{}: {value} {back}", entry.name);
        }
    }
}

#[test]
fn a_tensor_is_taken_from_the_first_file_that_has_it() {
    let entries = entries();
    let own = half(&entries[1], &[0.5; 96]);
    let (own, base) = (file(vec![own]), file(packed()));
    let parse = |bytes| ModelFile::parse(Path::new("m"), bytes).unwrap();
    let both = read(&entries, &[parse(&own), parse(&base)]).unwrap();
    let alone = read(&entries, &[parse(&base)]).unwrap();
    assert_eq!(both[..256], alone[..256]);
    assert_eq!(both[256..352], [0.5; 96]);
    assert_eq!(both[352..], alone[352..]);
    assert!(packed().iter().all(|tensor| parse(&base).holds(tensor)));
    assert!(!packed().iter().any(|tensor| parse(&own).holds(tensor)));
}

#[test]
fn damage_is_named_with_file_and_tensor() {
    let damaged = |damage: fn(&mut Vec<Tensor>), words: [&str; 2]| {
        let mut tensors = packed();
        damage(&mut tensors);
        let bytes = file(tensors);
        let model = ModelFile::parse(Path::new("some/model"), &bytes).unwrap();
        let error = read(&entries(), &[model]).unwrap_err().to_string();
        let [tensor, problem] = words;
        assert!(error.contains("some/model"), "{error}");
        assert!(error.contains(&format!("'{tensor}'")), "{error}");
        assert!(error.contains(problem), "{error}");
    };
    damaged(|it| it.retain(|it| it.name != "taps"), ["taps.scale", "has no place"]);
    damaged(|it| it.retain(|it| it.name != "taps.scale"), ["taps.scale", "missing"]);
    damaged(|it| it.retain(|it| it.name != "norm.gamma"), ["norm.gamma", "missing"]);
    damaged(|it| named(it, "norm.gamma").name.push('s'), ["norm.gammas", "has no place"]);
    damaged(|it| named(it, "norm.gamma").shape = vec![8, 8], ["norm.gamma", "[8, 8]"]);
    damaged(|it| named(it, "norm.gamma").dtype = Dtype::I16, ["norm.gamma", "I16"]);
    let unpacked = |it: &mut Vec<Tensor>| {
        let gamma = named(it, "norm.gamma");
        (gamma.dtype, gamma.shape) = (Dtype::U8, vec![128]);
    };
    damaged(unpacked, ["norm.gamma", "packed shape [128]"]);
    damaged(|it| named(it, "taps").shape = vec![96], ["taps", "packed shape [96]"]);
    damaged(|it| named(it, "taps").shape = vec![4, 24], ["taps", "packed shape [4, 24]"]);
    damaged(|it| named(it, "taps.scale").shape = vec![1, 3], ["taps.scale", "[1, 3]"]);
    damaged(|it| named(it, "taps.scale").dtype = Dtype::I16, ["taps.scale", "I16"]);
    let infinite =
        |it: &mut Vec<Tensor>| named(it, "taps.scale").data[..2].copy_from_slice(&[0, 0x7c]);
    damaged(infinite, ["taps.scale", "finite"]);
    let narrow = |it: &mut Vec<Tensor>| {
        let taps = named(it, "taps");
        (taps.shape, taps.data) = (vec![3, 31], vec![0; 93]);
    };
    damaged(narrow, ["taps", "packed shape [3, 31]"]);
    assert!(ModelFile::parse(Path::new("m"), b"nothing").is_err());
}

#[test]
fn values_that_no_scale_reaches_are_not_packed() {
    let entries = entries();
    assert!(compact(&entries[1], &[f32::NAN; 96]).is_none());
    assert!(compact(&entries[1], &[1e30; 96]).is_none());
}

#[test]
fn layers_that_training_did_not_reach_take_fewer_bits() {
    let entry = &entries()[0];
    let start = &values(&entries())[0];
    let columns = |by: f32| {
        let values: Vec<f32> = start.iter().map(|value| by * value).collect();
        compact(entry, &values).unwrap().pop().unwrap().shape[1]
    };
    assert_eq!([columns(1.0), columns(0.2)], [48, 32]);
}
