//! Features of nodes from Python.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use pyo3::{exceptions::PyValueError, prelude::*, types::PyDict};
use weightsmith::{
    encoder::NodeEncoder,
    graph::{Architecture, Attribute, Node, NodeIndex, Operand},
    ops::Registry,
};

/// A function that takes a node as a dictionary and returns a number for each name. What it raises first is kept,
/// and stops the work that asked.
#[derive(Debug)]
pub struct PythonEncoder {
    names: Vec<String>,
    function: Py<PyAny>,
    failure: Mutex<Option<PyErr>>,
    stop: Arc<AtomicBool>,
}

impl PythonEncoder {
    /// Of names and a function; `stop` is set when the function fails.
    pub fn new((names, function): Features, stop: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self { names, function, failure: Mutex::default(), stop })
    }

    /// What the function raised.
    ///
    /// # Errors
    ///
    /// That.
    pub fn check(&self) -> PyResult<()> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    fn call(&self, architecture: &Architecture, index: NodeIndex) -> PyResult<Vec<f32>> {
        Python::attach(|py| {
            let node = described(py, architecture, &architecture.dag[index])?;
            let values: Vec<f32> = self.function.call1(py, (node,))?.extract(py)?;
            match values.len() == self.names.len() {
                true => Ok(values),
                false => Err(PyValueError::new_err(format!(
                    "the node encoder returns {} numbers for the {} features {}",
                    values.len(),
                    self.names.len(),
                    self.names.join(", ")
                ))),
            }
        })
    }
}

/// Names of features, and the function that gives them.
pub type Features = (Vec<String>, Py<PyAny>);

impl NodeEncoder for PythonEncoder {
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn encode(
        &self,
        architecture: &Architecture,
        _registry: &Registry,
        node: NodeIndex,
        features: &mut [f32],
    ) {
        if self.stop.load(Ordering::Relaxed) {
            return;
        }
        match self.call(architecture, node) {
            Ok(values) => features.copy_from_slice(&values),
            Err(error) => {
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                self.stop.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// A node as `{"name", "operator", "domain", "module", "attributes", "inputs", "outputs"}`: extents of what goes in and
/// comes out, `None` where they are not known.
fn described<'py>(
    py: Python<'py>,
    architecture: &Architecture,
    node: &Node,
) -> PyResult<Bound<'py, PyDict>> {
    let attributes = PyDict::new(py);
    for (name, attribute) in &node.attributes.0 {
        match attribute {
            Attribute::Int(value) => attributes.set_item(name, value)?,
            Attribute::Float(value) => attributes.set_item(name, value)?,
            Attribute::String(value) => attributes.set_item(name, value)?,
            Attribute::Ints(values) => attributes.set_item(name, values)?,
            Attribute::Floats(values) => attributes.set_item(name, values)?,
            Attribute::Strings(values) => attributes.set_item(name, values)?,
            _ => {}
        }
    }
    let shape = |operand: &Operand| architecture.fact(*operand).and_then(|fact| fact.shape);
    let inputs: Vec<Option<Vec<usize>>> = node.inputs.iter().map(shape).collect();
    let outputs: Vec<_> = node.outputs.iter().map(|fact| fact.shape.clone()).collect();
    let described = PyDict::new(py);
    described.set_item("name", &node.name)?;
    described.set_item("operator", &node.op_type)?;
    described.set_item("domain", &node.domain)?;
    described.set_item("module", &node.module)?;
    described.set_item("attributes", attributes)?;
    described.set_item("inputs", inputs)?;
    described.set_item("outputs", outputs)?;
    Ok(described)
}
