//! From the nodes of an architecture to kernel instructions.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    graph::{Architecture, NodeIndex, Operand, ParameterId},
    kernels::{
        Activation, Step,
        broadcast::WeightMap,
        gather::{GatherMap, Position},
        product::{Product, Stack},
    },
    ops::{Passage, Registry},
};

use super::{
    NotLowered,
    form::{Extent, Form},
};

/// What feeds an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A value computed before; 0 is the images.
    Value(usize),
    /// A weight.
    Parameter(ParameterId),
}

/// What a kernel is told beside the step.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Places {
    /// All that matters is in the extents.
    Extents,
    /// Where elements come from.
    Gather(Arc<GatherMap>),
    /// Which weight meets which element.
    Weights(Arc<WeightMap>),
    /// How stacks of matrices lie.
    Product(Arc<Product>),
    /// Elements along an axis, and the distance of neighbours.
    Axis { length: usize, stride: Position },
}

/// One kernel invocation.
#[derive(Clone, Debug)]
pub(super) struct Instruction {
    pub step: Step,
    pub places: Places,
    /// A non-linearity applied to the result of a normalisation in the same pass.
    pub activation: Option<Activation>,
    pub sources: Vec<Source>,
    /// Of the first operand.
    pub input: Extent,
    pub output: usize,
}

/// Instructions in order, extents of all values, and the value that is returned.
#[derive(Debug)]
pub(super) struct Lowered {
    pub instructions: Vec<Instruction>,
    pub extents: Vec<Extent>,
    pub result: usize,
}

/// Lowers every node that the outputs need; the first is the result.
pub(super) fn lower(
    architecture: &Architecture,
    registry: &Registry,
) -> Result<Lowered, NotLowered> {
    let input = architecture.inputs.first().and_then(|input| input.shape.as_deref());
    let Some(input @ ([1, _] | [1, _, _, _])) = input else {
        return Err(NotLowered("a graph that does not read images".to_owned()));
    };
    let images = Held { value: 0, form: Form::usual(input) };
    let mut lowering = Lowering {
        architecture,
        instructions: Vec::new(),
        extents: vec![images.form.extent()],
        held: HashMap::new(),
        maps: HashSet::new(),
    };
    for &index in &needed(architecture) {
        let node = &architecture.dag[index];
        let step = registry
            .step(architecture, node)
            .ok_or_else(|| NotLowered(architecture.describe(index)))?;
        let operator = registry.get(&node.domain, &node.op_type);
        let passage = operator.and_then(|operator| operator.passage(node));
        lowering.node(index, step, passage, &images).ok_or_else(|| {
            NotLowered(format!("the operands of {}", architecture.describe(index)))
        })?;
    }
    let result = match architecture.outputs.first() {
        Some((_, Operand::Node { node, slot })) => lowering.held.remove(&(*node, *slot)),
        _ => None,
    };
    let Some(Given::Value(result)) = result else {
        return Err(NotLowered("the output of the graph".to_owned()));
    };
    let result = lowering.arranged(&result, &Form::rows(result.form.shape())).value;
    let Lowering { instructions, extents, .. } = lowering;
    Ok(Lowered { instructions, extents, result })
}

/// Nodes that the outputs need and that are not folded statically, in order.
fn needed(architecture: &Architecture) -> Vec<NodeIndex> {
    let mut wanted = vec![false; architecture.dag.node_count()];
    let mut stack: Vec<Operand> =
        architecture.outputs.iter().map(|(_, operand)| *operand).collect();
    while let Some(operand) = stack.pop() {
        let Operand::Node { node, .. } = operand else { continue };
        let folded = architecture.dag[node].outputs.iter().all(|output| output.value.is_some());
        if !wanted[node.index()] && !folded {
            wanted[node.index()] = true;
            stack.extend(&architecture.dag[node].inputs);
        }
    }
    architecture.order.iter().copied().filter(|node| wanted[node.index()]).collect()
}

/// A value in the form in which it is read.
#[derive(Clone, Debug)]
struct Held {
    value: usize,
    form: Form,
}

/// An operand of a node.
#[derive(Clone, Debug)]
enum Given {
    Value(Held),
    Parameter(ParameterId),
    /// A weight by another shape.
    Reshaped(ParameterId, Vec<usize>),
    /// A matrix with rows and columns exchanged.
    Transposed(ParameterId),
}

struct Lowering<'a> {
    architecture: &'a Architecture,
    instructions: Vec<Instruction>,
    /// By value.
    extents: Vec<Extent>,
    /// By output of a node.
    held: HashMap<(NodeIndex, usize), Given>,
    /// All that were made: blocks of a network rearrange alike.
    maps: HashSet<Arc<GatherMap>>,
}

impl Lowering<'_> {
    /// Adds the instructions of a node; `None` if its operands are not what its step takes.
    fn node(
        &mut self,
        index: NodeIndex,
        step: Step,
        passage: Option<Passage>,
        images: &Held,
    ) -> Option<()> {
        let architecture = self.architecture;
        let node = &architecture.dag[index];
        let mut operands = Vec::with_capacity(node.inputs.len());
        for operand in &node.inputs {
            operands.push(match *operand {
                Operand::Absent | Operand::Constant(_) => continue,
                Operand::Input(0) => Given::Value(images.clone()),
                Operand::Input(_) => return None,
                Operand::Parameter(id) => Given::Parameter(id),
                Operand::Node { node, slot } => match self.held.get(&(node, slot)) {
                    Some(held) => held.clone(),
                    // Statically folded, such as the target of a Reshape.
                    None if architecture.fact(*operand)?.value.is_some() => continue,
                    None => return None,
                },
            });
        }
        let shape = |slot: usize| node.outputs.get(slot)?.shape.as_deref();
        if let Step::Split { axis } = step {
            let [Given::Value(x)] = operands.as_slice() else { return None };
            let mut first = 0;
            for slot in 0..node.outputs.len() {
                let shape = shape(slot)?;
                let (offset, strides) = part(x.form.shape(), axis, first)?;
                first += shape[axis];
                let part = self.view(x, offset, &strides, shape)?;
                self.held.insert((index, slot), Given::Value(part));
            }
        } else if let [weight @ (Given::Parameter(id) | Given::Reshaped(id, _))] =
            operands.as_slice()
        {
            let given = match (step, weight, passage) {
                (Step::Identity, ..) => weight.clone(),
                (Step::Reshape, ..) => Given::Reshaped(*id, shape(0)?.to_vec()),
                (_, Given::Parameter(_), Some(Passage::Transposed)) => Given::Transposed(*id),
                (Step::View { offset: 0, strides }, ..)
                    if self.is_unchanged(weight, &strides, shape(0)?)? =>
                {
                    weight.clone()
                }
                _ => return None,
            };
            self.held.insert((index, 0), given);
        } else {
            let held = self.step(step, &operands, shape(0)?)?;
            self.held.insert((index, 0), Given::Value(held));
        }
        Some(())
    }

    /// Adds the instructions of one step; its result.
    fn step(&mut self, step: Step, operands: &[Given], shape: &[usize]) -> Option<Held> {
        if matches!(step, Step::Add | Step::Mul) {
            return self.binary(step, operands, shape);
        }
        if step == Step::Sub {
            return self.difference(operands, shape);
        }
        if let Step::Concat { axis } = step {
            return self.concat(axis, operands, shape);
        }
        let (Given::Value(x), rest) = operands.split_first()? else { return None };
        let own = x.form.shape();
        match step {
            Step::Conv2d { .. }
            | Step::GroupNorm { .. }
            | Step::MaxPool { .. }
            | Step::AveragePool { .. }
            | Step::AdaptivePool
            | Step::GlobalMaxPool => {
                // Parts of one image, as windows are, would be one image to the kernels.
                let whole = own.first() == Some(&1);
                let [takes, leaves] = [own, shape].map(Form::images);
                whole.then(|| self.plain(step, x, rest, &takes, leaves)).flatten()
            }
            Step::BatchNorm { .. } => {
                let form = Form::images(own);
                self.plain(step, x, rest, &form, form.clone())
            }
            Step::Linear { .. } | Step::LayerNorm { .. } => {
                self.plain(step, x, rest, &Form::features(own), Form::features(shape))
            }
            Step::Activation(_) | Step::Scale { .. } if own == shape => {
                self.plain(step, x, rest, &x.form, x.form.clone())
            }
            Step::Identity => Some(x.clone()),
            Step::Reshape => Some(self.reshape(x, shape)),
            Step::View { offset, strides } => self.view(x, offset, &strides, shape),
            Step::Softmax { axis } => {
                let (&length, stride) = (own.get(axis)?, x.form.stride(axis));
                let places = Places::Axis { length, stride };
                // An axis of one may be that of the batch; here and below.
                (length > 1).then(|| self.push(step, places, &[x], &[], x.form.clone()))
            }
            Step::Mean { ref reduced } => {
                let (mean, kept): (Vec<usize>, Vec<usize>) =
                    (0..own.len()).partition(|&axis| reduced[axis]);
                if mean.is_empty() || mean.iter().any(|&axis| own[axis] == 1) {
                    return None;
                }
                let (order, majors) = x.form.order();
                let fits = order[..majors].iter().all(|axis| kept.contains(axis))
                    && order[majors..].iter().all(|axis| mean.contains(axis));
                let form = if fits { x.form.clone() } else { Form::new(own, &kept) };
                let left: Vec<usize> =
                    own.iter().zip(reduced).map(|(&n, &gone)| if gone { 1 } else { n }).collect();
                let (order, majors) = form.order();
                let result = Form::new(&left, &order[..majors]).reshaped(shape)?;
                self.plain(step, x, rest, &form, result)
            }
            Step::MatMul => match rest {
                [Given::Value(right)] => self.product(x, right, shape),
                [Given::Transposed(id)] => {
                    let (step, weight) = (Step::Linear { out_in: true }, Given::Parameter(*id));
                    self.plain(step, x, &[weight], &Form::features(own), Form::features(shape))
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn push(
        &mut self,
        step: Step,
        places: Places,
        operands: &[&Held],
        weights: &[Given],
        form: Form,
    ) -> Held {
        let input = operands.first().map_or([0; 3], |first| first.form.extent());
        let values = operands.iter().map(|operand| Source::Value(operand.value));
        let weights = weights.iter().map(|weight| match weight {
            Given::Value(held) => Source::Value(held.value),
            Given::Parameter(id) | Given::Reshaped(id, _) | Given::Transposed(id) => {
                Source::Parameter(*id)
            }
        });
        let sources = values.chain(weights).collect();
        self.extents.push(form.extent());
        let output = self.extents.len() - 1;
        let activation = None;
        self.instructions.push(Instruction { step, places, activation, sources, input, output });
        Held { value: output, form }
    }

    /// A step that takes its first operand in one form and leaves another.
    fn plain(
        &mut self,
        step: Step,
        x: &Held,
        rest: &[Given],
        takes: &Form,
        leaves: Form,
    ) -> Option<Held> {
        let turned =
            |operand: &Given| matches!(operand, Given::Reshaped(..) | Given::Transposed(_));
        if rest.iter().any(turned) {
            return None;
        }
        let x = self.arranged(x, takes);
        Some(self.push(step, Places::Extents, &[&x], rest, leaves))
    }

    /// A value in some form.
    fn arranged(&mut self, x: &Held, form: &Form) -> Held {
        if x.form == *form { x.clone() } else { self.gather(x, form.clone(), |element| element) }
    }

    /// Copies element `from(i)` of a value to element `i` of a result.
    fn gather(&mut self, x: &Held, form: Form, from: impl Fn(usize) -> usize) -> Held {
        let place = |element: usize| {
            let Position { major, minor } = x.form.position(from(element));
            [major as u32, minor as u32]
        };
        let map = GatherMap {
            from: form.elements().into_iter().map(place).collect(),
            minors: [form.sizes()[1], x.form.sizes()[1]],
        };
        let map = match self.maps.get(&map) {
            Some(known) => Arc::clone(known),
            None => {
                let map = Arc::new(map);
                self.maps.insert(Arc::clone(&map));
                map
            }
        };
        self.push(Step::Reshape, Places::Gather(map), &[x], &[], form)
    }

    fn reshape(&mut self, x: &Held, shape: &[usize]) -> Held {
        match x.form.reshaped(shape) {
            Some(form) => Held { value: x.value, form },
            None => self.gather(x, Form::usual(shape), |element| element),
        }
    }

    fn view(
        &mut self,
        x: &Held,
        offset: usize,
        strides: &[usize],
        shape: &[usize],
    ) -> Option<Held> {
        let (own, former) = (x.form.shape(), row_strides(x.form.shape()));
        if let Some(permutation) = permutation(own, &former, strides, shape)
            && offset == 0
        {
            return Some(Held { value: x.value, form: x.form.permuted(&permutation) });
        }
        let rows = row_strides(shape);
        let from = |element: usize| {
            let along = |axis: usize| element / rows[axis] % shape[axis] * strides[axis];
            offset + (0..shape.len()).map(along).sum::<usize>()
        };
        let last = shape.iter().product::<usize>().checked_sub(1)?;
        let fits = strides.len() == shape.len() && from(last) < own.iter().product();
        fits.then(|| self.gather(x, Form::usual(shape), from))
    }

    fn concat(&mut self, axis: usize, operands: &[Given], shape: &[usize]) -> Option<Held> {
        let value = |operand: &Given| match operand {
            Given::Value(x) => Some(x.clone()),
            _ => None,
        };
        let beside = operands.iter().find_map(value)?;
        let mut parts = Vec::with_capacity(operands.len());
        let (mut total, mut longest) = (0, 0);
        for operand in operands {
            let x = match value(operand) {
                Some(x) => x,
                None => self.repeated(operand, &beside)?,
            };
            let own = x.form.shape();
            total += own.get(axis)?;
            longest = longest.max(own[axis]);
            parts.push(self.arranged(&x, &Form::new(own, &[axis])));
        }
        if longest < 2 || total != shape[axis] {
            return None;
        }
        let parts: Vec<&Held> = parts.iter().collect();
        let form = Form::new(shape, &[axis]);
        Some(self.push(Step::Concat { axis }, Places::Extents, &parts, &[], form))
    }

    /// A weight as a value of every image, such as a class token: nothing, made of a value that the image
    /// has, plus the weight.
    fn repeated(&mut self, weight: &Given, beside: &Held) -> Option<Held> {
        let shape = self.weight_shape(weight)?.to_vec();
        let some = self.gather(beside, Form::usual(&shape), |_| 0);
        let nothing = Step::Scale { factor: 0.0, offset: 0.0 };
        let nothing = self.plain(nothing, &some, &[], &some.form, some.form.clone())?;
        self.binary(Step::Add, &[Given::Value(nothing), weight.clone()], &shape)
    }

    /// Whether a view of a weight is the weight.
    fn is_unchanged(&self, weight: &Given, strides: &[usize], shape: &[usize]) -> Option<bool> {
        let own = self.weight_shape(weight)?;
        let axes = permutation(own, &row_strides(own), strides, shape);
        Some(axes.is_some_and(|axes| axes.into_iter().eq(0..own.len())))
    }

    fn weight_shape<'b>(&'b self, weight: &'b Given) -> Option<&'b [usize]> {
        match weight {
            Given::Parameter(id) => self.architecture.parameters.get(id.0)?.shape.as_deref(),
            Given::Reshaped(_, own) => Some(own),
            Given::Value(_) | Given::Transposed(_) => None,
        }
    }

    fn binary(&mut self, step: Step, operands: &[Given], shape: &[usize]) -> Option<Held> {
        match operands {
            [Given::Value(a), Given::Value(b)] => {
                let images = Form::images(shape);
                let gates = |x: &Held, gate: &Held| {
                    let plane = shape.len() == 4 && shape[2..].iter().product::<usize>() > 1;
                    plane && x.form == images && gate.form == Form::images(&[1, shape[1], 1, 1])
                };
                if gates(a, b) || gates(b, a) {
                    return Some(self.push(step, Places::Extents, &[a, b], &[], images));
                }
                let (a, b) = (self.expanded(a, shape)?, self.expanded(b, shape)?);
                let b = self.arranged(&b, &a.form);
                Some(self.push(step, Places::Extents, &[&a, &b], &[], a.form.clone()))
            }
            [Given::Value(x), weight] | [weight, Given::Value(x)] => {
                let own = self.weight_shape(weight)?.to_vec();
                let x = self.expanded(x, shape)?;
                let of = broadcast_index(&own, shape)?;
                let of = x.form.elements().into_iter().map(of).collect();
                let map = WeightMap { of, minors: x.form.sizes()[1] };
                let (places, form) = (Places::Weights(Arc::new(map)), x.form.clone());
                Some(self.push(step, places, &[&x], std::slice::from_ref(weight), form))
            }
            _ => None,
        }
    }

    /// The sum of the first operand and the negative of the second.
    fn difference(&mut self, operands: &[Given], shape: &[usize]) -> Option<Held> {
        let [first, Given::Value(second)] = operands else { return None };
        let negation = Step::Scale { factor: -1.0, offset: 0.0 };
        let form = second.form.clone();
        let negated = self.plain(negation, second, &[], &form, form.clone())?;
        self.binary(Step::Add, &[first.clone(), Given::Value(negated)], shape)
    }

    /// A value broadcast to a shape.
    fn expanded(&mut self, x: &Held, shape: &[usize]) -> Option<Held> {
        let own = x.form.shape();
        if own == shape {
            return Some(x.clone());
        }
        let lead = shape.len().checked_sub(own.len())?;
        let rows = row_strides(own);
        let stride = |axis: usize| match axis.checked_sub(lead) {
            Some(former) if own[former] > 1 => rows[former],
            _ => 0,
        };
        let strides: Vec<usize> = (0..shape.len()).map(stride).collect();
        self.view(x, 0, &strides, shape)
    }

    fn product(&mut self, a: &Held, b: &Held, shape: &[usize]) -> Option<Held> {
        let rank = shape.len();
        let (&[.., rows, depth], &[.., same, columns]) = (a.form.shape(), b.form.shape()) else {
            return None;
        };
        if depth != same || shape.get(rank.checked_sub(2)?..)? != [rows, columns] {
            return None;
        }
        let stacked = rank - 2;
        let mut majors: Vec<usize> = (0..stacked).collect();
        if b.form.is_major(b.form.shape().len() - 1) {
            majors.push(rank - 1);
        }
        let form = Form::new(shape, &majors);
        let extents = [rows, columns, depth];
        let stacks = [&a.form, &b.form, &form].map(|form| stack(form, shape));
        let [Some(a_stack), Some(b_stack), Some(out)] = stacks else { return None };
        let product = Product { extents, a: a_stack, b: b_stack, out };
        Some(self.push(Step::MatMul, Places::Product(Arc::new(product)), &[a, b], &[], form))
    }
}

/// The matrices of a value, repeated to fill a shape.
fn stack(form: &Form, shape: &[usize]) -> Option<Stack> {
    let (stacked, own) = (shape.len() - 2, form.shape().len());
    let lead = shape.len().checked_sub(own)?;
    let start = |mut index: usize| {
        let mut start = Position::default();
        for axis in (0..stacked).rev() {
            let place = index % shape[axis];
            index /= shape[axis];
            let stride =
                axis.checked_sub(lead).map_or(Position::default(), |axis| form.stride(axis));
            start.major += place * stride.major;
            start.minor += place * stride.minor;
        }
        start
    };
    Some(Stack {
        starts: (0..shape[..stacked].iter().product()).map(start).collect(),
        row: form.stride(own - 2),
        column: form.stride(own - 1),
        minors: form.sizes()[1],
    })
}

/// The order of axes that a view stands for, if it only transposes.
fn permutation(
    own: &[usize],
    rows: &[usize],
    strides: &[usize],
    shape: &[usize],
) -> Option<Vec<usize>> {
    let mut axes: Vec<usize> = Vec::with_capacity(shape.len());
    for (&extent, &stride) in shape.iter().zip(strides) {
        let fits = |&former: &usize| {
            let same = own[former] == extent && (extent == 1 || rows[former] == stride);
            same && !axes.contains(&former)
        };
        let former = (0..own.len()).find(fits)?;
        axes.push(former);
    }
    (axes.len() == own.len()).then_some(axes)
}

/// Distances of neighbours in the order of the elements.
fn row_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// A part of a shape from an index of an axis on, as a view.
fn part(shape: &[usize], axis: usize, first: usize) -> Option<(usize, Vec<usize>)> {
    // An axis of one may be that of the batch.
    if *shape.get(axis)? == 1 {
        return None;
    }
    let strides = row_strides(shape);
    Some((first * strides[axis], strides))
}

/// Which element of a weight meets an element of a value that it broadcasts to.
fn broadcast_index(weight: &[usize], shape: &[usize]) -> Option<impl Fn(usize) -> u32> {
    let lead = shape.len().checked_sub(weight.len())?;
    let fits = |(axis, &extent): (usize, &usize)| extent == 1 || extent == shape[axis + lead];
    if !weight.iter().enumerate().all(fits) {
        return None;
    }
    let (rows, own) = (row_strides(shape), row_strides(weight));
    let axes: Vec<[usize; 3]> = (0..weight.len())
        .filter(|&axis| weight[axis] > 1)
        .map(|axis| [rows[axis + lead], weight[axis], own[axis]])
        .collect();
    Some(move |element: usize| {
        axes.iter().map(|[row, extent, stride]| element / row % extent * stride).sum::<usize>()
            as u32
    })
}
