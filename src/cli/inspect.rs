//! `weightsmith inspect`

use std::{collections::BTreeMap, fmt::Write, path::PathBuf};

use clap::Args;
use serde_json::json;

use crate::{
    graph::{Node, Role, Scores},
    ops::{FamilySummary, Summary},
    predictor::ByFilling,
};

use super::{Common, Exit, Failure, network::NetworkArgs, output, print, print_json};

/// Read a graph: operators, shapes, parameters, and what is not supported.
#[derive(Debug, Args)]
pub struct Inspect {
    #[command(flatten)]
    network: NetworkArgs,
    /// Write the graph as Graphviz DOT
    #[arg(long, value_name = "FILE")]
    dot: Option<PathBuf>,
    /// Write the graph as an SVG, every parameter in the colour of how it will be filled
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

impl Inspect {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let network = self.network.read()?;
        let (model, architecture) = (&network.model, &network.architecture);
        if let Some(path) = &self.dot {
            let known = |node: &Node| network.registry.get(&node.domain, &node.op_type).is_some();
            let dot = architecture.to_dot(known);
            output::write(path, &dot)?;
        }
        if let Some(path) = &self.svg {
            let svg = architecture
                .to_svg(&ByFilling::new(architecture, &network.registry))
                .map_err(|error| format!("{}: {error}; --dot draws it", model.name()))?;
            output::write(path, &svg)?;
        }
        let summary = Summary::of(architecture, &network.registry);
        let unsupported = network.unsupported();
        let fact = |name: &str, shape: Option<&[usize]>| json!({ "name": name, "shape": shape });
        let outputs: Vec<_> = architecture
            .outputs
            .iter()
            .map(|(name, operand)| {
                let known = architecture.fact(*operand);
                fact(name, known.and_then(|known| known.shape).as_deref())
            })
            .collect();
        if common.json {
            let parameters: Vec<_> = architecture
                .parameters
                .iter()
                .zip(&network.names)
                .map(|(parameter, name)| {
                    json!({
                        "initializer": parameter.name,
                        "state_dict": name,
                        "shape": parameter.shape,
                        "role": parameter.role(),
                        "uses": parameter.slots.len(),
                    })
                })
                .collect();
            print_json(&json!({
                "schema": 1,
                "seed": common.seed,
                "file": model.name(),
                "ir_version": model.ir_version(),
                "opsets": model.opsets().into_iter().collect::<BTreeMap<_, _>>(),
                "producer": model.producer(),
                "inputs": architecture.inputs.iter()
                    .map(|input| fact(&input.name, input.shape.as_deref())).collect::<Vec<_>>(),
                "outputs": outputs,
                "fingerprint": format!("{:016x}", architecture.fingerprint()),
                "scores": architecture.scores,
                "operators": summary.total.operators,
                "summary": summary,
                "parameter_count": architecture.parameter_count(),
                "parameters": parameters,
                "notices": architecture.notices,
                "unsupported": unsupported,
            }))?;
        } else {
            let mut text = format!("{}\n", model.name());
            let opsets: Vec<String> = model
                .opsets()
                .iter()
                .map(|(domain, version)| {
                    format!(
                        "{}{version}",
                        if domain.is_empty() { String::new() } else { format!("{domain} ") }
                    )
                })
                .collect();
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "IR {}, opset {}, by {}",
                model.ir_version(),
                opsets.join(", "),
                model.producer()
            );
            for input in &architecture.inputs {
                let _ = writeln!(
                    text,
                    "input   {} {:?}",
                    input.name,
                    input.shape.as_deref().unwrap_or_default()
                );
            }
            for (name, operand) in &architecture.outputs {
                let shape = architecture.fact(*operand).and_then(|fact| fact.shape);
                let _ = writeln!(text, "output  {name} {:?}", shape.unwrap_or_default());
            }
            if architecture.scores != Scores::Logits {
                let scores = architecture.scores.name();
                let _ = writeln!(
                    text,
                    "returns {scores}; what follows is the graph in front of the softmax"
                );
            }
            text.push_str(&table(&summary));
            let _ = writeln!(text, "\nparameters, as PyTorch names them:");
            for (parameter, name) in architecture.parameters.iter().zip(&network.names) {
                let role = parameter.role().map_or("unknown role", Role::name);
                let shape = parameter
                    .shape
                    .as_ref()
                    .map_or("shape unknown".to_owned(), |shape| format!("{shape:?}"));
                let _ = writeln!(text, "  {name} {shape} {role}");
            }
            for notice in &architecture.notices {
                let _ = writeln!(text, "note: {notice}");
            }
            for why in &unsupported {
                let _ = writeln!(text, "not supported: {why}");
            }
            print(text.trim_end())?;
        }
        Ok(if unsupported.is_empty() { Exit::Success } else { Exit::Partial })
    }
}

/// Nodes by family, parameters, work and depth.
fn table(summary: &Summary) -> String {
    let mut text = format!(
        "\n{:<14} {:>5}  {:>13}  {:>8}  operators\n",
        "family", "nodes", "parameters", "FLOPs"
    );
    let mut line = |name: &str, row: &FamilySummary, operators: &str| {
        let work = row.multiply_accumulates.saturating_mul(2);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{name:<14} {:>5}  {:>13}  {:>8}  {operators}",
            row.nodes,
            grouped(row.parameters),
            short(work),
        );
    };
    for (family, row) in &summary.families {
        let operators: Vec<String> = row
            .operators
            .iter()
            .map(|(name, &count)| if count == 1 { name.clone() } else { format!("{count} {name}") })
            .collect();
        line(&family.to_string(), row, &operators.join(", "));
    }
    let depth = format!("{} deep, {} of them with weights", summary.depth, summary.weighted_depth);
    line("total", &summary.total, &depth);
    text
}

/// All digits of a count, in groups of three.
fn grouped(count: usize) -> String {
    if count == 0 {
        return "–".to_owned();
    }
    let digits = count.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(" ")
}

/// A count in thousands, millions and so on, with three digits.
pub(super) fn short(count: u64) -> String {
    let units = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let value = count as f64;
    match units.into_iter().find(|(size, _)| value >= 0.9995 * size) {
        None if count == 0 => "–".to_owned(),
        None => count.to_string(),
        Some((size, unit)) => {
            let scaled = value / size;
            let digits = if scaled >= 99.95 {
                0
            } else if scaled >= 9.995 {
                1
            } else {
                2
            };
            format!("{scaled:.digits$} {unit}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_readable() {
        assert_eq!(short(0), "–");
        assert_eq!(short(999), "999");
        assert_eq!(short(1_000), "1.00 k");
        assert_eq!(short(81_624_576), "81.6 M");
        assert_eq!(short(999_960), "1.00 M");
        assert_eq!(short(u64::MAX), "18446744 T");
        assert_eq!([0, 12, 1_234, 12_345_678].map(grouped), ["–", "12", "1 234", "12 345 678"]);
    }
}
