//! Many values in little room: `#{0..3 7 9..12}`.

use crate::values::{Id, Values};

/// Integers in their order with runs as `first..last`, then the other values as JSON.
///
/// At most `limit` runs are shown; the rest are counted.
pub fn show(ids: &[Id], values: &Values, limit: usize) -> String {
    let (mut ints, mut others) = (Vec::new(), Vec::new());
    for &id in ids {
        match values.as_int(id) {
            Some(int) => ints.push(int),
            None => others.push(values.show(id)),
        }
    }
    ints.sort_unstable();
    others.sort_unstable();
    let runs = runs(&ints);
    let parts: Vec<(String, usize)> = runs
        .into_iter()
        .map(|(first, last, count)| (run(first, last), count))
        .chain(others.into_iter().map(|text| (text, 1)))
        .collect();
    let hidden: usize = parts.iter().skip(limit).map(|(_, count)| count).sum();
    let shown: Vec<&str> = parts.iter().take(limit).map(|(text, _)| text.as_str()).collect();
    let rest = if hidden > 0 { format!(" and {hidden} more") } else { String::new() };
    format!("#{{{}}}{rest}", shown.join(" "))
}

fn runs(sorted: &[i64]) -> Vec<(i64, i64, usize)> {
    let mut runs: Vec<(i64, i64, usize)> = Vec::new();
    for &int in sorted {
        match runs.last_mut() {
            Some((_, last, count)) if last.checked_add(1) == Some(int) => {
                *last = int;
                *count += 1;
            }
            _ => runs.push((int, int, 1)),
        }
    }
    runs
}

fn run(first: i64, last: i64) -> String {
    match last.wrapping_sub(first) {
        0 => first.to_string(),
        1 => format!("{first} {last}"),
        _ => format!("{first}..{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn runs_of_integers_are_one_piece_and_the_rest_is_counted() {
        let mut values = Values::default();
        let items =
            [json!(7), json!(0), json!(1), json!(2), json!(3), json!("a"), json!(-4), json!(8)];
        let ids: Vec<Id> = items.iter().map(|value| values.intern(value)).collect();
        assert_eq!(show(&ids, &values, 9), "#{-4 0..3 7 8 \"a\"}");
        assert_eq!(show(&ids, &values, 1), "#{-4} and 7 more");
        assert_eq!(show(&[], &values, 1), "#{}");
        let ends = [i64::MAX, i64::MIN].map(|int| values.int(int));
        assert_eq!(show(&ends, &values, 9), format!("#{{{} {}}}", i64::MIN, i64::MAX));
    }
}
