//! `weightsmith inspect`

use std::{collections::BTreeMap, fmt::Write, path::PathBuf};

use clap::Args;
use serde_json::json;

use crate::{onnx::atomic, ops::registry};

use super::{Common, Exit, Failure, network::NetworkArgs, print, print_json};

/// Read a graph: operators, shapes, parameters, and what is not supported.
#[derive(Debug, Args)]
pub struct Inspect {
    #[command(flatten)]
    network: NetworkArgs,
    /// Write the graph as Graphviz DOT
    #[arg(long, value_name = "FILE")]
    dot: Option<PathBuf>,
}

impl Inspect {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let network = self.network.read()?;
        let (model, architecture) = (&network.model, &network.architecture);
        if let Some(path) = &self.dot {
            let known =
                |node: &crate::graph::Node| registry().get(&node.domain, &node.op_type).is_some();
            let dot = architecture.to_dot(known);
            atomic::write(path, |out| out.write_all(dot.as_bytes()))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let mut operators: BTreeMap<&str, usize> = BTreeMap::new();
        for node in architecture.dag.node_weights() {
            *operators.entry(&node.op_type).or_default() += 1;
        }
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
                "operators": operators,
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
            let counts: Vec<String> =
                operators.iter().map(|(name, count)| format!("{count} {name}")).collect();
            let _ = writeln!(text, "nodes   {}", counts.join(", "));
            let _ = writeln!(
                text,
                "weights {} values in {} tensors",
                architecture.parameter_count(),
                architecture.parameters.len()
            );
            for (parameter, name) in architecture.parameters.iter().zip(&network.names) {
                let role = parameter
                    .role()
                    .map_or("unknown role".to_owned(), |role| format!("{role:?}").to_lowercase());
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
