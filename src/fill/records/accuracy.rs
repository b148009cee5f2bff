//! What is known of the accuracy of weights.

use crate::{
    condition::{FineTuned, HeldOut},
    evaluate::wilson,
    predictor::Expected,
};

use super::super::Report;

/// A share of images that are classified right.
pub(super) struct Accuracy {
    /// The share.
    pub value: f64,
    /// Where it may lie, if that is known.
    pub range: Option<[f64; 2]>,
    /// On what, of what, and what the range is.
    pub of: String,
}

/// All that a report says.
pub(super) fn accuracies(report: &Report) -> Vec<Accuracy> {
    let mut all = Vec::new();
    if let Some(outlook) = &report.outlook
        && let Expected::HeldOut { graphs, low, median, high } = outlook.expected
    {
        let images = &outlook.images;
        all.push(Accuracy {
            value: median,
            range: Some([low, high]),
            of: format!(
                "predicted weights of the {graphs} held-out graphs most like this one, on {images} (median, 10th and 90th percentile); not measured on this network"
            ),
        });
    }
    let fitted = report.provenance.support.as_ref().and_then(|support| support.fitted.as_ref());
    if let Some(head) = fitted.and_then(|fitted| fitted.head)
        && let Some(value) = head.left_out_accuracy
    {
        let of = "images of the support set, each left out of the head that classifies it (95 % interval)";
        all.push(measured(value, head.images, of));
    }
    if let Some(fitted) = fitted
        && let Some(HeldOut { images, before, after }) = fitted.held_out
    {
        let of = "images of the support set that no gradient step saw (95 % interval)";
        all.push(measured(if fitted.steps > 0 { after } else { before }, images, of));
    }
    if let Some(FineTuned { epochs, best, .. }) =
        report.provenance.finetuned.as_ref().map(|tuned| &tuned.run)
        && let Some(value) = epochs.iter().find(|it| it.number == *best).and_then(|it| it.top1)
    {
        let of = "validation images, which chose the epoch";
        all.push(Accuracy { value, range: None, of: of.to_owned() });
    }
    all
}

fn measured(value: f64, images: usize, of: &str) -> Accuracy {
    Accuracy { value, range: wilson(value, images), of: format!("{images} {of}") }
}
