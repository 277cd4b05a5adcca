//! Which packets must go on exactly as they would have, whichever backend holds them, and what shows that they do.

#![allow(dead_code)] // Each test file uses what it needs.

use std::path::Path;

/// What shows it: a script of bash, and what it calls.
const FILES: [(&str, &str); 2] =
    [("whole.sh", include_str!("whole.sh")), ("whole.py", include_str!("whole.py"))];

/// How long a packet may take under a delay of 60 ms, in milliseconds.
enum Takes {
    /// It is held once.
    Once,
    /// It is held, and so is what it waits for.
    Twice,
    /// It is not held.
    Nothing,
}
use Takes::{Nothing, Once, Twice};

/// Each kind of packets, how long they take, and how many come.
const CASES: [(&str, Takes, usize); 29] = [
    ("udp-100", Once, 3),
    ("udp-1472", Once, 3),
    ("udp-1473", Once, 3),
    ("udp-4000", Once, 3),
    ("udp-60000", Once, 3),
    ("udp6-100", Once, 3),
    ("udp6-1452", Once, 3),
    ("udp6-1453", Once, 3),
    ("udp6-4000", Once, 3),
    ("udp6-60000", Once, 3),
    ("broadcast", Once, 2),
    ("multicast", Once, 2),
    ("multicast6", Once, 2),
    ("link-local", Once, 2),
    ("no-rule", Once, 2),
    ("mark", Once, 2),
    ("source", Once, 2),
    ("dnat", Once, 2),
    ("masquerade", Once, 3),
    // Frames that a bridge passes on leave by none of the host's own interfaces.
    ("between", Nothing, 2),
    ("tcp", Once, 1),
    ("tcp-dnat", Once, 1),
    // What is answered comes by another of its interfaces.
    ("tcp-masquerade", Twice, 1),
    ("ping", Once, 5),
    ("ping-4000", Once, 5),
    ("ping-whole", Once, 5),
    ("ping6-4000", Once, 5),
    ("doubled-100", Nothing, 20),
    // Each fragment is doubled, and doubled fragments make one datagram.
    ("doubled-1473", Nothing, 10),
];

/// Puts what shows it into `folder`.
pub fn put_into(folder: &Path) {
    for (name, text) in FILES {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

/// Holds what was shown against what must be. A busy machine makes packets late, but never early.
///
/// # Errors
/// All that is wrong.
pub fn judge(shown: &str) -> Result<(), String> {
    let wrong = |(name, takes, count): &(&str, Takes, usize)| {
        let mut words = shown.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let words = words.rfind(|words| words.first() == Some(name));
        let [_, millis, came] = words.as_deref()? else {
            return Some(format!("{name}: {words:?}"));
        };
        let least = match takes {
            Once => 60.0..600.0,
            Twice => 120.0..1200.0,
            Nothing => 0.0..60.0,
        };
        let right = millis.parse().is_ok_and(|millis: f64| least.contains(&millis))
            && *came == count.to_string();
        (!right).then(|| format!("{name}: {count} must come, and {came} do, after {millis} ms"))
    };
    let missing = CASES
        .iter()
        .filter(|(name, ..)| !shown.lines().any(|line| line.split(' ').next() == Some(name)));
    let mut wrong: Vec<String> = CASES.iter().filter_map(wrong).collect();
    wrong.extend(missing.map(|(name, ..)| format!("{name} was not shown")));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}
