//! One operation, from an open connection to its outcome, within one timeout.

use std::time::Duration;

use breakit::clock::show;
use breakit::node::Node;
use tokio::time::{Instant, timeout_at};

use crate::action::{Action, Outcome};
use crate::clients::{Client, Database, Purpose};

/// What one process needs to reach its node: a connection is made when it is needed, and dropped when it is not known
/// what it is still doing.
pub struct Session<'a> {
    /// The database.
    pub database: &'a dyn Database,
    /// The node that is asked.
    pub node: &'a Node,
    /// The place of the run on it.
    pub prefix: &'a str,
    /// What the connection is for.
    pub purpose: Purpose,
    /// How long an operation may take, with the making of the connection.
    pub timeout: Duration,
}

impl Session<'_> {
    /// Carries out `action`. `client` is the open connection, if there is one, before and after.
    ///
    /// An operation that was never sent is a fail. So is a read whose outcome is not known: it changes nothing, so that
    /// it may as well not have happened.
    ///
    /// The time in which the client waits for its other side to start is not part of the timeout. An operation that
    /// takes longer is only open for longer in the history, which is never wrong.
    pub async fn attempt(&self, client: &mut Option<Box<dyn Client>>, action: &Action) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        let mut open = match usable(client.take()) {
            Some(open) => open,
            None => match self.open(deadline).await {
                Ok(open) => open,
                Err(why) => return Outcome::Fail(format!("not sent: {why}")),
            },
        };
        let opened = Instant::now();
        let outcome = match open.hand_over(action).await {
            Ok(()) => timeout_at(deadline + opened.elapsed(), open.invoke(action))
                .await
                .unwrap_or_else(|_| Outcome::Info(format!("no answer within {}", self.limit()))),
            Err(outcome) => outcome,
        };
        match outcome {
            Outcome::Info(why) if action.is_read() => Outcome::Fail(why),
            Outcome::Info(why) => Outcome::Info(why),
            known => {
                *client = Some(open);
                known
            }
        }
    }

    /// The timeout in words, to the millisecond.
    fn limit(&self) -> String {
        let whole = Duration::from_millis(self.timeout.as_millis() as u64);
        show(if whole.is_zero() { self.timeout } else { whole })
    }

    async fn open(&self, deadline: Instant) -> Result<Box<dyn Client>, String> {
        let opening = self.database.open(self.node, self.prefix, self.purpose);
        timeout_at(deadline, opening)
            .await
            .unwrap_or_else(|_| Err(format!("no connection within {}", self.limit())))
    }
}

fn usable(client: Option<Box<dyn Client>>) -> Option<Box<dyn Client>> {
    let mut client = client?;
    client.can_take_another().then_some(client)
}
