//! What AZ-NAS looks at (Lee and Ham 2024).

/// What the blocks of a network do to Gaussian images.
#[derive(Debug)]
pub(super) struct Features {
    /// Entropy of the principal components of what each block returns.
    pub entropies: Vec<f64>,
    /// Largest singular value of each further block's mean Jacobian, estimated with random signs.
    pub stretches: Vec<f64>,
}
