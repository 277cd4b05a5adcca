//! What becomes of each packet: lost, doubled, damaged, held until when. Pure, and seeded.
//!
//! The impairments are netem's, so that the same flags mean the same whichever backend does it; only correlation
//! is drawn so that it leaves the shares as they were asked for.

use breakit::rng::Pcg64;

use crate::impairments::Parts;
use crate::impairments::strike::{Passing, Stage, Strike};
use crate::netem;

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

/// The fates of a stream of packets.
#[derive(Debug)]
pub struct Fates {
    limit: usize,
    rng: Pcg64,
    /// What decides how many copies there are.
    once: Vec<Box<dyn Strike>>,
    /// What strikes each copy.
    each: Vec<Box<dyn Strike>>,
}

impl Fates {
    /// Fates by `parts`, drawn from `rng`.
    pub fn new(parts: &Parts, rng: Pcg64) -> Fates {
        let mut strikes: Vec<(Stage, Box<dyn Strike>)> =
            parts.all().flat_map(|impairment| impairment.strikes()).collect();
        strikes.sort_by_key(|(stage, _)| *stage);
        let (once, each): (Vec<_>, Vec<_>) =
            strikes.into_iter().partition(|(stage, _)| *stage <= Stage::Lose);
        let strikes = |of: Vec<(Stage, _)>| of.into_iter().map(|(_, strike)| strike).collect();
        let limit = netem::limit(parts) as usize;
        Fates { limit, rng, once: strikes(once), each: strikes(each) }
    }

    /// The fates of a packet of `bytes` that comes at `now` while `held` are held: none where it is lost,
    /// two where it is doubled.
    pub fn of(&mut self, bytes: usize, held: usize, now: u64) -> Copies {
        let mut packet = Passing::new(bytes, now);
        strike(&mut self.once, &mut packet, &mut self.rng);
        let room = self.limit.saturating_sub(held);
        let mut drawn = Copies::default();
        for _ in 0..packet.copies.min(room) {
            let mut copy = packet;
            strike(&mut self.each, &mut copy, &mut self.rng);
            drawn.push(Fate { leaves: copy.leaves, corrupt: copy.corrupt });
        }
        drawn
    }
}

fn strike(strikes: &mut [Box<dyn Strike>], packet: &mut Passing, rng: &mut Pcg64) {
    for strike in strikes {
        strike.strike(packet, rng);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakit::rng::generator;

    const MS: u64 = 1_000_000;

    fn fates(flags: &str) -> Fates {
        Fates::new(&Parts::of_flags(flags).unwrap(), generator(7, "fate"))
    }

    /// Of 10,000 packets, a millisecond apart, how long each was held, in milliseconds.
    fn held(flags: &str) -> Vec<f64> {
        let mut fates = fates(flags);
        (1..=10_000_u64)
            .flat_map(|n| {
                let fates = fates.of(100, 0, n * MS);
                let held = |fate: &Fate| (fate.leaves - n * MS) as f64 / MS as f64;
                fates.iter().map(held).collect::<Vec<f64>>()
            })
            .collect()
    }

    fn lost(flags: &str) -> f64 {
        1.0 - held(flags).len() as f64 / 10_000.0
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    /// A recorded run is replayed with its seed, which must mean the same then.
    #[test]
    fn a_seed_gives_the_fates_that_it_has_always_given() {
        for (flags, recorded) in [
            (
                "--delay=40ms --jitter=15ms --distribution=pareto --correlation=25% --loss=5%,25% --duplicate=10%,20% --reorder=10%,30% --gap=3 --corrupt=7%,10% --rate=8mbit --burst=3000 --slot=2ms,9ms --slot-packets=20 --slot-bytes=20000 --limit=1000",
                0x3f9b_a049_6340_64fc_u64,
            ),
            (
                "--delay=40ms --jitter=15ms --distribution=normal --keep-order --loss-gemodel=5%,20%,90%,1% --duplicate=10% --corrupt=7%",
                0xdbcc_6a1a_2393_0fe2,
            ),
            (
                "--delay=40ms --jitter=15ms --distribution=paretonormal --loss-state=5%,20%,10%,30%,2% --reorder=10% --rate=8mbit",
                0x3b5d_1afa_4911_144c,
            ),
        ] {
            let mut fates = fates(flags);
            let mut sum = 0_u64;
            for n in 0..20_000_u64 {
                let bytes = 60 + (n as usize * 37) % 1440;
                for fate in fates.of(bytes, (n % 300) as usize, n * 700_000).iter() {
                    let bit = fate.corrupt.map_or(u64::MAX, |bit| bit as u64);
                    for word in [n, fate.leaves, bit] {
                        let mixed = sum.rotate_left(5).wrapping_add(word);
                        sum = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    }
                }
            }
            assert_eq!(sum, recorded, "{flags}");
        }
    }

    #[test]
    fn delays_spread_around_their_mean_as_their_distribution_has_it() {
        assert!(held("--delay=50ms").iter().all(|ms| *ms == 50.0));
        for (distribution, deviation) in
            [("uniform", 5.77), ("normal", 10.0), ("pareto", 8.3), ("paretonormal", 8.3)]
        {
            let held = held(&format!("--delay=50ms --jitter=10ms --distribution={distribution}"));
            let mean = mean(&held);
            let variance = held.iter().map(|ms| (ms - mean).powi(2)).sum::<f64>() / 10_000.0;
            assert!((mean - 50.0).abs() < 0.6, "{distribution}: mean {mean}");
            let error = (variance.sqrt() - deviation).abs();
            assert!(error < 0.6, "{distribution}: deviation {}", variance.sqrt());
        }
    }

    #[test]
    fn packets_are_lost_and_doubled_as_often_as_asked() {
        assert!((lost("--loss=20%") - 0.2).abs() < 0.02);
        // In the bad state for p/(p+r) of the time.
        assert!((lost("--loss-gemodel=5%,20%") - 0.2).abs() < 0.03);
        assert!((lost("--loss-state=5%,20%") - 0.2).abs() < 0.03);
        let doubled = held("--duplicate=25%").len();
        assert!((doubled as i64 - 12_500).abs() < 250, "{doubled}");
        assert_eq!(held("--duplicate=100% --loss=100%").len(), 10_000, "one of two is lost");
    }

    #[test]
    fn packets_that_keep_their_order_leave_no_earlier_than_drawn_and_none_before_another() {
        let left = |flags| -> Vec<u64> {
            let mut fates = fates(flags);
            (0..10_000).map(|n| fates.of(100, 0, n * MS)[0].leaves).collect()
        };
        let drawn = left("--delay=50ms --jitter=10ms");
        let kept = left("--delay=50ms --jitter=10ms --keep-order");
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
        let mut fates = fates("--loss=20%,75%");
        let lost: Vec<bool> = (0..100_000).map(|n| fates.of(100, 0, n).is_empty()).collect();
        let share =
            |lost: &[bool]| lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64;
        assert!((share(&lost) - 0.2).abs() < 0.02, "{}", share(&lost));
        let after_lost: Vec<bool> = lost.windows(2).filter(|w| w[0]).map(|w| w[1]).collect();
        assert!(share(&after_lost) > 0.5, "{}", share(&after_lost));
    }

    #[test]
    fn some_packets_overtake_and_only_each_gap_th_may() {
        let early = |flags| held(flags).iter().filter(|ms| **ms == 0.0).count();
        assert!((early("--delay=50ms --reorder=25%") as i64 - 2500).abs() < 200);
        assert_eq!(early("--delay=50ms --reorder=100% --gap=5"), 2000);
    }

    #[test]
    fn a_rate_lets_packets_out_one_after_the_other() {
        let mut fates = fates("--rate=1mbit");
        let leaves: Vec<u64> = (0..3).map(|_| fates.of(1250, 0, 0)[0].leaves / MS).collect();
        assert_eq!(leaves, [10, 20, 30]);
        assert_eq!(fates.of(1250, 0, 100 * MS)[0].leaves / MS, 110);
    }

    #[test]
    fn a_burst_passes_before_the_rate_is_felt_and_again_after_a_pause() {
        let mut fates = fates("--rate=8mbit --burst=3000");
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
        let leaves = |flags| -> Vec<u64> {
            let mut fates = fates(flags);
            (1..=1000).map(|n| fates.of(100, 0, n * MS)[0].leaves).collect()
        };
        let free = leaves("--slot=10ms,40ms");
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
        assert_eq!(slots(leaves("--slot=10ms,40ms --slot-packets=1")).len(), 1000);
        assert_eq!(slots(leaves("--slot=10ms,40ms --slot-bytes=200")).len(), 500);
    }

    #[test]
    fn a_full_queue_loses_what_comes() {
        let mut fates = fates("--limit=2 --delay=50ms");
        assert_eq!(fates.of(100, 1, 0).len(), 1);
        assert_eq!(fates.of(100, 2, 0).len(), 0);
    }
}
