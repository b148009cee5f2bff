//! `weightsmith rank` and `bench rank` as their users call them.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};
use weightsmith::spaces::Code;

const CELLS: [&str; 4] = [
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
    "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|skip_connect~2|",
    "|avg_pool_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|",
    "|skip_connect~0|+|none~0|none~1|+|nor_conv_1x1~0|skip_connect~1|none~2|",
];

fn weightsmith(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weightsmith"));
    command.args(arguments).env("RUST_BACKTRACE", "0").output().unwrap()
}

fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Without what differs from run to run.
fn timeless(mut ranking: Value) -> Value {
    for row in ranking["ranking"].as_array_mut().unwrap() {
        row["seconds"] = json!(0);
    }
    ranking
}

fn write_cells(folder: &Path) {
    for (index, cell) in CELLS.iter().enumerate() {
        let onnx = Code::nas_bench_201(cell).unwrap().reduced();
        fs::write(folder.join(format!("{index}.onnx")), onnx).unwrap();
    }
    fs::copy(folder.join("1.onnx"), folder.join("copy.onnx")).unwrap();
}

#[test]
fn a_ranking_does_not_depend_on_order_jobs_or_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    write_cells(folder.path());
    let text = folder.path().display().to_string();
    let cache = folder.path().join("cache").display().to_string();
    let run = |graphs: &[&str], further: &[&str]| {
        let base = ["--json", "--size", "8", "--batch", "8"];
        timeless(json_of(&weightsmith(&[&["rank"], graphs, &base[..], further].concat())))
    };
    let whole = run(&[&text], &["--jobs", "1", "--cache", &cache]);
    let rows = whole["ranking"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[0]["file"].as_str().unwrap(), format!("{text}/0.onnx"));
    let copy = rows.iter().find(|row| row["file"].as_str().unwrap().ends_with("copy.onnx"));
    assert_eq!(copy.unwrap()["duplicate_of"].as_str().unwrap(), format!("{text}/1.onnx"));
    assert!(copy.unwrap()["dead_nodes"].as_u64().unwrap() > 0);
    assert_eq!(whole, run(&[&format!("{text}/*.onnx")], &["--jobs", "3", "--no-cache"]));
    // A killed run leaves part of a line behind.
    let [file] = fs::read_dir(&cache).unwrap().collect::<Vec<_>>().try_into().unwrap();
    let file = file.unwrap().path();
    let lines = fs::read(&file).unwrap();
    fs::write(&file, &lines[..lines.len() / 2]).unwrap();
    assert_eq!(whole, run(&[&text], &["--cache", &cache]));
}

#[test]
fn rank_prints_tables_and_pictures_and_refuses_what_it_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    write_cells(folder.path());
    let text = folder.path().display().to_string();
    let svg = folder.path().join("front.svg").display().to_string();
    let base = ["rank", &text, "--by", "flops,layers", "--no-cache"];
    let csv = weightsmith(&[&base[..], &["--csv", "--top", "2", "--plot", &svg]].concat());
    let csv = String::from_utf8(csv.stdout).unwrap();
    assert_eq!(csv.lines().count(), 3);
    assert!(csv.lines().next().unwrap().ends_with(",flops,layers"));
    assert!(fs::read_to_string(svg).unwrap().trim_end().ends_with("</svg>"));
    let refused = weightsmith(&["rank", &text, "--by", "charm"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("synflow"));
    fs::write(folder.path().join("broken.onnx"), "nothing").unwrap();
    let partial = weightsmith(&[&base[..], &["--json"]].concat());
    assert_eq!(partial.status.code(), Some(3));
    let partial: Value = serde_json::from_slice(&partial.stdout).unwrap();
    assert_eq!(partial["refused"].as_object().unwrap().len(), 1);
    assert_eq!(partial["graphs"], 5);
}

#[test]
fn what_training_cannot_change_comes_last_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    write_cells(folder.path());
    let dead = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|";
    let file = folder.path().join("a-dead.onnx");
    fs::write(file, Code::nas_bench_201(dead).unwrap().reduced()).unwrap();
    let text = folder.path().display().to_string();
    let base = ["rank", &text, "--by", "flops,nwot", "--size", "8", "--batch", "8", "--no-cache"];
    let rows = json_of(&weightsmith(&[&base[..], &["--json"]].concat()));
    let last = rows["ranking"].as_array().unwrap().last().unwrap();
    assert!(last["file"].as_str().unwrap().ends_with("a-dead.onnx"));
    assert_eq!((&last["rank"], &last["score"]), (&json!(6), &json!(null)));
    let table = String::from_utf8(weightsmith(&base).stdout).unwrap();
    let last = table.lines().last().unwrap();
    assert!(last.contains("a-dead.onnx") && last.contains("(not ranked: no weight"), "{table}");
}

#[test]
fn a_table_of_strings_is_benchmarked() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("table.json");
    let accuracies = [94.4, 90.0, 85.0, 80.0];
    let map: serde_json::Map<String, Value> =
        CELLS.iter().zip(accuracies).map(|(cell, it)| ((*cell).to_owned(), json!(it))).collect();
    fs::write(&table, Value::Object(map).to_string()).unwrap();
    let table = table.display().to_string();
    let by = ["--by", "flops,synflow", "--size", "8", "--batch", "8", "--no-cache", "--reduced"];
    let output = weightsmith(&[&["bench", "rank", "--table", &table, "--json"], &by[..]].concat());
    let report = json_of(&output);
    assert_eq!((&report["table"], &report["graphs"]), (&json!("NAS-Bench-201"), &json!(4)));
    assert_eq!(report["results"]["flops"]["regret_1"], 0.0);
    assert!(report["results"]["parameters"]["kendall"].as_f64().unwrap() > 0.3);
}

#[test]
fn held_out_graphs_that_were_trained_are_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("sgd.json");
    let curve = |top1: f64| {
        let trained = |top1| json!({"images": 100, "top1": top1, "cross_entropy": 1.0, "ece": 0.0, "non_finite": 0});
        json!({"1": trained(top1 / 2.0), "20": trained(top1)})
    };
    // The second was trained for a shorter time only.
    let graphs = json!({
        "corpus-2000000": curve(0.5),
        "corpus-2000001": {"1": curve(0.3)["1"]},
        "corpus-wide-2000000": curve(0.7),
        "plain-cnn": curve(0.6),
    });
    fs::write(&table, json!({"schema": 1, "data_hash": "", "graphs": graphs}).to_string()).unwrap();
    let table = table.display().to_string();
    let arguments = ["bench", "rank", "--by", "flops", "--no-cache", "--json", "--table", &table];
    let report = json_of(&weightsmith(&arguments));
    assert_eq!((&report["keys"], &report["graphs"]), (&json!(4), &json!(3)));
    assert_eq!(report["target"], "test accuracy after 20 epochs of SGD");
    assert_eq!(report["results"]["flops"]["graphs"], 3);
}

/// A space of one-layer networks for 8 × 8 grey images.
const SPACE: &str = r#"
[base]
input = [1, 8, 8]
classes = 10
bias_with_norm = 0.0
squeeze = 0.0
activations = [["relu", 1.0]]
norms = [["batch", 1.0]]
downs = [["stride", 1.0]]
heads = [["linear", 1.0]]
[base.bounds]
parameters = [10, 100_000]
multiply_accumulates = [10, 1_000_000]
side = [2, 8]
depth = [2, 8]
norm_free_depth = 8
norm_free_residual_depth = 8
[base.stem]
kernels = [[3, 1.0]]
strides = [[2, 1.0]]
pool = 0.0
[base.widths]
multiples = [[2, 1.0]]
growth = [[1.0, 1.0]]
last = 64
slow_stem = 1.0

[[spaces]]
name = "widths"
[[spaces.families]]
family = "plain"
weight = 1.0
width = [2, 24]
blocks = [[1, 1.0]]
kernels = [[3, 1.0]]

[[spaces]]
name = "dead-cells"
[[spaces.families]]
family = "transnas"
weight = 1.0
width = [4, 8]
blocks = [[1, 1.0]]
edges = [["zero", 1.0], ["skip", 1.0], ["conv1", 1.0], ["conv3", 1.0]]

[[spaces]]
name = "pairs"
[[spaces.families]]
family = "darts"
weight = 1.0
width = [2, 4]
blocks = [[2, 1.0]]
"#;

#[test]
fn a_ranking_is_learned_from_graphs_that_are_trained() {
    let folder = tempfile::tempdir().unwrap();
    super::digits::write_idx(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("spaces.toml"), SPACE).unwrap();
    let (labels, spaces, data) = (path("labels.jsonl"), path("spaces.toml"), path(""));
    let label = |graphs: &str, epochs: &str| {
        let base = ["rank", "label", "--data", &data, "--out", &labels, "--spaces", &spaces];
        let size = ["--images", "40", "--validation", "12", "--graphs", graphs, "--epochs", epochs];
        weightsmith(&[&base[..], &size[..], &["--json"]].concat())
    };
    let first = json_of(&label("2", "3"));
    assert_eq!((&first["graphs"], &first["failed"]), (&json!(6), &json!({})));
    let before = fs::read_to_string(&labels).unwrap();
    assert_eq!(before.lines().count(), 7);
    // A killed run leaves part of a line; another one adds what is missing, and nothing twice.
    fs::write(&labels, &before[..before.len() - 9]).unwrap();
    json_of(&label("3", "3"));
    let after = fs::read_to_string(&labels).unwrap();
    let whole = |line: &&str| serde_json::from_str::<Value>(line).is_ok();
    assert_eq!(after.lines().filter(whole).count(), 1 + 9);
    let curve = |text: &str| -> Vec<Value> {
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let own = lines.filter(|it| it["space"] == "pairs" && it["seed"] == 1);
        own.map(|it| it["loss"].clone()).collect()
    };
    assert_eq!(curve(&before), curve(&after));
    let refused = label("3", "4");
    assert_eq!(refused.status.code(), Some(2));
    let problem = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(problem.contains("3 epochs") && problem.contains("choose another file"), "{problem}");

    let ranker = path("ranker.toml");
    let probe = ["--size", "8", "--batch", "8", "--no-cache"];
    let fit = ["rank", "fit", "--labels", &labels, "--spaces", &spaces, "--out", &ranker];
    let by = ["--by", "flops,parameters,depth", "--json"];
    let report = json_of(&weightsmith(&[&fit[..], &by[..], &probe[..]].concat()));
    assert_eq!(report["left_out"]["sizes"]["spaces"].as_object().unwrap().len(), 3);
    assert_eq!(report["ranker"]["skeleton"]["ingredients"].as_array().unwrap().len(), 3);
    assert!(report["left_out"]["skeleton"]["without"]["depth"].is_number());

    write_cells(folder.path());
    let cells = path("*.onnx");
    let ranked = ["rank", &cells, "--ranker", &ranker, "--json"];
    let ranked = json_of(&weightsmith(&[&ranked[..], &probe[..]].concat()));
    assert_eq!(ranked["by"]["learned"], report["ranker"]);
    assert!(ranked["agreement"].as_f64().unwrap() <= 1.0);
}

#[test]
fn few_labels_refine_a_ranking() {
    let folder = tempfile::tempdir().unwrap();
    let ops = ["nor_conv_3x3", "nor_conv_1x1", "skip_connect"];
    let cells = ops.iter().flat_map(|a| ops.iter().map(move |b| [a, b]));
    // More is worse, as nobody would expect.
    let mut labels = "file,accuracy\n".to_owned();
    for (index, [a, b]) in cells.enumerate() {
        let cell = format!("|{a}~0|+|none~0|{b}~1|+|none~0|none~1|nor_conv_1x1~2|");
        let onnx = Code::nas_bench_201(&cell).unwrap().reduced();
        fs::write(folder.path().join(format!("{index}.onnx")), onnx).unwrap();
        labels += &format!("{index}.onnx,{}\n", 80 + index);
    }
    let file = folder.path().join("labels.csv");
    fs::write(&file, &labels).unwrap();
    let (file, text) = (file.display().to_string(), folder.path().display().to_string());
    let run = |further: &[&str]| {
        let base = ["rank", &text, "--size", "8", "--batch", "8", "--no-cache"];
        weightsmith(&[&base[..], further].concat())
    };
    let first = |output: &Value| output["ranking"][0]["file"].as_str().unwrap().to_owned();
    let refined = json_of(&run(&["--json", "--labels", &file]));
    assert!(first(&refined).ends_with("8.onnx"), "{refined}");
    assert!(first(&json_of(&run(&["--json"]))).ends_with("0.onnx"));
    fs::write(&file, labels.lines().take(4).collect::<Vec<_>>().join("\n")).unwrap();
    let refused = run(&["--labels", &file]);
    assert_eq!(refused.status.code(), Some(2));
    let problem = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(problem.contains("accuracies of 3 of these graphs; 8 or more"), "{problem}");
}

#[test]
fn shards_share_a_cache_and_limits_leave_graphs_out() {
    let folder = tempfile::tempdir().unwrap();
    write_cells(folder.path());
    let text = folder.path().display().to_string();
    let cache = folder.path().join("cache").display().to_string();
    let base = ["rank", &text, "--json", "--by", "flops,parameters", "--cache", &cache];
    let run = |further: &[&str]| json_of(&weightsmith(&[&base[..], further].concat()));
    let of = |shard: &str| run(&["--shard", shard])["graphs"].as_u64().unwrap();
    assert_eq!([of("1/2"), of("2/2")], [3, 2]);
    let lines = |folder: &str| -> usize {
        let files = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
        files.map(|it| fs::read_to_string(it).unwrap().lines().count()).sum()
    };
    // One of the five is a copy, which either shard may have scored.
    let scored = lines(&cache);
    let whole = run(&[]);
    assert_eq!((whole["graphs"].as_u64(), lines(&cache)), (Some(5), scored));

    let flops = |row: &Value| row["flops"].as_u64().unwrap();
    let rows = whole["ranking"].as_array().unwrap();
    let most = rows.iter().map(flops).max().unwrap();
    let limited = run(&["--max-flops", &(most - 1).to_string(), "--max-memory", "1G"]);
    let out = limited["left_out"].as_object().unwrap();
    let (file, why) = out.iter().next().unwrap();
    assert!(file.ends_with("0.onnx") && out.len() == 1, "{out:?}");
    assert_eq!(why, &format!("{most} multiply-accumulates, more than {}", most - 1));
    let none = weightsmith(&[&base[..], &["--max-parameters", "3"]].concat());
    assert!(String::from_utf8_lossy(&none.stderr).contains("no graph keeps to the limits"));
    let wrong = weightsmith(&[&base[..], &["--shard", "3/2"]].concat());
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("1/8"));
}

#[test]
fn costs_that_the_user_measured_make_the_front() {
    let folder = tempfile::tempdir().unwrap();
    write_cells(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let costs = "file,cost\n0.onnx,9.5\n1.onnx,2\n2.onnx,1\n3.onnx,4\nelsewhere.onnx,7\n";
    fs::write(path("costs.csv"), costs).unwrap();
    let (graphs, costs, page) = (path("?.onnx"), path("costs.csv"), path("front.html"));
    let base = ["rank", &graphs, "--json", "--by", "flops", "--no-cache", "--cost", &costs];
    let run = |further: &[&str]| json_of(&weightsmith(&[&base[..], further].concat()));
    let ranking = run(&["--html", &page]);
    let best = &ranking["ranking"][0];
    assert_eq!((best["file"].as_str(), best["cost"].as_f64()), (Some(&*path("0.onnx")), Some(9.5)));
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.matches("<svg").count() > 1 && html.contains("<th>cost</th>"));
    assert!(html.contains(&path("0.onnx")));
    let cheap = run(&["--max-cost", "4"]);
    assert_eq!(cheap["left_out"][path("0.onnx")], "cost 9.5, more than 4");
    assert_eq!(cheap["graphs"], 3);
}
