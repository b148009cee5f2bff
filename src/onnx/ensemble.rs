//! One model of many: the graph once per member, each copy with weights of its own, and the mean of
//! what they return. Copies are made from wire bytes, in which only names change, so that fields this
//! crate does not know travel along.

use std::{
    collections::HashSet,
    io::{self, Write},
};

use super::{
    Model, OnnxError,
    messages::ValueInfoProto,
    rename::{
        INITIALIZER, INPUT, NODE, OUTPUT, QUANTIZATION, SPARSE_INITIALIZER, Scope, VALUE_INFO,
        name_at, names,
    },
    splice::{self, Changes},
    tensor::encode,
    wire::{Field, fields, payloads, put_bytes, put_header, put_int},
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
    let mut graph = Vec::new();
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
        if graph.len() + rest > LARGEST - MEANS {
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
        let mut header = Vec::new();
        put_header(GRAPH, graph.len(), &mut header);
        out.write_all(&header)?;
        out.write_all(&graph)?;
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
        for (position, node) in graph.node.iter().enumerate() {
            if node.attribute.iter().any(|it| it.g.is_some() || !it.graphs.is_empty()) {
                let operator = node.op_type.as_deref().unwrap_or_default();
                let name = node.name.as_deref().unwrap_or_default();
                let problem = format!(
                    "node #{position} '{name}' ({operator}) holds a graph of its own, which an ensemble does not support"
                );
                return Err(refuse(model, &problem));
            }
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
    fn member(&self, number: usize, graph: &[u8], out: &mut Vec<u8>) -> Result<(), OnnxError> {
        let scope = self.scope(number, graph)?;
        for field in fields(graph).map_while(Result::ok) {
            let Some(paths) = names(field.number).filter(|_| field.kind == 2) else {
                if number == 0 {
                    out.extend_from_slice(field.whole);
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
                OUTPUT => out.extend_from_slice(field.whole),
                same => put_bytes(same, &scope.renamed(field.payload, paths), out),
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
    fn means(&self, members: usize, out: &mut Vec<u8>) {
        for (name, data_type) in &self.outputs {
            let of = |member: usize| format!("{}{name}", prefix(member));
            let mut total = of(0);
            for member in 1..members {
                let sum = format!("ensemble/sum{member}/{name}");
                put_bytes(NODE, &node("Add", &[&total, &of(member)], &sum, &sum, false), out);
                total = sum;
            }
            let share = format!("ensemble/share/{name}");
            let mut tensor = Vec::new();
            put_int(2, *data_type as u64, &mut tensor);
            put_bytes(8, share.as_bytes(), &mut tensor);
            // The type was checked when the outputs were listed.
            let value = encode(&[1.0 / members as f32], *data_type).unwrap_or_default();
            put_bytes(9, &value, &mut tensor);
            put_bytes(INITIALIZER, &tensor, out);
            let mean = format!("ensemble/mean/{name}");
            put_bytes(NODE, &node("Mul", &[&total, &share], name, &mean, self.opset < 7), out);
            if self.model.ir_version() < 4 {
                put_bytes(INPUT, &number_info(&share, *data_type), out);
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
fn node(operator: &str, inputs: &[&str], output: &str, name: &str, broadcast: bool) -> Vec<u8> {
    let mut out = Vec::new();
    inputs.iter().for_each(|input| put_bytes(1, input.as_bytes(), &mut out));
    put_bytes(2, output.as_bytes(), &mut out);
    put_bytes(3, name.as_bytes(), &mut out);
    put_bytes(4, operator.as_bytes(), &mut out);
    if broadcast {
        let mut attribute = Vec::new();
        put_bytes(1, b"broadcast", &mut attribute);
        put_int(3, 1, &mut attribute);
        put_int(20, 2, &mut attribute);
        put_bytes(5, &attribute, &mut out);
    }
    out
}

/// The declaration of a number as a graph input, as IR versions below 4 demand of initializers.
fn number_info(name: &str, data_type: i32) -> Vec<u8> {
    let mut tensor = Vec::new();
    put_int(1, data_type as u64, &mut tensor);
    put_bytes(2, &[], &mut tensor);
    let mut kind = Vec::new();
    put_bytes(1, &tensor, &mut kind);
    let mut out = Vec::new();
    put_bytes(1, name.as_bytes(), &mut out);
    put_bytes(2, &kind, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(number: u64, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(number, message, &mut out);
        out
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
        let relu = |input: &str, output: &str| (NODE, node("Relu", &[input], output, "r", false));
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
