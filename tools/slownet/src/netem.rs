//! The words that tc(8) takes for netem, and the queue that it needs.

use std::time::Duration;

use crate::distribution::Distribution;
use crate::parts::{Delay, Loss, Parts, Slot};
use crate::quantity::{Chance, Percent, Rate};

/// How long a full queue behind a rate holds a packet: what home routers do, far from the seconds that
/// netem's own 1000 packets make of 1 Mbit/s.
const BUFFER: Duration = Duration::from_millis(400);

/// Packets a second that no link of ours exceeds.
const FASTEST: f64 = 2_000_000.0;

/// The largest packet on an ordinary link, in bytes.
const PACKET: u64 = 1500;

/// How many packets must fit into the queue so that none is lost that the parts do not lose.
///
/// netem's default of 1000 silently drops all beyond 20,000 packets a second at 50 ms.
pub fn limit(parts: &Parts) -> u32 {
    if let Some(limit) = parts.limit {
        return limit;
    }
    let packets = match parts.rate {
        Some(rate) => (rate.bytes_in(parts.longest() + BUFFER) / PACKET).max(50),
        None => ((FASTEST * parts.longest().as_secs_f64()) as u64).max(10_000),
    };
    packets.min(1_000_000) as u32
}

/// Everything after `netem` on tc's command line.
pub fn words(parts: &Parts) -> Vec<String> {
    let mut words = vec!["limit".to_string(), limit(parts).to_string()];
    if let Some(delay) = parts.delay {
        words.extend(delay_words(delay));
    }
    if let Some(loss) = &parts.loss {
        words.extend(loss_words(loss));
    }
    words.extend(parts.corrupt.into_iter().flat_map(|chance| chance_words("corrupt", chance)));
    words.extend(parts.duplicate.into_iter().flat_map(|chance| chance_words("duplicate", chance)));
    if let Some(reorder) = parts.reorder {
        words.extend(chance_words("reorder", reorder.chance));
        words.extend(reorder.gap.into_iter().flat_map(|gap| ["gap".into(), gap.to_string()]));
    }
    // Behind a rate netem lets no packet overtake another; one that takes no time does nothing else.
    let rate = parts.rate.or(parts.keep_order.then_some(Rate::FASTEST));
    words.extend(rate.into_iter().flat_map(rate_words));
    words.extend(parts.slot.into_iter().flat_map(slot_words));
    words
}

fn delay_words(delay: Delay) -> Vec<String> {
    let mut words = vec!["delay".into(), time(delay.time)];
    if let Some(jitter) = delay.jitter {
        words.push(time(jitter.time));
        words.extend(jitter.correlation.map(|c| c.to_string()));
        // Uniform is what netem does without a table; it has none of that name on older systems.
        if jitter.distribution != Distribution::Uniform {
            words.extend(["distribution".into(), jitter.distribution.stem().into()]);
        }
    }
    words
}

fn loss_words(loss: &Loss) -> Vec<String> {
    let model = |name: &str, percents: &[Percent]| {
        let mut words = vec!["loss".to_string(), name.to_string()];
        words.extend(percents.iter().map(Percent::to_string));
        words
    };
    match loss {
        Loss::Random(Chance { percent, correlation: None }) => {
            vec!["loss".into(), "random".into(), percent.to_string()]
        }
        Loss::Random(Chance { percent, correlation: Some(correlation) }) => {
            let [p, r] = correlated(percent.fraction(), correlation.fraction());
            vec!["loss".into(), "gemodel".into(), p, r]
        }
        Loss::State(percents) => model("state", percents),
        Loss::Gemodel(percents) => model("gemodel", percents),
    }
}

/// The Gilbert model that loses the share `lost`, each packet's fate resembling the last one's by `alike`: from
/// good to bad by lost (1 - alike), back by (1 - lost)(1 - alike), which leaves the share and correlates so.
///
/// netem's own `loss random` with a correlation mixes uniform numbers, which crowd around a half then: of 20 %
/// with 75 % next to nothing is lost.
fn correlated(lost: f64, alike: f64) -> [String; 2] {
    [lost, 1.0 - lost].map(|share| format!("{:.6}%", 100.0 * share * (1.0 - alike)))
}

/// What of `parts` netem would take and not do, and why.
pub fn cannot(parts: &Parts) -> Option<&'static str> {
    let correlates = |chance: Option<Chance>| chance.is_some_and(|c| c.correlation.is_some());
    let reorder = parts.reorder.map(|reorder| reorder.chance);
    if parts.delay.and_then(|delay| delay.jitter?.correlation).is_some() {
        return Some("netem takes a correlation of delays, but its delays do not correlate");
    }
    [parts.duplicate, parts.corrupt, reorder].into_iter().any(correlates).then_some(
        "netem strikes far fewer packets than asked where a correlation is asked for, but for --loss",
    )
}

fn chance_words(name: &str, chance: Chance) -> Vec<String> {
    let mut words = vec![name.to_string(), chance.percent.to_string()];
    words.extend(chance.correlation.map(|c| c.to_string()));
    words
}

fn rate_words(rate: Rate) -> [String; 2] {
    ["rate".into(), format!("{}bit", rate.bits())]
}

fn slot_words(slot: Slot) -> Vec<String> {
    let mut words = vec!["slot".to_string(), time(slot.least), time(slot.most)];
    words.extend(slot.packets.into_iter().flat_map(|n| ["packets".into(), n.to_string()]));
    words.extend(slot.bytes.into_iter().flat_map(|n| ["bytes".into(), n.to_string()]));
    words
}

fn time(time: Duration) -> String {
    format!("{}us", time.as_nanos() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::Preset;

    #[test]
    fn the_words_are_those_of_tc() {
        assert_eq!(
            words(&Preset::ThreeG.parts()).join(" "),
            "limit 82 delay 100000us 30000us distribution normal loss random 1% rate 1600000bit"
        );
        assert_eq!(
            words(&Preset::Flaky.parts()).join(" "),
            "limit 10000 loss gemodel 5.000000% 20.000000%"
        );
    }

    #[test]
    fn what_netem_would_take_and_not_do_is_known() {
        let of = |chance: &str| Chance::parse(chance).ok();
        let parts = |duplicate, corrupt| Parts { duplicate, corrupt, ..Parts::default() };
        assert!(cannot(&parts(of("1%,25%"), None)).is_some());
        assert!(cannot(&parts(None, of("1%,25%"))).is_some());
        assert_eq!(cannot(&parts(of("1%"), of("1%"))), None);
        assert_eq!(cannot(&Preset::Flaky.parts()), None);
        assert_eq!(cannot(&Preset::ThreeG.parts()), None);
    }

    #[test]
    fn the_queue_is_as_long_as_delay_and_rate_make_it() {
        let delay = |ms| Some(Delay { time: Duration::from_millis(ms), jitter: None });
        assert_eq!(limit(&Parts { delay: delay(50), ..Parts::default() }), 100_000);
        assert_eq!(limit(&Parts { delay: delay(60_000), ..Parts::default() }), 1_000_000);
        let rate = Rate::parse("1mbit").ok();
        assert_eq!(limit(&Parts { rate, ..Parts::default() }), 50);
        assert_eq!(limit(&Parts { limit: Some(7), rate, ..Parts::default() }), 7);
    }
}
