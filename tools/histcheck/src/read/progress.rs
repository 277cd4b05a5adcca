//! How far reading has come, on a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use breakit::exit::{Error, Status};
use indicatif::{BinaryBytes, ProgressBar, ProgressStyle};

use crate::budget::Exhausted;

/// A bar on stderr where that is a terminal, else nothing.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    size: Option<u64>,
}

/// A file that is smaller is read before anybody looks.
const WORTH_IT: u64 = 64 << 20;

impl Progress {
    /// For a source of so many bytes, where that is known.
    pub fn new(name: &str, size: Option<u64>) -> Progress {
        let worth_it = size.is_none_or(|size| size >= WORTH_IT);
        if !worth_it || breakit::messages::quiet() || !std::io::stderr().is_terminal() {
            return Progress { bar: ProgressBar::hidden(), size };
        }
        let bar = match size {
            Some(size) => ProgressBar::new(size),
            None => ProgressBar::no_length(),
        };
        let form = match size {
            Some(_) => {
                "{msg} {bar:30} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left"
            }
            None => "{msg} {bytes} read, {binary_bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        bar.set_message(breakit::escape::line(name).into_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Progress { bar, size }
    }

    /// That of a reading that nobody waits for.
    pub fn none() -> Progress {
        Progress { bar: ProgressBar::hidden(), size: None }
    }

    /// How many bytes there are, where that is known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Reading begins from the beginning once more.
    pub fn again(&self) {
        self.bar.set_position(0);
    }

    /// That reading ended because of a limit, and how far it had come.
    pub fn ran_out(&self, name: &str, limit: Exhausted) -> Error {
        let whole = self.size.map_or(String::new(), |size| format!(" of {}", BinaryBytes(size)));
        let so_far = BinaryBytes(self.bar.position());
        let message = format!(
            "{name}: {limit} when {so_far}{whole} were read; give it more, or split the history by key"
        );
        Error::sentence(Status::Unknown, message)
    }

    /// So many bytes more were read.
    pub fn add(&self, bytes: usize) {
        self.bar.inc(bytes as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
