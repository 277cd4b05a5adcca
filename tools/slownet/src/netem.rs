//! What netem does of the parts, and the queue that it needs.

use std::time::Duration;

use crate::impairments::Parts;
use crate::impairments::tc::{Netem, Unable};

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
        Some(link) => (link.rate.bytes_in(parts.longest() + BUFFER) / PACKET).max(50),
        None => ((FASTEST * parts.longest().as_secs_f64()) as u64).max(10_000),
    };
    packets.min(1_000_000) as u32
}

/// Everything after `netem` on tc's command line, and what its class has to do.
///
/// # Errors
/// What of `parts` netem would take and not do.
pub fn all(parts: &Parts) -> Result<Netem, Unable> {
    let limit = Netem::words(["limit".to_string(), limit(parts).to_string()]);
    parts.all().try_fold(limit, |netem, impairment| Ok(netem.and(impairment.netem(parts)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(flags: &str) -> Parts {
        Parts::of_flags(flags).unwrap()
    }

    #[test]
    fn the_words_are_those_of_tc() {
        for (flags, words) in [
            (
                "--preset=3g",
                "limit 82 delay 100000us 30000us distribution normal loss random 1% rate 1600000bit",
            ),
            ("--preset=flaky", "limit 10000 loss gemodel 5.000000% 20.000000%"),
            (
                "--delay=5ms --duplicate=1% --reorder=25% --gap=3 --corrupt=2% --slot=1ms --slot-bytes=9000",
                "limit 12000 delay 5000us duplicate 1% reorder 25% gap 3 corrupt 2% slot 1000us 1000us bytes 9000",
            ),
            (
                "--delay=5ms --jitter=1ms --keep-order --limit=9",
                "limit 9 delay 5000us 1000us rate 100000000000bit",
            ),
        ] {
            assert_eq!(all(&parts(flags)).unwrap().words.join(" "), words);
        }
    }

    #[test]
    fn what_netem_would_take_and_not_do_is_known() {
        for flags in [
            "--duplicate=1%,25%",
            "--corrupt=1%,25%",
            "--delay=5ms --reorder=1%,25%",
            "--delay=5ms --jitter=1ms --correlation=25%",
        ] {
            assert!(all(&parts(flags)).is_err(), "{flags}");
        }
        for flags in ["--duplicate=1% --corrupt=1%", "--preset=flaky", "--preset=3g"] {
            assert!(all(&parts(flags)).is_ok(), "{flags}");
        }
    }

    #[test]
    fn the_queue_is_as_long_as_delay_and_rate_make_it() {
        for (flags, packets) in [
            ("--delay=50ms", 100_000),
            ("--delay=60s", 1_000_000),
            ("--rate=1mbit", 50),
            ("--rate=1mbit --limit=7", 7),
        ] {
            assert_eq!(limit(&parts(flags)), packets, "{flags}");
        }
    }
}
