//! How delays spread around their mean: by a known curve, or by a table from a file.
//!
//! The files are those of iproute2 (`normal.dist`): whole numbers, 8192 for each jitter that a delay strays.

use std::path::{Path, PathBuf};

use breakit::escape::{cited, named};
use breakit::input;
use serde::{Deserialize, Serialize};

/// How many in a table are one jitter.
const ONE: f64 = 8192.0;

/// tc takes no longer one.
const LONGEST: usize = 16 * 1024;

/// How delays spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Received")]
pub enum Distribution {
    /// Evenly between delay - jitter and delay + jitter.
    Uniform,
    /// A bell with the jitter as its standard deviation.
    Normal,
    /// Many short and a few very long delays.
    Pareto,
    /// A quarter normal, three quarters pareto.
    Paretonormal,
    /// As a file has it. It is read once and kept until the end.
    Table(&'static Table),
}

/// A table from a file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    path: String,
    /// How many jitters a delay strays, each as likely as the other, in order.
    strays: Vec<f64>,
}

/// A distribution that comes from another process of ours.
#[derive(Deserialize)]
enum Received {
    Uniform,
    Normal,
    Pareto,
    Paretonormal,
    Table(Table),
}

impl From<Received> for Distribution {
    fn from(received: Received) -> Distribution {
        match received {
            Received::Uniform => Distribution::Uniform,
            Received::Normal => Distribution::Normal,
            Received::Pareto => Distribution::Pareto,
            Received::Paretonormal => Distribution::Paretonormal,
            Received::Table(table) => Distribution::Table(Box::leak(Box::new(table))),
        }
    }
}

impl Distribution {
    /// Reads a word, or the file that a path names: it has a slash or ends in `.dist`.
    ///
    /// # Errors
    /// A sentence with the text and what there is, or what is wrong with the file.
    pub fn parse(text: &str) -> Result<Distribution, String> {
        match text {
            "uniform" => Ok(Distribution::Uniform),
            "normal" => Ok(Distribution::Normal),
            "pareto" => Ok(Distribution::Pareto),
            "paretonormal" => Ok(Distribution::Paretonormal),
            path if path.contains('/') || path.ends_with(".dist") => {
                Ok(Distribution::Table(Box::leak(Box::new(Table::open(path)?))))
            }
            _ => Err(format!(
                "{} is no distribution; take uniform, normal, pareto, paretonormal, or a file NAME.dist",
                cited(text)
            )),
        }
    }

    /// The word, as on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Distribution::Uniform => "uniform",
            Distribution::Normal => "normal",
            Distribution::Pareto => "pareto",
            Distribution::Paretonormal => "paretonormal",
            Distribution::Table(table) => &table.path,
        }
    }

    /// The word as tc takes it, which looks for tables in a folder of its own.
    pub fn stem(self) -> &'static str {
        match self {
            Distribution::Table(table) => table.file().0,
            known => known.word(),
        }
    }

    /// The folder in which tc has to look.
    pub fn folder(self) -> Option<PathBuf> {
        match self {
            Distribution::Table(table) => Some(table.file().1),
            _ => None,
        }
    }
}

impl Table {
    fn open(path: &str) -> Result<Table, String> {
        let text = input::text("the table", path.as_ref()).map_err(|error| error.to_string())?;
        Table::read(path, &text)
    }

    fn read(path: &str, text: &str) -> Result<Table, String> {
        if !path.ends_with(".dist") || path.contains(char::is_whitespace) {
            return Err(format!(
                "{}: a table's file is called NAME.dist, without blanks",
                named(path)
            ));
        }
        let words = text.lines().filter(|line| !line.starts_with('#'));
        let mut strays = Vec::new();
        for word in words.flat_map(str::split_whitespace) {
            let number: i16 = word.parse().map_err(|_| {
                format!("{}: {} is no whole number of -32768 to 32767", named(path), cited(word))
            })?;
            strays.push(f64::from(number) / ONE);
        }
        if strays.is_empty() || strays.len() > LONGEST {
            return Err(format!(
                "{path}: a table has 1 to {LONGEST} numbers, not {}",
                strays.len()
            ));
        }
        strays.sort_by(f64::total_cmp);
        Ok(Table { path: path.to_string(), strays })
    }

    /// How many jitters a delay strays: the same share of the table lies below as `share`.
    pub fn stray(&self, share: f64) -> f64 {
        let at = (share * self.strays.len() as f64) as usize;
        self.strays.get(at).or(self.strays.last()).copied().unwrap_or_default()
    }

    /// The file's name without its ending, and the folder that it lies in.
    fn file(&self) -> (&str, PathBuf) {
        let path = Path::new(&self.path);
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        (stem, folder.unwrap_or(Path::new(".")).to_path_buf())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_gives_each_of_its_numbers_as_often_as_it_has_it() {
        let table = Table::read("x.dist", "# two\n 8192 -8192\n8192 16384\n").unwrap();
        let drawn: Vec<f64> = [0.0, 0.24, 0.25, 0.74, 0.75, 1.0].map(|s| table.stray(s)).into();
        assert_eq!(drawn, [-1.0, -1.0, 1.0, 1.0, 2.0, 2.0]);
        assert_eq!(Table::read("/a/x.dist", "1").unwrap().file(), ("x", PathBuf::from("/a")));
        assert_eq!(table.file(), ("x", PathBuf::from(".")));
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_name() {
        for (path, text, clause) in [
            ("x.dist", "", "1 to 16384 numbers, not 0"),
            ("x.dist", "# nothing\n", "not 0"),
            ("x.dist", "1 2 x", "\"x\" is no whole number"),
            ("x.dist", "40000", "no whole number"),
            ("/a/x", "1", "is called NAME.dist"),
            ("/a b/x.dist", "1", "without blanks"),
        ] {
            let said = Table::read(path, text).unwrap_err();
            assert!(said.starts_with(path) && said.contains(clause), "{said}");
        }
        assert!(Distribution::parse("/no/such.dist").unwrap_err().contains("/no/such.dist"));
        assert!(Distribution::parse("odd").unwrap_err().contains("pareto"));
    }
}
