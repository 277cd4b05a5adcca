//! What ends a run early: a signal, a reader of our output that left, a history that cannot be written.

use std::sync::Arc;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::messages;
use breakit::signal::{Wake, Watch};
use tokio::sync::watch;

/// Why a run ends before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// INT, TERM or HUP, by number.
    Signal(i32),
    /// The reader of our output has left.
    ReaderGone,
    /// The history cannot be written.
    Broken(Error),
}

/// The signal to end the run, which every part of it waits for. Once given, it stays.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<Option<Cause>>>);

impl Default for Stop {
    fn default() -> Self {
        Stop(Arc::new(watch::Sender::new(None)))
    }
}

impl Stop {
    /// Gives it. The first cause stays, except for a reader that left: a signal after that still says how to end.
    pub fn ring(&self, cause: Cause) {
        self.0.send_if_modified(|present| {
            let counts = match (&*present, &cause) {
                (None, _) => true,
                (Some(Cause::ReaderGone), Cause::ReaderGone) => false,
                (Some(Cause::ReaderGone), _) => true,
                (Some(_), _) => false,
            };
            if counts {
                *present = Some(cause);
            }
            counts
        });
    }

    /// Why it was given, if it was.
    pub fn cause(&self) -> Option<Cause> {
        self.0.borrow().clone()
    }

    /// Waits until it is given.
    pub async fn rung(&self) {
        // The sender lives as long as `self`: there is no error to come.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }
}

/// Gives `stop` for signals and for a reader of our stdout that left.
///
/// # Errors
/// 71 if the system gives no handler.
pub fn watch(stop: &Stop) -> Result<()> {
    // Our input is not ours: nodes were read from it, or the loop that started us reads its next line there.
    let watch = Watch::start("recovery and final reads go on; the run ends by itself")?;
    let stop = stop.clone();
    std::thread::spawn(move || {
        match watch.until(None) {
            Ok(Wake::Signal(number)) => return stop.ring(Cause::Signal(number)),
            Ok(_) => stop.ring(Cause::ReaderGone),
            Err(error) => return stop.ring(Cause::Broken(error)),
        }
        // From now on poll(2) would answer at once for the reader that left; only a signal is news.
        loop {
            if let Some(number) = watch.signal() {
                messages::say("interrupted: the run is already ending");
                return stop.ring(Cause::Signal(number));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    Ok(())
}
