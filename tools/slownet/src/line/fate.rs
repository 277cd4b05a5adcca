//! What becomes of each packet: lost, doubled, damaged, held until when. Pure, and seeded.
//!
//! The models are netem's, so that the same flags mean the same whichever backend does it; only correlation
//! is drawn so that it leaves the shares as they were asked for.

use std::time::Duration;

use breakit::rng::{Pcg64, RngExt};

use crate::distribution::Distribution;
use crate::netem;
use crate::parts::{Delay, Loss, Parts, Slot};
use crate::quantity::{Chance, Percent};

/// What becomes of one packet, or of one copy of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// When it leaves, in nanoseconds of the clock that [`Fates::of`] was given.
    pub leaves: u64,
    /// Which bit is turned over.
    pub corrupt: Option<usize>,
}

/// The fates of a packet and its double; none, one or two.
#[derive(Clone, Copy, Debug, Default)]
pub struct Copies {
    fates: [Fate; 2],
    count: usize,
}

impl Copies {
    fn push(&mut self, fate: Fate) {
        self.fates[self.count] = fate;
        self.count += 1;
    }
}

impl std::ops::Deref for Copies {
    type Target = [Fate];

    fn deref(&self) -> &[Fate] {
        &self.fates[..self.count]
    }
}

/// Draws that resemble the one before: standard normals with that correlation.
///
/// Not netem's `get_crandom`, which mixes uniform numbers: its draws crowd around a half, and of 20 % asked
/// with a correlation of 75 % next to nothing is lost. Here every share and every spread is as asked, whatever
/// the correlation.
#[derive(Clone, Copy, Debug, Default)]
struct Correlated {
    last: Option<f64>,
}

impl Correlated {
    fn draw(&mut self, rng: &mut Pcg64, correlation: Option<Percent>) -> f64 {
        let rho = correlation.map_or(0.0, Percent::fraction);
        let fresh = standard_normal(rng);
        let drawn = match self.last {
            Some(last) => rho * last + (1.0 - rho * rho).sqrt() * fresh,
            None => fresh,
        };
        self.last = Some(drawn);
        drawn
    }

    fn happens(&mut self, rng: &mut Pcg64, chance: Option<Chance>) -> bool {
        chance.is_some_and(|chance| {
            below(self.draw(rng, chance.correlation)) < chance.percent.fraction()
        })
    }
}

/// Where the four-state Markov chain is, by netem's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Chain {
    #[default]
    TransmitInGap,
    LostInBurst,
    TransmitInBurst,
    LostInGap,
}

/// The fates of a stream of packets.
#[derive(Debug)]
pub struct Fates {
    parts: Parts,
    limit: usize,
    rng: Pcg64,
    delay: Correlated,
    loss: Correlated,
    duplicate: Correlated,
    reorder: Correlated,
    corrupt: Correlated,
    chain: Chain,
    bad: bool,
    since_reordered: u32,
    link_free: u64,
    slot: Batch,
    /// When the last packet leaves.
    last: u64,
}

/// The slot in which packets leave now, and what has left in it.
#[derive(Clone, Copy, Debug, Default)]
struct Batch {
    at: u64,
    packets: u32,
    bytes: u64,
}

impl Fates {
    /// Fates by `parts`, drawn from `rng`.
    pub fn new(parts: Parts, rng: Pcg64) -> Fates {
        let limit = netem::limit(&parts) as usize;
        let none = Correlated::default();
        Fates {
            parts,
            limit,
            rng,
            delay: none,
            loss: none,
            duplicate: none,
            reorder: none,
            corrupt: none,
            chain: Chain::default(),
            bad: false,
            since_reordered: 0,
            link_free: 0,
            slot: Batch::default(),
            last: 0,
        }
    }

    /// The fates of a packet of `bytes` that comes at `now` while `held` are held: none where it is lost,
    /// two where it is doubled.
    pub fn of(&mut self, bytes: usize, held: usize, now: u64) -> Copies {
        // As in netem, a packet that is both lost and doubled goes once.
        let copies = 1 + usize::from(self.duplicate.happens(&mut self.rng, self.parts.duplicate));
        let copies = copies - usize::from(self.is_lost());
        let room = self.limit.saturating_sub(held);
        let mut drawn = Copies::default();
        for _ in 0..copies.min(room) {
            drawn.push(self.one(bytes, now));
        }
        drawn
    }

    fn one(&mut self, bytes: usize, now: u64) -> Fate {
        let corrupt = self
            .corrupt
            .happens(&mut self.rng, self.parts.corrupt)
            .then(|| self.rng.random_range(0..bytes.max(1) * 8));
        let leaves = match self.overtakes() {
            true => now,
            false => now + self.hold(),
        };
        let leaves = self.over_the_link(bytes, leaves, now);
        let leaves = self.in_its_slot(bytes, leaves);
        Fate { leaves: self.in_its_order(leaves), corrupt }
    }

    /// Not before the packet that came before it, where the order is to be kept: as netem does behind a rate.
    fn in_its_order(&mut self, leaves: u64) -> u64 {
        if !self.parts.keep_order {
            return leaves;
        }
        self.last = self.last.max(leaves);
        self.last
    }

    /// When the slot comes that has room for a packet that would leave at `leaves`.
    fn in_its_slot(&mut self, bytes: usize, leaves: u64) -> u64 {
        let Some(slot) = self.parts.slot else { return leaves };
        let full = slot.packets.is_some_and(|most| self.slot.packets >= most)
            || slot.bytes.is_some_and(|most| self.slot.bytes >= u64::from(most));
        if leaves > self.slot.at || full {
            let at = leaves.max(self.slot.at) + self.until_the_next(slot);
            self.slot = Batch { at, ..Batch::default() };
        }
        self.slot.packets += 1;
        self.slot.bytes += bytes as u64;
        self.slot.at
    }

    fn until_the_next(&mut self, slot: Slot) -> u64 {
        let (least, most) = (slot.least.as_nanos() as u64, slot.most.as_nanos() as u64);
        self.rng.random_range(least..=most)
    }

    /// How long the link itself takes: one packet after the other at the rate. A link that was idle has time to
    /// spare for a burst.
    fn over_the_link(&mut self, bytes: usize, leaves: u64, now: u64) -> u64 {
        let Some(rate) = self.parts.rate else { return leaves };
        let time = |bytes: f64| (bytes * 8e9 / rate.bits() as f64) as u64;
        let spare = self.parts.burst.map_or(0, |burst| time(f64::from(burst)));
        self.link_free = self.link_free.max(now.saturating_sub(spare)) + time(bytes as f64);
        leaves + self.link_free.saturating_sub(now)
    }

    fn overtakes(&mut self) -> bool {
        let Some(reorder) = self.parts.reorder else { return false };
        self.since_reordered += 1;
        if self.since_reordered < reorder.gap.unwrap_or(1) {
            return false;
        }
        let overtakes = self.reorder.happens(&mut self.rng, Some(reorder.chance));
        if overtakes {
            self.since_reordered = 0;
        }
        overtakes
    }

    fn hold(&mut self) -> u64 {
        let Some(Delay { time, jitter }) = self.parts.delay else { return 0 };
        let mean = time.as_nanos() as f64;
        let Some(jitter) = jitter else { return mean as u64 };
        let drawn = self.delay.draw(&mut self.rng, jitter.correlation);
        let stray = spread(jitter.distribution, drawn);
        // A packet cannot leave before it came.
        (mean + stray * width(jitter.time)).max(0.0) as u64
    }

    fn is_lost(&mut self) -> bool {
        match self.parts.loss.clone() {
            None => false,
            Some(Loss::Random(chance)) => self.loss.happens(&mut self.rng, Some(chance)),
            Some(Loss::State(percents)) => self.chain_loses(&percents),
            Some(Loss::Gemodel(percents)) => self.gilbert_loses(&percents),
        }
    }

    /// netem's `loss_4state`: p13 p31 p32 p23 p14, with tc's defaults for those that are not given.
    fn chain_loses(&mut self, percents: &[Percent]) -> bool {
        let given = |i: usize| percents.get(i).copied().map(Percent::fraction);
        let p13 = given(0).unwrap_or(0.0);
        let p31 = given(1).unwrap_or(1.0 - p13);
        let (p32, p23) = (given(2).unwrap_or(0.0), given(3).unwrap_or(1.0));
        let p14 = given(4).unwrap_or(0.0);
        let drawn: f64 = self.rng.random();
        let (next, lost) = match self.chain {
            Chain::TransmitInGap if drawn < p14 => (Chain::LostInGap, true),
            Chain::TransmitInGap if drawn < p13 + p14 => (Chain::LostInBurst, true),
            Chain::TransmitInGap => (Chain::TransmitInGap, false),
            Chain::TransmitInBurst if drawn < p23 => (Chain::LostInBurst, true),
            Chain::TransmitInBurst => (Chain::TransmitInBurst, false),
            Chain::LostInBurst if drawn < p32 => (Chain::TransmitInBurst, false),
            Chain::LostInBurst if drawn < p31 + p32 => (Chain::TransmitInGap, false),
            Chain::LostInBurst => (Chain::LostInBurst, true),
            Chain::LostInGap => (Chain::TransmitInGap, false),
        };
        self.chain = next;
        lost
    }

    /// netem's `loss_gilb_ell`: p, r, 1-h, 1-k, with tc's defaults for those that are not given.
    fn gilbert_loses(&mut self, percents: &[Percent]) -> bool {
        let given = |i: usize| percents.get(i).copied().map(Percent::fraction);
        let p = given(0).unwrap_or(0.0);
        let r = given(1).unwrap_or(1.0 - p);
        let (lost_in_bad, lost_in_good) = (given(2).unwrap_or(1.0), given(3).unwrap_or(0.0));
        let turns: f64 = self.rng.random();
        let drawn: f64 = self.rng.random();
        let (turn, lost) = if self.bad { (r, lost_in_bad) } else { (p, lost_in_good) };
        self.bad ^= turns < turn;
        drawn < lost
    }
}

fn width(jitter: Duration) -> f64 {
    jitter.as_nanos() as f64
}

/// How many jitters a delay strays, from a standard normal.
fn spread(distribution: Distribution, drawn: f64) -> f64 {
    // netem's tables end at four deviations, and so do we.
    let normal = drawn.clamp(-4.0, 4.0);
    match distribution {
        Distribution::Uniform => 2.0 * below(drawn) - 1.0,
        Distribution::Normal => normal,
        Distribution::Pareto => pareto(below(drawn)),
        Distribution::Table(table) => table.stray(below(drawn)),
        Distribution::Paretonormal => 0.25 * normal + 0.75 * pareto(below(drawn)),
    }
}

/// Box and Muller's way to a standard normal.
fn standard_normal(rng: &mut Pcg64) -> f64 {
    let angle: f64 = rng.random::<f64>() * std::f64::consts::TAU;
    let drawn: f64 = rng.random();
    (-2.0 * (1.0 - drawn).ln()).sqrt() * angle.cos()
}

/// The share of standard normals that lie below `z`, to 10^-7: Abramowitz and Stegun, 26.2.17.
fn below(z: f64) -> f64 {
    const B: [f64; 5] = [0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
    let t = 1.0 / (1.0 + 0.2316419 * z.abs());
    let sum = B.iter().rev().fold(0.0, |sum, b| (sum + b) * t);
    let above = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt() * sum;
    if z < 0.0 { above } else { 1.0 - above }
}

/// iproute2's table: a Pareto with exponent 3, its mean moved to 0, cut off at four.
fn pareto(drawn: f64) -> f64 {
    let value = 1.0 / (1.0 - drawn).max(f64::MIN_POSITIVE).powf(1.0 / 3.0);
    ((value - 1.5) * (4.0 / 3.0)).min(4.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::{Jitter, Reorder};
    use crate::quantity::Rate;
    use breakit::rng::generator;

    const MS: u64 = 1_000_000;

    fn fates(parts: Parts) -> Fates {
        Fates::new(parts, generator(7, "fate"))
    }

    fn chance(text: &str) -> Option<Chance> {
        Chance::parse(text).ok()
    }

    fn delay(jitter: Option<(u64, Distribution)>) -> Option<Delay> {
        let jitter = jitter.map(|(ms, distribution)| Jitter {
            time: Duration::from_millis(ms),
            distribution,
            correlation: None,
        });
        Some(Delay { time: Duration::from_millis(50), jitter })
    }

    /// Of 10,000 packets, a millisecond apart, how long each was held, in milliseconds.
    fn held(parts: Parts) -> Vec<f64> {
        let mut fates = fates(parts);
        (1..=10_000_u64)
            .flat_map(|n| {
                let fates = fates.of(100, 0, n * MS);
                let held = |fate: &Fate| (fate.leaves - n * MS) as f64 / MS as f64;
                fates.iter().map(held).collect::<Vec<f64>>()
            })
            .collect()
    }

    fn lost(loss: Loss) -> f64 {
        1.0 - held(Parts { loss: Some(loss), ..Parts::default() }).len() as f64 / 10_000.0
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[test]
    fn delays_spread_around_their_mean_as_their_distribution_has_it() {
        assert!(
            held(Parts { delay: delay(None), ..Parts::default() }).iter().all(|ms| *ms == 50.0)
        );
        for (distribution, deviation) in [
            (Distribution::Uniform, 5.77),
            (Distribution::Normal, 10.0),
            (Distribution::Pareto, 8.3),
            (Distribution::Paretonormal, 8.3),
        ] {
            let held = held(Parts { delay: delay(Some((10, distribution))), ..Parts::default() });
            let mean = mean(&held);
            let variance = held.iter().map(|ms| (ms - mean).powi(2)).sum::<f64>() / 10_000.0;
            assert!((mean - 50.0).abs() < 0.6, "{distribution:?}: mean {mean}");
            let error = (variance.sqrt() - deviation).abs();
            assert!(error < 0.6, "{distribution:?}: deviation {}", variance.sqrt());
        }
    }

    #[test]
    fn packets_are_lost_and_doubled_as_often_as_asked() {
        let percents = |texts: &[&str]| texts.iter().map(|t| Percent::parse(t).unwrap()).collect();
        assert!((lost(Loss::Random(chance("20%").unwrap())) - 0.2).abs() < 0.02);
        // In the bad state for p/(p+r) of the time.
        assert!((lost(Loss::Gemodel(percents(&["5%", "20%"]))) - 0.2).abs() < 0.03);
        assert!((lost(Loss::State(percents(&["5%", "20%"]))) - 0.2).abs() < 0.03);
        let doubled = held(Parts { duplicate: chance("25%"), ..Parts::default() }).len();
        assert!((doubled as i64 - 12_500).abs() < 250, "{doubled}");
    }

    #[test]
    fn packets_that_keep_their_order_leave_no_earlier_than_drawn_and_none_before_another() {
        let parts = Parts { delay: delay(Some((10, Distribution::Uniform))), ..Parts::default() };
        let left = |keep_order| -> Vec<u64> {
            let mut fates = fates(Parts { keep_order, ..parts.clone() });
            (0..10_000).map(|n| fates.of(100, 0, n * MS)[0].leaves).collect()
        };
        let (drawn, kept) = (left(false), left(true));
        assert!(!drawn.is_sorted() && kept.is_sorted());
        let mut latest = 0;
        let as_drawn = drawn.iter().map(|leaves| {
            latest = latest.max(*leaves);
            latest
        });
        assert!(as_drawn.eq(kept));
    }

    #[test]
    fn correlation_makes_bursts_and_leaves_the_share_as_it_is() {
        let mut fates =
            fates(Parts { loss: chance("20%,75%").map(Loss::Random), ..Parts::default() });
        let lost: Vec<bool> = (0..100_000).map(|n| fates.of(100, 0, n).is_empty()).collect();
        let share =
            |lost: &[bool]| lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64;
        assert!((share(&lost) - 0.2).abs() < 0.02, "{}", share(&lost));
        let after_lost: Vec<bool> = lost.windows(2).filter(|w| w[0]).map(|w| w[1]).collect();
        assert!(share(&after_lost) > 0.5, "{}", share(&after_lost));
    }

    #[test]
    fn the_share_below_is_that_of_the_tables() {
        for (z, share) in [(0.0, 0.5), (1.0, 0.841_344_7), (-1.959_964, 0.025), (6.0, 1.0)] {
            assert!((below(z) - share).abs() < 1e-6, "{z}: {}", below(z));
        }
    }

    #[test]
    fn some_packets_overtake_and_only_each_gap_th_may() {
        let early = |gap, percent| {
            let reorder = Some(Reorder { chance: chance(percent).unwrap(), gap });
            let held = held(Parts { delay: delay(None), reorder, ..Parts::default() });
            held.iter().filter(|ms| **ms == 0.0).count()
        };
        assert!((early(None, "25%") as i64 - 2500).abs() < 200);
        assert_eq!(early(Some(5), "100%"), 2000);
    }

    #[test]
    fn a_rate_lets_packets_out_one_after_the_other() {
        let mut fates = fates(Parts { rate: Rate::parse("1mbit").ok(), ..Parts::default() });
        let leaves: Vec<u64> = (0..3).map(|_| fates.of(1250, 0, 0)[0].leaves / MS).collect();
        assert_eq!(leaves, [10, 20, 30]);
        assert_eq!(fates.of(1250, 0, 100 * MS)[0].leaves / MS, 110);
    }

    #[test]
    fn a_burst_passes_before_the_rate_is_felt_and_again_after_a_pause() {
        let burst = Some(3000);
        let mut fates = fates(Parts { rate: Rate::parse("8mbit").ok(), burst, ..Parts::default() });
        let begin = 1_000_000_000;
        let mut leaves = |now: u64| fates.of(1000, 0, now)[0].leaves - now;
        // A thousand bytes take a millisecond.
        let first: Vec<u64> = (0..5).map(|_| leaves(begin)).collect();
        assert_eq!(first, [0, 0, 0, 1_000_000, 2_000_000]);
        assert_eq!(leaves(begin + 2_000_000), 1_000_000);
        let later: Vec<u64> = (0..4).map(|_| leaves(begin + 1_000_000_000)).collect();
        assert_eq!(later, [0, 0, 0, 1_000_000]);
    }

    #[test]
    fn packets_leave_together_in_slots_that_are_apart_by_chance() {
        let slot = |packets, bytes| Slot {
            least: Duration::from_millis(10),
            most: Duration::from_millis(40),
            packets,
            bytes,
        };
        let leaves = |slot: Slot| -> Vec<u64> {
            let mut fates = fates(Parts { slot: Some(slot), ..Parts::default() });
            (1..=1000).map(|n| fates.of(100, 0, n * MS)[0].leaves).collect()
        };
        let free = leaves(slot(None, None));
        assert!((1..).zip(&free).all(|(n, at)| (n * MS..=(n + 40) * MS).contains(at)));
        let slots = |mut leaves: Vec<u64>| {
            assert!(leaves.is_sorted(), "nobody overtakes");
            leaves.dedup();
            leaves
        };
        let apart: Vec<u64> = slots(free).windows(2).map(|w| (w[1] - w[0]) / MS).collect();
        assert!(apart.iter().all(|ms| (10..=41).contains(ms)), "{apart:?}");
        assert!(apart.contains(&12) || apart.contains(&13), "by chance: {apart:?}");
        // In bursts, where more come than leave, none is half full.
        assert_eq!(slots(leaves(slot(Some(1), None))).len(), 1000);
        assert_eq!(slots(leaves(slot(None, Some(200)))).len(), 500);
    }

    #[test]
    fn a_full_queue_loses_what_comes() {
        let mut fates = fates(Parts { limit: Some(2), delay: delay(None), ..Parts::default() });
        assert_eq!(fates.of(100, 1, 0).len(), 1);
        assert_eq!(fates.of(100, 2, 0).len(), 0);
    }
}
