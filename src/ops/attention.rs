//! Scaled dot-product attention as one operator (Vaswani et al. 2017; ONNX opset 23).

use burn::tensor::{Device, Tensor, activation};

use crate::graph::{Fact, Node};

use super::{
    Array, OpError, Operator, OperatorFamily,
    helpers::{array, bad, bounded, broadcast, maybe, maybe_shape, named, required},
};

/// `Attention` of queries, keys, values and an optional mask, without past keys and values.
struct Attention;

/// Extents of the operands: `[batch, heads, tokens, width]`, heads of their own for keys and values.
#[derive(Clone, Copy)]
struct Heads {
    batch: usize,
    query: [usize; 3],
    key: [usize; 3],
    value: [usize; 3],
    /// Whether heads lie side by side on the last axis.
    packed: bool,
}

impl Heads {
    fn of(node: &Node, shapes: [&[usize]; 3]) -> Result<Self, OpError> {
        let heads = |name| -> Result<usize, OpError> {
            let count = usize::try_from(node.attributes.int(name, 0)?).ok();
            let missing = || OpError::Unsupported(format!("attribute '{name}' is missing"));
            count.filter(|&count| count > 0).ok_or_else(missing)
        };
        let one = |input: usize, name| -> Result<[usize; 4], OpError> {
            let wrong = || bad(input, format!("shape {:?} is not one of heads", shapes[input]));
            match *shapes[input] {
                [batch, heads, tokens, width] => Ok([batch, heads, tokens, width]),
                [batch, tokens, width] => {
                    let heads = heads(name)?;
                    let fits = width.is_multiple_of(heads).then_some(());
                    fits.ok_or_else(wrong)?;
                    Ok([batch, heads, tokens, width / heads])
                }
                _ => Err(wrong()),
            }
        };
        let (q, k) = (one(0, "q_num_heads")?, one(1, "kv_num_heads")?);
        let v = one(2, "kv_num_heads")?;
        let fits = q[0] == k[0] && k[..3] == v[..3] && q[3] == k[3] && q[1].is_multiple_of(k[1]);
        if !fits {
            return Err(bad(1, format!("keys {k:?} and values {v:?} do not fit queries {q:?}")));
        }
        let rest = |[_, heads, tokens, width]: [usize; 4]| [heads, tokens, width];
        let packed = shapes[0].len() == 3;
        Ok(Self { batch: q[0], query: rest(q), key: rest(k), value: rest(v), packed })
    }

    fn shape(&self) -> Vec<usize> {
        let [heads, tokens, _] = self.query;
        match self.packed {
            true => vec![self.batch, tokens, heads * self.value[2]],
            false => vec![self.batch, heads, tokens, self.value[2]],
        }
    }

    /// An operand as `[batch, heads, tokens, width]`, its heads repeated for every query's.
    fn operand(
        &self,
        array: &Array,
        [heads, tokens, width]: [usize; 3],
        input: usize,
    ) -> Result<Tensor<4>, OpError> {
        let batch = self.batch;
        let view: Tensor<4> = match array.shape().len() {
            3 => array.view::<4>(input, [batch, tokens, heads, width])?.swap_dims(1, 2),
            _ => array.view(input, [batch, heads, tokens, width])?,
        };
        let groups = self.query[0] / heads;
        if groups == 1 {
            return Ok(view);
        }
        let repeated = view.reshape([batch, heads, 1, tokens * width]);
        let repeated = repeated.expand([batch, heads, groups, tokens * width]);
        Ok(repeated.reshape([batch, heads * groups, tokens, width]))
    }
}

impl Operator for Attention {
    fn op_type(&self) -> &'static str {
        "Attention"
    }

    fn since(&self) -> &'static [i64] {
        &[23]
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Attention
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let dtype = required(inputs, 0)?.dtype;
        if inputs.iter().skip(4).any(Option::is_some)
            || node.outputs.iter().skip(1).any(|output| !output.name.is_empty())
        {
            return Err(OpError::Unsupported("past keys and values".to_owned()));
        }
        let shapes = (maybe_shape(inputs, 0), maybe_shape(inputs, 1), maybe_shape(inputs, 2));
        let shape = match shapes {
            (Some(q), Some(k), Some(v)) => {
                let heads = Heads::of(node, [q, k, v])?;
                let scores = [heads.batch, heads.query[0], heads.query[1], heads.key[1]];
                bounded(&scores)?;
                if let Some(mask) = maybe_shape(inputs, 3)
                    && broadcast(mask, &scores).as_deref() != Some(&scores)
                {
                    return Err(bad(3, format!("shape {mask:?} does not mask {scores:?}")));
                }
                Some(heads.shape())
            }
            _ => None,
        };
        Ok(named(node, 0, dtype, shape, None).into_iter().collect())
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let (q, k, v) = (array(inputs, 0)?, array(inputs, 1)?, array(inputs, 2)?);
        let heads = Heads::of(node, [q.shape(), k.shape(), v.shape()])?;
        let ([_, rows, width], [_, columns, _]) = (heads.query, heads.key);
        let scale = node.attributes.float("scale", 1.0 / (width as f32).sqrt())?;
        let keys = heads.operand(k, heads.key, 1)?.swap_dims(2, 3);
        let mut scores = heads.operand(q, heads.query, 0)?.matmul(keys) * scale;
        let softcap = node.attributes.float("softcap", 0.0)?;
        if softcap != 0.0 {
            scores = (scores / softcap).tanh() * softcap;
        }
        let masked = |hidden: Vec<bool>, shape: Vec<usize>| {
            let data = hidden.iter().map(|&hidden| if hidden { -1e30 } else { 0.0 }).collect();
            Array::upload(&crate::graph::Tensor { shape, data }, device)
        };
        match maybe(inputs, 3) {
            Some(Array::Int { shape, data }) => {
                let hidden = data.iter().map(|&seen| seen == 0).collect();
                scores = scores + masked(hidden, shape.clone()).rank::<4>(3)?;
            }
            Some(mask) => scores = scores + mask.rank::<4>(3)?,
            None => {}
        }
        if node.attributes.int("is_causal", 0)? != 0 {
            let hidden = (0..rows * columns).map(|at| at % columns > at / columns).collect();
            scores = scores + masked(hidden, vec![rows, columns]).rank::<4>(3)?;
        }
        let mixed = activation::softmax(scores, 3).matmul(heads.operand(v, heads.value, 2)?);
        let mixed = if heads.packed { mixed.swap_dims(1, 2) } else { mixed };
        Ok(vec![Array::flat(mixed, heads.shape())])
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![Box::new(Attention)]
}
