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
//! everybody writes it in JSON; a string in that place is `{"#string":"r"}`. `5N` is `5`, numbers of Clojure (`0x1f`,
//! `017`, `2r101`, `1.`) are read though EDN lacks them, and records of Jepsen (operations, tuples) are what they hold.

mod keys;
mod number;
mod write;

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use keys::{Key, Known, is_integer, is_keyword, name, object};
pub use write::{is_ambiguous, write, write_name};

/// What leads the steps of transactions.
pub const STEPS: [&str; 3] = ["append", "r", "w"];

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

/// Fields by their names.
pub type Fields<'a> = Vec<(Cow<'a, str>, Value)>;

/// To look through more names takes longer than to look them up.
const MOST_FIELDS: usize = 16;

/// A place in a text of EDN.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

type Parsed<T> = Result<T, Wrong>;

/// Which bytes end a token.
pub const ENDS: [bool; 256] = {
    let (mut ends, mut at) = ([false; 256], 0);
    let bytes = b" \t\r\n\x0c,;\"()[]{}";
    while at < bytes.len() {
        ends[bytes[at] as usize] = true;
        at += 1;
    }
    ends
};

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
        self.peek_within(0)
    }

    /// As [`Reader::peek`], so many forms deep. Each `#_` discards a form more, and they may stand in a row.
    fn peek_within(&mut self, depth: usize) -> Parsed<Option<u8>> {
        let mut discarded = 0;
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t' | b'\r' | b'\n' | b',' | 0x0c) => self.at += 1,
                Some(b';') => {
                    let rest = &self.text[self.at..];
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                Some(b'#') if self.text.get(self.at + 1) == Some(&b'_') => {
                    self.at += 2;
                    discarded += 1;
                }
                other if discarded == 0 => return Ok(other.copied()),
                _ => {
                    self.form(depth + 1)?;
                    discarded -= 1;
                }
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

    /// The fields of the next form, where it is a map whose keys are all different names; keywords that stand in
    /// it as the values of `words` are plain strings. `None` for whatever is not plain enough or wrong: the
    /// reader then stands where it stood, and [`Reader::next_form`] knows everything.
    pub fn next_fields(&mut self, words: &[&str]) -> Option<Fields<'a>> {
        let begin = self.at;
        let fields = self.fields(words);
        if fields.is_none() {
            self.at = begin;
        }
        fields
    }

    fn fields(&mut self, words: &[&str]) -> Option<Fields<'a>> {
        if self.peek().ok()? == Some(b'#') {
            self.at += 1;
            is_record(self.token().ok()?).then_some(())?;
        }
        (self.peek().ok()? == Some(b'{')).then_some(())?;
        self.at += 1;
        let mut fields: Fields<'a> = Vec::with_capacity(MOST_FIELDS);
        loop {
            match self.peek().ok()? {
                Some(b'}') => break,
                Some(b':') if fields.len() < MOST_FIELDS => self.at += 1,
                _ => return None,
            }
            let name = self.token().ok()?;
            let is_new = fields.iter().all(|(known, _)| *known != name);
            (is_new && is_keyword(name) && !is_integer(name)).then_some(())?;
            let value = match self.peek().ok()? {
                Some(b':') if words.contains(&name) => {
                    self.at += 1;
                    let word = self.token().ok()?;
                    (!word.is_empty()).then_some(())?;
                    Value::String(word.to_string())
                }
                // Where a value is missing.
                Some(b'}') => return None,
                _ => self.form(1).ok()?,
            };
            fields.push((name.into(), value));
        }
        self.at += 1;
        Some(fields)
    }

    fn wrong<T>(&self, clause: impl Into<String>) -> Parsed<T> {
        let cut = self.at >= self.text.len();
        Err(Wrong { at: self.at.min(self.text.len()), clause: clause.into(), cut })
    }

    fn form(&mut self, depth: usize) -> Parsed<Value> {
        if depth > DEEPEST {
            return self.wrong(format!("more than {DEEPEST} forms within one another"));
        }
        match self.peek_within(depth)? {
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
            match self.peek_within(depth)? {
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(items);
                }
                _ => items.push(self.form(depth + 1)?),
            }
        }
    }

    fn set(&mut self, depth: usize) -> Parsed<Vec<Value>> {
        self.at += 1;
        let (mut items, mut known) = (Vec::new(), Known::default());
        loop {
            if self.peek_within(depth)? == Some(b'}') {
                self.at += 1;
                return Ok(items);
            }
            let begin = self.at;
            let item = self.form(depth + 1)?;
            if !self.may_go_on() && !known.is_new(&item) {
                return self.twice(begin);
            }
            items.push(item);
        }
    }

    /// Whether what was read just now may be cut short by the end of the text.
    fn may_go_on(&self) -> bool {
        self.at >= self.text.len()
    }

    /// What began at a byte and ends here stands in its map or set for the second time.
    fn twice<T>(&self, begin: usize) -> Parsed<T> {
        let text = String::from_utf8_lossy(&self.text[begin..self.at]);
        Err(Wrong { at: begin, clause: format!("{text} stands there twice"), cut: false })
    }

    fn map(&mut self, depth: usize) -> Parsed<Value> {
        let begin = self.at;
        self.at += 1;
        let (mut entries, mut known) = (Vec::new(), Known::default());
        loop {
            let next = self.peek_within(depth)?;
            let key_at = self.at;
            let key = match next {
                Some(b'}') => {
                    self.at += 1;
                    return Ok(object(entries));
                }
                Some(b':') => self.named()?,
                _ => Key::of(self.form(depth + 1)?),
            };
            if !self.may_go_on() && !known.is_new_key(&key) {
                return self.twice(key_at);
            }
            if self.peek_within(depth)? == Some(b'}') {
                self.at = begin;
                return self.wrong("a map with a key that has no value");
            }
            entries.push((key, self.form(depth + 1)?));
        }
    }

    /// A keyword as a key; nearly all are names.
    fn named(&mut self) -> Parsed<Key> {
        let begin = self.at;
        self.at += 1;
        let token = self.token()?;
        if is_keyword(token) && !is_integer(token) {
            return Ok(Key::Name(token.to_string()));
        }
        self.at = begin;
        self.keyword().map(Key::Other)
    }

    fn token(&mut self) -> Parsed<&'a str> {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|&byte| ENDS[usize::from(byte)]).unwrap_or(rest.len());
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
        if is_natural(digits) && !(digits.len() > 1 && digits.starts_with('0')) {
            return Ok(number(whole));
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
        if let Some(decimal) = number::other_radix(whole) {
            return Ok(number(&decimal));
        }
        if let Some(number) = number::with_fraction(plain).and_then(|text| json_number(&text)) {
            return Ok(number);
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
                let items = self.set(depth)?;
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

/// The byte at which the value of a field begins, in a text that begins with a map.
pub fn field(text: &[u8], wanted: &str) -> Option<usize> {
    let mut reader = Reader::new(text);
    while reader.peek().ok()? == Some(b'#') {
        reader.at += 1;
        reader.token().ok()?;
    }
    (reader.peek().ok()? == Some(b'{')).then_some(())?;
    reader.at += 1;
    loop {
        let key = match reader.peek().ok()? {
            Some(b'}') | None => return None,
            _ => reader.form(1).ok()?,
        };
        reader.peek().ok()?;
        if name(&key).is_some_and(|name| name == wanted) {
            return Some(reader.at);
        }
        reader.form(1).ok()?;
    }
}

/// Jepsen prints its own records with their class.
pub fn is_record(name: &str) -> bool {
    // Versions of Jepsen and Knossos keep their record of an operation in different places.
    let of_jepsen = name.starts_with("jepsen.") || name.starts_with("knossos.");
    (of_jepsen && name.ends_with(".Op"))
        || name == "jepsen.independent.Tuple"
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

/// The word that a value is, whether EDN has it as a keyword or as a string.
pub fn word(value: &Value) -> Option<&str> {
    match tagged(value) {
        Some(("keyword" | "string", name)) => name.as_str(),
        _ => value.as_str(),
    }
}

/// A number from its digits; they are kept, whatever there are.
fn number(digits: &str) -> Value {
    match digits.parse::<i64>() {
        Ok(small) if digits != "-0" => small.into(),
        _ => json_number(digits).unwrap_or(Value::Null),
    }
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
            ("[0x1f -0x1F 017 2r101 0xfN 1.]", "[31,-31,15,5,15,1.0]"),
            (
                "#object[foo.Bar 0x1f \"foo\"]",
                r##"{"#tagged":["object",[{"#symbol":"foo.Bar"},31,"foo"]]}"##,
            ),
            ("#knossos.op.Op{:index 0}", r#"{"index":0}"#),
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
            ("[008]", 1, "no number", false),
            ("[0xg]", 1, "no number", false),
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
