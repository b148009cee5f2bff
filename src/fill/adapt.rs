//! Adapting a trained network to other data: its head alone, its norms, a low-rank adapter, or all of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use serde_json::json;

use crate::{
    FileError,
    condition::{
        Adapter, ConditionError, FineTuning, Fitting, Head, Optimiser, SolvedHead, TuningRun,
        check_classes, solve_head,
    },
    data::Split,
    evaluate::{calibration_images, judge},
    graph::{ParameterId, Role},
    observer::{Observer, Silent},
    onnx::{atomic, safetensors as st, splice},
    predictor::{InputConfig, Prediction, ValueSource, calibrate},
    zoo::Relation,
};

use super::{
    FillError, Filled, Network, NetworkImages, WriteOptions,
    adapter_nodes::AdapterNodes,
    finetune::{stored, trained},
    outputs::stem,
};

/// What of a network is adapted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "method")]
#[non_exhaustive]
pub enum Adaptation {
    /// The head, in closed form; statistics of norms are measured on the new images.
    Head,
    /// The head, and gains and shifts of norms.
    Norms,
    /// The head, and a low-rank difference of every dense weight.
    LowRank {
        /// Rank of the differences.
        rank: usize,
        /// The differences are multiplied by α / rank.
        alpha: f32,
    },
    /// Everything.
    Full,
}

/// Rate of low-rank differences, which start at zero and want larger steps than weights do.
const LOW_RANK_RATE: f32 = 3e-3;

impl Adaptation {
    /// How it is usually trained.
    pub fn usual_tuning(self) -> FineTuning {
        let ordinary = FineTuning::ordinary(Optimiser::AdamW);
        match self {
            Self::LowRank { .. } => FineTuning { rate: LOW_RANK_RATE, ..ordinary },
            Self::Head | Self::Norms | Self::Full => ordinary,
        }
    }
}

/// How a network is adapted.
#[derive(Clone, Debug)]
pub struct AdaptOptions {
    /// The data set, by path: its validation images choose the epoch.
    pub data: PathBuf,
    /// What.
    pub adaptation: Adaptation,
    /// How it is trained; the head alone is not.
    pub tuning: FineTuning,
    /// Seed of everything random.
    pub seed: u64,
    /// Watches the steps.
    pub observer: Arc<dyn Observer>,
}

impl AdaptOptions {
    /// Rank 4, trained as usual and watched by nobody.
    pub fn new(data: PathBuf) -> Self {
        let adaptation = Adaptation::LowRank { rank: 4, alpha: 8.0 };
        Self {
            data,
            adaptation,
            tuning: adaptation.usual_tuning(),
            seed: 0,
            observer: Arc::new(Silent),
        }
    }
}

/// An adapted network, and what was changed of it.
pub struct Adapted<'a> {
    /// The network, with the differences merged into its weights.
    pub filled: Filled<'a>,
    /// The low-rank differences, if that is the method.
    pub adapter: Option<Adapter>,
    /// How the head was solved at the start.
    pub head: SolvedHead,
    /// Numbers that differ from those of the parent, statistics aside.
    pub trained: usize,
    /// Numbers that the network learns.
    pub parameters: usize,
    /// Share of validation images that is classified right with the solved head, before any step.
    pub start: f64,
    network: &'a Network,
    /// Modules whose tensors are saved whole.
    whole: BTreeSet<String>,
}

/// Adapts a network from the weights in its file to training images of the data set. `usual` says how images are
/// normalised where the file does not.
///
/// # Errors
///
/// A parameter has no value, the data cannot be read or do not fit, or the network cannot be run.
pub fn adapt<'a>(
    network: &'a Network,
    usual: &InputConfig,
    train: NetworkImages,
    options: &AdaptOptions,
) -> Result<Adapted<'a>, FillError> {
    let input = network.input_config(usual);
    let validation = NetworkImages::open(&options.data, Split::Val, network)?.data;
    let Network { architecture, registry, .. } = network;
    check_classes(architecture, &train.data)?;
    let mut prediction = stored(network)?;
    let images = calibration_images(architecture, &train.data, &input)?;
    calibrate(architecture, registry, &mut prediction, &images)?;
    let head = Head::of(architecture, registry).map_err(ConditionError::from)?;
    let of_head: BTreeSet<ParameterId> = head.parameters().collect();
    of_head.iter().for_each(|id| prediction.labels[id.0] = ValueSource::Predicted);
    let solved = solve_head(architecture, registry, &mut prediction, &train.data, &input)?;
    of_head.iter().for_each(|id| prediction.labels[id.0] = ValueSource::Trained);
    let start =
        judge(architecture, registry, &prediction.weights, &validation, &input, validation.len())?;
    let is_norm = |role: Option<Role>| matches!(role, Some(Role::Gain | Role::Shift));
    for (index, label) in prediction.labels.iter_mut().enumerate() {
        let moves = match options.adaptation {
            Adaptation::Full => true,
            Adaptation::Norms => is_norm(architecture.parameters[index].role()),
            Adaptation::Head | Adaptation::LowRank { .. } => false,
        };
        if *label == ValueSource::Trained && !moves && !of_head.contains(&ParameterId(index)) {
            *label = ValueSource::Kept;
        }
    }
    let mut adapter = match options.adaptation {
        Adaptation::LowRank { rank, alpha } => Some(Adapter::new(
            architecture,
            &prediction.weights,
            rank,
            alpha / rank.max(1) as f32,
            &of_head,
            options.seed,
        )),
        _ => None,
    };
    let epochs = if options.adaptation == Adaptation::Head { 0 } else { options.tuning.epochs };
    let run = TuningRun {
        tuning: FineTuning { epochs, ..options.tuning },
        seed: options.seed,
        checkpoint: None,
        observer: &options.observer,
    };
    let fitting = Fitting { architecture, registry, input: &input, images: &images };
    let adapting = adapter.as_mut();
    let run =
        run.finetune_with(&fitting, &mut prediction, &train.data, Some(&validation), adapting)?;
    let learned = |index: usize| {
        let parameter = &architecture.parameters[index];
        let learns = parameter.role().is_some_and(|role| !role.is_statistic());
        if learns { parameter.len().unwrap_or(0) } else { 0 }
    };
    let labels = prediction.labels.iter().enumerate();
    let moved = labels.filter(|(_, label)| **label == ValueSource::Trained);
    let changed = moved.map(|(index, _)| learned(index)).sum::<usize>();
    let whole = whole(network, &prediction);
    // What a prediction keeps is not written.
    for part in adapter.iter().flat_map(Adapter::parts) {
        prediction.labels[part.parameter.0] = ValueSource::Trained;
    }
    let relation = match options.adaptation {
        Adaptation::LowRank { .. } => Relation::Adapter,
        _ => Relation::Finetune,
    };
    Ok(Adapted {
        filled: trained(network, prediction, &fitting, train, run, options.seed, relation)?,
        trained: changed + adapter.as_ref().map_or(0, Adapter::len),
        parameters: (0..architecture.parameters.len()).map(learned).sum(),
        adapter,
        head: solved,
        start: start.top1,
        network,
        whole,
    })
}

/// Modules of tensors that differ from the parent's and are no product of thin matrices: heads and norms.
fn whole(network: &Network, prediction: &Prediction) -> BTreeSet<String> {
    let labels = network.names.iter().zip(&prediction.labels);
    let moved =
        labels.filter(|(_, label)| matches!(label, ValueSource::Trained | ValueSource::Calibrated));
    moved.filter_map(|(name, _)| Some(name.rsplit_once('.')?.0.to_owned())).collect()
}

impl Adapted<'_> {
    /// Writes what [`Filled::write_with`] writes and, of a low-rank adapter, `adapter_model.safetensors` and
    /// `adapter_config.json` as PEFT reads them, and `<stem>.adapter.onnx`, whose nodes add the differences to the
    /// weights of the parent. Returns the files.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn write_with(
        &self,
        folder: &Path,
        options: &WriteOptions,
    ) -> Result<Vec<PathBuf>, FillError> {
        let beside = format!("{}.adapter.onnx", stem(Path::new(self.network.model.name())));
        let own = ["adapter_model.safetensors", "adapter_config.json", &beside];
        let own = own.map(|it| folder.join(it));
        let adapter = self.adapter.as_ref();
        if let Some(path) = own.iter().find(|path| adapter.is_some() && path.exists())
            && !options.overwrite
        {
            return Err(FillError::Exists { path: path.clone() });
        }
        let mut files = self.filled.write_with(folder, options)?;
        if let Some(adapter) = adapter {
            let [tensors, config, beside] = &own;
            let entries = self.entries(adapter);
            atomic::write(tensors, |out| st::write(out, &entries))
                .map_err(FileError::at(tensors))?;
            atomic::write_json(config, &self.config(adapter)).map_err(FileError::at(config))?;
            let nodes = AdapterNodes::of(self.network, adapter);
            let mut changes = self.filled.networks()[0].changes();
            nodes.add_to(&mut changes);
            atomic::write(beside, |out| splice::write(&self.network.model, &changes, out))
                .map_err(FileError::at(beside))?;
            files.extend(own);
        }
        Ok(files)
    }

    /// The modules of the differences, with the places of these.
    fn modules(&self, adapter: &Adapter) -> BTreeMap<&str, usize> {
        let names = adapter.parts().iter().enumerate().filter_map(|(place, part)| {
            let module = self.network.names[part.parameter.0].strip_suffix(".weight")?;
            let shape = &self.network.architecture.parameters[part.parameter.0].shape;
            // As PyTorch has it: neither turned nor in parts.
            let plain = self.network.torch_shape(part.parameter.0) == *shape
                && !self.network.transposed(part.parameter.0);
            plain.then_some((module, place))
        });
        names.collect()
    }

    /// Tensors by PEFT's names.
    fn entries(&self, adapter: &Adapter) -> Vec<st::Entry<'_>> {
        let (mut entries, rank) = (Vec::new(), adapter.rank());
        for (module, place) in self.modules(adapter) {
            let part = &adapter.parts()[place];
            let shape = self.network.architecture.parameters[part.parameter.0].shape.as_deref();
            let inputs = shape.map_or(&[][..], |shape| &shape[1..]);
            // The second matrix of a convolution is one of single pixels.
            let ones = vec![1; inputs.len() - 1];
            let thin = [
                ("lora_A", [&[rank], inputs].concat(), &part.a),
                ("lora_B", [&[part.rows, rank], &ones[..]].concat(), &part.b),
            ];
            for (which, shape, values) in thin {
                let name = format!("base_model.model.{module}.{which}.weight");
                entries.push(st::Entry::floats(name, shape, values));
            }
        }
        for entry in self.filled.state_dict() {
            let module = entry.name().rsplit_once('.').map_or("", |(module, _)| module);
            if self.whole.contains(module) {
                let name = format!("base_model.model.{}", entry.name());
                entries.push(entry.renamed(name));
            }
        }
        entries
    }

    /// PEFT's configuration.
    fn config(&self, adapter: &Adapter) -> serde_json::Value {
        let modules: Vec<&str> = self.modules(adapter).into_keys().collect();
        json!({
            "peft_type": "LORA",
            "task_type": null,
            "base_model_name_or_path": self.network.model.name(),
            "inference_mode": true,
            "r": adapter.rank(),
            "lora_alpha": adapter.scaling() * adapter.rank() as f32,
            "lora_dropout": 0.0,
            "bias": "none",
            "fan_in_fan_out": false,
            "target_modules": modules,
            "modules_to_save": self.whole,
        })
    }
}
