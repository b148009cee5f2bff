//! What the outputs of a filled network stand for.

use crate::{
    data::{Dataset, class_list},
    predictor::Predictor,
};

use super::{Network, metadata::metadata_name};

/// The entry of the metadata that holds the names of classes, as a JSON list.
pub(super) const CLASSES: &str = "classes";

/// Names for the outputs of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OutputClasses {
    /// In the order of the outputs; `None` where nobody knows them.
    pub names: Option<Vec<String>>,
    /// Why the outputs mean nothing yet, if they do not.
    pub notice: Option<String>,
}

impl OutputClasses {
    /// Those of the data that weights are moved towards; else those of the data that statistics are
    /// measured on, else those of the predictor, where there are as many as outputs.
    pub fn of(
        network: &Network,
        predictor: &Predictor,
        support: Option<&Dataset>,
        calibration: Option<&Dataset>,
    ) -> Self {
        if let Some(support) = support {
            return Self { names: Some(support.classes.clone()), notice: None };
        }
        let learned = &predictor.config.classes;
        let outputs = match network.architecture.class_count() {
            Ok(outputs) => outputs,
            Err(problem) => {
                let notice = format!(
                    "{problem}; the predictor learned nothing else, so the outputs mean nothing yet: \
                     fine-tune the network"
                );
                return Self { names: None, notice: Some(notice) };
            }
        };
        let unknown = |why: String| {
            format!(
                "{why}: the outputs mean nothing yet; give labelled images with --support DATA, or \
                 fine-tune the network"
            )
        };
        match calibration.map(|data| &data.classes).filter(|names| names.len() == outputs) {
            Some(names) if names == learned => Self { names: Some(names.clone()), notice: None },
            Some(names) => {
                let why = format!(
                    "outputs are named after the {} of the calibration images, whose labels are not used",
                    class_list(names)
                );
                Self { names: Some(names.clone()), notice: Some(unknown(why)) }
            }
            None if outputs == learned.len() => Self { names: Some(learned.clone()), notice: None },
            None => {
                let why = format!(
                    "the network has {outputs} outputs, the predictor '{}' learned {}",
                    predictor.config.name,
                    class_list(learned)
                );
                Self { names: None, notice: Some(unknown(why)) }
            }
        }
    }
}

/// How the metadata of a file spell names of classes.
pub(super) fn spelled(names: &[String]) -> String {
    serde_json::Value::from(names).to_string()
}

impl Network {
    /// Names of classes in the order of the outputs, where the file that `predict` wrote holds them.
    pub fn class_names(&self) -> Option<Vec<String>> {
        let spelled = self.model.metadata(&metadata_name(CLASSES))?;
        let names: Vec<String> = serde_json::from_str(spelled).ok()?;
        (self.architecture.class_count() == Ok(names.len())).then_some(names)
    }

    /// A data set with its labels in the order of the network's outputs, and what the user should know
    /// about that. A file without names of classes takes those of the data set.
    pub fn by_class_names(&self, data: Dataset) -> (Dataset, Option<String>) {
        match self.class_names() {
            None => (data, None),
            Some(names) if names == data.classes => (data, None),
            Some(names) => match data.with_classes(&names) {
                Some(mapped) => {
                    let notice = format!(
                        "the network tells {} apart, the data set has {}; they are matched by name",
                        class_list(&names),
                        class_list(&data.classes)
                    );
                    (mapped, Some(notice))
                }
                None => {
                    let notice = format!(
                        "the network tells {} apart, the data set has {}; they are matched by position",
                        class_list(&names),
                        class_list(&data.classes)
                    );
                    (data, Some(notice))
                }
            },
        }
    }
}
