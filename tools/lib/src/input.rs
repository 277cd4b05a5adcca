//! Files that are read, and small texts that are read whole: a grudge, a table, a model.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::exit::{Error, Result};
use crate::inode::Inode;
use crate::size::show_size;

/// What is longer is none of the texts that people write, and would only cost memory.
pub const LONGEST_TEXT: u64 = 64 << 20;

/// What errors call an input: its path, or `stdin` for `-`.
pub fn name(path: &Path) -> String {
    if path == Path::new("-") { "stdin".into() } else { path.display().to_string() }
}

/// Refuses an input, of which `-` is stdin, that stdout writes to.
///
/// # Errors
/// 64 where they are one file.
pub fn not_stdout(input: &Path) -> Result<()> {
    let written = Inode::of_open(io::stdout());
    if written.is_some() && Inode::of_input(input) == written {
        return Err(Error::usage(format!(
            "stdout writes into {}, which is read; send it to another file",
            name(input)
        )));
    }
    Ok(())
}

/// The whole text of a file, or of stdin for `-`; `what` continues "cannot read": `the grudge`.
///
/// # Errors
/// 64 for the file that stdout writes to; 65 with file, line and column for what is not UTF-8 or longer than
/// [`LONGEST_TEXT`]; 66, 77 or 71 where it cannot be read.
pub fn text(what: &str, path: &Path) -> Result<String> {
    not_stdout(path)?;
    let name = name(path);
    let place = |e: io::Error| Error::io(format!("read {what} {name}"), &e);
    let source: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path).map_err(place)?),
    };
    let mut bytes = Vec::new();
    source.take(LONGEST_TEXT + 1).read_to_end(&mut bytes).map_err(place)?;
    if bytes.len() as u64 > LONGEST_TEXT {
        let most = show_size(LONGEST_TEXT);
        return Err(Error::data(format!("{name}: it is longer than {most}; is this {what}?")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        not_utf8(&name, valid)
    })
}

/// The error 65 for a text that is UTF-8 only as far as `valid`.
fn not_utf8(name: &str, valid: &[u8]) -> Error {
    let line = valid.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let column = valid.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
    Error::data(format!("{name}, line {line}: column {column}: the line is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_utf_8_has_its_line_and_column() {
        let said = |valid: &str| not_utf8("f", valid.as_bytes()).to_string();
        assert_eq!(said(""), "f, line 1: column 1: the line is not UTF-8");
        assert_eq!(said("ab\n\u{e4}b"), "f, line 2: column 4: the line is not UTF-8");
    }
}
