//! What a network of images reads, and what a classifier returns.

use super::{Architecture, Fact};

/// Why a network cannot tell images apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAClassifier {
    /// No input, or several.
    #[error("the network has {0} inputs; a network of images has one")]
    Inputs(usize),
    /// An input that is no batch of images.
    #[error("input '{name}' has {shape}; images are [batch, channels, height, width]")]
    Input {
        /// The input.
        name: String,
        /// Its extents.
        shape: String,
    },
    /// An output that is no batch of class scores.
    #[error(
        "output '{name}' has {shape}; a classifier returns one row of class scores for each image, \
         [batch, classes]"
    )]
    Output {
        /// The first output; empty where there is none.
        name: String,
        /// Its extents.
        shape: String,
    },
}

impl Architecture {
    /// Channels, height and width of the images that the network reads.
    pub fn image_shape(&self) -> Result<[usize; 3], NotAClassifier> {
        let [input] = self.inputs.as_slice() else {
            return Err(NotAClassifier::Inputs(self.inputs.len()));
        };
        match input.shape.as_deref() {
            Some(&[_, channels, height, width]) => Ok([channels, height, width]),
            _ => {
                let name = input.name.clone();
                Err(NotAClassifier::Input { name, shape: shape_of(Some(input)) })
            }
        }
    }

    /// Classes that the first output of a resolved architecture has scores for. Further axes of extent
    /// one count for nothing.
    pub fn class_count(&self) -> Result<usize, NotAClassifier> {
        let output = self.outputs.first();
        let fact = output.and_then(|(_, operand)| self.fact(*operand));
        if let Some([_, rest @ ..]) = fact.as_ref().and_then(|fact| fact.shape.as_deref())
            && !rest.is_empty()
            && rest.iter().filter(|&&extent| extent != 1).count() <= 1
        {
            return Ok(rest.iter().product());
        }
        let name = output.map(|(name, _)| name.clone()).unwrap_or_default();
        Err(NotAClassifier::Output { name, shape: shape_of(fact.as_ref()) })
    }
}

fn shape_of(fact: Option<&Fact>) -> String {
    match fact.and_then(|fact| fact.shape.as_ref()) {
        Some(shape) => format!("shape {shape:?}"),
        None => "no known shape".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Operand;

    /// A network whose output is its input.
    fn identity(shape: Option<&[usize]>) -> Architecture {
        let fact =
            Fact { name: "x".to_owned(), shape: shape.map(<[usize]>::to_vec), ..Fact::default() };
        let outputs = vec![("y".to_owned(), Operand::Input(0))];
        Architecture { inputs: vec![fact], outputs, ..Architecture::default() }
    }

    #[test]
    fn images_have_four_axes() {
        assert_eq!(identity(Some(&[1, 3, 48, 64])).image_shape(), Ok([3, 48, 64]));
        let refusal = identity(Some(&[1, 16_000])).image_shape().unwrap_err().to_string();
        assert!(refusal.contains("'x' has shape [1, 16000]"), "{refusal}");
        assert_eq!(Architecture::default().image_shape(), Err(NotAClassifier::Inputs(0)));
    }

    #[test]
    fn scores_are_one_row_for_each_image() {
        assert_eq!(identity(Some(&[1, 5])).class_count(), Ok(5));
        assert_eq!(identity(Some(&[8, 5, 1, 1])).class_count(), Ok(5));
        for shape in [Some(&[1, 4, 64, 64][..]), Some(&[5]), None] {
            let refusal = identity(shape).class_count().unwrap_err().to_string();
            assert!(refusal.starts_with("output 'y' has"), "{refusal}");
        }
    }
}
