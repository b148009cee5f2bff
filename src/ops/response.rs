//! What an elementwise operator does to a number, so that operators can be compared by it.

use burn::tensor::Device;

use crate::graph::{DType, Fact, Node, Operand};

use super::{Array, NEWEST_OPSET, Operator, OperatorFamily, infer};

/// Inputs lie between −`REACH` and `REACH` standard deviations.
const REACH: f32 = 3.0;
/// Number of inputs.
const COUNT: usize = 49;

/// Results of an operator for inputs spread over a standard normal distribution.
#[derive(Clone, Debug)]
pub struct Response(Vec<f32>);

impl Response {
    /// What an activation does to its first input, if it reads no other.
    pub fn of(operator: &dyn Operator, node: &Node) -> Option<Self> {
        let data = |operand: &&Operand| !matches!(operand, Operand::Absent);
        if node.inputs.iter().filter(data).count() != 1 {
            return None;
        }
        let inputs = inputs().collect::<Vec<_>>();
        let shape = vec![1, inputs.len()];
        let input = Fact {
            name: String::new(),
            dtype: Some(DType::F32),
            shape: Some(shape.clone()),
            value: None,
        };
        // Operators run what they have inferred the shape of, and nothing else.
        let [output] = &infer(operator, node, &[Some(input)]).ok()?[..] else { return None };
        if operator.family() != OperatorFamily::Activation || output.shape.as_ref() != Some(&shape)
        {
            return None;
        }
        let device = Device::flex();
        let tensor = crate::graph::Tensor { data: inputs, shape: shape.clone() };
        let results = operator.execute(node, &[Some(Array::upload(&tensor, &device))], &device);
        match results.ok()?.into_iter().next()? {
            result @ Array::Float { .. } if result.shape() == shape => {
                let values = result.download();
                values.iter().all(|value| value.is_finite()).then_some(Self(values))
            }
            _ => None,
        }
    }

    /// What an operator with default attributes does.
    pub fn by_default(operator: &dyn Operator) -> Option<Self> {
        let node = Node {
            domain: operator.domain().to_owned(),
            op_type: operator.op_type().to_owned(),
            opset: NEWEST_OPSET,
            inputs: vec![Operand::Input(0)],
            outputs: vec![Fact::default()],
            ..Node::default()
        };
        Self::of(operator, &node)
    }

    /// The factor and the constant that make the other response most nearly this one, for a standard
    /// normal input; `None` where the other is no help.
    pub fn as_affine_of(&self, other: &Self) -> Option<Affine> {
        let weights: Vec<f32> = inputs().map(|x| (-0.5 * x * x).exp()).collect();
        let total: f32 = weights.iter().sum();
        let mean = |values: &dyn Fn(usize) -> f32| {
            weights.iter().enumerate().map(|(at, weight)| weight * values(at)).sum::<f32>() / total
        };
        let [own, its] = [mean(&|at| self.0[at]), mean(&|at| other.0[at])];
        let together = mean(&|at| (self.0[at] - own) * (other.0[at] - its));
        let factor = together / mean(&|at| (other.0[at] - its).powi(2));
        let offset = own - factor * its;
        (factor.is_finite() && factor > 0.1).then_some(Affine { factor, offset })
    }

    /// Standard deviation of the difference for a standard normal input: a constant in it is
    /// nothing that the next layer's bias or norm would not take up.
    pub fn distance(&self, other: &Self) -> f32 {
        let weights: Vec<f32> = inputs().map(|x| (-0.5 * x * x).exp()).collect();
        let total: f32 = weights.iter().sum();
        let mean = |values: &dyn Fn(usize) -> f32| {
            weights.iter().enumerate().map(|(at, weight)| weight * values(at)).sum::<f32>() / total
        };
        let difference = |at: usize| self.0[at] - other.0[at];
        let shift = mean(&difference);
        mean(&|at| (difference(at) - shift).powi(2)).sqrt()
    }
}

/// `factor · x + offset`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Factor.
    pub factor: f32,
    /// Constant.
    pub offset: f32,
}

fn inputs() -> impl Iterator<Item = f32> {
    (0..COUNT).map(|at| REACH * (2.0 * at as f32 / (COUNT - 1) as f32 - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Registry;
    use approx::assert_abs_diff_eq;

    fn nearest(op_type: &str) -> &'static str {
        let response =
            |name: &str| Response::by_default(Registry::standard().get("", name).unwrap()).unwrap();
        let own = response(op_type);
        let others = ["Relu", "LeakyRelu", "Gelu", "HardSwish", "Elu", "Tanh", "Sigmoid"];
        let distance = |name: &&str| own.distance(&response(name));
        others.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap()
    }

    #[test]
    fn operators_are_like_those_that_do_the_same() {
        assert_eq!(nearest("Celu"), "Elu");
        assert_eq!(nearest("Softsign"), "Tanh");
        assert_eq!(nearest("Mish"), "Gelu");
        assert_eq!(nearest("Selu"), "Elu");
    }

    #[test]
    fn a_response_is_fitted_by_another() {
        let response =
            |name: &str| Response::by_default(Registry::standard().get("", name).unwrap()).unwrap();
        let tanh = response("Tanh");
        let same = tanh.as_affine_of(&tanh).unwrap();
        assert_abs_diff_eq!(same.factor, 1.0, epsilon = 1e-5);
        assert_abs_diff_eq!(same.offset, 0.0, epsilon = 1e-5);
        let softsign = response("Softsign").as_affine_of(&tanh).unwrap();
        assert!((0.6..0.8).contains(&softsign.factor), "{softsign:?}");
        // ln 2 at zero, where Elu has none.
        let softplus = response("Softplus").as_affine_of(&response("Elu")).unwrap();
        assert!((0.5..0.8).contains(&softplus.offset), "{softplus:?}");
    }

    #[test]
    fn only_functions_of_a_number_have_a_response() {
        let known: Vec<&str> = Registry::standard()
            .operators()
            .filter(|operator| Response::by_default(*operator).is_some())
            .map(|operator| operator.op_type())
            .collect();
        assert!(known.contains(&"Relu") && known.contains(&"Mish"), "{known:?}");
        assert!(!known.contains(&"PRelu") && !known.contains(&"Einsum"), "{known:?}");
    }
}
