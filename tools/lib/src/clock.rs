//! Time as the line knows it: nanoseconds of CLOCK_MONOTONIC, which all programs on one host share.

use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of CLOCK_MONOTONIC, now.
///
/// It stands still while the host is suspended, as do the kernel's own timeouts that leases rest on.
pub fn now() -> u64 {
    // The call fails only for a clock the kernel does not have; this one is older than any kernel we run on.
    let t = clock_gettime(ClockId::CLOCK_MONOTONIC)
        .unwrap_or_else(|_| nix::sys::time::TimeSpec::new(0, 0));
    t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64
}

/// The wall clock, now, as RFC 3339 in UTC with nanoseconds: to lay lines beside a database's log.
pub fn wall() -> String {
    humantime::format_rfc3339_nanos(SystemTime::now()).to_string()
}

/// The wall clock at `time` of CLOCK_MONOTONIC, which has passed, as [`wall`].
pub fn wall_at(time: u64) -> String {
    let ago = Duration::from_nanos(now().saturating_sub(time));
    let then = SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_nanos(then).to_string()
}

/// The longest duration that is read: sums of a few of them with any moment still fit the clock.
pub const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Reads `30s`, `1m30s`, `50ms`, `250us`, up to [`LONGEST`]. For use as a clap `value_parser`.
///
/// # Errors
/// A sentence that names the text and shows the form.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| format!("{text:?} is no duration; write 30s, 1m30s or 50ms"))?;
    if duration > LONGEST {
        return Err(format!("{text:?} is too long; 10 years (3650days) are the most"));
    }
    Ok(duration)
}

/// Writes a duration as [`parse_duration`] reads it.
pub fn show(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

/// A duration in whole nanoseconds (584 years fit).
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_they_are_written() {
        for text in ["30s", "1m30s", "50ms", "250us", "2h"] {
            assert_eq!(show(parse_duration(text).unwrap()), text);
        }
        assert!(parse_duration("30").unwrap_err().contains("write 30s"));
        assert!(parse_duration("-3s").is_err());
    }

    #[test]
    fn a_duration_that_no_clock_can_hold_is_refused_in_a_sentence() {
        assert_eq!(parse_duration("3650days"), Ok(LONGEST));
        for text in ["3651days", "18446744073709551615s", "18446744073709551616s"] {
            let said = parse_duration(text).unwrap_err();
            assert!(said.contains(text), "{said}");
        }
        assert!(parse_duration("18446744073709551615s").unwrap_err().contains("10 years"));
    }

    #[test]
    fn the_clock_goes_forward() {
        let before = now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(now() - before >= 2_000_000);
    }
}
