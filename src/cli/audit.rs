//! `weightsmith audit`

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::Args;
use serde_json::json;

use crate::{
    audit::{CopyAudit, CopyReport, MembershipAudit, MembershipReport},
    benchmark::held_out,
    data::{Dataset, Split},
    fill::{Network, NetworkImages},
    predictor::{BUNDLED, bundled},
    spaces::Space,
};

use super::{Common, Exit, Failure, output::Replace, print, print_json, progress::watch};

/// Find out whether a network is a copy of another one, by its weights and, with --data, by its mistakes. With
/// --membership in place of a network: whether images that a predictor learned from can be told from others by
/// the networks that it writes, and by the images that it carries. Exit code 1 if the network is a copy
#[derive(Debug, Args)]
pub struct Audit {
    /// The network, with weights
    #[arg(value_name = "FILE.onnx", required_unless_present = "membership")]
    file: Option<PathBuf>,
    /// Folder of trained networks that it may be a copy of; those of other graphs are passed over. Two and more
    /// say how alike networks are that do not descend from each other
    #[arg(long, value_name = "DIR", requires = "file")]
    references: Option<PathBuf>,
    /// Audit the predictor itself; --data is what it was trained on
    #[arg(long, conflicts_with = "file", requires = "data")]
    membership: bool,
    /// A bundled predictor, or a folder with config.json and model.safetensors
    #[arg(long, default_value = BUNDLED[0])]
    predictor: String,
    /// A data set, by path: its test images show mistakes. For --membership, its training images are the members,
    /// its test images the others
    #[arg(long)]
    data: Option<PathBuf>,
    /// Use the first N images only
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    /// Held-out graphs that --membership predicts networks for
    #[arg(long, value_name = "N", default_value_t = 8)]
    graphs: u64,
    /// Write what was found as a page that needs nothing else
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    #[command(flatten)]
    replace: Replace,
}

impl Audit {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        self.replace.vacant(&self.html.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
        match (&self.file, &self.references, &self.data) {
            (Some(file), Some(references), _) => {
                let network = Network::open(file)?;
                self.copies(&network, references, common)
            }
            (None, _, Some(data)) => self.membership(data, common),
            _ => Err("--references names the networks that it may be a copy of".into()),
        }
    }

    fn copies(
        &self,
        network: &Network,
        references: &Path,
        common: &Common,
    ) -> Result<Exit, Failure> {
        let data = match &self.data {
            Some(path) => {
                let images = NetworkImages::open(path, Split::Test, network)?;
                let usual = bundled(&self.predictor, &Device::flex())?.config.input;
                Some((network.by_class_names(images.data).0, network.input_config(&usual)))
            }
            None => None,
        };
        let images = data.as_ref().map(|(data, input)| (data, input, self.limit));
        let report = CopyAudit { network, references, images, seed: common.seed }.run()?;
        self.write_page(|| report.to_html(network.model.name()))?;
        match common.json {
            true => print_json(&json!({ "schema": 1, "seed": common.seed, "copies": report }))?,
            false => print(text(&report).trim_end())?,
        }
        Ok(if report.copy { Exit::Negative } else { Exit::Success })
    }

    fn write_page(&self, page: impl FnOnce() -> String) -> Result<(), Failure> {
        let write = |path: &PathBuf| self.replace.write(path, page().as_bytes());
        self.html.as_ref().map_or(Ok(()), write)
    }

    fn membership(&self, data: &Path, common: &Common) -> Result<Exit, Failure> {
        let predictor = bundled(&self.predictor, &Device::flex())?;
        let channels = predictor.config.input.channels();
        let open = |split| Dataset::open(data, split)?.with_channels(channels);
        let (members, others) = (open(Split::Train)?, open(Split::Test)?);
        let space = Space::load(&predictor.config.training.space)?;
        let sets = held_out(&space, &[], self.graphs)?;
        let graphs = sets.iter().flat_map(|set| &set.graphs);
        let networks: Vec<Network> =
            graphs.map(|graph| graph.network()).collect::<Result<_, _>>()?;
        let observer = watch("networks", common);
        let audit = MembershipAudit {
            predictor: &predictor,
            networks: &networks,
            members: &members,
            others: &others,
            images: self.limit,
            observer: observer.as_ref(),
        };
        let report = audit.run()?;
        self.write_page(|| report.to_html(&predictor.config.name))?;
        match common.json {
            true => print_json(&json!({
                "schema": 1,
                "seed": common.seed,
                "predictor": predictor.hash,
                "membership": report.membership,
                "recovery": report.recovery,
            }))?,
            false => print(&of_predictor(&report))?,
        }
        Ok(Exit::Success)
    }
}

fn text(report: &CopyReport) -> String {
    let CopyReport { nearest, threshold, false_positives, independent, mistakes, .. } = report;
    let verdict = if report.copy { "a copy" } else { "no copy" };
    let least = independent.iter().copied().fold(f64::INFINITY, f64::min);
    let mut text = format!(
        "{verdict} of the {} networks of its graph ({} others passed over)\n\
         nearest {}: distance {:.3}, {:.3} once channels are in one order; copies are below {threshold:.3}\n\
         {} pairs of independent networks: distance {least:.3} and more; {} count as copies, at most {:.1} % with 95 % \
         confidence\n",
        report.references,
        report.passed_over,
        nearest.file.display(),
        nearest.before,
        nearest.after,
        independent.len(),
        false_positives.hits,
        100.0 * false_positives.high,
    );
    if let Some(mistakes) = mistakes {
        let least = mistakes.curve.iter().find(|point| point.noise > 0.0);
        let least = least.map_or(f64::NAN, |point| point.overlap);
        text += &format!(
            "mistakes overlap by {:.3}; those of a copy with 2 % noise by {least:.3}\n",
            mistakes.overlap
        );
    }
    text
}

fn of_predictor(report: &MembershipReport) -> String {
    let MembershipReport { membership, recovery } = report;
    let auc = membership.by_loss;
    format!(
        "membership by the loss of {} networks on {} images of each kind: AUC {:.3} ({:.3} to {:.3}; 0.5 is chance)\n\
         top-1 on images it learned from {:.2} %, on others {:.2} %\n\
         {} of {} carried images are more like an image it learned from; largest correlation {:.3}, with others {:.3}",
        membership.networks,
        membership.images,
        auc.auc,
        auc.low,
        auc.high,
        100.0 * membership.top1_members,
        100.0 * membership.top1_others,
        recovery.nearer_to_members,
        recovery.carried,
        recovery.with_members,
        recovery.with_others,
    )
}
