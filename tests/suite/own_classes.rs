//! Networks for classes of the user's own: their names, and images of other channels and sizes.

use std::{fs, path::Path, process::Output};

use onnx_protobuf::{ModelProto, ValueInfoProto, tensor_shape_proto::dimension};
use protobuf::Message;
use serde_json::Value;
use tempfile::TempDir;
use weightsmith::{data::class_list, onnx::Model};

use super::{
    beside,
    cli::{json, weightsmith},
};

/// Classes in the order of torchvision's `ImageFolder`.
const CLASSES: [&str; 5] = ["1", "10", "2", "Ant", "dog"];
const COLOURS: [[u8; 3]; 5] =
    [[230, 60, 60], [60, 220, 70], [70, 80, 230], [220, 210, 60], [200, 80, 210]];

/// Whether a pixel is bright: stripes that lie, stripes that stand, a chessboard, a disc, a slope.
fn bright(class: usize, [height, width]: [u32; 2], y: u32, x: u32) -> bool {
    match class {
        0 => y / 3 % 2 == 1,
        1 => x / 3 % 2 == 1,
        2 => (x / 4 + y / 4) % 2 == 1,
        3 => y.abs_diff(height / 2).pow(2) + x.abs_diff(width / 2).pow(2) < (height / 3).pow(2),
        _ => x * height > y * width,
    }
}

/// Writes 12 training and 8 test images of each class, every one moved a little.
fn write_images(folder: &Path, names: &[&str], coloured: bool) {
    let size = [24_u32, 32];
    for (class, name) in names.iter().enumerate() {
        for (split, count) in [("train", 12_u32), ("test", 8)] {
            let folder = folder.join(split).join(name);
            fs::create_dir_all(&folder).unwrap();
            for index in 0..count {
                let value = |x: u32, y: u32| {
                    let lit = bright(class, size, (y + index) % size[0], (x + 2 * index) % size[1]);
                    let noise = (x * 7 + y * 13 + index * 29) % 23;
                    COLOURS[class]
                        .map(|colour| if lit { colour - noise as u8 } else { noise as u8 })
                };
                let path = folder.join(format!("{index}.png"));
                match coloured {
                    true => {
                        image::RgbImage::from_fn(size[1], size[0], |x, y| image::Rgb(value(x, y)))
                            .save(path)
                    }
                    false => {
                        let grey = |x, y| image::Luma([value(x, y).into_iter().max().unwrap_or(0)]);
                        image::GrayImage::from_fn(size[1], size[0], grey).save(path)
                    }
                }
                .unwrap();
            }
        }
    }
}

fn extents(input: &mut ValueInfoProto, shape: &[i64]) {
    let dims = &mut input.type_.mut_or_insert_default().mut_tensor_type().shape;
    let dims = &mut dims.mut_or_insert_default().dim;
    for (dim, &extent) in dims.iter_mut().zip(shape).skip(1) {
        dim.value = Some(dimension::Value::DimValue(extent));
    }
}

/// `plain-cnn` for other images and classes.
fn write_network(path: &Path, [channels, height, width]: [i64; 3], classes: i64) {
    let bytes = fs::read(beside::repository("architectures/named/plain-cnn.onnx")).unwrap();
    let mut model = ModelProto::parse_from_bytes(&bytes).unwrap();
    let graph = model.graph.mut_or_insert_default();
    extents(&mut graph.output[0], &[1, classes]);
    for input in &mut graph.input {
        let first = |input: &mut ValueInfoProto, extent| {
            let shape = &mut input.type_.mut_or_insert_default().mut_tensor_type().shape;
            shape.mut_or_insert_default().dim[0].value = Some(dimension::Value::DimValue(extent));
        };
        match input.name.as_str() {
            "input" => extents(input, &[1, channels, height, width]),
            "conv1.weight" => extents(input, &[32, channels, 5, 5]),
            "fc.weight" | "fc.bias" => first(input, classes),
            _ => {}
        }
    }
    fs::write(path, model.write_to_bytes().unwrap()).unwrap();
}

/// A folder with images of five classes, and what commands write beside them.
struct Place(TempDir);

impl Place {
    fn new(coloured: bool) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        write_images(&place.0.path().join("data"), &CLASSES, coloured);
        place
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn network(&self, image: [i64; 3], classes: i64) -> String {
        let path = self.path("net.onnx");
        write_network(Path::new(&path), image, classes);
        path
    }

    fn predict(&self, model: &str, further: &[&str]) -> Output {
        let out = self.path("out");
        let given = ["predict", model, "--out", &out, "--device", "flex", "--force", "--json"];
        weightsmith(&[&given, further].concat())
    }

    /// Predicts with the images as a support set; what it printed.
    fn supported(&self, model: &str) -> Value {
        succeeded(&self.predict(
            model,
            &["--support", &self.path("data"), "--support-batch", "60", "--support-steps", "16"],
        ))
    }

    fn evaluate(&self, model: &str, data: &str) -> Value {
        let stem = Path::new(model).file_name().unwrap().to_str().unwrap();
        let filled = self.path(&format!("out/{stem}"));
        succeeded(&weightsmith(&["evaluate", &filled, "--data", &self.path(data), "--json"]))
    }
}

fn succeeded(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    json(output)
}

/// The sentence that a command was refused with.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn notices(printed: &Value) -> String {
    printed["notices"].to_string()
}

#[test]
fn class_names_travel_from_the_support_set_to_evaluation() {
    let place = Place::new(true);
    let model = place.network([3, 32, 32], 5);
    let printed = place.supported(&model);
    assert_eq!(printed["classes"], Value::from(CLASSES.as_slice()));
    assert!(!notices(&printed).contains("mean nothing yet"), "{printed}");
    let report: Value =
        serde_json::from_slice(&fs::read(place.path("out/report.json")).unwrap()).unwrap();
    assert_eq!(report["classes"], printed["classes"]);
    let filled = Model::open(Path::new(&place.path("out/net.onnx"))).unwrap();
    let names = r#"["1","10","2","Ant","dog"]"#;
    assert_eq!(filled.metadata("weightsmith.classes"), Some(names));

    let judged = place.evaluate(&model, "data");
    assert!(judged["top1"].as_f64().unwrap() > 0.6, "{judged}");
    assert_eq!(judged["classes"], printed["classes"]);
    assert_eq!(judged["by_class"][3]["class"], "Ant");
    assert_eq!(judged["by_class"][3]["images"], 8);
    assert!(notices(&judged).contains("24 × 32 (height × width) are resized to 32 × 32"));

    let filled = place.path("out/net.onnx");
    let again = ["verify", &filled, "--regenerate", &model, "--device", "flex", "--json"];
    let verified = weightsmith(&[&again[..], &["--support", &place.path("data")]].concat());
    let checks = succeeded(&verified)["checks"].to_string();
    assert!(checks.contains("metadata 'classes'"), "{checks}");
}

#[test]
fn folders_of_other_names_are_matched_by_name_or_said_to_differ() {
    let place = Place::new(true);
    let model = place.network([3, 32, 32], 5);
    place.supported(&model);
    let expected = place.evaluate(&model, "data")["top1"].clone();
    // The same network, its file saying that two of its outputs stand the other way round.
    let path = place.path("out/net.onnx");
    let mut file = ModelProto::parse_from_bytes(&fs::read(&path).unwrap()).unwrap();
    let entry = file.metadata_props.iter_mut().find(|entry| entry.key == "weightsmith.classes");
    entry.unwrap().value = r#"["10","1","2","Ant","dog"]"#.to_owned();
    fs::write(&path, file.write_to_bytes().unwrap()).unwrap();
    let swapped = place.evaluate(&model, "data");
    assert!(notices(&swapped).contains("matched by name"), "{swapped}");
    assert_eq!(swapped["classes"][0], "10");
    let right = |judged: &Value| judged["top1"].as_f64().unwrap();
    assert!(right(&swapped) < expected.as_f64().unwrap() - 0.2, "{swapped}");

    write_images(&place.0.path().join("others"), &["a", "b", "c", "d", "e"], true);
    let others = place.evaluate(&model, "others");
    assert!(notices(&others).contains("matched by position"), "{others}");
    write_images(&place.0.path().join("some"), &["1", "10", "2"], true);
    assert_eq!(place.evaluate(&model, "some")["by_class"][4]["images"], 0);
    write_images(&place.0.path().join("four"), &["a", "b", "c", "d"], true);
    let refusal = refused(&weightsmith(&["evaluate", &path, "--data", &place.path("four")]));
    assert!(refusal.contains("5 outputs, the data set 4 classes (a, b, c, d)"), "{refusal}");
}

#[test]
fn grey_and_oblong_networks_learn_from_any_images() {
    for (coloured, image, said) in [
        (true, [1, 24, 32], "coloured images are turned to grey"),
        (true, [3, 20, 36], "24 × 32 (height × width) are resized to 20 × 36"),
        (false, [3, 24, 32], "grey images are turned to colour"),
        (false, [1, 32, 24], "resized to 32 × 24"),
    ] {
        let place = Place::new(coloured);
        let model = place.network(image, 5);
        let printed = place.supported(&model);
        assert!(notices(&printed).contains(said), "{image:?}: {printed}");
        let judged = place.evaluate(&model, "data");
        assert!(judged["top1"].as_f64().unwrap() > 0.5, "{image:?}: {judged}");
        let data = place.path("data");
        let calibrated = succeeded(&place.predict(&model, &["--calibrate", &data]));
        assert!(notices(&calibrated).contains(said), "{image:?}: {calibrated}");
        let rank = ["rank", &model, "--by", "nwot", "--data", &data, "--no-cache", "--json"];
        let ranked = succeeded(&weightsmith(&rank));
        assert!(ranked["ranking"][0]["scores"]["nwot"].is_number(), "{image:?}: {ranked}");
        assert_eq!(ranked["refused"].as_object().map(|refused| refused.len()), Some(0));
    }
}

#[test]
fn outputs_of_unknown_meaning_are_said_to_mean_nothing() {
    let place = Place::new(true);
    let own = place.network([3, 32, 32], 5);
    let unnamed = succeeded(&place.predict(&own, &[]));
    assert_eq!(unnamed["classes"], Value::Null);
    for part in ["5 outputs", "10 classes (airplane, ", "mean nothing yet", "--support DATA"] {
        assert!(notices(&unnamed).contains(part), "{unnamed}");
    }
    let calibrated = succeeded(&place.predict(&own, &["--calibrate", &place.path("data")]));
    assert_eq!(calibrated["classes"], Value::from(CLASSES.as_slice()));
    assert!(notices(&calibrated).contains("whose labels are not used"), "{calibrated}");
    let known = place.network([3, 32, 32], 10);
    let known = succeeded(&place.predict(&known, &[]));
    assert_eq!(known["classes"][9], "truck");
    assert!(!notices(&known).contains("mean nothing yet"), "{known}");
    let refusal = refused(
        &place.predict(&place.network([3, 32, 32], 10), &["--support", &place.path("data")]),
    );
    let list = class_list(&CLASSES.map(str::to_owned));
    assert!(refusal.contains(&format!("10 outputs, the support set {list}")), "{refusal}");
    assert!(refusal.contains("one output for each class"), "{refusal}");
}

#[test]
fn samples_agree_on_images_of_any_size() {
    let place = Place::new(true);
    let model = place.network([1, 48, 64], 5);
    let selected = succeeded(&place.predict(&model, &["--samples", "3", "--select"]));
    assert_eq!(selected["files"].as_array().unwrap().len(), 5);
}

#[test]
fn cases_of_own_classes_learn_their_classes() {
    let Some(cases) = beside::shared("cases/01-own-classes") else { return };
    let place = Place::new(true);
    let few = ["--support-steps", "16", "--support-batch", "32", "--support", &place.path("data")];
    for case in ["own5", "own5_gray", "nonsquare"] {
        let model = cases.join(format!("{case}.onnx")).display().to_string();
        let printed = succeeded(&place.predict(&model, &few));
        assert_eq!(printed["classes"], Value::from(CLASSES.as_slice()), "{case}");
        let judged = place.evaluate(&model, "data");
        assert!(judged["top1"].as_f64().unwrap() > 0.5, "{case}: {judged}");
        let unnamed = succeeded(&place.predict(&model, &[]));
        assert!(notices(&unnamed).contains("mean nothing yet"), "{case}: {unnamed}");
    }
}

#[test]
fn classes_stand_in_the_order_of_torchvision() {
    let Some(cases) = beside::shared("cases/16-image-folder-order") else { return };
    let names: Vec<String> = (1..=12).map(|number| number.to_string()).collect();
    let folder = tempfile::tempdir().unwrap();
    for name in &names {
        let folder = folder.path().join("train").join(name);
        fs::create_dir_all(&folder).unwrap();
        (0..2).for_each(|index| {
            image::RgbImage::new(32, 32).save(folder.join(format!("{index}.png"))).unwrap();
        });
    }
    let model = cases.join("numbers_torchvision.onnx").display().to_string();
    let [out, data] = ["out", ""].map(|name| folder.path().join(name).display().to_string());
    let given = ["predict", &model, "--out", &out, "--device", "flex", "--json"];
    let few = ["--support-steps", "1", "--support-batch", "4", "--support", &data];
    // Black images teach nothing: what matters is what the outputs are called.
    let printed = json(&weightsmith(&[&given[..], &few].concat()));
    let order = ["1", "10", "11", "12", "2", "3", "4", "5", "6", "7", "8", "9"];
    assert_eq!(printed["classes"], Value::from(order.as_slice()));
}

#[test]
fn networks_of_open_sizes_say_which_to_set_and_what_a_support_set_is_for() {
    let Some(cases) = beside::shared("cases/15-unet") else { return };
    let place = Place::new(true);
    let data = place.path("data");
    for case in ["conv_script", "resize_script"] {
        let model = cases.join(format!("{case}.onnx")).display().to_string();
        let refusal = refused(&place.predict(&model, &[]));
        assert!(refusal.contains("input 'x' leaves 'h' and 'w' open"), "{refusal}");
        assert!(refusal.contains("--dim h=SIZE --dim w=SIZE"), "{refusal}");
        let sized = ["--dim", "h=64", "--dim", "w=64"];
        let refusal =
            refused(&place.predict(&model, &[&sized[..], &["--support", &data]].concat()));
        assert!(refusal.contains("has shape [1, 4, 64, 64]"), "{refusal}");
        assert!(refusal.contains("one row of class scores for each image"), "{refusal}");
        let printed = json(&place.predict(&model, &sized));
        assert!(notices(&printed).contains("mean nothing yet"), "{printed}");
    }
}
