//! Which networks make a soup, and how much of each.

/// Parts of an equal share that a network may join a soup with.
const PARTS: [f64; 3] = [1.0, 0.5, 0.25];

/// Adds networks, the best one first, as long as the soup of those so far does not get worse (Wortsman et al.
/// 2022, greedy soup). Each joins with an equal share, or with a half or a quarter of that where it is better:
/// networks that lie apart often gain from a little of each other where they lose in the middle. `score` judges
/// the mean of all networks with given weights, which add up to 1. Returns the weights.
///
/// # Errors
///
/// That of `score`.
pub fn greedy_soup<E>(
    networks: usize,
    mut score: impl FnMut(&[f64]) -> Result<f64, E>,
) -> Result<Vec<f64>, E> {
    let mut alone = Vec::with_capacity(networks);
    for network in 0..networks {
        alone.push((score(&joined(&vec![0.0; networks], network, 1.0))?, network));
    }
    alone.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut others = alone.into_iter();
    let Some((mut best, first)) = others.next() else { return Ok(Vec::new()) };
    let mut soup = joined(&vec![0.0; networks], first, 1.0);
    for (_, network) in others {
        let members = soup.iter().filter(|&&weight| weight > 0.0).count();
        let before = soup.clone();
        for part in PARTS {
            let candidate = joined(&before, network, part / (members + 1) as f64);
            let together = score(&candidate)?;
            if together >= best {
                (best, soup) = (together, candidate);
            }
        }
    }
    Ok(soup)
}

/// Weights with a share of one more network.
fn joined(soup: &[f64], network: usize, share: f64) -> Vec<f64> {
    let mut joined: Vec<f64> = soup.iter().map(|weight| weight * (1.0 - share)).collect();
    joined[network] += share;
    joined
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use approx::assert_relative_eq;

    use super::*;

    /// Values of networks cancel out or add up; the soup is judged by how close its mean is to 1.
    fn soup(values: &[f64]) -> Vec<f64> {
        let score = |weights: &[f64]| -> Result<f64, Infallible> {
            let mean: f64 = weights.iter().zip(values).map(|(weight, value)| weight * value).sum();
            Ok(-(mean - 1.0).abs())
        };
        greedy_soup(values.len(), score).unwrap()
    }

    #[test]
    fn only_what_helps_is_added() {
        // 0.875 and 1.125 are as good alone, and right together; −1 and 1.3 never help.
        assert_relative_eq!(soup(&[0.875, -1.0, 1.3, 1.125])[..], [0.5, 0.0, 0.0, 0.5]);
        assert_eq!(soup(&[]), [0.0; 0]);
    }

    #[test]
    fn a_little_of_a_network_may_help_where_an_equal_share_does_not() {
        assert_relative_eq!(soup(&[1.1, 0.3])[..], [0.875, 0.125]);
    }
}
