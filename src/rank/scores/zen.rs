//! Expressivity as sensitivity: how far a small change of the input carries.

use crate::{
    execute::Runner,
    graph::Role,
    neural::normal,
    rank::{Score, ScoreError, Subject, blocks::trunk, subject::random},
};

/// Size of the change, relative to the input.
const CHANGE: f32 = 1e-2;

struct Zen;

impl Score for Zen {
    fn name(&self) -> &'static str {
        "zen"
    }

    fn about(&self) -> &'static str {
        "log change of the last feature map under a change of Gaussian images, with weights \
         N(0, 1) and the scale that batch normalisations took away (Lin et al. 2021)"
    }

    fn of(&self, subject: &Subject) -> Result<f64, ScoreError> {
        let trunk =
            trunk(&subject.architecture, &subject.live).ok_or(ScoreError::Lacks("feature map"))?;
        let runner = Runner::new(&trunk, &subject.registry);
        let mut draws = random(subject.probe.seed, "zen weights");
        let mut weights = subject.weights().clone();
        for (id, values) in weights.tensors_mut() {
            if trunk.parameters[id.0].role() == Some(Role::Weight) {
                values.iter_mut().for_each(|value| *value = normal(&mut draws));
            }
        }
        let first = subject.noise("zen images")?;
        let second = subject.noise("zen change")?;
        let moved: Vec<f32> = first.iter().zip(&second).map(|(x, y)| x + CHANGE * y).collect();
        let [before, after] = [&first, &moved].map(|images| {
            let images = subject.view(images)?;
            subject.forward(&runner, &weights, images)
        });
        let (before, after) = (before?, after?);
        let change = before.iter().zip(&after).map(|(a, b)| f64::from((a - b).abs()));
        let change = change.sum::<f64>() / before.len().max(1) as f64;
        let images = subject.view(&first)?;
        let scratch = &mut subject.scratch.borrow_mut();
        let statistics = runner.statistics(&weights, images, scratch)?;
        let scale = statistics.iter().map(|norm| {
            let variances = norm.variances.iter().map(|value| f64::from(*value));
            (variances.sum::<f64>() / norm.variances.len().max(1) as f64).max(1e-12).sqrt().ln()
        });
        Ok((change + 1e-12).ln() + scale.sum::<f64>())
    }
}

pub(in crate::rank) fn scores() -> Vec<Box<dyn Score>> {
    vec![Box::new(Zen)]
}
