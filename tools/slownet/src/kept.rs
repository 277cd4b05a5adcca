//! A root queue that the user made: kept below ours while a fault is in force, and put back after the last one.
//!
//! It is the queue of whatever our faults do not strike, at 77:1 below our root. So the kernel itself remembers it:
//! whoever takes the last fault off, be it a guardian or somebody else's `clear`, finds there what to put back.
//!
//! tc(8) shows the settings of a queue in words that it takes again, but for some units. Whether it makes the same
//! queue of them is tried first, in a network of its own. A queue with classes, filters or queues below it is none that
//! one line says.

use breakit::exit::Result;
use breakit::reach::Network;
use serde_json::Value;

use crate::interface::parse;
use crate::step::Step;

/// The class of what no fault strikes, if there is a queue to keep.
pub const CLASS: &str = "77:1";

/// A queue in the words of tc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its handle, such as `8001:`.
    pub handle: String,
    /// Its kind and its settings.
    pub words: String,
}

impl Kept {
    /// The queue below our root that a line of `tc qdisc show` tells of.
    pub fn below_ours(line: &str, dev: &str) -> Option<Kept> {
        Kept::read(line, dev, &format!("parent {CLASS} "))
    }

    /// The queue at the root of `dev` in `network`, if it can be made anew from what tc says of it.
    ///
    /// # Errors
    /// As [`Step::run`].
    pub fn at_root(network: &Network, dev: &str) -> Result<Option<Kept>> {
        let shown = Step::new(format!("tc qdisc show dev {dev}")).run(network)?;
        let filters = Step::new(format!("tc filter show dev {dev}")).run(network)?;
        let wanted: Vec<Value> =
            parse(&Step::new(format!("tc -j qdisc show dev {dev}")).run(network)?, "tc qdisc")?;
        let root = wanted.iter().find(|qdisc| qdisc["root"] == true);
        let has_below = |root: &Value| {
            let handle = root["handle"].as_str().unwrap_or("?");
            wanted.iter().any(|one| one["parent"].as_str().is_some_and(|p| p.starts_with(handle)))
        };
        let Some(root) = root.filter(|root| !has_below(root) && filters.trim().is_empty()) else {
            return Ok(None);
        };
        let kept = shown.lines().find_map(|line| Kept::read(line, dev, "root "));
        let Some(kept) = kept.filter(|kept| !has_classes(kept)) else { return Ok(None) };
        let tried = kept.tried(network)?;
        let made = tried.iter().find(|qdisc| qdisc["root"] == true);
        let same = made.is_some_and(|made| {
            made["kind"] == root["kind"] && is_nearly(&made["options"], &root["options"])
        });
        Ok(same.then_some(kept))
    }

    /// Reads `qdisc KIND HANDLE [dev DEV] PLACE[refcnt N] SETTINGS`.
    fn read(line: &str, dev: &str, place: &str) -> Option<Kept> {
        let (kind, rest) = line.strip_prefix("qdisc ")?.split_once(' ')?;
        let (handle, rest) = rest.split_once(' ')?;
        let rest = rest.strip_prefix(&format!("dev {dev} ")).unwrap_or(rest);
        let rest = format!("{rest} ").strip_prefix(place)?.to_string();
        let mut settings = rest.split_whitespace().peekable();
        if settings.peek() == Some(&"refcnt") {
            settings.nth(1);
        }
        let words: Vec<&str> = std::iter::once(kind).chain(settings.map(countable)).collect();
        // Nothing of it is to mean anything else to a shell.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/%".contains(c);
        let is_plain = |text: &str| text.chars().all(plain);
        let all_plain = is_plain(handle) && words.iter().all(|word| is_plain(word));
        all_plain.then(|| Kept { handle: handle.to_string(), words: words.join(" ") })
    }

    /// What becomes of its words in a network of its own.
    fn tried(&self, network: &Network) -> Result<Vec<Value>> {
        let Kept { handle, words } = self;
        let script = format!(
            "tc qdisc add dev lo root handle {handle} {words} && tc -j qdisc show dev lo\n"
        );
        let output = Step::new("unshare -n sh -s").fed(script).output(network)?;
        match output.status.success() {
            true => parse(&String::from_utf8_lossy(&output.stdout), "tc qdisc"),
            false => Ok(Vec::new()),
        }
    }

    /// What makes it the queue of what no fault strikes, in place of itself at the root of `dev`.
    pub fn keep(&self, dev: &str, unlimited: &str) -> Vec<Step> {
        let Kept { handle, words } = self;
        vec![
            Step::new(format!("tc qdisc replace dev {dev} root handle 77: htb default 1"))
                .hurried(),
            Step::new(format!("tc class add dev {dev} parent 77: classid {CLASS} htb {unlimited}")),
            Step::new(format!("tc qdisc add dev {dev} parent {CLASS} handle {handle} {words}")),
        ]
    }

    /// What makes it the root of `dev` again, when ours is gone.
    pub fn put_back(&self, dev: &str) -> Step {
        let Kept { handle, words } = self;
        Step::new(format!("tc qdisc add dev {dev} root handle {handle} {words}")).hurried()
    }
}

/// tc shows `100p` for what it takes as `100`.
fn countable(word: &str) -> &str {
    match word.strip_suffix('p') {
        Some(number) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => number,
        _ => word,
    }
}

/// Kinds that are made of classes: one line says next to nothing of them.
fn has_classes(kept: &Kept) -> bool {
    let kind = kept.words.split(' ').next().unwrap_or_default();
    [
        "htb", "hfsc", "prio", "cbq", "drr", "qfq", "ets", "mqprio", "mq", "taprio", "multiq",
        "dsmark",
    ]
    .contains(&kind)
}

/// Whether settings are the same; numbers to a thousandth, for the kernel counts in ticks and tc in bytes.
fn is_nearly(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| {
                    other.get(name).is_some_and(|other| is_nearly(value, other))
                })
        }
        (Value::Number(one), Value::Number(other)) => {
            let [one, other] = [one, other].map(|number| number.as_f64().unwrap_or(f64::NAN));
            (one - other).abs() <= other.abs() / 1000.0
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_queue_is_read_from_the_words_of_tc() {
        let root = "qdisc fq_codel 8001: root refcnt 2 limit 10240p flows 1024 quantum 1514 target 5ms interval 100ms memory_limit 32Mb ecn drop_batch 64 ";
        let words = "fq_codel limit 10240 flows 1024 quantum 1514 target 5ms interval 100ms memory_limit 32Mb ecn drop_batch 64";
        let read = |line: &str, place| Kept::read(line, "eth0", place);
        let kept = Kept { handle: "8001:".into(), words: words.into() };
        assert_eq!(read(root, "root "), Some(kept));
        let below = "qdisc pfifo 5: dev eth0 parent 77:1 limit 77p";
        let kept = Kept { handle: "5:".into(), words: "pfifo limit 77".into() };
        assert_eq!(Kept::below_ours(below, "eth0"), Some(kept));
        assert_eq!(Kept::below_ours(below, "eth1"), None);
        assert_eq!(Kept::below_ours("qdisc pfifo 5: parent 77:1234 limit 77p", "eth0"), None);
        assert_eq!(read("qdisc pfifo 5: root limit 7;reboot", "root "), None);
        assert_eq!(read("qdisc", "root "), None);
    }

    #[test]
    fn settings_are_compared_but_for_what_ticks_make_of_them() {
        let one = json!({"rate": 125000000, "burst": 1048500, "ecn": true});
        assert!(is_nearly(&json!({"rate": 125000000, "burst": 1048375, "ecn": true}), &one));
        for other in [
            json!({"rate": 125000000, "burst": 1038375, "ecn": true}),
            json!({"rate": 125000000, "burst": 1048500, "ecn": false}),
            json!({"rate": 125000000, "burst": 1048500}),
        ] {
            assert!(!is_nearly(&other, &one), "{other}");
        }
    }
}
