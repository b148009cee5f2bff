//! One model of many: the graph once per member, each copy with weights of its own, and the mean of
//! what they return. Copies are made from wire bytes, in which only names change, so that fields this
//! crate does not know travel along.

use std::{
    collections::HashSet,
    io::{self, Write},
};

use super::{
    MessageWriter, Model, OnnxError,
    messages::ValueInfoProto,
    rename::{
        INITIALIZER, INPUT, NODE, OUTPUT, QUANTIZATION, SPARSE_INITIALIZER, Scope, VALUE_INFO,
        name_at, names,
    },
    splice::{self, Changes},
    tensor::encode,
    value_info,
    wire::{Field, fields, payloads},
};

/// Fields of a model.
const GRAPH: u64 = 7;
const TRAINING: u64 = 20;
/// Field of a node that names tensors by device.
const DEVICES: u64 = 10;
/// What a protobuf message may hold.
const LARGEST: usize = (2 << 30) - 1;
/// Room that is left for the nodes that average.
const MEANS: usize = 1 << 20;

/// Writes one model whose outputs are the means of those of its members: the model itself under each
/// set of changes. Inputs are shared, and outputs keep their names and types; whatever else a member
/// holds is called `member0/…`, `member1/…`. Metadata of the model are those of the first member.
///
/// # Errors
///
/// An [`OnnxError`] inside of the [`io::Error`], as from [`splice::write`], where a model cannot be
/// copied so: nodes with graphs in attributes (If, Loop, Scan), outputs that are not of a float type,
/// values that nothing defines, names like those above, training graphs, device configurations, and
/// more than the 2 GiB of a protobuf message; also without any member.
pub fn write(model: &Model, members: &[Changes], out: &mut dyn Write) -> io::Result<()> {
    let ensemble = Ensemble::of(model).map_err(io::Error::other)?;
    if members.is_empty() {
        let problem = "an ensemble needs at least one member";
        return Err(io::Error::other(ensemble.refuse(problem.to_owned())));
    }
    let mut graph = MessageWriter::default();
    let (mut first, mut rest) = (Vec::new(), 0);
    for (number, changes) in members.iter().enumerate() {
        let mut bytes = Vec::new();
        splice::write(model, changes, &mut bytes)?;
        let member = payloads(&bytes, GRAPH).last().unwrap_or_default();
        ensemble.member(number, member, &mut graph).map_err(io::Error::other)?;
        if number == 0 {
            let others = fields(&bytes).map_while(Result::ok).filter(|it| it.number != GRAPH);
            rest = others.map(|field| field.whole.len()).sum();
            first = bytes;
        }
        if graph.bytes().len() + rest > LARGEST - MEANS {
            let problem = "with the weights of its members it takes more than the 2 GiB of a protobuf message; take fewer";
            return Err(io::Error::other(ensemble.refuse(problem.to_owned())));
        }
    }
    ensemble.means(members.len(), &mut graph);
    for field in fields(&first).map_while(Result::ok) {
        if field.number != GRAPH {
            out.write_all(field.whole)?;
            continue;
        }
        let graph = graph.bytes();
        out.write_all(&MessageWriter::of(|out| out.header(GRAPH, graph.len())))?;
        out.write_all(graph)?;
    }
    Ok(())
}

/// What members have in common.
struct Ensemble<'a> {
    model: &'a Model,
    /// Outputs that are not inputs as well, with their type numbers.
    outputs: Vec<(&'a str, i32)>,
    opset: i64,
}

impl<'a> Ensemble<'a> {
    fn of(model: &'a Model) -> Result<Self, OnnxError> {
        let graph = model.graph();
        let opsets = model.opsets();
        let opset = opsets.iter().find(|(domain, _)| domain.is_empty());
        let &(_, opset) = opset.ok_or_else(|| {
            refuse(model, "an ensemble needs the default operators, which it does not import")
        })?;
        if fields(model.bytes()).map_while(Result::ok).any(|field| field.number == TRAINING) {
            let problem = "training graphs cannot be part of an ensemble; remove 'training_info'";
            return Err(refuse(model, problem));
        }
        if let Some((position, node)) = model.holder_of_a_graph() {
            let operator = node.op_type.as_deref().unwrap_or_default();
            let name = node.name.as_deref().unwrap_or_default();
            let problem = format!(
                "node #{position} '{name}' ({operator}) holds a graph of its own, which an ensemble does not support"
            );
            return Err(refuse(model, &problem));
        }
        let mut outputs = Vec::new();
        for output in &graph.output {
            let name = output.name.as_deref().unwrap_or_default();
            let passed = |input: &ValueInfoProto| input.name.as_deref() == Some(name);
            let stored = graph.initializer.iter().any(|it| it.name.as_deref() == Some(name));
            if !stored && graph.input.iter().any(passed) {
                continue;
            }
            let tensor = output.r#type.as_ref().and_then(|it| it.tensor_type.as_ref());
            let data_type = tensor.and_then(|tensor| tensor.elem_type).unwrap_or(0);
            if encode(&[], data_type).is_none() {
                let problem = format!(
                    "output '{name}' has type number {data_type}, and only floats have a mean"
                );
                return Err(refuse(model, &problem));
            }
            outputs.push((name, data_type));
        }
        Ok(Self { model, outputs, opset })
    }

    fn refuse(&self, problem: String) -> OnnxError {
        refuse(self.model, &problem)
    }

    /// Appends a member's copy of the graph. What is there once, the first one brings.
    fn member(
        &self,
        number: usize,
        graph: &[u8],
        out: &mut MessageWriter,
    ) -> Result<(), OnnxError> {
        let scope = self.scope(number, graph)?;
        for field in fields(graph).map_while(Result::ok) {
            let Some(paths) = names(field.number).filter(|_| field.kind == 2) else {
                if number == 0 {
                    out.copy(field.whole);
                }
                continue;
            };
            if field.number == NODE && payloads(field.payload, DEVICES).next().is_some() {
                let problem = "a node is assigned to devices, which an ensemble does not support";
                return Err(self.refuse(problem.to_owned()));
            }
            let name = name_at(field.payload, paths[0]).unwrap_or_default();
            let shared = scope.shared.contains(name);
            match field.number {
                INPUT | VALUE_INFO | QUANTIZATION if shared && number > 0 => {}
                OUTPUT if number > 0 => {}
                OUTPUT => out.copy(field.whole),
                same => out.field(same, scope.renamed(field.payload, paths)),
            }
        }
        Ok(())
    }

    /// The names of a member's graph: every value that is used is defined, and none of the new names
    /// is that of an input or output.
    fn scope<'b>(&self, number: usize, graph: &'b [u8]) -> Result<Scope<'b>, OnnxError> {
        let mut inputs = Vec::new();
        let mut own = HashSet::new();
        let mut used = Vec::new();
        for Field { number, payload, .. } in fields(graph).map_while(Result::ok) {
            match number {
                NODE => {
                    own.extend(payloads(payload, 2));
                    used.extend(payloads(payload, 1));
                }
                INITIALIZER => own.extend(name_at(payload, &[8])),
                SPARSE_INITIALIZER => own.extend(name_at(payload, &[1, 8])),
                INPUT => inputs.extend(name_at(payload, &[1])),
                OUTPUT => used.extend(name_at(payload, &[1])),
                _ => {}
            }
        }
        let shared: HashSet<&[u8]> =
            inputs.into_iter().filter(|name| !own.contains(name)).collect();
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let known = |name: &&[u8]| name.is_empty() || own.contains(name) || shared.contains(name);
        if let Some(name) = used.into_iter().find(|name| !known(name)) {
            let problem = format!(
                "nothing defines '{}', which member {number} uses; give it a value",
                text(name)
            );
            return Err(self.refuse(problem));
        }
        let outputs = self.outputs.iter().map(|(name, _)| name.as_bytes());
        let reserved = |name: &[u8]| name.starts_with(b"member") || name.starts_with(b"ensemble/");
        let mut public = shared.iter().copied().chain(outputs);
        if let Some(name) = public.find(|name| name.contains(&b'/') && reserved(name)) {
            let problem = format!(
                "'{}' is called like the values of an ensemble; rename this input or output",
                text(name)
            );
            return Err(self.refuse(problem));
        }
        Ok(Scope { prefix: prefix(number), shared })
    }

    /// Appends the nodes that average: a chain of sums per output and a product.
    fn means(&self, members: usize, out: &mut MessageWriter) {
        for (name, data_type) in &self.outputs {
            let of = |member: usize| format!("{}{name}", prefix(member));
            let mut total = of(0);
            for member in 1..members {
                let sum = format!("ensemble/sum{member}/{name}");
                out.message(NODE, |it| node(it, "Add", &[&total, &of(member)], &sum, &sum, false));
                total = sum;
            }
            let share = format!("ensemble/share/{name}");
            // The type was checked when the outputs were listed.
            let value = encode(&[1.0 / members as f32], *data_type).unwrap_or_default();
            out.message(INITIALIZER, |tensor| {
                tensor.int(2, *data_type as u64);
                tensor.field(8, &share);
                tensor.field(9, value);
            });
            let mean = format!("ensemble/mean/{name}");
            let broadcast = self.opset < 7;
            out.message(NODE, |it| node(it, "Mul", &[&total, &share], name, &mean, broadcast));
            if self.model.ir_version() < 4 {
                // Which demands that initializers are graph inputs, too.
                let data_type = *data_type as u64;
                out.message(INPUT, |info| value_info(info, &share, data_type, None, &[]));
            }
        }
    }
}

fn prefix(member: usize) -> String {
    format!("member{member}/")
}

fn refuse(model: &Model, problem: &str) -> OnnxError {
    OnnxError::Ensemble { file: model.name().to_owned(), problem: problem.to_owned() }
}

/// A node of the default domain. Before opset 7, a number is broadcast by an attribute.
fn node(
    out: &mut MessageWriter,
    operator: &str,
    inputs: &[&str],
    output: &str,
    name: &str,
    broadcast: bool,
) {
    inputs.iter().for_each(|input| out.field(1, input));
    out.field(2, output);
    out.field(3, name);
    out.field(4, operator);
    if broadcast {
        out.message(5, |attribute| {
            attribute.field(1, "broadcast");
            attribute.int(3, 1);
            attribute.int(20, 2);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(number: u64, message: &[u8]) -> Vec<u8> {
        MessageWriter::of(|out| out.field(number, message))
    }

    fn value(name: &str) -> Vec<u8> {
        let tensor = nested(2, &nested(1, &[1 << 3, 1]));
        [nested(1, name.as_bytes()), tensor].concat()
    }

    /// A graph that returns `y` of type float, under opset 17.
    fn model(fields: &[(u64, Vec<u8>)], output: &str) -> Model {
        let mut graph: Vec<u8> = fields.iter().flat_map(|(n, field)| nested(*n, field)).collect();
        graph.extend(nested(OUTPUT, &value(output)));
        let opset = nested(8, &[2 << 3, 17]);
        let bytes = [nested(GRAPH, &graph), opset].concat();
        Model::from_bytes("m.onnx", bytes.into()).unwrap()
    }

    fn problem(model: &Model, members: usize) -> String {
        let members: Vec<Changes> = (0..members).map(|_| Changes::default()).collect();
        write(model, &members, &mut Vec::new()).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_copied_says_why() {
        let relu = |input: &str, output: &str| {
            (NODE, MessageWriter::of(|out| node(out, "Relu", &[input], output, "r", false)))
        };
        let fine = model(&[relu("x", "y"), (INPUT, value("x"))], "y");
        assert!(problem(&fine, 0).contains("at least one member"));
        let undefined = model(&[relu("w", "y"), (INPUT, value("x"))], "y");
        let expected =
            "m.onnx: as an ensemble: nothing defines 'w', which member 0 uses; give it a value";
        assert_eq!(problem(&undefined, 2), expected);
        let taken = model(&[relu("member1/x", "y"), (INPUT, value("member1/x"))], "y");
        assert!(problem(&taken, 2).contains("'member1/x' is called like"));
        let mut branch = relu("x", "y");
        branch.1.extend(nested(5, &[nested(1, b"then"), nested(6, &[])].concat()));
        assert!(problem(&model(&[branch, (INPUT, value("x"))], "y"), 2).contains("node #0 'r'"));
        let mut placed = relu("x", "y");
        placed.1.extend(nested(DEVICES, &[]));
        assert!(problem(&model(&[placed, (INPUT, value("x"))], "y"), 2).contains("devices"));
        let mut counted = fine.bytes().to_vec();
        counted.extend(nested(TRAINING, &[]));
        let counted = Model::from_bytes("m.onnx", counted.into()).unwrap();
        assert!(problem(&counted, 2).contains("training_info"));
    }

    #[test]
    fn inputs_are_shared_and_an_output_that_is_one_stays() {
        let passed = model(&[(INPUT, value("x"))], "x");
        let mut bytes = Vec::new();
        write(&passed, &[Changes::default(), Changes::default()], &mut bytes).unwrap();
        assert_eq!(bytes, passed.bytes().to_vec());
    }
}
