//! Node attributes with typed, defaulted access.

use std::collections::BTreeMap;

use super::Constant;

/// One attribute of a node (`AttributeProto`); graphs and other kinds are kept only as `Other`.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// `INT`
    Int(i64),
    /// `FLOAT`
    Float(f32),
    /// `STRING`, lossily decoded as UTF-8
    String(String),
    /// `INTS`
    Ints(Vec<i64>),
    /// `FLOATS`
    Floats(Vec<f32>),
    /// `STRINGS`, lossily decoded as UTF-8
    Strings(Vec<String>),
    /// `TENSOR`, decoded
    Tensor(Constant),
    /// Any other kind, by its name in `AttributeProto.AttributeType`
    Other(&'static str),
}

/// An attribute that is missing or of another type than its operator asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attribute '{name}' {problem}")]
pub struct AttributeError {
    /// Attribute name.
    pub name: String,
    /// What is wrong, as a verb phrase.
    pub problem: &'static str,
}

/// All attributes of one node, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(pub BTreeMap<String, Attribute>);

impl Attributes {
    /// An integer, or `default` where absent.
    pub fn int(&self, name: &str, default: i64) -> Result<i64, AttributeError> {
        match self.0.get(name) {
            None => Ok(default),
            Some(Attribute::Int(value)) => Ok(*value),
            Some(_) => Err(wrong(name, "is not an integer")),
        }
    }

    /// A float, or `default` where absent.
    pub fn float(&self, name: &str, default: f32) -> Result<f32, AttributeError> {
        match self.0.get(name) {
            None => Ok(default),
            Some(Attribute::Float(value)) => Ok(*value),
            Some(_) => Err(wrong(name, "is not a float")),
        }
    }

    /// A string, or `default` where absent.
    pub fn string<'a>(&'a self, name: &str, default: &'a str) -> Result<&'a str, AttributeError> {
        match self.0.get(name) {
            None => Ok(default),
            Some(Attribute::String(value)) => Ok(value),
            Some(_) => Err(wrong(name, "is not a string")),
        }
    }

    /// A list of integers, if present.
    pub fn ints(&self, name: &str) -> Result<Option<&[i64]>, AttributeError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Attribute::Ints(values)) => Ok(Some(values)),
            Some(_) => Err(wrong(name, "is not a list of integers")),
        }
    }

    /// A list of strings, if present.
    pub fn strings(&self, name: &str) -> Result<Option<&[String]>, AttributeError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Attribute::Strings(values)) => Ok(Some(values)),
            Some(_) => Err(wrong(name, "is not a list of strings")),
        }
    }

    /// A tensor, if present.
    pub fn tensor(&self, name: &str) -> Result<Option<&Constant>, AttributeError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Attribute::Tensor(value)) => Ok(Some(value)),
            Some(_) => Err(wrong(name, "is not a tensor")),
        }
    }
}

fn wrong(name: &str, problem: &'static str) -> AttributeError {
    AttributeError { name: name.to_owned(), problem }
}
