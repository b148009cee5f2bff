//! `weightsmith bench data`

use std::path::PathBuf;

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};

use crate::{
    benchmark::{Adaptation, AdaptationOutcome, Method, Subject},
    condition::Steering,
    fill::Network,
    predictor::BUNDLED,
};

use super::{
    super::{
        Common, Exit, Failure,
        output::{self, Replace},
        print, print_json,
        progress::watch,
    },
    GraphArgs,
};

#[derive(Debug, Args)]
pub(super) struct Data {
    /// A bundled predictor, or a folder with config.json and model.safetensors
    #[arg(long, default_value = BUNDLED[0])]
    predictor: String,
    /// A data set, by path; may be given more than once
    #[arg(long, required = true)]
    data: Vec<PathBuf>,
    #[command(flatten)]
    from: GraphArgs,
    /// Held-out graphs, of every split
    #[arg(long, default_value_t = 12)]
    graphs: u64,
    /// A network, by path, in place of held-out graphs; may be given more than once
    #[arg(long = "model", value_name = "MODEL.onnx", conflicts_with_all = ["space", "splits"])]
    models: Vec<PathBuf>,
    /// Numbers of labelled images; 0 for all
    #[arg(long, value_delimiter = ',', default_values_t = [50, 200, 1000, 0])]
    images: Vec<usize>,
    /// What is tried
    #[arg(long, value_delimiter = ',', default_values_t = Method::ALL, value_parser = method_parser())]
    methods: Vec<Method>,
    /// Numbers of draws of labelled images, from --seed on
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Gradient steps of the support set; by default as many as `predict` takes
    #[arg(long, value_name = "N")]
    support_steps: Option<usize>,
    /// Epochs of ordinary training and of fine-tuning
    #[arg(long, default_value_t = 30)]
    epochs: usize,
    /// Use the first N test images only
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    /// Write the result as JSON, after every graph and data set; one of another command is not replaced
    /// without --force
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the result as a page that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    replace: Replace,
}

/// Takes the keys of methods.
fn method_parser() -> impl TypedValueParser<Value = Method> {
    let keys = PossibleValuesParser::new(Method::ALL.map(Method::key));
    keys.try_map(|key| Method::ALL.into_iter().find(|it| it.key() == key).ok_or("no such method"))
}

impl Data {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        self.replace.check(self.out.as_deref())?;
        let subject = Subject::open(&self.predictor, None)?;
        let graphs = self.networks(&subject)?;
        let wanted = |method: &Method| self.methods.contains(method);
        let methods: Vec<Method> = Method::ALL.into_iter().filter(wanted).collect();
        let benchmark = Adaptation {
            subject: &subject,
            graphs: &graphs,
            data: &self.data,
            images: &self.images,
            methods: &methods,
            seeds: self.seeds,
            seed: common.seed,
            steering: Steering::of_steps(self.support_steps),
            epochs: self.epochs,
            limit: self.limit,
            command: &output::command_line(),
        };
        let outcome = benchmark.run(&*watch("pairs", common), self.out.as_deref())?;
        if let Some(path) = &self.html {
            output::write(path, &outcome.to_html())?;
        }
        match common.json {
            true => print_json(&outcome)?,
            false => print(&table(&outcome))?,
        }
        for (pair, why) in &outcome.left_out {
            tracing::warn!("{pair} is left out: {why}");
        }
        Ok(if outcome.left_out.is_empty() { Exit::Success } else { Exit::Partial })
    }

    fn networks(&self, subject: &Subject) -> Result<Vec<Network>, Failure> {
        if !self.models.is_empty() {
            let open = |path| Ok::<_, Failure>(Network::open(path)?);
            return self.models.iter().map(open).collect();
        }
        let sets = self.from.held_out(subject, self.graphs)?;
        let graphs = sets.iter().flat_map(|set| &set.graphs);
        graphs.map(|graph| Ok(graph.network()?)).collect()
    }
}

/// Means by method and number of images.
fn table(outcome: &AdaptationOutcome) -> String {
    let mut lines = vec![format!(
        "{:<36} {:>7} {:>7} {:>7} {:>7} {:>8} {:>10}",
        "method", "images", "mean %", "worst", "± seeds", "seconds", "gradients"
    )];
    for summary in outcome.summaries() {
        lines.push(format!(
            "{:<36} {:>7} {:>7.1} {:>7.1} {:>7.1} {:>8.1} {:>10.0}",
            summary.method.title(),
            summary.images_title(),
            100.0 * summary.top1.mean,
            100.0 * summary.top1.min,
            100.0 * summary.seed_deviation,
            summary.seconds,
            summary.image_gradients
        ));
    }
    lines.join("\n")
}
