//! Jepsen's nemesis writes two lines of each thing that it does, as clients do: one before, one after. Each pair is
//! one thing.
//!
//! Newer tools mark the first as `invoke`. Jepsen itself calls both `info`. Then only the whole history shows that they
//! are pairs: the first two lines have one name, the next two have one name, and so on. A last line may stand alone.
//! Lines of breakit's own, which have fields that Jepsen's lack, are never pairs.

use breakit::op::{Op, Type};

/// The fields in the value of breakit's own lines, each of which stands for one fault.
const OWN: [&str; 3] = ["began", "lease", "id"];

/// A line of the nemesis, by its number.
pub type Line = (u32, Op);

/// The lines with one for each pair, where these are pairs.
pub fn merged(lines: &[Line]) -> Option<Vec<Line>> {
    if lines.iter().any(|(_, op)| op.kind == Type::Invoke) {
        return Some(of_invocations(lines));
    }
    let is_own =
        |op: &Op| OWN.iter().any(|name| op.value.as_ref().is_some_and(|v| v.get(name).is_some()));
    let is_pair = |pair: &[Line]| pair.len() < 2 || pair[0].1.f == pair[1].1.f;
    if lines.len() < 2 || lines.iter().any(|(_, op)| is_own(op)) || !lines.chunks(2).all(is_pair) {
        return None;
    }
    Some(lines.chunks(2).map(|pair| one(&pair[0], pair.get(1))).collect())
}

/// Each invocation with its completion. What failed did not happen; what has no completion may have.
fn of_invocations(lines: &[Line]) -> Vec<Line> {
    let mut all = Vec::new();
    let mut open: Option<&Line> = None;
    for line in lines {
        let op = &line.1;
        match open.take() {
            Some(begun) if op.kind != Type::Invoke && op.f == begun.1.f => {
                if op.kind != Type::Fail {
                    all.push(one(begun, Some(line)));
                }
                continue;
            }
            Some(begun) => all.push(one(begun, None)),
            None => {}
        }
        match op.kind {
            Type::Invoke => open = Some(line),
            Type::Fail => {}
            Type::Ok | Type::Info => all.push(line.clone()),
        }
    }
    all.extend(open.map(|begun| one(begun, None)));
    all
}

/// A pair as one line: a fault may be in force from the first on, and one that ends is certain to be gone at the
/// second.
fn one(begun: &Line, done: Option<&Line>) -> Line {
    let Some(done) = done else { return begun.clone() };
    let timed = if ends(&done.1.f) { done } else { begun };
    let value = done.1.value.clone().filter(|value| !value.is_null());
    let op = Op {
        time: timed.1.time.or(begun.1.time),
        value: value.or_else(|| begun.1.value.clone()),
        ..done.1.clone()
    };
    (timed.0, op)
}

/// Whether what the nemesis does by this name ends a fault.
fn ends(f: &str) -> bool {
    // After a kill, a bare start starts the database again.
    f == "stop" || f == "start" || f == "resume" || f.starts_with("stop-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn lines(all: &[(&str, Type, Value)]) -> Vec<Line> {
        let line = |(number, (f, kind, value)): (u32, &(&str, Type, Value))| {
            let mut op = Op::fault(*f, value.clone());
            (op.kind, op.time) = (*kind, Some(u64::from(number) * 10));
            (number, op)
        };
        (1..).zip(all).map(line).collect()
    }

    fn shown(all: &[(&str, Type, Value)]) -> Option<Vec<(u32, String, Option<u64>)>> {
        let merged = merged(&lines(all))?;
        Some(merged.into_iter().map(|(line, op)| (line, op.f, op.time)).collect())
    }

    const NULL: Value = Value::Null;

    #[test]
    fn lines_that_all_stand_in_pairs_are_one_each() {
        let info = Type::Info;
        let all = [
            ("start-partition", info, NULL),
            ("start-partition", info, json!("majority")),
            ("stop-partition", info, NULL),
            ("stop-partition", info, json!("healed")),
            ("kill", info, NULL),
        ];
        let expected = [(1, "start-partition"), (4, "stop-partition"), (5, "kill")]
            .map(|(line, f)| (line, f.to_string(), Some(u64::from(line) * 10)));
        assert_eq!(shown(&all).unwrap(), expected);
        assert_eq!(merged(&lines(&all)).unwrap()[0].1.value, Some(json!("majority")));
    }

    #[test]
    fn lines_that_do_not_all_stand_in_pairs_or_are_breakits_own_stay() {
        let info = Type::Info;
        assert_eq!(shown(&[("kill", info, NULL)]), None);
        let alone = [
            ("kill", info, NULL),
            ("kill", info, NULL),
            ("kill", info, NULL),
            ("start", info, NULL),
        ];
        assert_eq!(shown(&alone), None);
        let own =
            [("start-slow", info, json!({"began": 5})), ("start-slow", info, json!({"began": 9}))];
        assert_eq!(shown(&own), None);
    }

    #[test]
    fn what_failed_did_not_happen_and_what_has_no_completion_may_have() {
        let all = [
            ("kill", Type::Invoke, NULL),
            ("kill", Type::Fail, NULL),
            ("pause", Type::Invoke, NULL),
            ("kill", Type::Invoke, NULL),
            ("kill", Type::Ok, NULL),
            ("resume", Type::Invoke, NULL),
        ];
        let fs: Vec<String> = shown(&all).unwrap().into_iter().map(|(_, f, _)| f).collect();
        assert_eq!(fs, ["pause", "kill", "resume"]);
    }
}
