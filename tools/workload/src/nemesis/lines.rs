//! What a nemesis prints: its fault lines enter the history, other lines are shown on stderr.

use std::io;

use breakit::jsonl::LONGEST_LINE;
use breakit::messages;
use breakit::op::{Op, Process};
use breakit::size::show_size;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::ChildStdout;

use crate::child::cited;
use crate::record::history::History;

/// How many lines of a nemesis that are no fault lines are shown; the others are counted.
const SHOWN: u64 = 3;

/// Reads the lines of the nemesis `text` to their end, and copies its fault lines into the history; sets `ended_early` if
/// one says that its fault ended before its time.
pub async fn read(
    text: &str,
    stdout: Option<ChildStdout>,
    history: &History,
    ended_early: &mut bool,
) {
    let Some(stdout) = stdout else { return };
    let mut stdout = BufReader::new(stdout);
    let mut bad_lines = BadLines { text, number: 0 };
    while let Ok(Some(bytes)) = next_line(&mut stdout).await {
        let Some(bytes) = bytes else {
            let most = show_size(LONGEST_LINE);
            bad_lines.report(format!("printed a line that is longer than {most}"));
            continue;
        };
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.trim().is_empty() {
            continue;
        }
        match fault(line) {
            Ok(op) => {
                *ended_early |= op.ended_early();
                // If the history takes no more lines, the run is ending.
                let _ = history.copy(&op, line);
            }
            Err(why) => {
                bad_lines.report(format!("printed what is no fault line ({why}): {}", cited(line)));
            }
        }
    }
}

/// The lines of a nemesis that are no fault lines. Dropped, it says how many were not shown.
struct BadLines<'a> {
    text: &'a str,
    number: u64,
}

impl BadLines<'_> {
    fn report(&mut self, what: String) {
        self.number += 1;
        if self.number <= SHOWN {
            messages::error(format!("the nemesis {:?} {what}", self.text));
        }
    }
}

impl Drop for BadLines<'_> {
    fn drop(&mut self) {
        if self.number > SHOWN {
            let others = self.number - SHOWN;
            messages::error(format!(
                "the nemesis {:?} printed {others} more lines that are no fault lines",
                self.text
            ));
        }
    }
}

/// The next line with its newline; `None` at the end, and `Some(None)` for a line that is too long.
async fn next_line(stdout: &mut BufReader<ChildStdout>) -> io::Result<Option<Option<Vec<u8>>>> {
    let mut line = Vec::new();
    let read = (&mut *stdout).take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
    if read == 0 {
        return Ok(None);
    }
    if line.ends_with(b"\n") || (read as u64) < LONGEST_LINE {
        return Ok(Some(Some(line)));
    }
    drop(line);
    skip_line(stdout).await.map(|()| Some(None))
}

/// Reads to the end of the line and keeps nothing.
async fn skip_line(stdout: &mut BufReader<ChildStdout>) -> io::Result<()> {
    loop {
        let bytes = stdout.fill_buf().await?;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (read, done) = end.map_or((bytes.len(), bytes.is_empty()), |end| (end + 1, true));
        stdout.consume(read);
        if done {
            return Ok(());
        }
    }
}

/// A line of a nemesis, as an operation: that of any process that is neither a client nor the run itself.
fn fault(line: &str) -> std::result::Result<Op, String> {
    let op = Op::parse(line)?;
    match &op.process {
        Process::Client(number) => Err(format!("process {number} is a client")),
        Process::Other(word) if word == "workload" => Err("process workload is the run".into()),
        Process::Other(_) => Ok(op),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nemesis_speaks_for_no_client_and_not_for_the_run() {
        assert!(fault(r#"{"process":"nemesis","type":"info","f":"kill"}"#).is_ok());
        for line in [
            r#"{"process":3,"type":"ok","f":"read","value":1}"#,
            r#"{"process":"workload","type":"info","f":"end"}"#,
            "cutting n1",
        ] {
            assert!(fault(line).is_err(), "{line}");
        }
    }
}
