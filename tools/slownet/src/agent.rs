//! Copies of this program on other hosts, for delay lines there: only if the user allows it, and only for the fault.
//!
//! A line needs a process in the network of its packets. On a host over ssh that is this very program, copied there
//! over ssh into a file that has no name any more before its first byte comes, so that nothing is left whatever dies.
//! The rules that send packets into the line, their lease and their end are made over ssh as for any other backend:
//! the copy holds lines and nothing else.
//!
//! | module | what it holds |
//! |---|---|
//! | [`copy`] | what is copied, and the script that receives it |
//! | [`session`] | a copy at work, as we see it |
//! | [`ask`] | what is said between us and a copy |
//! | [`serve`] | what a copy does |

pub mod ask;
pub mod copy;
pub mod serve;
pub mod session;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use breakit::escape::beginning;
use breakit::exit::{Error, Result};
use breakit::lease::Lease;
use breakit::node::Host;

use crate::line::order::Order;
use ask::Ask;
use copy::Copy;
use session::Session;

/// The copy on one host, if there is one; whoever comes while it is made waits for it.
type Slot = Arc<Mutex<Weak<Session>>>;

/// The copies of a run, one on each host.
#[derive(Debug, Default)]
pub struct Agents {
    copy: Mutex<Option<Arc<Copy>>>,
    slots: Mutex<HashMap<String, Slot>>,
    /// Those that were tried and have no line yet.
    ready: Mutex<Vec<Arc<Session>>>,
}

impl Agents {
    /// Copies this program to `host`, if it is not there yet, and finds out whether lines work there. The copy stays
    /// until a line is opened, or [`Agents::dismiss`].
    ///
    /// # Errors
    /// As [`Session::start`]; 69 and 77 where no line works there.
    pub fn try_out(&self, host: &Host, tap: bool, queue: bool) -> Result<()> {
        let session = self.at(host)?;
        session.ask(&Ask::Try { tap, queue })?;
        lock(&self.ready).push(session);
        Ok(())
    }

    /// Ends the copies that have no line.
    pub fn dismiss(&self) {
        let ready = std::mem::take(&mut *lock(&self.ready));
        drop(ready);
    }

    /// Opens lines on `host`.
    ///
    /// # Errors
    /// As [`Session::start`], and as [`crate::line::Line::open`].
    pub fn open(&self, host: &Host, order: &Order<'_>) -> Result<Lines> {
        let session = self.at(host)?;
        let mut lines = Lines { session, numbers: Vec::new() };
        for (place, purpose) in &order.places {
            let line = lines.session.number();
            // One that fails to answer may be open all the same.
            lines.numbers.push(line);
            lines.session.ask(&Ask::Open {
                line,
                id: order.id.to_string(),
                place: place.clone(),
                parts: Box::new(order.parts.clone()),
                seed: order.seed,
                purpose: purpose.clone(),
                lease: order.lease.length,
            })?;
        }
        Ok(lines)
    }

    /// What would be run on a host, as one would type it.
    ///
    /// # Errors
    /// As [`Copy::of_ourselves`].
    pub fn show(&self) -> Result<String> {
        Ok(self.copy()?.show())
    }

    /// The copy on `host`, made if there is none that is at work.
    fn at(&self, host: &Host) -> Result<Arc<Session>> {
        let key = format!("{host} {}", host.sudo);
        let slot = Arc::clone(lock(&self.slots).entry(key).or_default());
        let mut slot = lock(&slot);
        if let Some(session) = slot.upgrade().filter(|session| session.is_at_work()) {
            return Ok(session);
        }
        let session = Arc::new(Session::start(host, &*self.copy()?)?);
        *slot = Arc::downgrade(&session);
        Ok(session)
    }

    fn copy(&self) -> Result<Arc<Copy>> {
        let mut copy = lock(&self.copy);
        if let Some(copy) = &*copy {
            return Ok(Arc::clone(copy));
        }
        let made = Arc::new(Copy::of_ourselves()?);
        *copy = Some(Arc::clone(&made));
        Ok(made)
    }
}

/// Lines of one fault on one host. They end when this is dropped, and with the last of all lines the copy.
#[derive(Debug)]
pub struct Lines {
    session: Arc<Session>,
    numbers: Vec<u32>,
}

impl Lines {
    /// Whether all of them are at work still. If so, the copy goes on for another lease.
    pub fn work(&self, lease: Lease) -> bool {
        let ask = Ask::Renew { lines: self.numbers.clone(), lease: lease.length };
        self.session.ask(&ask).is_ok()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // A copy that does not answer ends with its lease.
        let _ = self.session.ask(&Ask::End { lines: std::mem::take(&mut self.numbers) });
    }
}

/// What is refused without `--agent`.
pub fn not_allowed(host: &Host) -> String {
    format!("{host} is another host; --agent lets a copy of slownet work there for the fault")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error that a copy reported. Its status is one of those that a line can end with, whatever is said.
fn reported(host: &Host, status: u8, why: &str) -> Error {
    let message = format!("on {host}: {}", shortened(why));
    match status {
        69 => Error::missing(message),
        77 => Error::not_permitted(message),
        _ => Error::system(message),
    }
}

/// The beginning of what another host said: enough for a sentence.
fn shortened(text: &str) -> Cow<'_, str> {
    beginning(text.trim(), SHORT)
}

/// How many characters of it a message has.
const SHORT: usize = 80;
