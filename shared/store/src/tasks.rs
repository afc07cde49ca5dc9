//! Tasks: actions that run after their caller has gone.
//!
//! A task is a small row that says how it stands, beside rows with its input and its result, so that standing by it,
//! listing it and saying that it still runs cost little however large those are. What makes somebody run it is a job in
//! partitions of its own (`RUN#`), written in the same transaction; there is one for every task that is not over.

mod cancel;
mod run;

use std::time::Duration;

use actingweb_protocol::task::{TaskCaller, TaskId, TaskProgress, TaskStatus};
use actingweb_protocol::{ActorId, Name, Timestamp};
use aws_sdk_dynamodb::types::TransactWriteItem;

pub use cancel::Cancel;
pub use run::{Beat, HeldTask, TaskEnd, TaskJob};

use crate::item::{Item, Row, number, text};
use crate::store::{Cancelled, refused};
use crate::transaction::Condition;
use crate::{Store, StoreError, item, keys};

/// How long after its end a task may seem to have no result, since the rows are not read as one.
const TORN_FOR: Duration = Duration::from_secs(60);

/// Which task of which actor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaskKey {
    /// The actor.
    pub actor: ActorId,
    /// The action.
    pub action: Name,
    /// The task's id.
    pub id: TaskId,
}

/// A task about to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    /// Which one.
    pub key: TaskKey,
    /// Who asks for it.
    pub caller: TaskCaller,
    /// The verb it was asked for with: `POST` or `PUT`.
    pub op: String,
    /// What it is given, sealed; none for nothing.
    pub input: Option<String>,
    /// The schedule that planned it, if one did.
    pub schedule: Option<String>,
}

/// How a task stands.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRecord {
    /// Which one.
    pub key: TaskKey,
    /// Who asked for it.
    pub caller: TaskCaller,
    /// The verb it was asked for with: `POST` or `PUT`.
    pub op: String,
    /// The schedule that planned it, if one did.
    pub schedule: Option<String>,
    /// What has become of it.
    pub status: TaskStatus,
    /// How often it was begun.
    pub attempts: u32,
    /// How far its hook says it has come.
    pub progress: Option<TaskProgress>,
    /// Why it failed, or why it is tried again: a problem document, as JSON text.
    pub problem: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its status changed last.
    pub updated_at: Timestamp,
    /// When it is, or was, to be begun.
    pub due_at: Timestamp,
    /// Until when whoever runs it has it.
    pub lease_until: Option<Timestamp>,
    /// When somebody asked for its end.
    pub cancel_at: Option<Timestamp>,
    /// From when on it cannot be read any more; none before its end.
    pub expires: Option<Timestamp>,
    /// Whether it was given anything.
    pub has_input: bool,
    /// New with every change of its status: whoever runs it holds it under this.
    pub(crate) version: String,
}

impl TaskKey {
    /// The row that says how it stands.
    fn head(&self) -> Item {
        item::key(&keys::actor(&self.actor), &keys::task(&self.action, self.id.as_str()))
    }

    /// The row with its input.
    fn input(&self) -> Item {
        item::key(&keys::actor(&self.actor), &keys::task_input(&self.action, self.id.as_str()))
    }

    /// The row with its result.
    fn result(&self) -> Item {
        item::key(&keys::actor(&self.actor), &keys::task_result(&self.action, self.id.as_str()))
    }
}

impl TaskRecord {
    /// Whether somebody has it now.
    #[must_use]
    pub fn is_held(&self, now: Timestamp) -> bool {
        self.status == TaskStatus::Running && self.lease_until.is_some_and(|until| until > now)
    }

    fn item(&self) -> Item {
        let mut row = self.key.head();
        row.insert("v".to_owned(), number(item::VERSION));
        row.insert("actor".to_owned(), text(self.key.actor.as_str()));
        row.insert("action".to_owned(), text(self.key.action.as_str()));
        row.insert("task".to_owned(), text(self.key.id.as_str()));
        row.insert("caller".to_owned(), text(self.caller.to_string()));
        row.insert("op".to_owned(), text(&self.op));
        row.insert("task_status".to_owned(), text(self.status.as_str()));
        row.insert("attempts".to_owned(), number(i64::from(self.attempts)));
        row.insert("created_at".to_owned(), number(self.created_at.as_millis()));
        row.insert("updated_at".to_owned(), number(self.updated_at.as_millis()));
        row.insert("due_at".to_owned(), number(self.due_at.as_millis()));
        row.insert("has_input".to_owned(), number(i64::from(self.has_input)));
        row.insert("version".to_owned(), text(&self.version));
        row.extend(self.schedule.as_ref().map(|schedule| ("schedule".to_owned(), text(schedule))));
        row
    }

    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let moment = |name: &str| Ok::<_, StoreError>(row.optional_number(name)?.map(Timestamp::from_millis));
        let what = |name: &str| row.corrupt(format!("`{name}` cannot be read"));
        let progress = row.optional_text("progress")?.map(serde_json::from_str).transpose();
        Ok(Self {
            key: TaskKey {
                actor: crate::actors::actor_id(row, "actor")?,
                action: Name::parse(row.text("action")?).map_err(|_| what("action"))?,
                id: TaskId::parse(row.text("task")?).map_err(|_| what("task"))?,
            },
            caller: TaskCaller::parse(row.text("caller")?).ok_or_else(|| what("caller"))?,
            op: row.text("op")?.to_owned(),
            schedule: row.optional_text("schedule")?.map(str::to_owned),
            status: TaskStatus::parse(row.text("task_status")?).ok_or_else(|| what("task_status"))?,
            attempts: u32::try_from(row.optional_number("attempts")?.unwrap_or(0)).unwrap_or(0),
            progress: progress.map_err(|_| what("progress"))?,
            problem: row.optional_text("problem")?.map(str::to_owned),
            created_at: row.timestamp("created_at")?,
            updated_at: row.timestamp("updated_at")?,
            due_at: row.timestamp("due_at")?,
            lease_until: moment("lease_until")?,
            cancel_at: moment("cancel_at")?,
            expires: row.optional_number("expires")?.map(|secs| Timestamp::from_millis(secs.saturating_mul(1000))),
            has_input: row.optional_number("has_input")? == Some(1),
            version: row.text("version")?.to_owned(),
        })
    }
}

impl Store {
    /// Creates a task that is due at once: one transaction. `None`, with nothing changed, when there is one of that key.
    ///
    /// # Errors
    /// [`StoreError`]. Whether it was created is not known then.
    pub async fn create_task(&self, new: NewTask) -> Result<Option<TaskRecord>, StoreError> {
        let (record, parts) = self.task_parts(new)?;
        match self.transact(parts).await? {
            Ok(()) => Ok(Some(record)),
            Err(Cancelled(reasons)) if reasons.first().is_some_and(|(code, _)| code == "ConditionalCheckFailed") => {
                Ok(None)
            }
            Err(Cancelled(reasons)) => Err(refused("TransactWriteItems", reasons)),
        }
    }

    /// What creates a task that is due at once, as parts of a transaction: two or three. The first, its row, has the
    /// condition that there is no task of that key.
    pub(crate) fn task_parts(&self, new: NewTask) -> Result<(TaskRecord, Vec<TransactWriteItem>), StoreError> {
        let NewTask { key, caller, op, input, schedule } = new;
        let now = self.now();
        let record = TaskRecord {
            key,
            caller,
            op,
            schedule,
            status: TaskStatus::Queued,
            attempts: 0,
            progress: None,
            problem: None,
            created_at: now,
            updated_at: now,
            due_at: now,
            lease_until: None,
            cancel_at: None,
            expires: None,
            has_input: input.is_some(),
            version: self.nonce(),
        };
        let mut parts = vec![
            self.put_part(record.item(), Some(Condition::absent()))?,
            self.put_part(TaskJob::of(&record).item(), None)?,
        ];
        if let Some(input) = input {
            let mut row = record.key.input();
            row.insert("v".to_owned(), number(item::VERSION));
            row.insert("sealed".to_owned(), text(input));
            parts.push(self.put_part(row, None)?);
        }
        Ok((record, parts))
    }

    /// How a task stands, and its sealed result, if it has one: one strongly consistent read, and
    /// one more of a task that has just ended and seems to have none. `None` when there is no
    /// such task, or no longer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn task(&self, key: &TaskKey) -> Result<Option<(TaskRecord, Option<String>)>, StoreError> {
        let found = self.task_with(key, key.result()).await?;
        // The two rows are not read as one: the result may have been written in between.
        let torn = |(record, sealed): &(TaskRecord, Option<String>)| {
            let is_new = self.now() < record.updated_at.plus(TORN_FOR);
            record.status == TaskStatus::Completed && sealed.is_none() && is_new
        };
        if found.as_ref().is_some_and(torn) { self.task_with(key, key.result()).await } else { Ok(found) }
    }

    /// How a task stands, and what it is given, sealed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn task_input(&self, key: &TaskKey) -> Result<Option<(TaskRecord, Option<String>)>, StoreError> {
        self.task_with(key, key.input()).await
    }

    /// Removes the tasks that a caller asked for until `before`, whatever became of them. Who runs one finds it gone, and so
    /// does its job.
    pub(crate) async fn forget_tasks(
        &self,
        actor: &ActorId,
        caller: &TaskCaller,
        before: Timestamp,
    ) -> Result<(), StoreError> {
        let mut pages = self.pages(&keys::actor(actor), keys::TASK, None);
        while let Some(items) = pages.next().await? {
            let mut gone = Vec::new();
            for found in &items {
                let TaskRecord { key, caller: asked_by, created_at, .. } = TaskRecord::from_row(&Row::read(found)?)?;
                if asked_by == *caller && created_at <= before {
                    gone.extend([key.head(), key.input(), key.result()]);
                }
            }
            self.batch_delete(gone).await?;
        }
        Ok(())
    }

    async fn task_with(&self, key: &TaskKey, beside: Item) -> Result<Option<(TaskRecord, Option<String>)>, StoreError> {
        let (mut record, mut sealed) = (None, None);
        for found in &self.batch_get(vec![key.head(), beside]).await? {
            let row = Row::read(found)?;
            if row.expired(self.now())? {
                continue;
            }
            match row.optional_text("sealed")? {
                Some(text) => sealed = Some(text.to_owned()),
                None => record = Some(TaskRecord::from_row(&row)?),
            }
        }
        Ok(record.map(|record| (record, sealed)))
    }

    /// Up to `limit` tasks of an action that this caller may see, newest first, from before `before` on, and whether there
    /// are more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tasks(
        &self,
        (actor, action): (&ActorId, &Name),
        caller: &TaskCaller,
        before: Option<&TaskId>,
        limit: usize,
    ) -> Result<(Vec<TaskRecord>, bool), StoreError> {
        // Above all ids, whose digits end at `f`.
        let end = keys::task(action, before.map_or("g", TaskId::as_str));
        let shown = |row: &Row<'_>| {
            let record = TaskRecord::from_row(row)?;
            Ok(caller.may_see(&record.caller).then_some(record))
        };
        self.newest((&keys::actor(actor), &keys::task(action, ""), &end), limit, shown).await
    }
}
