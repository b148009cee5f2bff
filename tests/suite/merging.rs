//! Merging and editing networks of one graph.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use approx::assert_relative_eq;
use burn::tensor::Device;
use onnx_protobuf::{ModelProto, TensorProto};
use protobuf::Message;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use tempfile::TempDir;
use weightsmith::{
    fill::{MergeOptions, Network, Parent, merge},
    graph::{DimBindings, Weights},
    merge::{Alignment, Method, Recipe},
    onnx::{Model, sha256},
    predictor::bundled,
    spaces::Space,
    weights::he_initialisation,
    zoo::Groups,
};

use super::{
    beside::repository,
    cli::{json, weightsmith},
    digits::{write_idx, write_pixels},
};

/// Families of the corpus that are merged.
const FAMILIES: usize = 12;

fn values(tensor: &TensorProto) -> Vec<f32> {
    let words = tensor.raw_data.as_chunks::<4>().0.iter();
    words.map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

/// A network of the literature with predicted weights.
fn predicted(name: &str, out: &Path) -> PathBuf {
    let model = repository(&format!("architectures/named/{name}.onnx")).display().to_string();
    let folder = out.display().to_string();
    let output = weightsmith(&["predict", &model, "--out", &folder, "--device", "flex"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    out.join(format!("{name}.onnx"))
}

/// A filled network, labelled images beside it, and changed copies of it.
struct Place {
    folder: TempDir,
    filled: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_idx(folder.path());
        let filled = predicted("plain-cnn", &folder.path().join("filled"));
        Self { folder, filled }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A copy of the network with other values, by tensor.
    fn changed(&self, name: &str, change: impl Fn(&str, Vec<f32>) -> Vec<f32>) -> String {
        let mut model = ModelProto::parse_from_bytes(&fs::read(&self.filled).unwrap()).unwrap();
        for tensor in &mut model.graph.mut_or_insert_default().initializer {
            let values = change(&tensor.name, values(tensor));
            tensor.raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        }
        let path = self.path(name);
        fs::write(&path, model.write_to_bytes().unwrap()).unwrap();
        path
    }

    /// A copy in which some tensors have an entry less along an axis.
    fn narrower(&self, name: &str, axes: &[(&str, usize)]) -> String {
        let mut model = ModelProto::parse_from_bytes(&fs::read(&self.filled).unwrap()).unwrap();
        let graph = model.graph.mut_or_insert_default();
        graph.input.truncate(1);
        for tensor in &mut graph.initializer {
            let Some((_, axis)) = axes.iter().find(|(name, _)| *name == tensor.name) else {
                continue;
            };
            let inner: i64 = tensor.dims[axis + 1..].iter().product();
            let (old, kept) = (tensor.dims[*axis] * inner, (tensor.dims[*axis] - 1) * inner);
            tensor.dims[*axis] -= 1;
            let values = values(tensor);
            let values = values.chunks(old as usize).flat_map(|block| &block[..kept as usize]);
            tensor.raw_data = values.flat_map(|value| value.to_le_bytes()).collect();
        }
        let path = self.path(name);
        fs::write(&path, model.write_to_bytes().unwrap()).unwrap();
        path
    }

    /// A copy whose values are all a little larger.
    fn larger(&self, name: &str, by: f32) -> String {
        self.changed(name, |_, values| values.iter().map(|value| value + by).collect())
    }

    fn run(&self, command: &str, further: &[&str], out: &str) -> Output {
        weightsmith(&[&[command, "--json", "--out", &self.path(out)][..], further].concat())
    }
}

fn succeeded(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    json(output)
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn tensors(path: &str) -> BTreeMap<String, Vec<f32>> {
    let model = ModelProto::parse_from_bytes(&fs::read(path).unwrap()).unwrap();
    let tensors = model.graph.initializer.iter();
    tensors.map(|tensor| (tensor.name.clone(), values(tensor))).collect()
}

#[test]
fn a_merge_writes_its_lineage_and_a_path() {
    let place = Place::new();
    let (first, second) = (place.filled.display().to_string(), place.larger("second.onnx", 0.01));
    let data = place.path("");
    let further: [&str; 8] = [&first, &second, "--data", &data, "--path", "3", "--limit", "10"];
    let said = succeeded(&place.run("merge", &further, "merged"));
    assert_eq!(said["files"].as_array().unwrap().len(), 6);
    let merged = &said["merged"];
    assert_eq!((&merged["method"], &merged["repair"]), (&"mean".into(), &"regression".into()));
    assert!(merged["parents"][1]["off"].as_f64().unwrap() < 1e-5);
    for (parent, file) in merged["parents"].as_array().unwrap().iter().zip([&first, &second]) {
        assert_eq!(parent["sha256"], sha256(&fs::read(file).unwrap()));
        assert_eq!(parent["judged"]["images"], 10);
    }
    assert_eq!(merged["path"].as_array().unwrap().len(), 3);
    let svg = fs::read_to_string(place.path("merged/path.svg")).unwrap();
    assert!(svg.contains("as they are (barrier") && svg.ends_with("</svg>\n"));
    let file = place.path("merged/plain-cnn.onnx");
    assert!(weightsmith(&["verify", &file]).status.success());
    let again = refused(&weightsmith(&["verify", &file, "--regenerate", &first]));
    assert!(again.contains("was merged"), "{again}");
    let again = refused(&place.run("merge", &further, "merged"));
    assert!(again.contains("--force"), "{again}");
    let onto = refused(&place.run("merge", &[&second, &first, "--force"], ""));
    assert!(onto.contains("is the input"), "{onto}");
}

#[test]
fn shares_of_a_learned_soup_follow_the_images() {
    let place = Place::new();
    // The class is how bright an image is, so that what helps on some images helps on others.
    write_pixels(place.folder.path(), |index| {
        let noise = index.wrapping_mul(2_654_435_761) >> 31;
        (index / 256 % 10 * 22 + noise) as u8
    });
    let (parent, data) = (place.filled.display().to_string(), place.path(""));
    let children = ["0", "1"].map(|seed| {
        let further = [&parent, "--support", &data, "--epochs", "3", "--seed", seed];
        succeeded(&place.run("finetune", &further, &format!("child-{seed}")));
        place.path(&format!("child-{seed}/plain-cnn.onnx"))
    });
    let [one, other] = &children;
    let soup = [&one[..], other, "--method", "learned-soup", "--align", "none", "--data", &data];
    let soup_in = |out: &str| {
        let said = succeeded(&place.run("merge", &soup, out));
        (said["merged"].clone(), tensors(&place.path(&format!("{out}/plain-cnn.onnx"))))
    };
    let (merged, first) = soup_in("soup");
    assert_eq!(merged["method"], "learned-soup");
    assert_eq!(merged["repair"], "statistics");
    let weight: Vec<f64> = serde_json::from_value(merged["weight"].clone()).unwrap();
    assert!(weight.iter().any(|share| share.fract() != 0.0), "none was learned: {weight:?}");
    assert_relative_eq!(weight.iter().sum::<f64>(), 1.0, epsilon = 1e-5);
    assert_eq!(first, soup_in("again").1);
}

#[test]
fn state_dicts_and_configurations_say_the_same() {
    let place = Place::new();
    let base = place.filled.display().to_string();
    let small = place.larger("small.onnx", 0.01);
    let flags: [&str; 10] = [
        &small,
        &base,
        "--base",
        &base,
        "--method",
        "ties",
        "--weights",
        "0.5,1",
        "--density",
        "0.3",
    ];
    succeeded(&place.run("merge", &flags, "flags"));
    let config = format!(
        "merge_method: ties\nmodels:\n- model: {small}\n  parameters: {{weight: 0.5}}\n- model: {}\n\
         base_model: {base}\nparameters:\n  density: 0.3\n",
        place.path("copy.onnx")
    );
    fs::copy(&base, place.path("copy.onnx")).unwrap();
    fs::write(place.path("merge.yaml"), config).unwrap();
    succeeded(&place.run("merge", &["--config", &place.path("merge.yaml")], "config"));
    let [by_flags, by_config] = ["flags/small.safetensors", "config/small.safetensors"]
        .map(|name| fs::read(place.path(name)).unwrap());
    assert!(by_flags == by_config);

    let [onnx, state] =
        ["filled/plain-cnn.onnx", "filled/plain-cnn.safetensors"].map(|it| place.path(it));
    succeeded(&place.run("merge", &[&onnx, &small, "--repair", "none"], "files"));
    let further: [&str; 6] = [&state, &small, "--graph", &onnx, "--repair", "none"];
    succeeded(&place.run("merge", &further, "states"));
    let [files, states] =
        ["files", "states"].map(|name| tensors(&place.path(&format!("{name}/plain-cnn.onnx"))));
    assert!(files == states);
    let alone = refused(&place.run("merge", &[&state, &state], "alone"));
    assert!(alone.contains("--graph"), "{alone}");
}

#[test]
fn what_cannot_be_merged_is_refused_with_a_reason() {
    let place = Place::new();
    let own = place.filled.display().to_string();
    let refusal = |further: &[&str]| {
        let refusal = refused(&place.run("merge", further, "refused"));
        assert!(!Path::new(&place.path("refused")).exists());
        refusal
    };
    let broken = place.changed("broken.onnx", |name, mut values| {
        if name == "conv2.weight" {
            values[7] = f32::NAN;
        }
        values
    });
    let problem = refusal(&[&own, &broken]);
    assert!(problem.contains("broken.onnx: tensor 'conv2.weight'"), "{problem}");
    let other = repository("architectures/named/lenet-5.onnx").display().to_string();
    let problem = refusal(&[&own, &other]);
    assert!(problem.contains("only networks of"), "{problem}");
    let problem = refusal(&[&own, &own, "--method", "ties"]);
    assert!(problem.contains("--base BASE.onnx"), "{problem}");
    let problem = refusal(&[&own, &own, "--repair", "rescale"]);
    assert!(problem.contains("--data DATA"), "{problem}");
    let problem = refusal(&[&own, &own, "--method", "soup"]);
    assert!(problem.contains("--data DATA"), "{problem}");
    let problem = refusal(&[&own, &own, "--weights", "1,2,3"]);
    assert!(problem.contains("3 values of 'weight' for 2 networks"), "{problem}");
    let empty = repository("architectures/named/plain-cnn.onnx").display().to_string();
    let problem = refusal(&[&own, &empty]);
    assert!(problem.contains("has no value"), "{problem}");

    let narrow = place
        .narrower("narrow.onnx", &[("conv1.weight", 0), ("conv1.bias", 0), ("conv2.weight", 1)]);
    let problem = refusal(&[&narrow, &own]);
    assert!(problem.contains("'conv1.weight' has shape [32, 3, 5, 5]"), "{problem}");
    assert!(problem.contains("name the wider network first"), "{problem}");
    let problem = refusal(&[&own, &narrow, "--base", &own, "--method", "ties"]);
    assert!(problem.contains("narrow.onnx is narrower or shallower than its base"), "{problem}");
    // Pixels are no channels.
    let kernel = place.narrower("kernel.onnx", &[("conv2.weight", 2)]);
    let problem = refusal(&[&own, &kernel]);
    assert!(problem.contains("[64, 32, 3, 3], and kernel.onnx cannot be widened"), "{problem}");
}

#[test]
fn a_narrower_network_is_widened() {
    let place = Place::new();
    let own = place.filled.display().to_string();
    let narrow = place
        .narrower("narrow.onnx", &[("conv1.weight", 0), ("conv1.bias", 0), ("conv2.weight", 1)]);
    let data = place.path("");
    for (align, further) in
        [("weights", &[][..]), ("activations", &["--data", &data, "--limit", "10"])]
    {
        let all = [&[&own, &narrow, "--align", align][..], further].concat();
        let said = succeeded(&place.run("merge", &all, align));
        let parents = said["merged"]["parents"].as_array().unwrap();
        assert!(parents[0].get("widened").is_none());
        assert!(parents[1]["widened"].as_f64().unwrap() < 1e-5, "{said}");
        assert!(parents[1]["off"].as_f64().unwrap() < 1e-5, "{said}");
    }
    // Merged alone, it is itself.
    let alone = [&own[..], &narrow, "--weights", "0,1", "--repair", "none", "--align", "none"];
    succeeded(&place.run("merge", &alone, "alone"));
    let [widened, given] = [place.path("alone/plain-cnn.onnx"), narrow].map(|path| tensors(&path));
    assert_eq!(widened["conv1.bias"][..31], given["conv1.bias"]);
    assert_eq!(widened["conv1.bias"][31], given["conv1.bias"][0]);
    let sum = |values: &[f32], channels: usize| -> f32 { values[..9 * channels].iter().sum() };
    assert_relative_eq!(
        sum(&widened["conv2.weight"], 32),
        sum(&given["conv2.weight"], 31),
        max_relative = 1e-4
    );
}

#[test]
fn a_shallower_network_gets_layers_that_do_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let [shallow, deep] = ["resnet-20", "resnet-32"]
        .map(|name| predicted(name, &folder.path().join(name)).display().to_string());
    let out = path("merged");
    let alone = ["merge", &deep, &shallow, "--json", "--out", &out, "--weights", "0,1"];
    let said = succeeded(&weightsmith(&[&alone[..], &["--align", "weights"]].concat()));
    let parents = said["merged"]["parents"].as_array().unwrap();
    assert!(parents[0].get("widened").is_none());
    assert!(parents[1]["widened"].as_f64().unwrap() < 1e-5, "{said}");
    assert!(parents[1]["off"].as_f64().unwrap() < 1e-5, "{said}");
    let problem = refused(&weightsmith(&["merge", &shallow, &deep, "--out", &path("other")]));
    assert!(problem.contains("narrower and shallower ones of the first"), "{problem}");
}

#[test]
fn a_zoo_knows_what_was_merged() {
    let place = Place::new();
    let own = place.filled.display().to_string();
    let second = place.larger("second.onnx", 0.01);
    succeeded(&place.run("merge", &[&own, &second, "--repair", "none"], "merged"));
    let (zoo, merged) = (place.path("zoo"), place.path("merged/plain-cnn.onnx"));
    let import = |file: &str, further: &[&str]| {
        let flags = ["zoo", "import", "--json", "--graph", &own, "--zoo", &zoo, file];
        succeeded(&weightsmith(&[&flags[..], further].concat()))
    };
    let data = place.path("");
    let parent = import(&own, &["--data", &data]);
    assert!(parent["validation"]["accuracy"].is_f64(), "{parent}");
    let child = import(&merged, &[]);
    assert_eq!(child["descent"]["relation"], "merge");
    let hashes = [&own, &second].map(|file| Value::from(sha256(&fs::read(file).unwrap())));
    assert_eq!(child["descent"]["base_models"], Value::from(hashes.to_vec()));
    // What a file does not say, the user can.
    let further = ["--base-model", &own, "--relation", "finetune", "--name", "second"];
    let second = import(&second, &further);
    let show = |import: &Value, json: &[&str]| {
        let id = import["tensors"].as_str().unwrap();
        weightsmith(&[&["zoo", "show", "--zoo", &zoo, id], json].concat())
    };
    let records = succeeded(&show(&parent, &["--json"]));
    let mut children = records["records"][0]["children"].as_array().unwrap().clone();
    children.sort_by_key(Value::to_string);
    let mut wanted = vec![child["tensors"].clone(), second["tensors"].clone()];
    wanted.sort_by_key(Value::to_string);
    assert_eq!(children, wanted);
    let text = String::from_utf8(show(&child, &[]).stdout).unwrap();
    let base = parent["tensors"].as_str().unwrap();
    assert!(text.contains(&format!("merge       of {}", &base[..12])), "{text}");
}

#[test]
fn an_edit_adds_and_takes_away_what_was_learned() {
    let place = Place::new();
    let base = place.filled.display().to_string();
    let tuned = place.larger("tuned.onnx", 0.5);
    let edited = |further: &[&str], out: &str| {
        let said = succeeded(&place.run("edit", &[&[base.as_str()][..], further].concat(), out));
        (tensors(&place.path(&format!("{out}/plain-cnn.onnx"))), said)
    };
    let before = tensors(&base);
    let (added, said) = edited(&["--add", &tuned, "--data", &place.path("")], "added");
    let classes = said["merged"]["base"]["judged"]["by_class"].as_array().unwrap();
    assert_eq!(classes.len(), 10);
    assert!(said["merged"]["judged"]["top1"].is_f64());
    let (head, _) = edited(&["--negate", &format!("{tuned}:2"), "--layers", "fc.*"], "head");
    for (name, before) in &before {
        let (added, head) = (&added[name], &head[name]);
        let moved = if name.starts_with("fc.") { -1.0 } else { 0.0 };
        for ((before, added), head) in before.iter().zip(added).zip(head) {
            assert_relative_eq!(*added, before + 0.5, epsilon = 1e-5);
            assert_relative_eq!(*head, before + moved, epsilon = 1e-5);
        }
    }
    let nothing = refused(&place.run("edit", &[&base], "nothing"));
    assert!(nothing.contains("--add") && nothing.contains("--negate"), "{nothing}");
    let unknown = ["--add", &tuned, "--layers", "head.*"];
    let unknown =
        refused(&place.run("edit", &[&[base.as_str()][..], &unknown].concat(), "unknown"));
    assert!(unknown.contains("'head.*'"), "{unknown}");
}

/// Weights with biases and statistics that are not at their defaults.
fn random_weights(network: &Network, seed: u64) -> Weights {
    he_initialisation(&network.architecture, seed).map(|id, values| {
        let scale = if values.iter().all(|value| *value == values[0]) { 0.1 } else { 0.0 };
        let shift = |place: usize| scale * (1.0 + (seed as f32 + id.0 as f32 + place as f32).sin());
        values.iter().enumerate().map(|(place, value)| value + shift(place)).collect()
    })
}

#[test]
fn families_of_the_corpus_are_merged_without_code_of_their_own() {
    let space = Space::load("corpus").unwrap();
    let predictor = bundled("cifar10", &Device::flex()).unwrap();
    let mut families = Vec::new();
    for seed in 0.. {
        let sampled = space.sample(seed).unwrap();
        if families.contains(&sampled.style.family) {
            continue;
        }
        families.push(sampled.style.family);
        let model = Model::from_bytes(&sampled.name, sampled.onnx).unwrap();
        let network = Network::of(model, DimBindings::default()).unwrap();
        let first = random_weights(&network, seed);
        let groups = Groups::of(&network.architecture, &network.registry);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut permutations = groups.identity();
        permutations.iter_mut().for_each(|permutation| permutation.shuffle(&mut random));
        let permuted = groups.permute(&first, &permutations).unwrap();
        let others = [permuted, random_weights(&network, seed + 1000)];
        for (weights, own) in others.into_iter().zip([true, false]) {
            let parent = |weights: &Weights| Parent {
                path: "parent.onnx".into(),
                sha256: String::new(),
                licence: None,
                weights: weights.clone(),
                narrow: None,
            };
            let parents = [parent(&first), parent(&weights)];
            let options = MergeOptions {
                align: Alignment::Weights,
                ..MergeOptions::new(Recipe::usual(Method::Mean, 2))
            };
            let merged = merge(&network, &parents, None, &predictor, &options);
            let merged = merged.unwrap_or_else(|error| panic!("{}: {error}", sampled.name));
            let lineage = merged.report().provenance.merged.as_ref().unwrap();
            let parent = &lineage.parents[1];
            println!(
                "{}: {:?}, outputs {:.1e} off, distance {:?}",
                sampled.name,
                sampled.style.family,
                parent.off.unwrap(),
                parent.distance
            );
            assert!(parent.off.unwrap() <= 1e-5, "{}: {:?}", sampled.name, parent.off);
            let [before, after] = parent.distance;
            assert!(
                after <= before && (!own || after < 0.5 * before.max(0.05)),
                "{}",
                sampled.name
            );
        }
        if families.len() == FAMILIES {
            break;
        }
    }
}
