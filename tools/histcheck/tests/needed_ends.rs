//! Evidence shows no end as needed that is not: without it, as if nobody knew whether the operation happened, what is
//! shown has a legal order. Histories in which many outcomes are unknown, those of several keys at once, in batch and
//! followed, of every model, by the exhaustive oracle of [`spec`]; what else the manual page promises of evidence is
//! looked after too. `HISTCHECK_ORACLE=20000` takes so many of each model, and `HISTCHECK_SEED=2` others.

#![allow(clippy::unwrap_used)]

mod spec;

use serde_json::Value;
use spec::counterexample::Counterexample;
use spec::judged::{Judged, many};
use spec::written::interleaved;
use spec::{Fate, Made, NEVER, Random, Spec};

/// So many histories are in one file: a follower reads them at once.
const IN_A_FILE: usize = 500;

/// An invalid history: up to ten operations, of which more ended in no known way, or later.
fn history(spec: &Spec, random: &mut Random) -> Vec<Made> {
    loop {
        let mut made = spec::random_history(spec, random, 10);
        let unknown = random.below(4);
        for op in made.iter_mut().filter(|op| op.fate == Fate::Ok) {
            if random.below(8) < unknown {
                (op.fate, op.res) = (Fate::Info, NEVER);
            }
        }
        let ops = spec::ops(spec, &made);
        if !spec::is_linearizable(spec, &spec.initial, &ops) {
            return made;
        }
    }
}

fn every_end_that_is_shown_is_needed(name: &str) {
    let seed = std::env::var("HISTCHECK_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut random = Random(0xE4D5 + seed);
    let mut left = many();
    let mut ends = 0;
    while left > 0 {
        let count = left.min(IN_A_FILE);
        left -= count;
        let spec = spec::spec(name);
        let histories: Vec<Vec<Made>> = (0..count).map(|_| history(&spec, &mut random)).collect();
        let at_once = 1 + random.below(4) as usize;
        let written = interleaved(&spec, &histories, at_once, &mut random);
        let judged = Judged::of(&format!("ends {name}"), spec, histories, written);
        let batch = judged.keys();
        let followed = judged.followed();
        assert_eq!(followed.len(), count, "{name}");
        let batch =
            batch.iter().map(|verdict| (verdict["key"].as_u64().unwrap() as usize, verdict));
        for (key, verdict) in batch.chain(followed.iter().map(|(&key, verdict)| (key, verdict))) {
            assert_eq!(verdict["valid"], false, "{verdict}: {:#?}", judged.ops(key));
            let shown = Counterexample::of(&judged, key, &verdict["witness"]);
            shown.convicts(verdict);
            let is_end = |op: &&Value| op["end_matters"] == true;
            ends +=
                verdict["witness"]["operations"].as_array().unwrap().iter().filter(is_end).count();
        }
    }
    assert!(ends > many(), "{name}: {ends} ends");
}

/// A test for each model.
macro_rules! tests {
    ($($test:ident $name:literal)*) => {
        mod every_end_that_is_shown_is_needed {
            $(#[test] fn $test() {
                super::every_end_that_is_shown_is_needed($name);
            })*
        }
    };
}

spec::with_every_model!(tests);
