//! A lease: how long a fault outlives its holder.
//!
//! The state of a fault lies in the kernel alone and with a timeout there. The holder renews it every third
//! of its length, so that two renewals may be late before it lapses by accident.

use std::time::Duration;

use clap::Args;

use crate::exit::{Error, Result};
use crate::schedule::Schedule;

/// The flag of every tool that holds faults.
#[derive(Args, Clone, Copy, Debug)]
pub struct LeaseArgs {
    /// How long the fault stays in force after its holder died
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = crate::clock::parse_duration)]
    pub lease: Duration,
}

impl LeaseArgs {
    /// The lease, checked.
    ///
    /// # Errors
    /// 64 outside 1 s to 24 h: below a second a busy machine cannot renew in time.
    pub fn checked(self) -> Result<Lease> {
        let (least, most) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));
        if (least..=most).contains(&self.lease) {
            return Ok(Lease { length: self.lease });
        }
        Err(Error::usage(format!(
            "--lease {} is out of range; take 1s to 24h",
            crate::clock::show(self.lease)
        )))
    }
}

/// The lease of a fault that is left in place, which is all that will end it: as long as the fault is to last.
/// `None` for one that is held.
///
/// # Errors
/// 64 for longer than any lease.
pub fn kept(keep: bool, schedule: &Schedule, lease: Lease) -> Result<Option<Lease>> {
    let Some(length) = schedule.length().filter(|_| keep) else {
        return Ok(keep.then_some(lease));
    };
    LeaseArgs { lease: length }.checked().map(Some).map_err(|_| {
        Error::usage(format!(
            "--keep --for {}: what is kept ends with its lease, and a lease takes 1s to 24h",
            crate::clock::show(length)
        ))
    })
}

/// A lease's length, and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// How long the kernel keeps the fault without a renewal.
    pub length: Duration,
}

impl Lease {
    /// How often the holder renews.
    pub fn renew_every(self) -> Duration {
        self.length / 3
    }
}
