//! Lines that would be longer than what a pipe carries whole: their lists stand on lines of their own before them.
//!
//! Each such `detail-slow` line has the number of the fault, or of the first of its links, and a piece of what the
//! line would have: some elements of a list, some members of a map, some links. A link of which one piece is too
//! long for a line is told in several, all with its number.

use breakit::jsonl::SHARED_PIPE_LINE;
use serde_json::{Map, Value, json};

/// What stands on a line beside what is counted here: time, process, began, lease, wall.
const FRAME: usize = 600;

/// How long a value, or a piece of one, may be.
const LONGEST: usize = SHARED_PIPE_LINE - FRAME;

/// The word of lines that tell a piece of the next start line.
pub const F: &str = "detail-slow";

/// The pieces of a value that is too long, and what is left of it; no piece where it is not.
pub fn split(value: Value) -> (Vec<Value>, Value) {
    let Value::Object(fields) = value else { return (Vec::new(), value) };
    if length(&fields) <= LONGEST {
        return (Vec::new(), Value::Object(fields));
    }
    if let Some(Value::Array(links)) = fields.get("links") {
        let id = links.first().map(|link| link["id"].clone()).unwrap_or_default();
        let small = links.iter().flat_map(|link| match link {
            Value::Object(link) => cut(link),
            other => vec![other.clone()],
        });
        let pieces = pack(small.collect()).into_iter();
        return (
            pieces.map(|links| json!({ "id": id, "links": links })).collect(),
            json!({ "id": id }),
        );
    }
    let mut pieces = cut(&fields);
    let rest = pieces.pop().unwrap_or_default();
    (pieces, rest)
}

/// What is left of a stop line's value that would be too long: the number alone, which stands on its start line too.
pub fn shorten(value: Value) -> Value {
    match split(value) {
        (pieces, rest) if pieces.is_empty() => rest,
        (_, rest) => json!({ "id": rest["id"] }),
    }
}

/// One link as several that are short enough: the last has what is short anyhow.
fn cut(link: &Map<String, Value>) -> Vec<Value> {
    let (mut pieces, mut rest) = (Vec::new(), link.clone());
    while length(&rest) > LONGEST {
        let longest = rest.iter().filter(|(_, value)| value.is_array() || value.is_object());
        let longest = longest.max_by_key(|(_, value)| value.to_string().len());
        let Some(name) = longest.map(|(name, _)| name.clone()) else { break };
        let piece = |part: Value| json!({ "id": link.get("id"), name.as_str(): part });
        match rest.remove(&name) {
            Some(Value::Array(all)) => {
                pieces.extend(pack(all).into_iter().map(|some| piece(some.into())))
            }
            Some(Value::Object(all)) => {
                let each = all.into_iter().map(|(name, value)| json!({ name: value })).collect();
                pieces.extend(pack(each).into_iter().map(|some| piece(join(some))));
            }
            _ => break,
        }
    }
    pieces.push(Value::Object(rest));
    pieces
}

/// Groups that are each short enough for a line, in order.
fn pack(all: Vec<Value>) -> Vec<Vec<Value>> {
    let (mut groups, mut room) = (Vec::<Vec<Value>>::new(), 0);
    for value in all {
        let length = value.to_string().len() + 1;
        match groups.last_mut() {
            Some(group) if length <= room => group.push(value),
            _ => {
                groups.push(vec![value]);
                room = LONGEST - 100;
            }
        }
        room = room.saturating_sub(length);
    }
    groups
}

fn join(maps: Vec<Value>) -> Value {
    let fields = maps.into_iter().filter_map(|map| match map {
        Value::Object(fields) => Some(fields),
        _ => None,
    });
    Value::Object(fields.flatten().collect())
}

fn length(fields: &Map<String, Value>) -> usize {
    Value::Object(fields.clone()).to_string().len()
}

/// Puts a piece back into the value that it was taken from.
pub fn merge(value: &mut Value, piece: Value) {
    let (Value::Object(fields), Value::Object(piece)) = (value, piece) else { return };
    for (name, more) in piece {
        match (fields.get_mut(&name), more) {
            (Some(Value::Array(links)), Value::Array(more)) if name == "links" => {
                more.into_iter().for_each(|link| merge_link(links, link));
            }
            (Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
            (Some(Value::Object(all)), Value::Object(more)) => all.extend(more),
            (None, Value::Array(more)) if name == "links" => {
                let mut links = Vec::new();
                more.into_iter().for_each(|link| merge_link(&mut links, link));
                fields.insert(name, links.into());
            }
            (None, more) => drop(fields.insert(name, more)),
            (Some(_), _) => {}
        }
    }
}

fn merge_link(links: &mut Vec<Value>, link: Value) {
    match links.iter_mut().find(|other| other["id"] == link["id"]) {
        Some(other) => merge(other, link),
        None => links.push(link),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link with so many nodes and peers.
    fn link(id: u32, nodes: usize) -> Value {
        let names: Vec<String> = (0..nodes).map(|n| format!("node-{n}")).collect();
        let to: Map<String, Value> =
            names.iter().map(|name| (name.clone(), json!(["10.0.0.1", "fd00::1"]))).collect();
        json!({ "id": format!("{id:x}"), "nodes": names, "to_nodes": to, "parts": {"delay": "1ms"} })
    }

    #[test]
    fn what_is_short_is_left_as_it_is() {
        assert_eq!(split(link(1, 3)), (Vec::new(), link(1, 3)));
        assert_eq!(shorten(link(1, 3)), link(1, 3));
    }

    #[test]
    fn what_is_long_is_told_in_pieces_that_make_it_again() {
        let links = |count, nodes| json!({ "links": (1..=count).map(|id| link(id, nodes)).collect::<Vec<_>>() });
        for value in [link(1, 100), link(1, 1000), links(3, 200), links(500, 1), links(2, 1000)] {
            let (pieces, mut rest) = split(value.clone());
            assert!(!pieces.is_empty());
            for line in pieces.iter().chain([&rest]) {
                assert!(line.to_string().len() <= LONGEST, "{} bytes", line.to_string().len());
                assert_eq!(line["id"], "1");
            }
            assert_eq!(shorten(value.clone()), json!({ "id": "1" }));
            pieces.into_iter().for_each(|piece| merge(&mut rest, piece));
            if value.get("links").is_some() {
                assert_eq!(rest["links"], value["links"]);
            } else {
                assert_eq!(rest, value);
            }
        }
    }
}
