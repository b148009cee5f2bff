use std::path::PathBuf;

use super::*;
use crate::spaces::build::Built;

const BEST: &str = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|";

/// A public table, where it is at hand.
fn shared(name: &str) -> Option<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/nas").join(name);
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: {} is not there", path.display());
        return None;
    };
    serde_json::from_slice(&bytes).ok()
}

fn table(json: &Value) -> Table {
    Table::parse(json.to_string().as_bytes(), None).unwrap()
}

/// Parameters without running statistics, which are not learned.
fn learned(built: &Built) -> usize {
    let learned = built.graph.parameters.iter().filter(|it| !it.name.contains("running_"));
    learned.map(|it| it.shape.iter().product::<usize>()).sum()
}

#[test]
fn the_best_cell_of_nas_bench_201_has_its_published_size() {
    let built = nas_bench_201::Cell::parse(BEST).unwrap().built(nas_bench_201::CELLS);
    assert_eq!(learned(&built), 1_073_466);
    let flops = built.multiply_accumulates as f64 / 1e6;
    assert!((flops - 153.27).abs() < 0.03, "{flops}");
    let named = crate::spaces::Named::find("nas-bench-201-best").unwrap();
    assert_eq!(built.multiply_accumulates, named.multiply_accumulates());
}

#[test]
fn a_cell_that_passes_nothing_is_still_a_network() {
    let none = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|";
    assert!(!Code::nas_bench_201(none).unwrap().onnx().is_empty());
    for wrong in ["", "|none~0|", "|none~1|+|none~0|none~1|+|none~0|none~1|none~2|", &BEST[1..]] {
        let refused = Code::nas_bench_201(&wrong.replace("skip_connect", "skip"));
        assert!(refused.is_err(), "{wrong}");
    }
}

#[test]
fn equal_chains_have_one_code() {
    let chain = |key| nas_bench_macro::Chain::parse(key).unwrap();
    assert_eq!(chain("01102020"), chain("01120020"));
    assert_ne!(chain("10012020"), chain("01012020"));
    assert!(nas_bench_macro::Chain::parse("0101202").is_err());
    assert!(nas_bench_macro::Chain::parse("01012023").is_err());
}

#[test]
fn a_renumbered_vertex_cell_is_the_same_cell() {
    // input → conv 3×3 → output beside input → pool → output, in both orders of the vertices.
    let cell = |ops: [usize; 2]| {
        let mut numbers = vec![0; 56];
        for (from, to) in [(0, 1), (0, 2), (1, 6), (2, 6)] {
            numbers[7 * from + to] = 1;
        }
        numbers[49..].copy_from_slice(&[0, ops[0], ops[1], 3, 3, 3, 1]);
        let text: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        nas_bench_101::Cell::parse(&format!("({})", text.join(", "))).unwrap()
    };
    assert_eq!(cell([4, 2]), cell([2, 4]));
    assert_ne!(cell([4, 2]), cell([4, 4]));
    assert!(nas_bench_101::Cell::parse("(0, 1)").is_err());
}

#[test]
fn parameters_and_flops_of_nas_bench_macro_are_those_of_the_table() {
    let Some(json) = shared("nas-bench-macro_cifar10.json") else { return };
    let table = table(&json);
    assert_eq!((table.keys, table.entries.len()), (6_561, 3_969));
    for entry in &table.entries {
        let Code::NasBenchMacro(chain) = &entry.code else { panic!("another table") };
        let (built, record) = (chain.built(), &json[&entry.name]);
        assert_eq!(record["params"], learned(&built), "{}", entry.name);
        assert_eq!(record["flops"], built.multiply_accumulates, "{}", entry.name);
    }
}

#[test]
fn parameters_of_nas_bench_101_are_those_of_the_table() {
    let Some(json) = shared("zc_nasbench101_500.json") else { return };
    let table = table(&json);
    assert_eq!((table.keys, table.entries.len()), (500, 292));
    for entry in &table.entries {
        let Code::NasBench101(cell) = &entry.code else { panic!("another table") };
        let record = &json["nasbench101"]["cifar10"][&entry.name]["params"];
        let millions = learned(&cell.built()) as f64 / 1e6;
        assert!((record.as_f64().unwrap() - millions).abs() < 1e-6, "{}", entry.name);
    }
}

/// A public table in columns, where it is at hand.
fn columns(name: &str) -> Option<Csv> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/nas").join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {} is not there", path.display());
        return None;
    };
    Some(Csv::parse(&text).unwrap())
}

/// Costs in a table are those of the rebuilt networks; trained accuracies are not looked at.
fn has_costs_of(
    csv: &Csv,
    [key, parameters, macs]: [&str; 3],
    built: impl Fn(&str) -> Option<Built>,
) {
    let place = |name: &str| csv.column(name).unwrap_or_else(|| panic!("no column {name}"));
    let [key, parameters, macs] = [key, parameters, macs].map(place);
    for row in csv.rows.iter().step_by(17) {
        let Some(built) = built(&row[key]) else { continue };
        let counted = (learned(&built).to_string(), built.multiply_accumulates.to_string());
        assert_eq!(counted, (row[parameters].clone(), row[macs].clone()), "{}", row[key]);
    }
}

#[test]
fn costs_of_darts_cells_are_those_of_the_table() {
    let Some(csv) = columns("darts1000.csv") else { return };
    has_costs_of(&csv, ["genotype", "params_C16_L8", "macs_C16_L8"], |key| {
        Some(darts::Cell::parse(key).unwrap().whole())
    });
}

#[test]
fn costs_of_transnas_cells_are_those_of_the_table() {
    let Some(csv) = columns("transnas_micro.csv") else { return };
    has_costs_of(&csv, ["live_arch", "live_params", "live_macs"], |key| {
        Some(transnas::Cell::parse(key).unwrap()?.built())
    });
}

#[test]
fn cells_whose_nodes_are_swapped_are_one() {
    let cell = |key| transnas::Cell::parse(key).unwrap();
    assert_eq!(cell("64-41414-1_20_301"), cell("64-41414-2_10_310"));
    assert_ne!(cell("64-41414-1_21_301"), cell("64-41414-2_11_310"));
    assert_eq!(cell("64-41414-1_00_030"), cell("64-41414-0_10_003"));
    assert_eq!(cell("64-41414-3_00_000"), None);
    assert!(transnas::Cell::parse("64-41414-4_00_000").is_err());
    assert!(transnas::Cell::parse("64-1234-1_00_000").is_err());
}

#[test]
fn a_sum_has_no_order() {
    let cell = |first: &str| darts::Cell::parse(&[first, first].join("|"));
    let text = "sep3-0 skip-1 max-0 avg-1 dil3-0 none-1 sep5-2 dil5-3";
    let swapped = "skip-1 sep3-0 avg-1 max-0 none-1 dil3-0 dil5-3 sep5-2";
    assert_eq!(cell(text).unwrap(), cell(swapped).unwrap());
    assert!(cell(&text.replace("skip-1", "skip-2")).unwrap_err().contains("later node"));
    assert!(darts::Cell::parse(&format!("{text}|{swapped}")).is_err());
}

#[test]
fn a_target_is_one_of_the_tables_columns() {
    let text = "live_arch,class_object,jigsaw\n64-41414-0_00_000,26,0\n64-41414-1_00_030,30,5\n\
                64-41414-0_10_003,40,7\n";
    let table = Table::parse(text.as_bytes(), Some("jigsaw")).unwrap();
    assert_eq!((table.keys, table.entries.len(), table.entries[0].accuracy), (2, 1, 6.0));
    assert_eq!(Table::parse(text.as_bytes(), None).unwrap().entries[0].accuracy, 35.0);
    let problem = Table::parse(text.as_bytes(), Some("top1")).unwrap_err();
    assert!(problem.contains("no target 'top1'; it has class_object"), "{problem}");
    assert!(Table::parse(b"a,b\n1,2\n", None).unwrap_err().contains("is no table of"));
}
