//! Which packets a fault strikes and which it leaves alone, whichever backend makes it.

#![allow(dead_code)] // Each test file uses what it needs.

use std::path::Path;

/// What shows it.
pub const SCRIPT: &str = include_str!("which.py");

/// How late a packet is that is struck, in milliseconds.
pub const DELAY: f64 = 60.0;

/// A fault, and packets: each as which.py is asked for it, but for the name, and whether it is struck. `4`, `6` and `9`
/// are addresses of the node that they are sent to.
pub struct Case {
    /// Which packets, as flags.
    pub flags: &'static str,
    /// The packets.
    pub packets: &'static [(&'static str, bool)],
}

/// What is left alone. Of what comes in a filter of tc(8) does not see the ports of SCTP.
pub const EXCEPTED: Case = Case {
    flags: "--except port:7001/tcp,port:7002,port:9000-9002,{9}",
    packets: &[
        ("tcp 4 7001 0", false),
        ("udp 4 7001 50", true),
        ("udp 4 7002 50", false),
        ("udp 4 7002 4000", false),
        ("tcp 4 7002 0", false),
        ("udp 4 7003 50", true),
        ("udp 4 7003 4000", true),
        ("udp 4 9001 50", false),
        ("udp 9 7003 50", false),
        ("icmp 9 0 0", false),
        ("icmp 4 0 0", true),
        ("udp 6 7002 50", false),
        ("udp 6 7003 50", true),
        ("tcp 6 7001 0", false),
    ],
};

/// Ports by name and by protocol.
pub const PORTS: Case = Case {
    flags: "--port postgresql,7002/udp,7003/tcp",
    packets: &[
        ("tcp 4 5432 0", true),
        ("udp 4 5432 50", true),
        ("udp 4 7002 50", true),
        ("tcp 4 7002 0", false),
        ("tcp 6 7003 0", true),
        ("udp 6 7003 50", false),
        ("udp 4 7004 50", false),
        ("sctp 4 5432 0", false),
        ("icmp 4 0 0", false),
    ],
};

/// SCTP by its ports.
pub const SCTP_PORTS: Case = Case {
    flags: "--port 7005/sctp,7006 --except port:7005/udp",
    packets: &[
        ("sctp 4 7005 0", true),
        ("sctp 4 7006 0", false),
        ("udp 4 7005 50", false),
        ("udp 4 7006 50", true),
    ],
};

/// Each protocol.
pub const PROTOCOLS: [Case; 3] = [
    Case {
        flags: "--protocol sctp",
        packets: &[("sctp 4 7005 0", true), ("udp 4 7005 50", false), ("tcp 4 7005 0", false)],
    },
    Case { flags: "--proto icmp", packets: &[("icmp 4 0 0", true), ("udp 4 7005 50", false)] },
    Case { flags: "--protocol udp", packets: &[("udp 6 80 50", true), ("sctp 4 80 0", false)] },
];

impl Case {
    /// The flags, for a node with that further address.
    pub fn flags(&self, further: &str) -> Vec<String> {
        self.flags.replace("{9}", further).split(' ').map(str::to_string).collect()
    }

    /// What which.py is asked, for a node with these addresses.
    pub fn asks(&self, v4: &str, v6: &str, further: &str) -> String {
        let line = |(number, (packet, _)): (usize, &(&str, bool))| {
            let words: Vec<&str> = packet.split(' ').collect();
            let address = match words[1] {
                "4" => v4,
                "6" => v6,
                _ => further,
            };
            format!("{number} {} {address} {} {}\n", words[0], words[2], words[3])
        };
        self.packets.iter().enumerate().map(line).collect()
    }

    /// Holds what which.py said against what must be. A busy machine makes packets late, but never early.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn judge(&self, said: &str) -> Result<(), String> {
        let late = |number: usize| {
            let prefix = format!("{number} ");
            said.lines().find_map(|line| line.strip_prefix(&prefix)?.parse::<f64>().ok())
        };
        let wrong = self.packets.iter().enumerate().filter_map(|(number, (packet, struck))| {
            let late = late(number);
            let right = late.is_some_and(|late| (late >= DELAY) == *struck);
            let what = if *struck { "struck" } else { "left alone" };
            (!right).then(|| format!("{}: {packet} must be {what}, took {late:?}", self.flags))
        });
        let wrong: Vec<String> = wrong.collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }
}

/// Puts what shows it into `folder`.
pub fn put_into(folder: &Path) {
    std::fs::write(folder.join("which.py"), SCRIPT).unwrap();
}
