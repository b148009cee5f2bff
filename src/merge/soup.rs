//! Which networks make a soup.

/// Adds networks, the best one first, as long as the soup of those so far does not get worse (Wortsman et al.
/// 2022, greedy soup). `score` judges the mean of some networks, by their numbers. Returns the numbers that are
/// chosen, in the order in which they were added, and their score.
///
/// # Errors
///
/// That of `score`.
pub fn greedy_soup<E>(
    networks: usize,
    mut score: impl FnMut(&[usize]) -> Result<f64, E>,
) -> Result<(Vec<usize>, f64), E> {
    let mut alone = Vec::with_capacity(networks);
    for network in 0..networks {
        alone.push((score(&[network])?, network));
    }
    alone.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut best = f64::NEG_INFINITY;
    let mut soup: Vec<usize> = Vec::new();
    for (own, network) in alone {
        soup.push(network);
        let together = if soup.len() == 1 { own } else { score(&soup)? };
        match together >= best {
            true => best = together,
            false => {
                soup.pop();
            }
        }
    }
    Ok((soup, best))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use approx::assert_abs_diff_eq;

    use super::*;

    #[test]
    fn only_what_helps_is_added() {
        // Values of networks cancel out or add up; the soup is judged by how close its mean is to 1.
        let values = [0.8f64, -1.0, 1.3, 1.1];
        let score = |soup: &[usize]| -> Result<f64, Infallible> {
            let mean = soup.iter().map(|&it| values[it]).sum::<f64>() / soup.len() as f64;
            Ok(-(mean - 1.0).abs())
        };
        // 1.1 is best alone, with 0.8 it is 0.95; with 1.3, too, 1.067 is worse; −1 never helps.
        let (chosen, score) = greedy_soup(4, score).unwrap();
        assert_eq!(chosen, [3, 0]);
        assert_abs_diff_eq!(score, -0.05, epsilon = 1e-9);
    }
}
