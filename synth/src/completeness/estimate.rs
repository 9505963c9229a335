//! What was not seen, from what was seen once and twice.
//!
//! The sample is connections (or days), the species are edges: `f1` edges were seen exactly once, `f2` exactly twice.

/// The share of connections that go to edges not seen yet, 0 to 1: `f1 / n`, where `n` connections were seen. `None` where
/// there were none.
///
/// Good and Turing: I. J. Good, "The population frequencies of species and the estimation of population parameters",
/// Biometrika 40 (1953), 237-264.
pub fn unseen_share(once: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| once.min(all) as f64 / all as f64)
}

/// A lower bound of the number of edges not seen yet, from connections: `f1 (f1 - 1) / (2 (f2 + 1))`, the bias-corrected
/// form, which is defined where no edge was seen twice.
///
/// A. Chao, "Nonparametric estimation of the number of classes in a population", Scandinavian Journal of Statistics 11
/// (1984), 265-270; the bias-corrected form after A. Chao and R. K. Colwell, "Thirty years of progeny from Chao's
/// inequality", SORT 41 (2017), 3-54.
pub fn chao1(once: u64, twice: u64) -> f64 {
    let once = once as f64;
    once * (once - 1.0).max(0.0) / (2.0 * (twice as f64 + 1.0))
}

/// The same from `units` of time, in each of which an edge was seen or not: `(m - 1) / m * q1 (q1 - 1) / (2 (q2 + 1))`, where
/// `q1` edges were seen in exactly one of the `m` units, and `q2` in exactly two. `None` where there are less than two.
///
/// A. Chao, "Estimating the population size for capture-recapture data with unequal catchability", Biometrics 43 (1987),
/// 783-791; the bias-corrected form as in [`chao1`].
pub fn chao2(once: u64, twice: u64, units: u64) -> Option<f64> {
    (units >= 2).then(|| (units - 1) as f64 / units as f64 * chao1(once, twice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas() {
        assert_eq!(unseen_share(0, 0), None);
        assert_eq!(unseen_share(0, 9), Some(0.0));
        assert_eq!(unseen_share(3, 12), Some(0.25));
        assert_eq!(unseen_share(1, 1), Some(1.0));
        // Nobody is missing where none or one was seen once.
        assert_eq!([chao1(0, 0), chao1(1, 0), chao1(1, 7)], [0.0; 3]);
        assert_eq!(chao1(2, 0), 1.0);
        // 10 * 9 / (2 * 5).
        assert_eq!(chao1(10, 4), 9.0);
        assert_eq!(chao2(10, 4, 1), None);
        assert_eq!(chao2(10, 4, 2), Some(4.5));
        assert_eq!(chao2(10, 4, 10), Some(8.1));
        assert!(chao1(u64::MAX, 0).is_finite());
    }
}
