//! Files that no reader should accept, one at a time through the binary: one line that names the
//! file and the place, exit code 2, nothing written, the input as it was.

use std::{fs, path::Path, process::Command};

use onnx_protobuf::{NodeProto, StringStringEntryProto, TensorProto, ValueInfoProto};

use super::operators::model::{attribute, floats, ints, model, node, value, with};

const OPSET: i64 = 17;

/// A model of some nodes from `x` to `y`.
fn graph(nodes: Vec<NodeProto>, initializers: Vec<TensorProto>) -> Vec<u8> {
    graph_from(vec![value("x", Some(&[1, 3, 8, 8]))], nodes, initializers)
}

fn graph_from(
    inputs: Vec<ValueInfoProto>,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
) -> Vec<u8> {
    model(nodes, initializers, inputs, vec![value("y", None)], vec![(String::new(), OPSET)])
}

fn conv() -> NodeProto {
    node("Conv", &["x", "w"], "y")
}

fn kernel() -> TensorProto {
    floats("w", &[1, 3, 1, 1], &[0.5; 3])
}

/// A tensor of which only shape and type are there.
fn claim(name: &str, dims: &[i64]) -> TensorProto {
    TensorProto { name: name.to_owned(), dims: dims.to_vec(), data_type: 1, ..Default::default() }
}

fn external(entries: &[(&str, &str)]) -> Vec<u8> {
    let entry = |&(key, value): &(&str, &str)| StringStringEntryProto {
        key: key.to_owned(),
        value: value.to_owned(),
        ..Default::default()
    };
    let mut tensor = claim("w", &[1, 3, 1, 1]);
    tensor.data_location = onnx_protobuf::tensor_proto::DataLocation::EXTERNAL.into();
    tensor.external_data = entries.iter().map(entry).collect();
    graph(vec![conv()], vec![tensor])
}

/// The wire bytes of messages inside messages.
fn wrapped(numbers: &[u8], message: &[u8]) -> Vec<u8> {
    numbers.iter().rev().fold(message.to_vec(), |inner, number| {
        let mut out = vec![number << 3 | 2];
        let mut length = inner.len();
        while length >= 0x80 {
            out.push(length as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend(inner);
        out
    })
}

/// What is in the file, and what the message must name beside the file.
fn cases() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let relu = |from: &str, to: &str| node("Relu", &[from], to);
    let short = TensorProto { raw_data: vec![0; 8], ..claim("w", &[1, 3, 1, 1]) };
    let strings = TensorProto { data_type: 8, ..claim("w", &[1, 3, 1, 1]) };
    let deep = wrapped(&[&[7][..], &[1, 5, 6].repeat(10)].concat(), &[]);
    let deeper = wrapped(&[&[7][..], &[1, 5, 6].repeat(5000)].concat(), &[]);
    // graph.node[0].op_type as a number.
    let number_for_name = wrapped(&[7, 1], &[0x20, 1]);
    let fill = |extents: &[i64]| {
        let of_shape = node("ConstantOfShape", &["shape"], "w");
        graph(vec![of_shape, conv()], vec![ints("shape", &[extents.len()], extents)])
    };
    let huge_input = vec![value("x", Some(&[1 << 20, 3, 1 << 20, 8]))];
    let bound_input =
        vec![value("x", Some(&[1, 3, 8, 8])), value("w", Some(&[1 << 16, 3, 1 << 16, 1]))];
    vec![
        ("empty", vec![], "it is empty"),
        ("random", (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect(), ""),
        ("truncated", graph(vec![conv()], vec![kernel()])[..40].to_vec(), "ends too early"),
        ("ten deep", deep, "nested too deeply"),
        ("five thousand deep", deeper, "nested too deeply"),
        ("cyclic", graph(vec![relu("b", "a"), relu("a", "b"), relu("a", "y")], vec![]), "cycle"),
        ("reads itself", graph(vec![relu("y", "y")], vec![]), "cycle"),
        ("two weights of a name", graph(vec![conv()], vec![kernel(), kernel()]), "'w'"),
        ("two results of a name", graph(vec![relu("x", "y"), relu("x", "y")], vec![]), "'y'"),
        ("a result named as a weight", graph(vec![conv(), relu("x", "w")], vec![kernel()]), "'w'"),
        ("no such result", graph(vec![relu("x", "z")], vec![]), "'y'"),
        ("a number for a name", number_for_name, "op_type"),
        ("too few values", graph(vec![conv()], vec![short]), "'w'"),
        ("strings for weights", graph(vec![conv()], vec![strings]), "w"),
        (
            "text for strides",
            graph(vec![with(conv(), "strides", "two")], vec![kernel()]),
            "strides",
        ),
        (
            "weights of no values",
            graph(vec![conv()], vec![claim("w", &[1 << 15, 3, 1 << 15, 1])]),
            "'w'",
        ),
        (
            "extents that overflow",
            graph(vec![conv()], vec![claim("w", &[1 << 40, 1 << 40, 1, 1])]),
            "'w'",
        ),
        ("a negative extent", graph(vec![conv()], vec![claim("w", &[-1, 3, 1, 1])]), "'w'"),
        ("a huge fill", fill(&[1 << 16, 3, 1 << 16, 1]), "'w'"),
        ("a huge input", graph_from(huge_input, vec![relu("x", "y")], vec![]), "'x'"),
        ("huge weights as inputs", graph_from(bound_input, vec![conv()], vec![]), "'w'"),
        ("no location", external(&[]), "location"),
        ("upwards", external(&[("location", "../secret")]), "leaves the model's folder"),
        ("absolute", external(&[("location", "/etc/passwd")]), "leaves the model's folder"),
        ("through a link", external(&[("location", "link")]), "leaves the model's folder"),
        ("missing data", external(&[("location", "nowhere")]), "'nowhere'"),
        ("behind the end", external(&[("location", "data"), ("offset", "99")]), "exceeds"),
        (
            "overflowing",
            external(&[("location", "data"), ("offset", "18446744073709551615")]),
            "exceeds",
        ),
        ("wrong length", external(&[("location", "data"), ("length", "3")]), "length"),
        ("a folder for data", external(&[("location", "folder")]), "regular file"),
    ]
}

/// The command under a limit of memory that no claim fits in.
fn limited(arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -v 6000000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_weightsmith")])
        .args(arguments)
        .output()
        .unwrap()
}

#[cfg(unix)]
#[test]
fn bad_files_are_refused_in_one_line() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("models");
    fs::create_dir_all(folder.join("folder")).unwrap();
    fs::write(outer.path().join("secret"), [0; 64]).unwrap();
    fs::write(folder.join("data"), [0; 12]).unwrap();
    std::os::unix::fs::symlink("../secret", folder.join("link")).unwrap();
    let file = folder.join("bad.onnx");
    let before = listing(&folder);
    for (case, bytes, expected) in cases() {
        fs::write(&file, &bytes).unwrap();
        refused(case, &file, expected);
        assert_eq!(fs::read(&file).unwrap(), bytes, "{case}");
        fs::remove_file(&file).unwrap();
        assert_eq!(listing(&folder), before, "{case}");
    }
    refused("a folder", &folder.join("folder"), "it is a directory");
    fs::File::create(&file).unwrap().set_len((2 << 30) + 1).unwrap();
    refused("more than 2 GiB", &file, "2 GiB");
}

/// Both commands that read a model say so, and write nothing.
fn refused(case: &str, file: &Path, expected: &str) {
    let path = file.display().to_string();
    let out = file.with_file_name("out").display().to_string();
    for command in [&["inspect", &path][..], &["predict", &path, "--out", &out]] {
        let output = limited(command);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{case}: {message}");
        assert_eq!(message.lines().count(), 1, "{case}: {message}");
        assert!(message.contains(&path), "{case}: {message}");
        assert!(message.contains(expected), "{case}: {message}");
        assert!(!Path::new(&out).exists(), "{case}");
    }
}

fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_the_reader_refuses_is_well_formed_apart_from_that() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("good.onnx");
    let strided = || {
        let mut node = conv();
        node.attribute.push(attribute("strides", [1, 1]));
        node
    };
    fs::write(&file, graph(vec![strided()], vec![kernel()])).unwrap();
    let output = limited(&["inspect", &file.display().to_string()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
