//! Features with deviation one, and with mean zero where there is a bias to make up for it, and the gradient
//! through that.

use nalgebra::{DMatrix, RowDVector};

/// Features of a smaller standard deviation than this share of the mean one are left out.
const LEAST_DEVIATION: f64 = 1e-3;

/// What makes features standard ones.
#[derive(Clone, Debug)]
pub(super) struct Standard {
    /// What is taken from the features: their means, or nothing.
    means: RowDVector<f64>,
    centred: bool,
    /// Reciprocals of standard deviations; zero for features that say nothing.
    factors: RowDVector<f64>,
}

impl Standard {
    /// Of rows of features; `None` where they are not finite or tell nothing apart.
    pub fn of(rows: &DMatrix<f64>, centred: bool) -> Option<Self> {
        let (images, width) = rows.shape();
        let means = rows.row_mean();
        let deviation = |(column, &mean): (nalgebra::DVectorView<f64>, &f64)| {
            (column.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / images as f64).sqrt()
        };
        let deviations: Vec<f64> = rows.column_iter().zip(means.iter()).map(deviation).collect();
        let least = LEAST_DEVIATION * deviations.iter().sum::<f64>() / width.max(1) as f64;
        let factor = |&it: &f64| if it > least { 1.0 / it } else { 0.0 };
        let factors = RowDVector::from_iterator(width, deviations.iter().map(factor));
        let told =
            factors.iter().any(|&factor| factor > 0.0) && means.iter().all(|it| it.is_finite());
        let means = if centred { means } else { RowDVector::zeros(width) };
        told.then_some(Self { means, centred, factors })
    }

    /// Standardised rows.
    pub fn apply(&self, rows: &DMatrix<f64>) -> DMatrix<f64> {
        let mut scaled = rows.clone();
        let columns = scaled.column_iter_mut().zip(self.means.iter()).zip(self.factors.iter());
        for ((mut column, mean), factor) in columns {
            column.apply(|value| *value = (*value - mean) * factor);
        }
        scaled
    }

    /// Features that say something.
    pub fn live(&self) -> usize {
        self.factors.iter().filter(|&&factor| factor > 0.0).count()
    }

    /// What is taken from the features.
    pub fn means(&self) -> &RowDVector<f64> {
        &self.means
    }

    /// Makes weights `[classes, features]` of standardised features those of features as they are.
    pub fn fold(&self, weights: &mut DMatrix<f64>) {
        let columns = weights.column_iter_mut().zip(self.factors.iter());
        columns.for_each(|(mut column, factor)| column *= *factor);
    }

    /// Gradients by rows that these were measured on and by others, from standardised rows and the gradients by
    /// them.
    pub fn undone(&self, own: [&DMatrix<f64>; 2], others: [&DMatrix<f64>; 2]) -> [DMatrix<f64>; 2] {
        let images = own[0].nrows() as f64;
        let [mut out, mut out_others] = [own[1].clone(), others[1].clone()];
        for (feature, &factor) in self.factors.iter().enumerate() {
            let [own, by_own] = own.map(|it| it.column(feature));
            let [others, by_others] = others.map(|it| it.column(feature));
            let along = (by_own.dot(&own) + by_others.dot(&others)) / images;
            // Rows that are centred have a mean of zero.
            let (centre, mean) = match self.centred {
                true => (0.0, (by_own.sum() + by_others.sum()) / images),
                false => (own.sum() / images, 0.0),
            };
            let mut column = out.column_mut(feature);
            column.zip_apply(&own, |slope, own| {
                *slope = factor * (*slope - mean - along * (own - centre));
            });
            out_others.column_mut(feature).scale_mut(factor);
        }
        [out, out_others]
    }
}

/// In double precision.
pub(super) fn doubles(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Row-major.
pub(super) fn floats(matrix: &DMatrix<f64>) -> Vec<f32> {
    matrix.transpose().iter().map(|&value| value as f32).collect()
}
