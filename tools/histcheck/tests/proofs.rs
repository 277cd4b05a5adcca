//! What `linear` proves, through the binary: each witness order replays, by `verify` and by the specification of
//! [`spec`], long histories have one too, and one that was tampered with does not; each counterexample is invalid on its
//! own and for the same reason, holds all writers of what it observes, and has nothing to spare. Random histories of
//! every model, by the exhaustive oracle. `HISTCHECK_ORACLE=20000` takes so many of each model.

#![allow(clippy::unwrap_used)]

mod spec;

use serde_json::Value;
use spec::counterexample::Counterexample;
use spec::judged::{Judged, histories, many};
use spec::{Act, Fate, Made, Random};
fn every_witness_replays_and_a_tampered_one_does_not(name: &str) {
    let spec = spec::spec(name);
    let made = histories(&spec, 1, many(), true);
    let judged = Judged::new(name, spec, made);
    for (key, verdict) in judged.keys().iter().enumerate() {
        let nothing = verdict["because"] == "nothing was checked";
        assert!(verdict["valid"] == true || nothing, "{verdict}: {:#?}", judged.ops(key));
    }
    let order = judged.order();
    assert_eq!(judged.replays(&order), Ok(()), "{name}");
    let all = judged.histcheck("verify", &["--witness", "order"]);
    assert_eq!(all.status, 0, "{name}: {}{}", all.stdout, all.stderr);

    let spec = spec::spec(name);
    let few = histories(&spec, 2, 12, true);
    let judged = Judged::new(name, spec, few);
    judged.keys();
    let order = judged.order();
    let mut random = Random(0xBAD);
    let mut refused = 0;
    for round in 0..20 {
        let tampered = tampered(&judged, &order, &mut random, round);
        let legal = judged.replays(&tampered);
        let found = judged.verify(&tampered);
        let expected = i32::from(legal.is_err());
        assert_eq!(found.status, expected, "{name}: {legal:?}, {}{}", found.stdout, found.stderr);
        refused += expected;
    }
    assert!(refused >= 8, "{name}: {refused} refused");
}

/// Histories too long for the oracle: what is found valid has an order, and that replays.
fn every_long_valid_history_has_a_witness(name: &str) {
    let mut random = Random(0x10_000);
    let long = |_| spec::random_history(&spec::spec(name), &mut random, 24);
    let judged = Judged::new(name, spec::spec(name), (0..100).map(long).collect());
    let told = judged.keys();
    let is_valid = |key: &usize| told[*key]["valid"] == true;
    let valid: Vec<usize> = (0..told.len()).filter(is_valid).collect();
    assert!(valid.len() >= 6, "{name}: {} of {}", valid.len(), told.len());
    let made = valid.iter().map(|&key| judged.histories[key].clone()).collect();
    let again = Judged::new(name, spec::spec(name), made);
    assert!(again.keys().iter().all(|verdict| verdict["valid"] == true), "{name}");
    assert_eq!(again.replays(&again.order()), Ok(()), "{name}");
    let all = again.histcheck("verify", &["--witness", "order"]);
    assert_eq!(all.status, 0, "{name}: {}{}", all.stdout, all.stderr);
}

/// The order with one thing wrong, mostly.
fn tampered(judged: &Judged, order: &[u64], random: &mut Random, round: usize) -> Vec<u64> {
    let mut order = order.to_vec();
    let at = random.below(order.len() as u32) as usize;
    let mut lines: Vec<u64> = judged.written.begins.keys().copied().collect();
    lines.sort_unstable();
    match round % 5 {
        0 => drop(order.remove(at)),
        1 => order.insert(at, order[random.below(order.len() as u32) as usize]),
        2 => {
            let other = random.below(order.len() as u32) as usize;
            order.swap(at, other);
        }
        3 => {
            // Another operation than the one that stands there: one that failed, or that is not needed.
            order[at] = lines[random.below(lines.len() as u32) as usize];
        }
        _ => {
            // One more, that failed or is of unknown outcome.
            lines.retain(|line| !order.contains(line));
            if !lines.is_empty() {
                order.insert(at, lines[random.below(lines.len() as u32) as usize]);
            }
        }
    }
    order
}

fn every_counterexample_is_invalid_closed_and_minimal(name: &str) {
    let spec = spec::spec(name);
    // Chains of cas are many-shaped: fewer do not show each way in which one of unknown outcome convicts.
    let count = if name.starts_with("cas-register") { 4 * many() } else { many() };
    let made = histories(&spec, 3, count, false);
    let judged = Judged::new(name, spec, made);
    let batch = judged.keys().into_iter().enumerate().collect();
    let followed: Vec<(usize, Value)> = judged.followed().into_iter().collect();
    assert_eq!(followed.len(), count, "{name}");
    for keys in [batch, followed] {
        for (key, verdict) in &keys {
            assert!(!judged.is_valid(*key) && verdict["valid"] == false, "{verdict}");
            let witness = &verdict["witness"];
            let facts = (&witness["minimal"], &witness["checked"], &witness["left_out"]);
            assert_eq!(facts, (&true.into(), &true.into(), &0.into()), "{verdict}");
            Counterexample::of(&judged, *key, witness).convicts(verdict);
        }
        each_alone_has_the_same_reason(&judged, &keys);
    }
}

/// The counterexamples as histories of their own: each is invalid for the reason that the whole was.
fn each_alone_has_the_same_reason(judged: &Judged, keys: &[(usize, Value)]) {
    let alone = |(key, verdict): &(usize, Value)| {
        let made = Counterexample::of(judged, *key, &verdict["witness"]).alone()?;
        Some((reason(verdict), made))
    };
    let (reasons, made): (Vec<String>, Vec<Vec<Made>>) = keys.iter().filter_map(alone).unzip();
    assert!(10 * made.len() > keys.len(), "{} of {}", made.len(), keys.len());
    let spec = spec::spec(&judged.name);
    let again = Judged::new(&judged.name, spec, made);
    for (key, verdict) in again.keys().iter().enumerate() {
        assert_eq!(verdict["valid"], false, "{verdict}");
        let is_given = !reasons[key].starts_with("no order of the operations explains");
        assert!(!is_given || reason(verdict) == reasons[key], "{}: {verdict}", reasons[key]);
    }
}

/// The sentence, but for its numbers of lines.
fn reason(verdict: &Value) -> String {
    let mut words = Vec::new();
    for word in verdict["because"].as_str().unwrap().split(' ') {
        let is_number = words.last().is_some_and(|last: &&str| last.ends_with("line"));
        words.push(if is_number { "N" } else { word });
    }
    words.join(" ")
}

#[test]
fn an_add_of_nothing_explains_nothing_as_what_it_found_was_there_before() {
    every_counterexample_is_invalid_closed_and_minimal("fetch-add of nothing");
    // It came too late to matter, and nothing says that what it found was put by it.
    let spec = spec::spec("fetch-add of nothing");
    let is = |act: &Act| spec.items.iter().position(|item| item.act == *act).unwrap();
    let ok = |act: &Act, inv: u32| {
        let process = i64::from(inv);
        Made { item: is(act), fate: Fate::Ok, process, inv, res: inv + 1 }
    };
    let made = vec![ok(&Act::Read(1), 1), ok(&Act::FetchAdd(0, 1), 3)];
    let judged = Judged::new("fetch-add of nothing", spec, vec![made]);
    let keys = judged.keys();
    let shown = Counterexample::of(&judged, 0, &keys[0]["witness"]);
    shown.convicts(&keys[0]);
    assert_eq!(shown.ops.len(), 1, "{}", keys[0]);
}

/// Three tests for each model.
macro_rules! tests {
    ($($test:ident $name:literal)*) => {
        mod every_witness_replays_and_a_tampered_one_is_refused {
            $(#[test] fn $test() {
                super::every_witness_replays_and_a_tampered_one_does_not($name);
            })*
        }
        mod every_long_valid_history_has_a_witness {
            $(#[test] fn $test() {
                super::every_long_valid_history_has_a_witness($name);
            })*
        }
        mod every_counterexample_is_invalid_closed_and_minimal {
            $(#[test] fn $test() {
                super::every_counterexample_is_invalid_closed_and_minimal($name);
            })*
        }
    };
}

spec::with_every_model!(tests);
