//! Building an ONNX graph layer by layer: names as PyTorch gives them, shapes and costs as it goes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    encode,
    graph::{Attribute, Graph, Node, Parameter},
};

/// An intermediate result `[N, channels, height, width]`, or `[N, channels]` after flattening.
#[derive(Clone, Debug)]
pub struct Value {
    /// ONNX value name.
    pub name: String,
    /// Channels, or features after flattening.
    pub channels: usize,
    /// Height and width; `None` after flattening.
    pub extent: Option<[usize; 2]>,
    /// Convolutions and linear maps on the longest way here.
    pub depth: usize,
}

impl Value {
    pub(super) fn area(&self) -> usize {
        self.extent.map_or(1, |[height, width]| height * width)
    }
}

/// A square convolution.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    /// Output channels.
    pub out: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Stride in both directions.
    pub stride: usize,
    /// Channel groups; divides input and output channels.
    pub groups: usize,
    /// Whether it has a bias.
    pub bias: bool,
}

/// Pooling windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pool {
    /// The largest value.
    Max,
    /// The mean.
    Average,
}

/// Elementwise non-linearities, named as in a space's TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// `Relu`
    Relu,
    /// `Clip` to numbers from 0 to 6
    Relu6,
    /// `LeakyRelu` with slope 0.1
    Leaky,
    /// `Gelu`, exact
    Gelu,
    /// `Gelu`, tanh approximation
    GeluTanh,
    /// `Sigmoid` and `Mul`, as PyTorch exports SiLU
    Silu,
    /// `HardSwish`
    HardSwish,
    /// `Elu`
    Elu,
    /// `Tanh`
    Tanh,
    /// `Selu`
    Selu,
    /// `Celu` with α 1
    Celu,
    /// `Mish`
    Mish,
    /// `Softplus`
    Softplus,
    /// `Softsign`
    Softsign,
    /// `Sigmoid`, for gates
    Sigmoid,
    /// `HardSigmoid` with slope 1/6, for gates
    HardSigmoid,
}

/// Builds one graph. Paths are PyTorch module paths (`stages.0.1.conv1`): a parameter is named
/// `<path>.weight`, a node `/stages/stages.0/stages.0.1/conv1/Conv`.
#[derive(Debug)]
pub struct GraphBuilder {
    graph: Graph,
    uses: BTreeMap<String, usize>,
    parameters: u64,
    multiply_accumulates: u64,
}

/// A finished graph and what it costs.
#[derive(Clone, Debug)]
pub(super) struct Built {
    pub graph: Graph,
    pub parameters: u64,
    pub multiply_accumulates: u64,
    pub depth: usize,
}

impl GraphBuilder {
    /// An empty graph over images of `input` channels, height and width.
    pub fn new(name: &str, input: [usize; 3]) -> (Self, Value) {
        let graph = Graph { name: name.to_owned(), input: input.to_vec(), ..Graph::default() };
        let [channels, height, width] = input;
        let image =
            Value { name: "input".into(), channels, extent: Some([height, width]), depth: 0 };
        (Self { graph, uses: BTreeMap::new(), parameters: 0, multiply_accumulates: 0 }, image)
    }

    /// `Conv`, padded by half its kernel.
    pub fn conv(&mut self, path: &str, x: &Value, conv: Conv) -> Value {
        self.padded_conv(path, x, conv, conv.kernel / 2)
    }

    /// `Conv` without padding, for patches that do not overlap.
    pub(super) fn patches(&mut self, path: &str, x: &Value, conv: Conv) -> Value {
        self.padded_conv(path, x, conv, 0)
    }

    /// `Conv`, padded by `pad` on every side.
    pub(super) fn padded_conv(&mut self, path: &str, x: &Value, conv: Conv, pad: usize) -> Value {
        self.dilated_conv(path, x, conv, pad, 1)
    }

    /// The same with gaps between the taps of its kernel.
    pub(super) fn dilated_conv(
        &mut self,
        path: &str,
        x: &Value,
        conv: Conv,
        pad: usize,
        dilation: usize,
    ) -> Value {
        let Conv { out, kernel, stride, groups, bias } = conv;
        let fan_in = x.channels / groups * kernel * kernel;
        let reach = dilation * (kernel - 1) + 1;
        let mut inputs = vec![x.name.clone()];
        inputs.push(self.parameter(path, "weight", &[out, x.channels / groups, kernel, kernel]));
        if bias {
            inputs.push(self.parameter(path, "bias", &[out]));
        }
        let attributes = vec![
            ("dilations", pair(dilation)),
            ("group", Attribute::Int(groups as i64)),
            ("kernel_shape", pair(kernel)),
            ("pads", Attribute::Ints(vec![pad as i64; 4])),
            ("strides", pair(stride)),
        ];
        let mut y = Value {
            channels: out,
            extent: x.extent.map(|extent| windows(extent, reach, stride, pad)),
            depth: x.depth + 1,
            name: String::new(),
        };
        self.multiply_accumulates += (y.area() * out * fan_in) as u64;
        y.name = self.node(path, "Conv", inputs, attributes);
        y
    }

    /// `Gemm` with a `[out, in]` weight and a bias.
    pub fn linear(&mut self, path: &str, x: &Value, out: usize) -> Value {
        let inputs = vec![
            x.name.clone(),
            self.parameter(path, "weight", &[out, x.channels]),
            self.parameter(path, "bias", &[out]),
        ];
        let attributes = vec![
            ("alpha", Attribute::Float(1.0)),
            ("beta", Attribute::Float(1.0)),
            ("transB", Attribute::Int(1)),
        ];
        self.multiply_accumulates += (x.channels * out) as u64;
        let name = self.node(path, "Gemm", inputs, attributes);
        Value { name, channels: out, extent: None, depth: x.depth + 1 }
    }

    /// `BatchNormalization` in inference mode.
    pub fn batch_norm(&mut self, path: &str, x: &Value) -> Value {
        let mut inputs = vec![x.name.clone()];
        for field in ["weight", "bias", "running_mean", "running_var"] {
            inputs.push(self.parameter(path, field, &[x.channels]));
        }
        let attributes = vec![
            ("epsilon", Attribute::Float(1e-5)),
            ("momentum", Attribute::Float(0.9)),
            ("training_mode", Attribute::Int(0)),
        ];
        self.map(path, "BatchNormalization", x, inputs, attributes)
    }

    /// `GroupNormalization`; `groups` divides the channels.
    pub fn group_norm(&mut self, path: &str, x: &Value, groups: usize) -> Value {
        let mut inputs = vec![x.name.clone()];
        for field in ["weight", "bias"] {
            inputs.push(self.parameter(path, field, &[x.channels]));
        }
        let attributes = vec![
            ("epsilon", Attribute::Float(1e-5)),
            ("num_groups", Attribute::Int(groups as i64)),
        ];
        self.map(path, "GroupNormalization", x, inputs, attributes)
    }

    /// An elementwise non-linearity.
    pub fn activation(&mut self, path: &str, x: &Value, activation: Activation) -> Value {
        let (op_type, attributes) = match activation {
            Activation::Relu => ("Relu", vec![]),
            Activation::Relu6 => ("Clip", vec![]),
            Activation::Leaky => ("LeakyRelu", vec![("alpha", Attribute::Float(0.1))]),
            Activation::Gelu => ("Gelu", vec![("approximate", Attribute::String("none"))]),
            Activation::GeluTanh => ("Gelu", vec![("approximate", Attribute::String("tanh"))]),
            Activation::Silu | Activation::Sigmoid => ("Sigmoid", vec![]),
            Activation::HardSwish => ("HardSwish", vec![]),
            Activation::Elu => ("Elu", vec![("alpha", Attribute::Float(1.0))]),
            Activation::Tanh => ("Tanh", vec![]),
            Activation::Selu => ("Selu", vec![]),
            Activation::Celu => ("Celu", vec![("alpha", Attribute::Float(1.0))]),
            Activation::Mish => ("Mish", vec![]),
            Activation::Softplus => ("Softplus", vec![]),
            Activation::Softsign => ("Softsign", vec![]),
            Activation::HardSigmoid => (
                "HardSigmoid",
                vec![("alpha", Attribute::Float(1.0 / 6.0)), ("beta", Attribute::Float(0.5))],
            ),
        };
        let mut inputs = vec![x.name.clone()];
        if activation == Activation::Relu6 {
            let bounds = [0.0, 6.0].map(Attribute::Float);
            inputs.extend(bounds.map(|bound| self.constant(path, "value_float", bound)));
        }
        let y = self.map(path, op_type, x, inputs, attributes);
        if activation == Activation::Silu { self.mul(path, x, &y) } else { y }
    }

    /// `Add` of equal shapes.
    pub fn add(&mut self, path: &str, left: &Value, right: &Value) -> Value {
        self.binary(path, "Add", left, right)
    }

    /// `Sub` of equal shapes.
    pub(super) fn sub(&mut self, path: &str, left: &Value, right: &Value) -> Value {
        self.binary(path, "Sub", left, right)
    }

    /// `Mul` of `left` with a value of the same shape, or of one value per channel.
    pub fn mul(&mut self, path: &str, left: &Value, right: &Value) -> Value {
        self.binary(path, "Mul", left, right)
    }

    fn binary(&mut self, path: &str, op_type: &'static str, left: &Value, right: &Value) -> Value {
        let depth = left.depth.max(right.depth);
        let inputs = vec![left.name.clone(), right.name.clone()];
        Value { depth, ..self.map(path, op_type, left, inputs, vec![]) }
    }

    /// `Concat` along the channels; `None` of nothing.
    pub fn concat(&mut self, path: &str, values: &[Value]) -> Option<Value> {
        self.concat_along(path, values, 1)
    }

    /// The same where the channels are another axis.
    pub(super) fn concat_along(
        &mut self,
        path: &str,
        values: &[Value],
        axis: i64,
    ) -> Option<Value> {
        let first = values.first()?;
        let inputs = values.iter().map(|value| value.name.clone()).collect();
        let y = self.map(path, "Concat", first, inputs, vec![("axis", Attribute::Int(axis))]);
        Some(Value {
            channels: values.iter().map(|value| value.channels).sum(),
            depth: values.iter().map(|value| value.depth).max().unwrap_or(0),
            ..y
        })
    }

    /// `MaxPool` or `AveragePool` over square windows.
    pub fn pool(&mut self, path: &str, x: &Value, pool: Pool, window: [usize; 3]) -> Value {
        match pool {
            Pool::Max => {
                let dilations = ("dilations", Attribute::Ints(vec![1, 1]));
                self.windowed(path, "MaxPool", x, dilations, window)
            }
            Pool::Average => {
                let counted = ("count_include_pad", Attribute::Int(1));
                self.windowed(path, "AveragePool", x, counted, window)
            }
        }
    }

    /// `AveragePool` over square windows, of what is not padding.
    pub(super) fn mean_pool(&mut self, path: &str, x: &Value, window: [usize; 3]) -> Value {
        let counted = ("count_include_pad", Attribute::Int(0));
        self.windowed(path, "AveragePool", x, counted, window)
    }

    fn windowed(
        &mut self,
        path: &str,
        op_type: &'static str,
        x: &Value,
        own: (&'static str, Attribute),
        [kernel, stride, pad]: [usize; 3],
    ) -> Value {
        let mut attributes = vec![("ceil_mode", Attribute::Int(0)), own];
        attributes.push(("kernel_shape", pair(kernel)));
        attributes.push(("pads", Attribute::Ints(vec![pad as i64; 4])));
        attributes.push(("strides", pair(stride)));
        let y = self.map(path, op_type, x, vec![x.name.clone()], attributes);
        Value { extent: x.extent.map(|extent| windows(extent, kernel, stride, pad)), ..y }
    }

    /// `GlobalAveragePool`
    pub fn global_average_pool(&mut self, path: &str, x: &Value) -> Value {
        let y = self.map(path, "GlobalAveragePool", x, vec![x.name.clone()], vec![]);
        Value { extent: x.extent.map(|_| [1, 1]), ..y }
    }

    /// `Flatten`
    pub fn flatten(&mut self, path: &str, x: &Value) -> Value {
        let attributes = vec![("axis", Attribute::Int(1))];
        let y = self.map(path, "Flatten", x, vec![x.name.clone()], attributes);
        Value { channels: x.channels * x.area(), extent: None, ..y }
    }

    /// The ONNX file of the graph, which returns `logits`.
    pub fn finish(self, logits: &Value) -> Vec<u8> {
        self.build(logits).encode()
    }

    /// The graph with its costs; it returns `logits`.
    pub(super) fn build(mut self, logits: &Value) -> Built {
        self.graph.classes = logits.channels;
        for output in self.graph.nodes.iter_mut().flat_map(|node| &mut node.outputs) {
            if *output == logits.name {
                *output = "logits".into();
            }
        }
        Built {
            depth: logits.depth,
            graph: self.graph,
            parameters: self.parameters,
            multiply_accumulates: self.multiply_accumulates,
        }
    }

    /// Counts a product with `out` columns at every pixel.
    pub(super) fn multiply_accumulate(&mut self, x: &Value, out: usize) {
        self.multiply_accumulates += (x.area() * x.channels * out) as u64;
    }

    /// A node whose result has the shape of `x`.
    pub(super) fn map(
        &mut self,
        path: &str,
        op_type: &'static str,
        x: &Value,
        inputs: Vec<String>,
        attributes: Vec<(&'static str, Attribute)>,
    ) -> Value {
        Value { name: self.node(path, op_type, inputs, attributes), ..x.clone() }
    }

    /// Takes back the last node, if it is of this operator and makes `x`, which nothing else may read; what it reads.
    pub(super) fn undo(&mut self, op_type: &str, x: &Value) -> Option<Value> {
        let last = self.graph.nodes.last()?;
        if last.op_type != op_type || last.outputs[..] != [x.name.clone()] {
            return None;
        }
        let name = self.graph.nodes.pop()?.inputs.into_iter().next()?;
        Some(Value { name, ..x.clone() })
    }

    /// Takes back the last node, if it is a constant.
    pub(super) fn drop_constant(&mut self) {
        self.graph.nodes.pop_if(|last| last.op_type == "Constant");
    }

    pub(super) fn node(
        &mut self,
        path: &str,
        op_type: &'static str,
        inputs: Vec<String>,
        attributes: Vec<(&'static str, Attribute)>,
    ) -> String {
        self.outputs(path, op_type, inputs, attributes, 1).pop().unwrap_or_default()
    }

    /// A node of several outputs.
    pub(super) fn outputs(
        &mut self,
        path: &str,
        op_type: &'static str,
        inputs: Vec<String>,
        attributes: Vec<(&'static str, Attribute)>,
        count: usize,
    ) -> Vec<String> {
        let mut name = format!("{}/{op_type}", scope(path));
        let uses = self.uses.entry(name.clone()).or_default();
        *uses += 1;
        if *uses > 1 {
            name = format!("{name}_{}", *uses - 1);
        }
        let outputs: Vec<_> = (0..count).map(|slot| format!("{name}_output_{slot}")).collect();
        let node = Node { name, op_type, inputs, outputs: outputs.clone(), attributes };
        self.graph.nodes.push(node);
        outputs
    }

    pub(super) fn parameter(&mut self, path: &str, field: &str, shape: &[usize]) -> String {
        let name = if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
        self.parameters += shape.iter().product::<usize>() as u64;
        self.graph.parameters.push(Parameter { name: name.clone(), shape: shape.to_vec() });
        name
    }
}

impl Built {
    /// Wire bytes of the model.
    pub fn encode(&self) -> Vec<u8> {
        encode::model(&self.graph)
    }

    /// Number of nodes that compute something.
    pub fn operators(&self) -> usize {
        self.graph.nodes.iter().filter(|node| node.op_type != "Constant").count()
    }
}

fn pair(value: usize) -> Attribute {
    Attribute::Ints(vec![value as i64; 2])
}

/// Number of windows in each direction.
fn windows(extent: [usize; 2], kernel: usize, stride: usize, pad: usize) -> [usize; 2] {
    extent.map(|size| (size + 2 * pad).saturating_sub(kernel) / stride + 1)
}

/// The scope PyTorch's exporter gives a module: a numbered child carries its parent's name.
fn scope(path: &str) -> String {
    let mut scope = String::new();
    let mut label = String::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let numbered = part.bytes().all(|byte| byte.is_ascii_digit()) && !label.is_empty();
        label = if numbered { format!("{label}.{part}") } else { part.to_owned() };
        scope += "/";
        scope += &label;
    }
    scope
}
