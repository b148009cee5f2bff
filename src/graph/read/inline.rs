//! Functions of the model. A call is replaced by the body, its names prefixed with the call's, its
//! attributes put where the body refers to them; calls in bodies likewise.

use std::{borrow::Cow, collections::HashMap, rc::Rc};

use crate::onnx::{
    Model,
    messages::{AttributeProto, FunctionProto, NodeProto},
};

use super::{ReadError, branches};

/// Nodes that a graph with its calls replaced may have: a few functions that call each other twice
/// make an exponential number.
const MOST_NODES: usize = 1 << 17;
/// Deepest calls of functions by functions.
const DEEPEST: usize = 32;

/// Versions of operator sets by domain; the default domain is the empty string.
pub(super) type Opsets = HashMap<String, i64>;

/// A node to be read.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    pub proto: Cow<'a, NodeProto>,
    /// Position in the file: its own, or that of the call it stands for.
    pub position: usize,
    /// What the function it comes from imports, or the graph that its branch stands in; `None` for a node
    /// of the graph itself.
    pub opsets: Option<Rc<Opsets>>,
    /// Whether it is part of a branch, which need not be taken.
    pub conditional: bool,
}

/// A function is known by domain, name and overload.
type Key<'a> = (&'a str, &'a str, &'a str);

struct Inliner<'a> {
    model: &'a Model,
    functions: HashMap<Key<'a>, (&'a FunctionProto, Rc<Opsets>)>,
    calls: Vec<Call<'a>>,
}

/// The nodes of a model's graph, with every call of one of its functions replaced.
pub(super) fn inline(model: &Model) -> Result<Vec<Call<'_>>, ReadError> {
    let functions = model.functions().iter().map(|function| {
        let opsets = crate::onnx::opsets(&function.opset_import).into_iter().collect();
        (key(&function.domain, &function.name, &function.overload), (function, Rc::new(opsets)))
    });
    let mut inliner = Inliner { model, functions: functions.collect(), calls: Vec::new() };
    for (position, proto) in model.graph().node.iter().enumerate() {
        let call = Call { proto: Cow::Borrowed(proto), position, opsets: None, conditional: false };
        inliner.read(call, &mut Vec::new())?;
    }
    Ok(inliner.calls)
}

fn key<'a>(
    domain: &'a Option<String>,
    name: &'a Option<String>,
    overload: &'a Option<String>,
) -> Key<'a> {
    let text = |part: &'a Option<String>| part.as_deref().unwrap_or_default();
    (text(domain), text(name), text(overload))
}

impl<'a> Inliner<'a> {
    fn refuse(&self, call: &NodeProto, problem: &str) -> ReadError {
        let function = call.op_type.clone().unwrap_or_default();
        let (file, problem) = (self.model.name().to_owned(), problem.to_owned());
        ReadError::Function { file, function, problem }
    }

    /// Keeps a node, or the body of the function that it calls.
    fn read(
        &mut self,
        call: Call<'a>,
        active: &mut Vec<*const FunctionProto>,
    ) -> Result<(), ReadError> {
        let proto = &*call.proto;
        let named = key(&proto.domain, &proto.op_type, &proto.overload);
        let Some((function, opsets)) = self.functions.get(&named).cloned() else {
            if self.calls.len() >= MOST_NODES {
                return Err(self.refuse(proto, "the calls of functions make too many nodes"));
            }
            // Names in a function are not those of the graph.
            return match branches::in_front(proto).filter(|_| active.is_empty()) {
                Some((nodes, choice)) => self.branches(&call, nodes, choice),
                None => {
                    self.calls.push(call);
                    Ok(())
                }
            };
        };
        if active.contains(&std::ptr::from_ref(function)) {
            return Err(self.refuse(proto, "it calls itself"));
        }
        if active.len() >= DEEPEST {
            return Err(self.refuse(proto, "its calls are nested too deeply"));
        }
        if proto.input.len() > function.input.len() || proto.output.len() > function.output.len() {
            return Err(self.refuse(proto, "it is called with more values than it takes or gives"));
        }
        let body = Body::new(function, proto, self.calls.len());
        active.push(function);
        for inner in function.node.iter().map(|node| body.node(node)).chain(body.handed_on()) {
            let opsets = Some(opsets.clone());
            let (proto, position, conditional) =
                (Cow::Owned(inner), call.position, call.conditional);
            self.read(Call { proto, position, opsets, conditional }, active)?;
        }
        active.pop();
        Ok(())
    }

    /// Keeps the branches of an `If`, and what is left of itself.
    fn branches(
        &mut self,
        call: &Call<'a>,
        nodes: Vec<NodeProto>,
        choice: NodeProto,
    ) -> Result<(), ReadError> {
        let graph = || Rc::new(self.model.opsets().into_iter().collect());
        let opsets = Some(call.opsets.clone().unwrap_or_else(graph));
        for inner in nodes {
            let (proto, position, opsets) = (Cow::Owned(inner), call.position, opsets.clone());
            self.read(Call { proto, position, opsets, conditional: true }, &mut Vec::new())?;
        }
        self.calls.push(Call { proto: Cow::Owned(choice), ..call.clone() });
        Ok(())
    }
}

/// A function's body as one call sees it.
struct Body<'b> {
    prefix: String,
    names: HashMap<&'b str, &'b str>,
    attributes: HashMap<&'b str, &'b AttributeProto>,
    /// Outputs that are inputs: their names inside and outside.
    handed_on: Vec<[String; 2]>,
}

impl<'b> Body<'b> {
    /// `number` tells calls without a name apart.
    fn new(function: &'b FunctionProto, call: &'b NodeProto, number: usize) -> Self {
        let name = call.name.as_deref().filter(|name| !name.is_empty());
        let result = call.output.iter().find(|name| !name.is_empty());
        let name = result.map(String::as_str).or(name);
        let prefix = match name {
            Some(name) => format!("{name}/"),
            None => format!("{}#{number}/", function.name.as_deref().unwrap_or_default()),
        };
        let given = call.input.iter().map(String::as_str).chain(std::iter::repeat(""));
        let mut names: HashMap<&str, &str> =
            function.input.iter().map(String::as_str).zip(given).collect();
        let mut handed_on = Vec::new();
        for (inner, outer) in function.output.iter().zip(&call.output) {
            if outer.is_empty() {
                continue;
            }
            match names.get(inner.as_str()) {
                Some(&within) => handed_on.push([within.to_owned(), outer.clone()]),
                None => {
                    names.insert(inner, outer);
                }
            }
        }
        let attributes = function
            .attribute_proto
            .iter()
            .chain(&call.attribute)
            .filter_map(|attribute| Some((attribute.name.as_deref()?, attribute)))
            .collect();
        Self { prefix, names, attributes, handed_on }
    }

    /// A node of the body under the names of the call.
    fn node(&self, node: &NodeProto) -> NodeProto {
        let rename = |name: &String| match self.names.get(name.as_str()) {
            _ if name.is_empty() => String::new(),
            Some(&outer) => outer.to_owned(),
            None => format!("{}{name}", self.prefix),
        };
        let name = node.name.as_deref().unwrap_or_default();
        let attribute = |attribute: &AttributeProto| match attribute.ref_attr_name.as_deref() {
            None | Some("") => Some(attribute.clone()),
            // An attribute that the call leaves out is left out of the body.
            Some(wanted) => self
                .attributes
                .get(wanted)
                .map(|&given| AttributeProto { name: attribute.name.clone(), ..given.clone() }),
        };
        NodeProto {
            input: node.input.iter().map(rename).collect(),
            output: node.output.iter().map(rename).collect(),
            name: Some(format!("{}{name}", self.prefix)),
            attribute: node.attribute.iter().filter_map(attribute).collect(),
            ..node.clone()
        }
    }

    /// Nodes that hand inputs on as outputs.
    fn handed_on(&self) -> impl Iterator<Item = NodeProto> {
        self.handed_on.iter().map(|[from, to]| NodeProto {
            input: vec![from.clone()],
            output: vec![to.clone()],
            op_type: Some("Identity".to_owned()),
            ..NodeProto::default()
        })
    }
}
