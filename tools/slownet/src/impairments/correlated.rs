//! Chance that resembles the last draw.

use breakit::rng::{Pcg64, RngExt};

use crate::quantity::{Chance, Percent};

/// Draws that resemble the one before: standard normals with that correlation.
///
/// Not netem's `get_crandom`, which mixes uniform numbers: its draws crowd around a half, and of 20 % asked
/// with a correlation of 75 % next to nothing is lost. Here every share and every spread is as asked, whatever
/// the correlation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Correlated {
    last: Option<f64>,
}

impl Correlated {
    /// The next standard normal.
    pub fn draw(&mut self, rng: &mut Pcg64, correlation: Option<Percent>) -> f64 {
        let rho = correlation.map_or(0.0, Percent::fraction);
        let fresh = standard_normal(rng);
        let drawn = match self.last {
            Some(last) => rho * last + (1.0 - rho * rho).sqrt() * fresh,
            None => fresh,
        };
        self.last = Some(drawn);
        drawn
    }

    /// Whether what has this chance happens now.
    pub fn happens(&mut self, rng: &mut Pcg64, chance: Chance) -> bool {
        below(self.draw(rng, chance.correlation)) < chance.percent.fraction()
    }
}

/// Box and Muller's way to a standard normal.
fn standard_normal(rng: &mut Pcg64) -> f64 {
    let angle: f64 = rng.random::<f64>() * std::f64::consts::TAU;
    let drawn: f64 = rng.random();
    (-2.0 * (1.0 - drawn).ln()).sqrt() * angle.cos()
}

/// The share of standard normals that lie below `z`, to 10^-7: Abramowitz and Stegun, 26.2.17.
pub fn below(z: f64) -> f64 {
    const B: [f64; 5] = [0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
    let t = 1.0 / (1.0 + 0.2316419 * z.abs());
    let sum = B.iter().rev().fold(0.0, |sum, b| (sum + b) * t);
    let above = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt() * sum;
    if z < 0.0 { above } else { 1.0 - above }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_below_is_that_of_the_tables() {
        for (z, share) in [(0.0, 0.5), (1.0, 0.841_344_7), (-1.959_964, 0.025), (6.0, 1.0)] {
            assert!((below(z) - share).abs() < 1e-6, "{z}: {}", below(z));
        }
    }
}
