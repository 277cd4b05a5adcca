//! One line on a terminal that says how far the run is.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use breakit::messages;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::phases::Shared;
use crate::record::history::Tally;

/// How often the line is drawn.
const PERIOD: Duration = Duration::from_millis(250);

/// The line, drawn until it is dropped; nothing if stderr is no terminal or `--quiet` was given.
pub struct Progress {
    phase: Arc<Mutex<&'static str>>,
    drawing: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins drawing.
    pub fn begin(shared: &Arc<Shared>) -> Progress {
        let phase = Arc::new(Mutex::new("setup"));
        let wanted = io::stderr().is_terminal() && !messages::quiet();
        let drawing = wanted.then(|| tokio::spawn(draw(Arc::clone(shared), Arc::clone(&phase))));
        Progress { phase, drawing }
    }

    /// Says that another phase has begun.
    pub fn phase(&self, name: &'static str) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = name;
        messages::detail(name);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(drawing) = self.drawing.take() {
            drawing.abort();
            put("\r\x1b[K");
        }
    }
}

async fn draw(shared: Arc<Shared>, phase: Arc<Mutex<&'static str>>) {
    let begin = Instant::now();
    let mut before = 0;
    loop {
        sleep(PERIOD).await;
        let tally = shared.history.tally();
        let rate = (tally.ops - before) as f64 / PERIOD.as_secs_f64();
        before = tally.ops;
        let phase = *phase.lock().unwrap_or_else(PoisonError::into_inner);
        // The cursor waits at the beginning of the line, so that the next message is written over it.
        put(&format!("\r\x1b[K{}\r", text(phase, begin.elapsed(), rate, tally)));
    }
}

fn text(phase: &str, since: Duration, rate: f64, tally: Tally) -> String {
    format!(
        "{:>4}s {phase}: {} operations, {rate:.0}/s, {} ok, {} fail, {} info, {} faults",
        since.as_secs(),
        tally.ops,
        tally.ok,
        tally.fail,
        tally.info,
        tally.faults
    )
}

fn put(text: &str) {
    // A terminal that is gone needs no progress.
    let _ = io::stderr().write_all(text.as_bytes());
}
