//! Fitting predicted weights to a support set.

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    data::{Dataset, class_list},
    evaluate::{Tally, tally},
    graph::Architecture,
    observer::{Observer, Silent},
    predictor::{Prediction, Predictor, calibrate},
};

use super::{ConditionError, Fitting, SolvedHead, Steering, solve_head, steps::Course};

/// Fewest images of a support set a part of which can be held out.
const FEWEST_TO_HOLD_OUT: usize = 100;
/// One image in so many is held out.
const HELD_OUT: usize = 10;
/// Fewest images that tell whether steps help a network that already knows the classes.
const FEWEST_TO_JUDGE: usize = 50;
/// Most images that are held out.
const MOST_HELD_OUT: usize = 500;
/// Images that a predicted head is judged on beside a solved one.
const JUDGED: usize = 1000;

/// Labelled images that weights are fitted to, and how.
#[derive(Clone)]
pub struct Support<'a> {
    /// The images, with the channels that the network reads.
    pub data: &'a Dataset,
    /// Gradient steps.
    pub steering: Steering,
    /// Whether the predictor's own head counts, because it learned these classes: the better of it and a
    /// solved one is taken.
    pub own_classes: bool,
    /// Watches the steps of all samples.
    pub observer: Arc<dyn Observer>,
}

/// What was done to the weights of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// How its head was solved; `None` where the predicted one is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<SolvedHead>,
    /// Gradient steps that were kept.
    pub steps: usize,
    /// Images that gradients were taken for, each as often as it was; records without it are of older versions.
    #[serde(default)]
    pub image_gradients: usize,
    /// What the images say that were held out, if any were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<HeldOut>,
    /// What the user should know.
    #[serde(skip)]
    pub notices: Vec<String>,
}

/// Accuracies on images that gradient steps did not see.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// How many there are.
    pub images: usize,
    /// Share that is classified right without steps.
    pub before: f64,
    /// Share that is classified right with all steps.
    pub after: f64,
}

impl<'a> Support<'a> {
    /// With classes that the predictor did not learn, and steps that nobody watches.
    pub fn new(data: &'a Dataset, steering: Steering) -> Self {
        Self { data, steering, own_classes: false, observer: Arc::new(Silent) }
    }

    /// For what a predictor writes, with steps that nobody watches.
    pub fn of(predictor: &Predictor, data: &'a Dataset, steering: Steering) -> Self {
        let own_classes = data.classes == predictor.config.classes;
        Self { own_classes, ..Self::new(data, steering) }
    }

    /// Fits the weights of samples of one network: measures statistics, solves the head, takes gradient
    /// steps and measures again. Where there are enough images, a tenth of them is held out of steps; steps
    /// after which less of it is classified right, and with less confidence, are taken back. The first
    /// sample is number `first` of `seed`.
    ///
    /// # Errors
    ///
    /// Network and images do not fit, or the network cannot be run; without gradient steps: its head cannot
    /// be solved.
    pub fn fit(
        &self,
        network: &Fitting,
        samples: &mut [Prediction],
        [seed, first]: [u64; 2],
    ) -> Result<Vec<Fitted>, ConditionError> {
        self.check(network.architecture)?;
        let steps = self.steering.steps;
        let parts = (steps > 0).then(|| held_out(self.data)).flatten();
        let (fitted, held_out) = match &parts {
            Some([fitted, held_out]) => (fitted, Some(held_out)),
            None => (self.data, None),
        };
        let observer = Arc::clone(&self.observer);
        let course = Course::new(network, fitted, self.usual(), observer)?;
        let steps = course.steering().steps;
        self.observer.begin((steps * samples.len()) as u64, 0);
        let sample = |(index, prediction): (usize, &mut Prediction)| {
            let of = Sample { support: self, network, course: &course, fitted, held_out };
            of.fit(prediction, seed, first + index as u64)
        };
        let done = match course.is_fast() {
            true => samples.par_iter_mut().enumerate().map(sample).collect(),
            false => samples.iter_mut().enumerate().map(sample).collect(),
        };
        self.observer.end();
        done
    }

    /// The steps for so many images, whatever the network costs.
    fn usual(&self) -> Steering {
        self.steering.for_images(self.data.len())
    }

    /// Refuses images that do not fit an architecture, or that tell nothing apart.
    fn check(&self, architecture: &Architecture) -> Result<(), ConditionError> {
        check_classes(architecture, self.data)?;
        match self.data.labels.first() {
            Some(first) if self.data.labels.iter().any(|label| label != first) => Ok(()),
            first => Err(ConditionError::OneClass {
                images: match self.data.len() {
                    1 => "1 image".to_owned(),
                    images => format!("{images} images"),
                },
                class: first.map_or("", |&it| &self.data.classes[usize::from(it)]).to_owned(),
            }),
        }
    }

    /// Classes without images.
    fn missing(&self) -> Option<String> {
        let classes = self.data.classes.iter().enumerate();
        let without = classes.filter(|(class, _)| {
            self.data.labels.iter().all(|label| usize::from(*label) != *class)
        });
        let without: Vec<String> = without.map(|(_, name)| format!("'{name}'")).collect();
        let (first, others) = without.split_first()?;
        Some(match others.len() {
            0 => format!("the support set has no image of class {first}: its score means nothing"),
            others => format!(
                "the support set has no image of class {first} and of {others} more: their scores mean nothing"
            ),
        })
    }
}

/// Refuses images of other classes than an architecture tells apart.
pub fn check_classes(architecture: &Architecture, data: &Dataset) -> Result<(), ConditionError> {
    let outputs = architecture.class_count()?;
    match outputs == data.classes.len() {
        true => Ok(()),
        false => Err(ConditionError::Classes { outputs, classes: class_list(&data.classes) }),
    }
}

/// One sample of a network.
struct Sample<'a> {
    support: &'a Support<'a>,
    network: &'a Fitting<'a>,
    course: &'a Course<'a>,
    fitted: &'a Dataset,
    held_out: Option<&'a Dataset>,
}

impl Sample<'_> {
    fn fit(
        &self,
        prediction: &mut Prediction,
        seed: u64,
        sample: u64,
    ) -> Result<Fitted, ConditionError> {
        self.calibrate(prediction)?;
        let mut done = Fitted {
            head: None,
            steps: 0,
            image_gradients: 0,
            held_out: None,
            notices: Vec::new(),
        };
        done.notices.extend(self.support.missing());
        let Steering { steps: wanted, batch, .. } = self.course.steering();
        let start = self.held_out.map(|_| prediction.clone());
        match self.solve(prediction, self.fitted) {
            Ok(head) => done.head = head,
            Err(ConditionError::Head(why)) if wanted > 0 => done.notices.push(why.to_string()),
            Err(error) => return Err(error),
        }
        if wanted == 0 {
            return Ok(done);
        }
        let own_head = self.support.own_classes && done.head.is_none();
        if own_head && self.held_out.map_or(0, Dataset::len) < FEWEST_TO_JUDGE {
            done.notices.push(format!(
                "the predicted head is better than one solved on {} images, which are too few to tell whether gradient steps help: none are taken",
                self.fitted.len()
            ));
            return Ok(done);
        }
        done.notices.extend(self.bounded());
        let before = self.held_out.map(|data| self.judge(prediction, data)).transpose()?;
        done.steps = self.course.run(prediction, seed, sample)?;
        // The last step is judged by one more.
        done.image_gradients = (wanted + 1) * batch;
        if done.steps < wanted {
            done.notices.push(format!(
                "{} of {wanted} support steps were kept; the others did harm and were taken back",
                done.steps
            ));
        }
        self.calibrate(prediction)?;
        if let (Some(data), Some(before), Some(start)) = (self.held_out, before, start) {
            let after = self.judge(prediction, data)?;
            done.held_out = Some(HeldOut {
                images: data.len(),
                before: before.scores().top1,
                after: after.scores().top1,
            });
            if is_worse(&after, &before, own_head) {
                *prediction = start;
                done.steps = 0;
                if done.head.is_some() {
                    done.head = self.solve(prediction, self.support.data)?;
                }
                done.notices.push(format!(
                    "the support steps are taken back: of {} support images that were held out, {:.1} % are classified right without, {:.1} % with them",
                    data.len(),
                    100.0 * before.scores().top1,
                    100.0 * after.scores().top1
                ));
            }
        }
        Ok(done)
    }

    /// Says that steps are bounded by their cost, if they are.
    fn bounded(&self) -> Option<String> {
        let asked = self.support.usual();
        let taken = self.course.steering();
        (asked != taken).then(|| {
            format!(
                "the network is costly: {} support steps of {} images are taken instead of {} of {}; ask for more with --support-steps",
                taken.steps, taken.batch, asked.steps, asked.batch
            )
        })
    }

    fn calibrate(&self, prediction: &mut Prediction) -> Result<(), ConditionError> {
        let Fitting { architecture, registry, images, .. } = self.network;
        // Where statistics cannot be measured, the network is seen to be unfit for use in the end.
        calibrate(architecture, registry, prediction, images)?;
        Ok(())
    }

    /// Solves the head on some images. `None` where the predicted one stays because it is better.
    fn solve(
        &self,
        prediction: &mut Prediction,
        data: &Dataset,
    ) -> Result<Option<SolvedHead>, ConditionError> {
        let Fitting { architecture, registry, input, .. } = self.network;
        let predicted = self.support.own_classes.then(|| prediction.clone());
        let solved = solve_head(architecture, registry, prediction, data, input)?;
        if let Some(predicted) = predicted
            && self.judge(&predicted, data)?.scores().top1
                >= solved.left_out_accuracy.unwrap_or(0.0)
        {
            *prediction = predicted;
            return Ok(None);
        }
        Ok(Some(solved))
    }

    fn judge(&self, prediction: &Prediction, data: &Dataset) -> Result<Tally, ConditionError> {
        let Fitting { architecture, registry, input, .. } = self.network;
        Ok(tally(architecture, registry, &prediction.weights, data, input, JUDGED)?)
    }
}

/// Whether a network classifies fewer images right than before. Where it is likely to have become better, by
/// more than chance (one standard deviation of the sign test, McNemar 1947), and with less confidence.
fn is_worse(after: &Tally, before: &Tally, strictly: bool) -> bool {
    let pairs = || before.wrong().iter().zip(after.wrong());
    let lost = pairs().filter(|(before, after)| !**before && **after).count() as f64;
    let won = pairs().filter(|(before, after)| **before && !**after).count() as f64;
    let less_sure = after.scores().cross_entropy > before.scores().cross_entropy;
    match strictly {
        true => lost > won,
        false => lost - won > (lost + won).sqrt() && less_sure,
    }
}

/// A support set without and with every tenth image of each class, where that leaves enough of both.
fn held_out(data: &Dataset) -> Option<[Dataset; 2]> {
    if data.len() < FEWEST_TO_HOLD_OUT {
        return None;
    }
    let mut of_class = vec![0_usize; data.classes.len()];
    let mut left = MOST_HELD_OUT;
    let picked: Vec<bool> = data
        .labels
        .iter()
        .map(|&label| {
            let count = &mut of_class[usize::from(label)];
            *count += 1;
            let picked = left > 0 && count.is_multiple_of(HELD_OUT);
            left -= usize::from(picked);
            picked
        })
        .collect();
    let some = picked.contains(&true);
    some.then(|| [false, true].map(|held| data.clone().filtered(|_, index| picked[index] == held)))
}
