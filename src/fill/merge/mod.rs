//! Merging networks of one graph.

mod soup;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    condition::Fitting,
    data::{DataError, Dataset, Split},
    evaluate::calibration_images,
    execute::{NormStatistics, Runner, Scratch},
    graph::{Architecture, Parameter, ParameterId, Weights},
    merge::{Alignment, Curve, MergeError, Method, Parents, Pattern, Point, Recipe, Repair},
    observer::{Observer, Silent},
    onnx::sha256,
    predictor::{CalibrationImages, CalibrationSource, Prediction, Predictor, ValueSource},
};

use super::{
    FillError, Filled, FilledNetwork, Judged, MergeRecord, Network, NetworkImages, Parent,
    ParentRecord, Provenance, ReportedNetwork, file_name, filled::once_each, records::Lineage,
    sanity::SANITY_IMAGES,
};

/// Largest difference of outputs that alignment may make, beside the largest output.
const ROUNDING: f64 = 1e-3;

/// How networks are merged.
#[derive(Clone, Debug)]
pub struct MergeOptions {
    /// Method and parameters.
    pub recipe: Recipe,
    /// How channels are brought into one order: that of the base, or else of the first network.
    pub align: Alignment,
    /// How activations are brought back; what does most with the data that there are if nothing is said.
    pub repair: Option<Repair>,
    /// A data set, by path: statistics are measured and shares of a soup learned on its training images, soups are
    /// chosen on its validation images, networks are judged on its test images.
    pub data: Option<PathBuf>,
    /// Most test images that networks are judged on.
    pub limit: usize,
    /// So many networks on the way between two parents are judged, too, the parents included.
    pub path: Option<usize>,
    /// Tensors that are merged, by name in the file or in PyTorch's state dict; all if nothing is said. The others
    /// are those of the base, or else of the first network.
    pub layers: Vec<Pattern>,
    /// Watches the shares of a soup being learned.
    pub observer: Arc<dyn Observer>,
}

impl MergeOptions {
    /// As usual: aligned by weights, repaired by what there is.
    pub fn new(recipe: Recipe) -> Self {
        Self {
            recipe,
            align: Alignment::default(),
            repair: None,
            data: None,
            limit: usize::MAX,
            path: None,
            layers: Vec::new(),
            observer: Arc::new(Silent),
        }
    }
}

/// Merges networks into one of the graph. The predictor says how images are normalised where the graph's file does
/// not, and has the images that the result is run on where there are no data.
///
/// # Errors
///
/// Networks, parameters and data do not fit each other, a data set cannot be read, or a network does not run
/// where it has to.
pub fn merge<'a>(
    graph: &'a Network,
    parents: &[Parent],
    base: Option<&Parent>,
    predictor: &Predictor,
    options: &MergeOptions,
) -> Result<Filled<'a>, FillError> {
    let recipe = &options.recipe;
    recipe.check(parents.len(), base.is_some())?;
    let images = options.data.as_deref().map(|path| Images::open(path, graph)).transpose()?;
    let architecture = &graph.architecture;
    let usual = || Repair::usual(recipe.method, images.is_some(), architecture, &graph.registry);
    let repair = options.repair.unwrap_or_else(usual);
    repair.check(recipe.method, images.is_some())?;
    let (validation, test) = match &images {
        Some(images) => (images.validation.as_ref(), images.test.as_ref()),
        None => (None, None),
    };
    if recipe.method.is_soup() && validation.is_none() {
        let what = "a soup is chosen on labelled validation images of the network's classes";
        return Err(MergeError::NeedsData { what: what.to_owned() }.into());
    }
    if options.path.is_some() {
        check_path(recipe, parents.len(), test)?;
    }
    let input = graph.input_config(&predictor.config.input);
    let measured_on = match &images {
        Some(images) => calibration_images(architecture, &images.train, &input)?,
        None => predictor.calibration_images(),
    };
    let merger = Merger {
        graph,
        chosen: chosen(graph, &options.layers)?,
        test,
        fitting: Fitting {
            architecture,
            registry: &graph.registry,
            input: &input,
            images: &measured_on,
        },
        repair,
        options,
    };
    let reference = &base.unwrap_or(&parents[0]).weights;
    let mut aligned = Vec::with_capacity(parents.len());
    let mut records = Vec::with_capacity(parents.len());
    for parent in parents {
        let (weights, record) = merger.aligned(parent, reference)?;
        aligned.push(merger.masked(&weights, reference));
        records.push(record);
    }
    let Merged { recipe, weights: merged } = match (&images, validation) {
        (Some(images), Some(validation)) if recipe.method.is_soup() => {
            merger.soup(&aligned, &images.train, validation)?
        }
        _ => Merged {
            weights: merger.merged(recipe, &aligned, base.map(|base| &base.weights))?,
            recipe: recipe.clone(),
        },
    };
    let base = base.map(|base| merger.record(base, [0.0; 2], None)).transpose()?;
    let record = MergeRecord {
        parents: records,
        base,
        layers: options.layers.clone(),
        align: options.align,
        repair,
        data_hash: images.as_ref().map(|images| images.train.hash.clone()),
        judged: merger.judge(&merged)?,
        path: merger.path(parents, &aligned)?,
        recipe,
    };
    let notices = images.iter().flat_map(|images| images.notices.iter().cloned());
    merger.filled(merged, record, once_each(notices))
}

fn check_path(recipe: &Recipe, given: usize, test: Option<&Dataset>) -> Result<(), MergeError> {
    let method = recipe.method;
    if given != 2 || method.adds_to_base() {
        let wanted = "two networks and no base where there is to be a path";
        return Err(MergeError::Networks { method, wanted, given });
    }
    let what = "a path is judged on labelled test images of the network's classes";
    test.map(|_| ()).ok_or_else(|| MergeError::NeedsData { what: what.to_owned() })
}

/// By parameter, whether it is merged.
fn chosen(graph: &Network, layers: &[Pattern]) -> Result<Vec<bool>, MergeError> {
    let names = || graph.names.iter().zip(&graph.architecture.parameters);
    let meant = |pattern: &Pattern, (name, parameter): (&String, &Parameter)| {
        pattern.matches(name) || pattern.matches(&parameter.name)
    };
    for pattern in layers {
        if !names().any(|named| meant(pattern, named)) {
            return Err(MergeError::NoSuchLayer { pattern: pattern.to_string() });
        }
    }
    let chosen = |named| layers.is_empty() || layers.iter().any(|pattern| meant(pattern, named));
    Ok(names().map(chosen).collect())
}

/// A data set as networks are merged on it.
struct Images {
    train: Dataset,
    validation: Option<Dataset>,
    /// None where the network does not tell these classes apart.
    test: Option<Dataset>,
    notices: Vec<String>,
}

impl Images {
    fn open(path: &Path, graph: &Network) -> Result<Self, FillError> {
        let train = NetworkImages::open(path, Split::Train, graph)?;
        let mut notices = train.notices.clone();
        let tells_apart = graph.class_count().ok() == Some(train.data.classes.len());
        if !tells_apart {
            notices.push(
                "networks are not judged: they have other outputs than the data have classes"
                    .to_owned(),
            );
        }
        let mut by_class_names = |data| {
            let (data, matched) = graph.by_class_names(data);
            notices.extend(matched);
            data
        };
        let train = if tells_apart { by_class_names(train.data) } else { train.data };
        let mut open = |split| match NetworkImages::open(path, split, graph) {
            Err(FillError::Data(DataError::NoSplit { .. })) => Ok(None),
            Err(error) => Err(error),
            Ok(images) => {
                let data = by_class_names(images.data);
                Ok(tells_apart.then_some(data))
            }
        };
        let (validation, test) = (open(Split::Val)?, open(Split::Test)?);
        Ok(Self { train, validation, test, notices })
    }
}

/// A merged and repaired network, and what it was merged by.
struct Merged {
    recipe: Recipe,
    weights: Weights,
}

/// What all steps of a merge have in common.
#[derive(Clone)]
struct Merger<'a, 'b> {
    graph: &'a Network,
    /// By parameter, whether it is merged.
    chosen: Vec<bool>,
    test: Option<&'b Dataset>,
    fitting: Fitting<'b>,
    repair: Repair,
    options: &'b MergeOptions,
}

impl<'a> Merger<'a, '_> {
    /// Weights in which tensors that are not merged are those of the reference.
    fn masked(&self, weights: &Weights, reference: &Weights) -> Weights {
        weights.map(|id, values| match reference.get(id) {
            Some(reference) if !self.chosen[id.0] => reference.to_vec(),
            _ => values.to_vec(),
        })
    }

    /// A parent in the order of channels of the reference.
    fn aligned(
        &self,
        parent: &Parent,
        reference: &Weights,
    ) -> Result<(Weights, ParentRecord), FillError> {
        let widened = self.widened(parent)?;
        let align = match parent.weights == *reference {
            true => Alignment::None,
            false => self.options.align,
        };
        let aligned = align.align(&self.fitting, &parent.weights, reference)?;
        let architecture = self.fitting.architecture;
        let [given, moved] = [&parent.weights, &aligned.weights].map(|it| (architecture, it));
        let off = match align {
            Alignment::None => None,
            _ => self.difference(given, moved),
        };
        if let Some(off) = off.filter(|off| off.is_nan() || *off > ROUNDING) {
            let file = file_name(&parent.path);
            return Err(MergeError::NotTheSame { file, alignment: align.to_string(), off }.into());
        }
        let record = self.record(parent, [aligned.before, aligned.after], off)?;
        Ok((aligned.weights, ParentRecord { widened, ..record }))
    }

    /// How far a parent is from what it was before it was widened, if it was.
    fn widened(&self, parent: &Parent) -> Result<Option<f64>, MergeError> {
        let Some((architecture, weights)) = parent.narrow.as_deref() else { return Ok(None) };
        let (file, method) = (file_name(&parent.path), self.options.recipe.method);
        if method.adds_to_base() {
            return Err(MergeError::Narrower { file, method });
        }
        let wide = (self.fitting.architecture, &parent.weights);
        let off = self.difference((architecture, weights), wide).unwrap_or(f64::NAN);
        if off.is_nan() || off > ROUNDING {
            let first = file_name(Path::new(self.graph.model.name()));
            return Err(MergeError::NotWidened { file, first, off });
        }
        Ok(Some(off))
    }

    fn record(
        &self,
        parent: &Parent,
        distance: [f64; 2],
        off: Option<f64>,
    ) -> Result<ParentRecord, FillError> {
        Ok(ParentRecord {
            file: file_name(&parent.path),
            sha256: parent.sha256.clone(),
            licence: parent.licence.clone(),
            widened: None,
            distance,
            off,
            judged: self.judge(&parent.weights)?,
        })
    }

    /// Largest difference of what two networks return, beside the largest output; `None` where they do not run on the
    /// images.
    fn difference(
        &self,
        one: (&Architecture, &Weights),
        other: (&Architecture, &Weights),
    ) -> Option<f64> {
        let Fitting { registry, images, .. } = self.fitting;
        let images: CalibrationImages = images.fitted(one.0, SANITY_IMAGES).ok()?.images;
        let run = |(architecture, weights): (&Architecture, &Weights)| {
            let runner = Runner::of_batch(architecture, images.shape, registry).ok()?;
            let running = NormStatistics::Running;
            runner.logits(weights, images.view(), &running, &mut Scratch::default()).ok()
        };
        let (one, other) = (run(one)?, run(other)?);
        let size = one.iter().fold(f32::MIN_POSITIVE, |size, value| size.max(value.abs()));
        let apart = one.iter().zip(&other).fold(0.0f32, |gap, (a, b)| gap.max((a - b).abs()));
        Some(f64::from(apart) / f64::from(size))
    }

    /// Merged and repaired.
    fn merged(
        &self,
        recipe: &Recipe,
        networks: &[Weights],
        base: Option<&Weights>,
    ) -> Result<Weights, MergeError> {
        let merged = recipe.merge(&self.graph.architecture, networks, base)?;
        let shares = recipe.shares();
        // A network alone is what it was.
        if base.is_none() && shares.contains(&1.0) {
            return Ok(merged);
        }
        let parents = Parents { networks, shares: &shares };
        self.repair.repair(&self.fitting, merged, &parents)
    }

    fn judge(&self, weights: &Weights) -> Result<Option<Judged>, FillError> {
        let judge =
            |data| Judged::of(self.graph, weights, data, self.fitting.input, self.options.limit);
        self.test.map(judge).transpose()
    }

    /// Networks between two parents, as they are, aligned, and repaired.
    fn path(&self, parents: &[Parent], aligned: &[Weights]) -> Result<Vec<Curve>, FillError> {
        let Some(count) = self.options.path else { return Ok(Vec::new()) };
        let given: Vec<Weights> = parents.iter().map(|parent| parent.weights.clone()).collect();
        let (align, repair) = (self.options.align, self.repair);
        let mut curves = Vec::new();
        if repair != Repair::None {
            let name = format!("aligned by {align}, repaired by {repair}");
            curves.push(self.curve(&name, aligned, repair, count)?);
        }
        if align != Alignment::None {
            let name = format!("aligned by {align}");
            curves.push(self.curve(&name, aligned, Repair::None, count)?);
        }
        curves.push(self.curve("as they are", &given, Repair::None, count)?);
        Ok(curves)
    }

    fn curve(
        &self,
        name: &str,
        networks: &[Weights],
        repair: Repair,
        count: usize,
    ) -> Result<Curve, FillError> {
        let last = count.max(2) - 1;
        let mut points = Vec::with_capacity(count);
        for step in 0..=last {
            let alpha = step as f64 / last as f64;
            let method = self.options.recipe.method;
            let method = if method == Method::Slerp { method } else { Method::Mean };
            let mut recipe = Recipe::usual(method, 2);
            (recipe.weight, recipe.t) = (vec![1.0 - alpha, alpha], alpha);
            // The parents are what they are.
            let repair = if step == 0 || step == last { Repair::None } else { repair };
            let merger = Merger { repair, ..self.clone() };
            let network = merger.merged(&recipe, networks, None)?;
            let top1 = self.judge(&network)?.map_or(0.0, |judged| judged.top1);
            points.push(Point { alpha, top1 });
        }
        Ok(Curve::new(name, points))
    }

    fn filled(
        &self,
        merged: Weights,
        record: MergeRecord,
        notices: Vec<String>,
    ) -> Result<Filled<'a>, FillError> {
        let (graph, Fitting { input, images, .. }) = (self.graph, self.fitting);
        let mut prediction = Prediction::from_elsewhere(&graph.architecture, merged);
        for (index, label) in prediction.labels.iter_mut().enumerate() {
            *label = self.label(ParameterId(index));
        }
        let measured = prediction.labels.contains(&ValueSource::Calibrated);
        let source = if measured { CalibrationSource::Data } else { CalibrationSource::None };
        let lineage = Lineage::of_merge(&record);
        let (seed, weights) = (record.recipe.seed, "merged from the weights of other networks");
        let provenance = Provenance {
            // The graph's file is one of them at most.
            predictor: "none".to_owned(),
            predictor_hash: sha256(graph.model.bytes()),
            merged: Some(record),
            ..Provenance::of_file(graph, input, seed, weights)
        };
        let mut filled = FilledNetwork::checked(graph, prediction, images, source, None);
        filled.notices.extend(notices);
        let classes = self.classes();
        let reported = ReportedNetwork::new(filled, provenance, classes, None)?;
        Ok(Filled { network: graph, networks: vec![reported], ensemble: false, lineage })
    }

    fn label(&self, id: ParameterId) -> ValueSource {
        let parameter = &self.graph.architecture.parameters[id.0];
        match parameter.role() {
            Some(role) if role.is_statistic() && self.repair.measures() => ValueSource::Calibrated,
            _ if parameter.is_free() => ValueSource::Merged,
            _ => ValueSource::Kept,
        }
    }

    /// Names of the outputs: the graph's own, or else those of the data.
    fn classes(&self) -> Option<Vec<String>> {
        let of_data = || Some(self.test?.classes.clone());
        self.graph.class_names().or_else(of_data)
    }
}
