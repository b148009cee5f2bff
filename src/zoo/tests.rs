//! The folder of a zoo, filled with next to nothing.

use std::fs;

use crate::predictor::InputConfig;

use super::{FORMAT_VERSION, Origin, Precision, Record, Tensors, Zoo, ZooHeader};

fn header() -> ZooHeader {
    ZooHeader {
        format_version: FORMAT_VERSION,
        name: "small".into(),
        space: "tiny".into(),
        data_hash: String::new(),
        classes: Vec::new(),
        input: InputConfig { mean: vec![0.5], std: vec![0.25], size: 16 },
        precision: Precision::F16,
        config: None,
    }
}

fn checkpoint(fingerprint: u64, step: u64) -> (Record, Tensors) {
    let tensors = Tensors::from_bytes(vec![step as u8; 8]);
    let record = Record {
        fingerprint,
        origin: Origin::File("net.onnx".into()),
        recipe: None,
        step,
        data_hash: String::new(),
        lineage: None,
        descent: None,
        train: None,
        validation: None,
        licence: "MIT".into(),
        parameters: 0,
        tensors: tensors.sha256().to_owned(),
        alignment: Some(0.5),
    };
    (record, tensors)
}

#[test]
fn what_is_added_is_found_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut zoo = Zoo::create(folder.path(), &header()).unwrap();
    for (graph, steps) in
        [(5, vec![1, 2]), (9, vec![1]), (2, vec![3]), (5, vec![2, 7]), (7, vec![])]
    {
        let checkpoints = steps.into_iter().map(|step| checkpoint(graph, step)).collect();
        zoo.add(graph, checkpoints).unwrap();
    }
    let opened = Zoo::open(folder.path()).unwrap();
    for zoo in [&zoo, &opened] {
        let all: Vec<_> =
            zoo.records().iter().map(|record| (record.fingerprint, record.step)).collect();
        assert_eq!(all, [(2, 3), (5, 1), (5, 2), (5, 7), (9, 1)]);
        assert_eq!(zoo.graphs().collect::<Vec<_>>(), [2, 5, 7, 9]);
        assert_eq!(zoo.of_graph(9)[0].step, 1);
        assert!(zoo.holds(7) && zoo.of_graph(7).is_empty() && !zoo.holds(1));
        assert_eq!(zoo.tensors(&zoo.of_graph(5)[2]).unwrap().bytes(), [7; 8]);
    }
    // Four different sets of weights.
    assert_eq!(zoo.files().unwrap()[1].len(), 4);
    assert!(zoo.add(1, vec![checkpoint(2, 1)]).is_err());
    assert!(Zoo::create(folder.path(), &header()).is_err());
}

#[test]
fn hostile_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let mut zoo = Zoo::create(folder.path(), &header()).unwrap();
    zoo.add(5, vec![checkpoint(5, 1)]).unwrap();
    let records = folder.path().join("records");
    let error = || Zoo::open(folder.path()).unwrap_err().to_string();
    fs::copy(records.join("0000000000000005.pb"), records.join("0000000000000006.pb")).unwrap();
    assert!(error().contains("0000000000000006.pb: holds records of graph 0000000000000005"));
    fs::write(records.join("0000000000000006.pb"), [0xff; 100]).unwrap();
    assert!(error().contains("holds no records"));
    fs::write(folder.path().join("zoo.json"), b"{}").unwrap();
    assert!(error().contains("missing field"));
}
