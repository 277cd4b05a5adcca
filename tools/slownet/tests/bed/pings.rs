//! What pings tell of a network, and what they must tell under each fault, whichever backend makes it.

#![allow(dead_code)] // Each test file uses what it needs.

/// One answer: which request, after how many milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    seq: usize,
    rtt: f64,
}

/// What `ping` said.
#[derive(Debug)]
pub struct Pings {
    sent: usize,
    answers: Vec<Answer>,
    doubled: usize,
    /// How many answers came after one to a later request.
    overtaken: usize,
}

impl Pings {
    /// Reads the lines of a ping that sent `sent` requests.
    pub fn read<'a>(lines: impl Iterator<Item = &'a str>, sent: usize) -> Pings {
        let mut pings = Pings { sent, answers: Vec::new(), doubled: 0, overtaken: 0 };
        for line in lines {
            let number = |name: &str| line.split(name).nth(1)?.split(' ').next()?.parse().ok();
            if line.contains("DUP!") {
                pings.doubled += 1;
            } else if let (Some(seq), Some(rtt)) = (number("icmp_seq="), number("time=")) {
                pings.answers.push(Answer { seq: seq as usize, rtt });
            }
        }
        let mut latest = 0;
        for answer in &pings.answers {
            pings.overtaken += usize::from(answer.seq < latest);
            latest = latest.max(answer.seq);
        }
        pings.answers.sort_by_key(|answer| answer.seq);
        pings
    }

    fn share(&self, of: impl Fn(&Answer) -> bool) -> f64 {
        self.answers.iter().filter(|answer| of(answer)).count() as f64 / self.answers.len() as f64
    }

    /// Whether the machine was too busy to tell times: where nothing is held, one answer in ten was late or lost.
    pub fn were_hindered(&self) -> bool {
        self.answers.iter().filter(|answer| answer.rtt < 2.0).count() * 10 < self.sent * 9
    }

    fn before(&self, millis: f64) -> f64 {
        self.share(|answer| answer.rtt < millis)
    }

    fn lost(&self) -> f64 {
        1.0 - self.answers.len() as f64 / self.sent as f64
    }

    /// How many requests in a row are lost, on the average.
    fn burst(&self) -> f64 {
        let came =
            |seq: usize| self.answers.binary_search_by_key(&seq, |answer| answer.seq).is_ok();
        let lost = (1..=self.sent).filter(|seq| !came(*seq)).count();
        let begins = (2..=self.sent).filter(|seq| !came(*seq) && came(seq - 1)).count();
        lost as f64 / begins as f64
    }

    /// How much an answer's time resembles the one before.
    fn correlation(&self) -> f64 {
        let times: Vec<f64> = self.answers.iter().map(|answer| answer.rtt).collect();
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        let product = |a: f64, b: f64| (a - mean) * (b - mean);
        let together: f64 = times.windows(2).map(|pair| product(pair[0], pair[1])).sum();
        together / times.iter().map(|time| product(*time, *time)).sum::<f64>()
    }
}

/// A fault: its flags, and how many pings show it.
pub struct Case {
    pub name: &'static str,
    pub flags: &'static str,
    pub pings: usize,
}

const fn case(name: &'static str, pings: usize, flags: &'static str) -> Case {
    Case { name, flags, pings }
}

/// Every fault that pings can show.
pub const CASES: [Case; 16] = [
    case("delay", 40, "--delay 40ms"),
    case("uniform", 300, "--delay 40ms --jitter 20ms"),
    case("normal", 300, "--delay 40ms --jitter 10ms --distribution normal"),
    case("pareto", 300, "--delay 40ms --jitter 10ms --distribution pareto"),
    case("paretonormal", 300, "--delay 40ms --jitter 10ms --distribution paretonormal"),
    case("correlation", 300, "--delay 40ms --jitter 20ms --correlation 90%"),
    case("loss", 600, "--loss 20% --delay 1ms"),
    case("loss-alike", 800, "--loss 20%,75%"),
    case("loss-state", 600, "--loss-state 10%,40%"),
    case("loss-gemodel", 600, "--loss-gemodel 10%,40%"),
    case("duplicate", 300, "--duplicate 30%"),
    case("reorder", 300, "--delay 40ms --reorder 50% --gap 4"),
    case("corrupt", 300, "--corrupt 30%"),
    case("slot", 100, "--slot 60ms --slot-packets 50"),
    case("limit", 100, "--delay 300ms --limit 5"),
    case("kept-order", 200, "--delay 40ms --jitter 20ms --keep-order"),
];

/// Holds what pings told against what the fault of that name must do. Delays are judged by those that come
/// early, for a busy machine makes many late and none early; shares by four deviations of a binomial.
///
/// # Errors
/// What they told and must not.
pub fn verdict(name: &str, pings: &Pings) -> Result<(), String> {
    let within = |what: &str, value: f64, low: f64, high: f64| match (low..=high).contains(&value) {
        true => Ok(()),
        false => Err(format!("{name}: {what} is {value}, not {low} to {high}: {pings:?}")),
    };
    match name {
        "delay" => {
            within("before 40 ms", pings.before(39.9), 0.0, 0.0)?;
            within("soon after", pings.before(45.0), 0.1, 1.0)?;
        }
        "uniform" => {
            within("before the earliest", pings.before(19.9), 0.0, 0.0)?;
            within("in the first quarter", pings.before(30.0), 0.10, 0.36)?;
            within("overtaken", pings.overtaken as f64, 20.0, 300.0)?;
        }
        "kept-order" => {
            within("before the earliest", pings.before(19.9), 0.0, 0.0)?;
            // Itself, the one 10 ms before it by 50 ms, and that before by 60 ms: 0.5 times 0.75 of them.
            within("before the mean", pings.before(40.0), 0.10, 0.52)?;
            within("overtaken", pings.overtaken as f64, 0.0, 0.0)?;
        }
        "normal" => {
            within("before a deviation", pings.before(30.0), 0.05, 0.26)?;
            within("before the mean", pings.before(40.0), 0.25, 0.62)?;
        }
        // Most packets are early and few very late.
        "pareto" | "paretonormal" => {
            within("before the mean", pings.before(40.0), 0.50, 0.85)?;
            within("far before", pings.before(10.0), 0.0, 0.02)?;
        }
        "correlation" => within("the correlation", pings.correlation(), 0.5, 1.0)?,
        "loss" => {
            within("lost", pings.lost(), 0.135, 0.265)?;
            within("in a row", pings.burst(), 1.0, 1.6)?;
        }
        // A fifth, in bursts of two and a half.
        "loss-state" | "loss-gemodel" => {
            within("lost", pings.lost(), 0.09, 0.32)?;
            within("in a row", pings.burst(), 1.7, 3.6)?;
        }
        "loss-alike" => {
            within("lost", pings.lost(), 0.06, 0.40)?;
            within("in a row", pings.burst(), 1.7, 8.0)?;
        }
        "duplicate" => {
            within("lost", pings.lost(), 0.0, 0.0)?;
            within("doubled", pings.doubled as f64 / pings.sent as f64, 0.19, 0.41)?;
        }
        "reorder" => {
            let early: Vec<usize> =
                pings.answers.iter().filter(|a| a.rtt < 20.0).map(|a| a.seq).collect();
            within("overtook", early.len() as f64 / pings.sent as f64, 0.13, 0.27)?;
            let nearest = early.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
            within("nearest two that overtook", nearest as f64, 4.0, 9.0)?;
        }
        // A request that is damaged is not answered.
        "corrupt" => within("lost", pings.lost(), 0.19, 0.41)?,
        "slot" => {
            within("at once", pings.before(25.0), 0.15, 0.75)?;
            within("later", 1.0 - pings.before(35.0), 0.15, 0.75)?;
        }
        "limit" => within("lost", pings.lost(), 0.40, 0.97)?,
        other => panic!("no case is called {other}"),
    }
    Ok(())
}
