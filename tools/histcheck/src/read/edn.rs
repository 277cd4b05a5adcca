//! EDN, the notation of Clojure and so of Jepsen: read into JSON values and written from them, without loss.
//!
//! | EDN | JSON |
//! |---|---|
//! | nil, true, integers of any length, decimals, strings | the same |
//! | vectors, lists | arrays |
//! | maps whose keys are keywords, integers, or strings that look like neither | objects |
//! | other maps | `{"#map":[[key,value],...]}` |
//! | sets | `{"#set":[...]}` |
//! | `:word` | `{"#keyword":"word"}` |
//! | `word`, `##NaN` | `{"#symbol":"word"}` |
//! | `\a`, `1/3`, `1.5M` | `{"#char":"a"}`, `{"#ratio":"1/3"}`, `{"#decimal":"1.5M"}` |
//! | `#tag form` | `{"#tagged":["tag",form]}` |
//!
//! In the steps of a transaction, `[[:append 1 2] [:r 1 nil]]`, the keyword that leads is a plain word, as
//! everybody writes it in JSON; a string in that place is `{"#string":"r"}`. `5N` is `5`, and records of
//! Jepsen (operations, tuples) are what they hold.

use serde_json::{Map, Number, Value};

/// What leads the steps of transactions.
const STEPS: [&str; 3] = ["append", "r", "w"];

/// Forms within forms deeper than this are refused, so that no text can exhaust the stack. Whatever
/// `serde_json` reads, of 127 levels at most, is not as deep.
const DEEPEST: usize = 130;

/// Why a text is not EDN.
#[derive(Debug, Clone, PartialEq)]
pub struct Wrong {
    /// Where, in bytes.
    pub at: usize,
    /// What, in words.
    pub clause: String,
    /// Whether the text ended too early, as one that was cut short.
    pub cut: bool,
}

/// A place in a text of EDN.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

type Parsed<T> = Result<T, Wrong>;

impl<'a> Reader<'a> {
    /// Reads `text` from its beginning.
    pub fn new(text: &'a [u8]) -> Reader<'a> {
        Reader { text, at: 0 }
    }

    /// Where it stands, in bytes.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next byte that is neither blank nor comment nor discarded; `None` at the end.
    ///
    /// # Errors
    /// What is wrong with a discarded form.
    pub fn peek(&mut self) -> Parsed<Option<u8>> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t' | b'\r' | b'\n' | b',' | 0x0c) => self.at += 1,
                Some(b';') => {
                    let rest = &self.text[self.at..];
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                Some(b'#') if self.text.get(self.at + 1) == Some(&b'_') => {
                    self.at += 2;
                    self.form(DEEPEST / 2)?;
                }
                other => return Ok(other.copied()),
            }
        }
    }

    /// Passes the byte that [`Reader::peek`] showed.
    pub fn pass(&mut self) {
        self.at += 1;
    }

    /// The next form.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn next_form(&mut self) -> Parsed<Value> {
        self.form(0)
    }

    fn wrong<T>(&self, clause: impl Into<String>) -> Parsed<T> {
        let cut = self.at >= self.text.len();
        Err(Wrong { at: self.at.min(self.text.len()), clause: clause.into(), cut })
    }

    fn form(&mut self, depth: usize) -> Parsed<Value> {
        if depth > DEEPEST {
            return self.wrong(format!("more than {DEEPEST} forms within one another"));
        }
        match self.peek()? {
            None => self.wrong("the text ends within a form"),
            Some(b'[') => self.closed(b']', depth).map(steps),
            Some(b'(') => self.closed(b')', depth).map(steps),
            Some(b'{') => self.map(depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b'\\') => self.character(),
            Some(b'#') => self.dispatch(depth),
            Some(b':') => self.keyword(),
            Some(b'^' | b'@' | b'\'' | b'`' | b'~') => self.wrong("this is Clojure and no EDN"),
            Some(b']' | b')' | b'}') => self.wrong("a closing bracket that nothing opens"),
            Some(_) => self.atom(),
        }
    }

    fn closed(&mut self, close: u8, depth: usize) -> Parsed<Vec<Value>> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            match self.peek()? {
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(items);
                }
                _ => items.push(self.form(depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Parsed<Value> {
        let begin = self.at;
        let items = self.closed(b'}', depth)?;
        if items.len() % 2 == 1 {
            self.at = begin;
            return self.wrong("a map with a key that has no value");
        }
        let mut entries = Vec::with_capacity(items.len() / 2);
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            entries.push((key, value));
        }
        Ok(object(entries))
    }

    fn token(&mut self) -> Parsed<&'a str> {
        let rest = &self.text[self.at..];
        let ends = |byte: &u8| byte.is_ascii_whitespace() || b",;\"()[]{}".contains(byte);
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        match std::str::from_utf8(&rest[..length]) {
            Ok(token) => {
                self.at += length;
                Ok(token)
            }
            Err(error) if error.error_len().is_none() && length == rest.len() => {
                self.at = self.text.len();
                self.wrong("the text ends within a character")
            }
            Err(_) => self.wrong("the text is not UTF-8"),
        }
    }

    /// What is wrong with the token that began at a byte and was read just now; at the end of the text it may
    /// only be cut short.
    fn wrong_token<T>(&self, begin: usize, clause: String) -> Parsed<T> {
        Err(Wrong { at: begin, clause, cut: self.at >= self.text.len() })
    }

    fn keyword(&mut self) -> Parsed<Value> {
        self.at += 1;
        match self.token()? {
            "" => self.wrong("a keyword without a name"),
            name => Ok(tag("keyword", name)),
        }
    }

    fn atom(&mut self) -> Parsed<Value> {
        let begin = self.at;
        let token = self.token()?;
        let first = token.trim_start_matches(['+', '-']).chars().next();
        match token {
            "nil" => return Ok(Value::Null),
            "true" => return Ok(Value::Bool(true)),
            "false" => return Ok(Value::Bool(false)),
            _ if !first.is_some_and(|first| first.is_ascii_digit()) => {
                return Ok(tag("symbol", token));
            }
            _ => {}
        }
        let plain = token.strip_prefix('+').unwrap_or(token);
        let whole = plain.strip_suffix('N').unwrap_or(plain);
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        let is_natural = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if is_natural(digits) {
            return match digits.len() > 1 && digits.starts_with('0') {
                true => self.wrong_token(begin, format!("{token} is a number with a leading zero")),
                false => Ok(number(whole)),
            };
        }
        if plain.strip_suffix('M').is_some_and(|text| json_number(text).is_some()) {
            return Ok(tag("decimal", plain));
        }
        if let Some(number) = json_number(plain) {
            return Ok(number);
        }
        if let Some((above, below)) = plain.split_once('/')
            && is_natural(above.strip_prefix('-').unwrap_or(above))
            && is_natural(below)
        {
            return Ok(tag("ratio", plain));
        }
        self.wrong_token(begin, format!("{token:?} is no number"))
    }

    fn string(&mut self) -> Parsed<String> {
        let begin = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let rest = &self.text[self.at.min(self.text.len())..];
            let Some(length) = memchr::memchr2(b'"', b'\\', rest) else {
                self.at = self.text.len();
                return self.wrong("the text ends within a string");
            };
            bytes.extend_from_slice(&rest[..length]);
            self.at += length + 1;
            if rest[length] == b'"' {
                break;
            }
            let escaped = self.escape()?;
            bytes.extend_from_slice(escaped.encode_utf8(&mut [0; 4]).as_bytes());
        }
        String::from_utf8(bytes).or_else(|_| {
            self.at = begin;
            self.wrong("the text is not UTF-8")
        })
    }

    fn escape(&mut self) -> Parsed<char> {
        let Some(&byte) = self.text.get(self.at) else {
            return self.wrong("the text ends within a string");
        };
        self.at += 1;
        match byte {
            b'n' => Ok('\n'),
            b't' => Ok('\t'),
            b'r' => Ok('\r'),
            b'b' => Ok('\u{8}'),
            b'f' => Ok('\u{c}'),
            b'"' | b'\\' | b'/' | b'\'' => Ok(char::from(byte)),
            b'u' => self.unicode(),
            _ => {
                self.at -= 1;
                self.wrong(format!("\\{} is no escape", char::from(byte).escape_default()))
            }
        }
    }

    /// Four hexadecimal digits, or twice four with another escape between, for what is beyond 16 bits.
    fn unicode(&mut self) -> Parsed<char> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return match char::from_u32(first) {
                Some(char) => Ok(char),
                None => self.wrong("half a character"),
            };
        }
        match &self.text[self.at..] {
            [b'\\', b'u', ..] => self.at += 2,
            [] | [b'\\'] => {
                self.at = self.text.len();
                return self.wrong("the text ends within a string");
            }
            _ => return self.wrong("half a character"),
        }
        let second = self.four_digits()?;
        let low = second.checked_sub(0xdc00).filter(|&low| low < 0x400);
        match low.and_then(|low| char::from_u32(0x10000 + ((first - 0xd800) << 10) + low)) {
            Some(char) => Ok(char),
            None => self.wrong("half a character"),
        }
    }

    fn four_digits(&mut self) -> Parsed<u32> {
        let digits = self.text.get(self.at..self.at + 4);
        let text = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match text.and_then(|text| u32::from_str_radix(text, 16).ok()) {
            Some(code) => {
                self.at += 4;
                Ok(code)
            }
            None => {
                self.at = if digits.is_none() { self.text.len() } else { self.at };
                self.wrong("\\u needs four hexadecimal digits")
            }
        }
    }

    fn character(&mut self) -> Parsed<Value> {
        self.at += 1;
        let begin = self.at;
        let rest = &self.text[begin..];
        let some = &rest[..rest.len().min(4)];
        let first = match std::str::from_utf8(some) {
            Ok(text) => text.chars().next(),
            Err(error) if error.valid_up_to() > 0 => {
                String::from_utf8_lossy(&some[..error.valid_up_to()]).chars().next()
            }
            Err(error) if error.error_len().is_none() => None,
            Err(_) => return self.wrong("the text is not UTF-8"),
        };
        let Some(first) = first else {
            self.at = self.text.len();
            return self.wrong("the text ends within a character");
        };
        self.at += first.len_utf8();
        if first.is_alphanumeric() {
            self.at = begin;
            return self.token().map(|token| tag("char", token));
        }
        Ok(tag("char", first.to_string()))
    }

    fn dispatch(&mut self, depth: usize) -> Parsed<Value> {
        let begin = self.at;
        self.at += 1;
        match self.text.get(self.at) {
            Some(b'{') => {
                let items = self.closed(b'}', depth)?;
                Ok(tag("set", Value::Array(items)))
            }
            Some(b'#') => {
                self.at += 1;
                let name = self.token()?;
                Ok(tag("symbol", format!("##{name}")))
            }
            None => self.wrong("the text ends within a form"),
            Some(b'"') => {
                self.at = begin;
                self.wrong("a regular expression is Clojure and no EDN")
            }
            Some(_) => match self.token()? {
                "" => self.wrong("a tag without a name"),
                name => {
                    let form = self.form(depth + 1)?;
                    Ok(if is_record(name) {
                        form
                    } else {
                        tag("tagged", Value::from(vec![Value::from(name), form]))
                    })
                }
            },
        }
    }
}

/// Jepsen prints its own records with their class.
fn is_record(name: &str) -> bool {
    name == "jepsen.history.Op"
        || name == "jepsen.independent.Tuple"
        || name == "jepsen.history.op.Op"
        || name.ends_with("MapEntry")
}

fn tag(name: &str, value: impl Into<Value>) -> Value {
    let mut object = Map::new();
    object.insert(format!("#{name}"), value.into());
    Value::Object(object)
}

/// The tag without its mark, and what it tags, where the value is such an object.
pub fn tagged(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let (name, value) = object.iter().next()?;
    Some((name.strip_prefix('#')?, value))
}

/// The name of a keyword.
pub fn keyword(value: &Value) -> Option<&str> {
    match tagged(value)? {
        ("keyword", name) => name.as_str(),
        _ => None,
    }
}

/// A number from its digits; they are kept, whatever there are.
fn number(digits: &str) -> Value {
    json_number(digits).unwrap_or(Value::Null)
}

fn json_number(text: &str) -> Option<Value> {
    let first = text.strip_prefix('-').unwrap_or(text).bytes().next()?;
    let parsed: Number = serde_json::from_str(text).ok()?;
    first.is_ascii_digit().then_some(Value::Number(parsed))
}

/// In the steps of a transaction, which are vectors within a vector, the leading keyword becomes a word.
fn steps(items: Vec<Value>) -> Value {
    let item = |item: Value| match item {
        Value::Array(mut step) if step.len() == 3 => {
            let word = keyword(&step[0]).filter(|word| STEPS.contains(word)).map(str::to_string);
            match (word, step[0].as_str()) {
                (Some(word), _) => step[0] = Value::String(word),
                (None, Some(word)) if STEPS.contains(&word) => step[0] = tag("string", word),
                _ => {}
            }
            Value::Array(step)
        }
        other => other,
    };
    Value::Array(items.into_iter().map(item).collect())
}

fn object(entries: Vec<(Value, Value)>) -> Value {
    let names: Option<Vec<String>> = entries.iter().map(|(key, _)| name(key)).collect();
    let pairs = |entries: Vec<(Value, Value)>| {
        let pairs = entries.into_iter().map(|(key, value)| Value::from(vec![key, value]));
        tag("map", pairs.collect::<Value>())
    };
    let Some(names) = names else { return pairs(entries) };
    let distinct: std::collections::HashSet<&String> = names.iter().collect();
    if distinct.len() < names.len() {
        return pairs(entries);
    }
    Value::Object(names.into_iter().zip(entries.into_iter().map(|(_, value)| value)).collect())
}

/// What a key is called in JSON, where [`write_name`] turns that back into the same key.
fn name(key: &Value) -> Option<String> {
    if let Some(word) = keyword(key) {
        return (is_keyword(word) && !is_integer(word)).then(|| word.to_string());
    }
    match key {
        Value::Number(number) => Some(number.to_string()).filter(|text| is_integer(text)),
        Value::String(text) => (!is_keyword(text) && !is_integer(text)).then(|| text.clone()),
        _ => None,
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain && text != "-0" && (digits == "0" || !digits.starts_with('0'))
}

fn is_keyword(text: &str) -> bool {
    let inside = |char: char| char.is_ascii_alphanumeric() || ".*+!-_?$%&=<>/:#".contains(char);
    let first = text.chars().next();
    first.is_some_and(|first| first.is_ascii_alphanumeric() || ".*+!-_?$%&=<>/".contains(first))
        && text.chars().all(inside)
}

/// Writes a value as EDN.
pub fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("nil"),
        Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => write_all('[', items, ']', out),
        Value::Object(fields) => match tagged(value).and_then(|(name, value)| untag(name, value)) {
            Some(text) => out.push_str(&text),
            None => write_map(fields, out),
        },
    }
}

fn write_all(open: char, items: &[Value], close: char, out: &mut String) {
    out.push(open);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        match open {
            // In a set there are no steps.
            '{' => write(item, out),
            _ => write_item(item, out),
        }
    }
    out.push(close);
}

/// An element of a vector, which may be the step of a transaction.
fn write_item(item: &Value, out: &mut String) {
    let Value::Array(step) = item else { return write(item, out) };
    let [word, key, value] = step.as_slice() else { return write_all('[', step, ']', out) };
    match (word.as_str().filter(|word| STEPS.contains(word)), step_string(word)) {
        (Some(word), _) => *out += &format!("[:{word}"),
        (None, Some(word)) => *out += &format!("[\"{word}\""),
        (None, None) => return write_all('[', step, ']', out),
    }
    for value in [key, value] {
        out.push(' ');
        write_item(value, out);
    }
    out.push(']');
}

/// The string in the place of a step's keyword.
fn step_string(value: &Value) -> Option<&str> {
    match tagged(value)? {
        ("string", word) => word.as_str().filter(|word| STEPS.contains(word)),
        _ => None,
    }
}

fn write_map(fields: &Map<String, Value>, out: &mut String) {
    out.push('{');
    for (at, (name, value)) in fields.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        write_name(name, out);
        out.push(' ');
        write(value, out);
    }
    out.push('}');
}

/// Writes the name of a field as the key that it stands for.
pub fn write_name(name: &str, out: &mut String) {
    match (is_integer(name), is_keyword(name)) {
        (true, _) => out.push_str(name),
        (false, true) => {
            out.push(':');
            out.push_str(name);
        }
        (false, false) => write_string(name, out),
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// The EDN of a tagged value; `None` where it is an object that only looks like one.
fn untag(name: &str, value: &Value) -> Option<String> {
    let mut out = String::new();
    match (name, value) {
        ("keyword", Value::String(word)) => out = format!(":{word}"),
        ("char", Value::String(word)) => out = format!("\\{word}"),
        ("symbol" | "ratio" | "decimal", Value::String(word)) => out.clone_from(word),
        ("set", Value::Array(items)) => write_all('{', items, '}', &mut out),
        ("map", Value::Array(pairs)) => {
            let mut parts = Vec::new();
            for pair in pairs {
                let [key, value] = pair.as_array()?.as_slice() else { return None };
                let mut part = String::new();
                write(key, &mut part);
                part.push(' ');
                write(value, &mut part);
                parts.push(part);
            }
            out = format!("{{{}}}", parts.join(", "));
        }
        ("tagged", Value::Array(pair)) => {
            let [Value::String(name), value] = pair.as_slice() else { return None };
            out = format!("#{name} ");
            write(value, &mut out);
        }
        _ => return None,
    }
    if name == "set" {
        out.insert(0, '#');
    }
    // An object of the same look, whose text is no such form, stays an object.
    let mut reader = Reader::new(out.as_bytes());
    let back = reader.next_form().ok()?;
    let original = Map::from_iter([(format!("#{name}"), value.clone())]);
    let whole = reader.at() == out.len();
    (whole && back == Value::Object(original)).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Value {
        let mut reader = Reader::new(text.as_bytes());
        let value = reader.next_form().unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
        assert_eq!(reader.peek(), Ok(None), "{text}");
        value
    }

    fn written(value: &Value) -> String {
        let mut out = String::new();
        write(value, &mut out);
        out
    }

    #[test]
    fn what_edn_says_is_kept_in_json_and_comes_back() {
        for (edn, json) in [
            ("nil", "null"),
            ("12345678901234567890123N", "12345678901234567890123"),
            ("-7", "-7"),
            ("1.50", "1.50"),
            ("1.5M", r##"{"#decimal":"1.5M"}"##),
            ("-1/3", r##"{"#ratio":"-1/3"}"##),
            (r#""a\"b\n\u00e9""#, r#""a\"b\né""#),
            (r"\newline", r##"{"#char":"newline"}"##),
            (r"[\a \( 1]", r##"[{"#char":"a"},{"#char":"("},1]"##),
            (":db.part/user", r##"{"#keyword":"db.part/user"}"##),
            ("foo", r##"{"#symbol":"foo"}"##),
            ("##NaN", r###"{"#symbol":"##NaN"}"###),
            ("#{1 2}", r##"{"#set":[1,2]}"##),
            ("(1, 2 #_ 3)", "[1,2]"),
            ("{:a 1, 2 [3], \"b c\" 4}", r#"{"a":1,"2":[3],"b c":4}"#),
            ("{\"a\" 1}", r##"{"#map":[["a",1]]}"##),
            ("{nil 1}", r##"{"#map":[[null,1]]}"##),
            ("{1 2 :1 3}", r##"{"#map":[[1,2],[{"#keyword":"1"},3]]}"##),
            ("[[:append 9 2] [:r 9 nil]]", r#"[["append",9,2],["r",9,null]]"#),
            ("[[\"r\" 9 nil]]", r##"[[{"#string":"r"},9,null]]"##),
            ("[:r 9 nil]", r##"[{"#keyword":"r"},9,null]"##),
            ("#inst \"2020\"", r##"{"#tagged":["inst","2020"]}"##),
            ("#jepsen.history.Op{:index 0}", r#"{"index":0}"#),
        ] {
            let value = parse(edn);
            assert_eq!(value, serde_json::from_str::<Value>(json).unwrap(), "{edn}");
            assert_eq!(parse(&written(&value)), value, "{edn} became {}", written(&value));
        }
    }

    #[test]
    fn any_json_comes_back_from_edn() {
        for json in [
            r##"{"a b":1,"12":2,"-0":3,"012":4,"":5,":x":6,"#set":7}"##,
            r##"{"#set":5}"##,
            r##"{"#keyword":"a b"}"##,
            r##"{"#symbol":"nil"}"##,
            r##"{"#map":[[1]]}"##,
            r##"{"#tagged":["a b",1]}"##,
            r##"{"#string":"x"}"##,
            r##"[[{"#string":"x"},1,2],[{"#string":"r"},1,2],{"#string":"r"}]"##,
            r##"[["r",["r",1,2],{"#keyword":"r"}]]"##,
            r#"["r",1,2]"#,
            r#"[["r",1,2],["x",1,2]]"#,
            r#"[1e5,1E+2,-0,0.1]"#,
            r#""\u0000\u0007\\\"""#,
        ] {
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(parse(&written(&value)), value, "{json} became {}", written(&value));
        }
    }

    #[test]
    fn what_is_no_edn_is_said_with_its_place() {
        for (text, at, clause, cut) in [
            ("[1 2", 4, "ends within a form", true),
            ("{:a}", 0, "no value", false),
            ("\"a", 2, "within a string", true),
            ("[007]", 1, "leading zero", false),
            ("[1x]", 1, "no number", false),
            (" ]", 1, "nothing opens", false),
            ("^{:a 1} b", 0, "Clojure", false),
            ("\"\\q\"", 2, "no escape", false),
        ] {
            let wrong = Reader::new(text.as_bytes()).next_form().unwrap_err();
            assert!(wrong.clause.contains(clause), "{text}: {wrong:?}");
            assert_eq!((wrong.at, wrong.cut), (at, cut), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(Reader::new(deep.as_bytes()).next_form().is_err());
    }

    #[test]
    fn no_bytes_make_the_reader_panic() {
        let text =
            br##"[{:a/b #{1N 2.5M 1/3} "x\u00e9\ud83d\ude00" \c}, #_ (nil) ##Inf #t [foo]]"##;
        for at in 0..text.len() {
            for byte in 0..=255 {
                let mut changed = text.to_vec();
                changed[at] = byte;
                let mut reader = Reader::new(&changed);
                while reader.at() < changed.len() && reader.next_form().is_ok() {}
            }
            let _ = Reader::new(&text[..at]).next_form();
        }
    }
}
