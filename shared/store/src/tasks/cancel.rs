//! Wanting a task no more.

use actingweb_protocol::task::{KEPT_FOR, TaskStatus};

use super::{TaskJob, TaskRecord};
use crate::item::{Item, number, text};
use crate::transaction::Condition;
use crate::{Store, StoreError};

/// What came of the wish that a task ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Cancel {
    /// It had not begun, and will not.
    Done,
    /// It runs, and whoever runs it was told.
    Asked,
    /// It was over before.
    Over(TaskStatus),
    /// It is gone.
    Gone,
}

impl Store {
    /// Ends a task that nobody runs, or tells whoever runs it to end. Looks again when it changed since it was seen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cancel_task(&self, seen: TaskRecord) -> Result<Cancel, StoreError> {
        let mut seen = seen;
        let mut pause = self.pauses();
        loop {
            let done = match seen.status {
                status if status.is_over() => return Ok(Cancel::Over(status)),
                TaskStatus::Queued => self.cancel_queued(&seen).await?.then_some(Cancel::Done),
                _ => self.ask_to_end(&seen).await?.then_some(Cancel::Asked),
            };
            if let Some(done) = done {
                return Ok(done);
            }
            pause.wait("TransactWriteItems", "the task changed".to_owned()).await?;
            match self.task(&seen.key).await? {
                Some((record, _)) => seen = record,
                None => return Ok(Cancel::Gone),
            }
        }
    }

    async fn cancel_queued(&self, seen: &TaskRecord) -> Result<bool, StoreError> {
        let now = self.now();
        let values = Item::from([
            (":cancelled".to_owned(), text(TaskStatus::Cancelled.as_str())),
            (":now".to_owned(), number(now.as_millis())),
            (":expires".to_owned(), number(now.plus(KEPT_FOR).as_secs())),
            (":version".to_owned(), text(self.nonce())),
        ]);
        let expression = "SET task_status = :cancelled, updated_at = :now, expires = :expires, version = :version \
                          REMOVE cancel_at, problem";
        let as_seen = Condition::new("version = :seen", [(":seen", text(&seen.version))]);
        let mut parts = vec![
            self.update_part(seen.key.head(), expression, values, Some(as_seen))?,
            self.delete_part(TaskJob::of(seen).key(), None)?,
        ];
        parts.extend(self.forget_input(seen)?);
        self.transact_if(parts).await
    }

    async fn ask_to_end(&self, seen: &TaskRecord) -> Result<bool, StoreError> {
        let values = Item::from([(":now".to_owned(), number(self.now().as_millis()))]);
        let as_seen = Condition::new("version = :seen", [(":seen", text(&seen.version))]);
        let expression = "SET cancel_at = if_not_exists(cancel_at, :now)";
        let part = self.update_part(seen.key.head(), expression, values, Some(as_seen))?;
        self.transact_if(vec![part]).await
    }
}
