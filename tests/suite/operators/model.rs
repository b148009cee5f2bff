//! Tiny ONNX models, written with an independent protobuf library.

use onnx_protobuf::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};
use protobuf::{Message, MessageField};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What stands in one input slot.
#[derive(Clone, Debug)]
enum Operand {
    /// A graph input.
    Data { shape: Vec<usize>, values: Vec<f32> },
    /// A float initializer.
    Floats { shape: Vec<usize>, values: Vec<f32> },
    /// An integer initializer.
    Ints { shape: Vec<usize>, values: Vec<i64> },
    /// An optional input left out.
    Absent,
}

/// One operator with its attributes and operands.
#[derive(Clone, Debug)]
pub struct Case {
    op_type: String,
    domain: String,
    opset: i64,
    attributes: Vec<AttributeProto>,
    operands: Vec<Operand>,
    outputs: usize,
    /// The same function in other operators, for those that tract does not have.
    spelled: Option<(i64, Vec<[String; 3]>)>,
    random: ChaCha8Rng,
}

/// A value an attribute can have.
pub trait IntoAttribute {
    /// Writes the value and its kind.
    fn write(self, attribute: &mut AttributeProto);
}

impl IntoAttribute for i64 {
    fn write(self, attribute: &mut AttributeProto) {
        attribute.i = self;
        attribute.type_ = AttributeType::INT.into();
    }
}

impl IntoAttribute for f32 {
    fn write(self, attribute: &mut AttributeProto) {
        attribute.f = self;
        attribute.type_ = AttributeType::FLOAT.into();
    }
}

impl IntoAttribute for &str {
    fn write(self, attribute: &mut AttributeProto) {
        attribute.s = self.as_bytes().to_vec();
        attribute.type_ = AttributeType::STRING.into();
    }
}

impl<const N: usize> IntoAttribute for [i64; N] {
    fn write(self, attribute: &mut AttributeProto) {
        self.to_vec().write(attribute);
    }
}

impl IntoAttribute for Vec<i64> {
    fn write(self, attribute: &mut AttributeProto) {
        attribute.ints = self;
        attribute.type_ = AttributeType::INTS.into();
    }
}

/// An operator of the default domain.
pub fn op(op_type: &str, opset: i64) -> Case {
    let seed = op_type.bytes().fold(17, |seed, byte| seed * 31 % 1_000_003 + u64::from(byte));
    Case {
        op_type: op_type.to_owned(),
        domain: String::new(),
        opset,
        attributes: Vec::new(),
        operands: Vec::new(),
        outputs: 1,
        spelled: None,
        random: ChaCha8Rng::seed_from_u64(seed),
    }
}

impl Case {
    /// What a report calls it.
    pub fn name(&self) -> String {
        let attributes: Vec<String> = self
            .attributes
            .iter()
            .map(|a| {
                format!(
                    "{}={:?}{:?}{}{:?}",
                    a.name,
                    a.ints,
                    String::from_utf8_lossy(&a.s),
                    a.i,
                    a.f
                )
            })
            .collect();
        let shapes: Vec<String> = self
            .operands
            .iter()
            .map(|operand| match operand {
                Operand::Data { shape, .. } | Operand::Floats { shape, .. } => format!("{shape:?}"),
                Operand::Ints { values, .. } => format!("ints {values:?}"),
                Operand::Absent => "none".to_owned(),
            })
            .collect();
        format!("{}-{} {} ({})", self.op_type, self.opset, attributes.join(" "), shapes.join(", "))
    }

    /// The operator.
    pub fn op_type(&self) -> &str {
        &self.op_type
    }

    /// Whether it is a case of an operator.
    pub fn is(&self, domain: &str, op_type: &str) -> bool {
        self.domain == domain && self.op_type == op_type
    }

    fn draw(&mut self, shape: &[usize], low: f32, high: f32) -> Vec<f32> {
        let count = shape.iter().product();
        (0..count).map(|_| self.random.random_range(low..high)).collect()
    }

    /// Another domain, opset 1.
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = domain.to_owned();
        self
    }

    /// An attribute.
    pub fn with(mut self, name: &str, value: impl IntoAttribute) -> Self {
        self.attributes.push(attribute(name, value));
        self
    }

    /// A graph input of values in ±3.
    pub fn x<const N: usize>(self, shape: [usize; N]) -> Self {
        self.x_in(shape, -3.0, 3.0)
    }

    /// A graph input of values in a range.
    pub fn x_in<const N: usize>(mut self, shape: [usize; N], low: f32, high: f32) -> Self {
        let values = self.draw(&shape, low, high);
        self.operands.push(Operand::Data { shape: shape.to_vec(), values });
        self
    }

    /// A float initializer of values in ±1.
    pub fn w<const N: usize>(self, shape: [usize; N]) -> Self {
        self.w_in(shape, -1.0, 1.0)
    }

    /// A float initializer of values in a range.
    pub fn w_in<const N: usize>(mut self, shape: [usize; N], low: f32, high: f32) -> Self {
        let values = self.draw(&shape, low, high);
        self.operands.push(Operand::Floats { shape: shape.to_vec(), values });
        self
    }

    /// A single float.
    pub fn scalar(mut self, value: f32) -> Self {
        self.operands.push(Operand::Floats { shape: vec![], values: vec![value] });
        self
    }

    /// A vector of integers.
    pub fn ints<const N: usize>(mut self, values: [i64; N]) -> Self {
        self.operands.push(Operand::Ints { shape: vec![N], values: values.to_vec() });
        self
    }

    /// A matrix of integers.
    pub fn ints2<const N: usize>(mut self, shape: [usize; 2], values: [i64; N]) -> Self {
        self.operands.push(Operand::Ints { shape: shape.to_vec(), values: values.to_vec() });
        self
    }

    /// A float initializer of given values.
    pub fn w_fixed<const N: usize>(mut self, shape: [usize; 1], values: [f32; N]) -> Self {
        self.operands.push(Operand::Floats { shape: shape.to_vec(), values: values.to_vec() });
        self
    }

    /// A single integer.
    pub fn int(mut self, value: i64) -> Self {
        self.operands.push(Operand::Ints { shape: vec![], values: vec![value] });
        self
    }

    /// An input left out.
    pub fn none(mut self) -> Self {
        self.operands.push(Operand::Absent);
        self
    }

    /// The number of outputs.
    pub fn outputs(mut self, outputs: usize) -> Self {
        self.outputs = outputs;
        self
    }

    /// The same function as a chain of other operators: type with float and list attributes,
    /// operands, and result of each. An operand is `i0`… for the case's own, the result of an
    /// earlier line, `f:1.5` for floats, or `i:2,-1` for integers. The last result is `o0`.
    pub fn spelled(mut self, opset: i64, lines: &[[&str; 3]]) -> Self {
        let lines = lines.iter().map(|line| line.map(str::to_owned)).collect();
        self.spelled = Some((opset, lines));
        self
    }

    /// The graph inputs: extents and values.
    pub fn data(&self) -> Vec<(Vec<usize>, Vec<f32>)> {
        let data = |operand: &Operand| match operand {
            Operand::Data { shape, values } => Some((shape.clone(), values.clone())),
            _ => None,
        };
        self.operands.iter().filter_map(data).collect()
    }

    /// The model to be tested.
    pub fn model(&self) -> Vec<u8> {
        let mut node = NodeProto {
            op_type: self.op_type.clone(),
            domain: self.domain.clone(),
            name: "node".to_owned(),
            attribute: self.attributes.clone(),
            output: (0..self.outputs).map(|slot| format!("o{slot}")).collect(),
            ..NodeProto::default()
        };
        for (slot, operand) in self.operands.iter().enumerate() {
            let absent = matches!(operand, Operand::Absent);
            node.input.push(if absent { String::new() } else { format!("i{slot}") });
        }
        let mut opsets = vec![(String::new(), self.opset)];
        if !self.domain.is_empty() {
            opsets.push((self.domain.clone(), 1));
        }
        self.wrap(vec![node], Vec::new(), opsets)
    }

    /// The model tract runs.
    pub fn oracle(&self) -> Vec<u8> {
        let Some((opset, lines)) = &self.spelled else { return self.model() };
        let mut initializers = Vec::new();
        let mut nodes = Vec::new();
        for [op_type, operands, result] in lines {
            let mut node = NodeProto { output: vec![result.clone()], ..NodeProto::default() };
            let mut words = op_type.split(' ');
            node.op_type = words.next().unwrap_or_default().to_owned();
            for word in words {
                let (name, value) = word.split_once('=').unwrap();
                node.attribute.push(if name == "axis" {
                    attribute(name, value.parse::<i64>().unwrap())
                } else if value.contains('.') {
                    attribute(name, value.parse::<f32>().unwrap())
                } else {
                    let ints: Vec<i64> = value.split(',').map(|it| it.parse().unwrap()).collect();
                    attribute(name, ints)
                });
            }
            for operand in operands.split(' ') {
                let name = format!("c{}", initializers.len());
                node.input.push(match operand.split_once(':') {
                    Some(("f", values)) => {
                        let values: Vec<f32> =
                            values.split(',').map(|v| v.parse().unwrap()).collect();
                        let shape = if values.len() == 1 { vec![] } else { vec![values.len()] };
                        initializers.push(floats(&name, &shape, &values));
                        name
                    }
                    Some((_, values)) => {
                        let values: Vec<i64> =
                            values.split(',').map(|v| v.parse().unwrap()).collect();
                        initializers.push(ints(&name, &[values.len()], &values));
                        name
                    }
                    None => operand.to_owned(),
                });
            }
            nodes.push(node);
        }
        self.wrap(nodes, initializers, vec![(String::new(), *opset)])
    }

    fn wrap(
        &self,
        nodes: Vec<NodeProto>,
        mut initializers: Vec<TensorProto>,
        opsets: Vec<(String, i64)>,
    ) -> Vec<u8> {
        let mut inputs = Vec::new();
        for (slot, operand) in self.operands.iter().enumerate() {
            let name = format!("i{slot}");
            match operand {
                Operand::Data { shape, .. } => inputs.push(value(&name, Some(shape))),
                Operand::Floats { shape, values } => {
                    initializers.push(floats(&name, shape, values))
                }
                Operand::Ints { shape, values } => initializers.push(ints(&name, shape, values)),
                Operand::Absent => {}
            }
        }
        let outputs = (0..self.outputs).map(|slot| value(&format!("o{slot}"), None)).collect();
        model(nodes, initializers, inputs, outputs, opsets)
    }
}

/// A whole model.
pub fn model(
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
    opsets: Vec<(String, i64)>,
) -> Vec<u8> {
    let graph = GraphProto {
        name: "case".to_owned(),
        node: nodes,
        initializer: initializers,
        input: inputs,
        output: outputs,
        ..GraphProto::default()
    };
    let opset = |(domain, version)| OperatorSetIdProto { domain, version, ..Default::default() };
    let model = ModelProto {
        ir_version: 8,
        opset_import: opsets.into_iter().map(opset).collect(),
        graph: MessageField::some(graph),
        ..ModelProto::default()
    };
    model.write_to_bytes().unwrap()
}

/// A node of the default domain without attributes.
pub fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op_type.to_owned(),
        name: format!("make {output}"),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// An attribute.
pub fn attribute(name: &str, value: impl IntoAttribute) -> AttributeProto {
    let mut attribute = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
    value.write(&mut attribute);
    attribute
}

/// A node with one attribute.
pub fn with(mut node: NodeProto, name: &str, value: impl IntoAttribute) -> NodeProto {
    node.attribute.push(attribute(name, value));
    node
}

/// A value of a float tensor, with its extents if given.
pub fn value(name: &str, shape: Option<&[usize]>) -> ValueInfoProto {
    let shape = shape.map(|shape| TensorShapeProto {
        dim: shape
            .iter()
            .map(|&extent| Dimension {
                value: Some(dimension::Value::DimValue(extent as i64)),
                ..Dimension::default()
            })
            .collect(),
        ..TensorShapeProto::default()
    });
    let tensor =
        type_proto::Tensor { elem_type: 1, shape: shape.into(), ..type_proto::Tensor::default() };
    let kind =
        TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto {
        name: name.to_owned(),
        // Graph outputs are left untyped, so that nobody is told the answer.
        type_: if shape_is_known(&kind) { MessageField::some(kind) } else { MessageField::none() },
        ..ValueInfoProto::default()
    }
}

fn shape_is_known(kind: &TypeProto) -> bool {
    matches!(&kind.value, Some(type_proto::Value::TensorType(tensor)) if tensor.shape.is_some())
}

/// A float initializer.
pub fn floats(name: &str, shape: &[usize], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: shape.iter().map(|&extent| extent as i64).collect(),
        data_type: 1,
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..TensorProto::default()
    }
}

/// An integer initializer.
pub fn ints(name: &str, shape: &[usize], values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: shape.iter().map(|&extent| extent as i64).collect(),
        data_type: 7,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}
