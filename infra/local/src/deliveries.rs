//! What the mapping of the table's stream does on AWS: calls deliver for each actor that has a new change or notice.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use actingweb_protocol::{ActorId, Deadline};
use actingweb_testkit::stream::{Inserted, Tap};
use actingweb_web::AppState;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::background::WORK_LIMIT;

/// How often the stream is looked at. Looking costs some ten microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How many actors are delivered for at once.
const CONCURRENT: usize = 8;

/// How long to wait after a fault of ours.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Delivers what the stream tells of until `stop` changes, from the stream's beginning on: what the last process left
/// undone is done by this one. Deliveries under way then come to their end.
pub(crate) async fn deliver(state: AppState, mut tap: Tap, mut stop: watch::Receiver<bool>) {
    let mut deliveries = Deliveries::new(state);
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            Some(ended) = deliveries.running.join_next_with_id() => {
                deliveries.end(ended);
                continue;
            }
            _ = stop.changed() => break,
        }
        match tap.next().await {
            Ok(page) => page.iter().flatten().filter_map(woken).for_each(|actor| deliveries.wake(actor)),
            Err(error) => {
                tracing::warn!(%error, "the table's stream could not be read");
                sleep(AGAIN_AFTER).await;
            }
        }
    }
    while deliveries.running.join_next().await.is_some() {}
}

/// Whose new change or notice this is. The mapping in the template has the same filter.
pub(crate) fn woken(inserted: &Inserted) -> Option<ActorId> {
    let is_owed = ["CHG#", "OUT#"].iter().any(|prefix| inserted.sk.starts_with(prefix));
    let actor = inserted.pk.strip_prefix("A#").filter(|_| is_owed)?;
    ActorId::parse(actor).ok()
}

struct Deliveries {
    state: AppState,
    running: JoinSet<bool>,
    /// Whose each of them is.
    actors: HashMap<Id, ActorId>,
    /// Those that have something new since theirs began.
    again: HashSet<ActorId>,
    waiting: VecDeque<ActorId>,
}

impl Deliveries {
    fn new(state: AppState) -> Self {
        let (running, actors) = (JoinSet::new(), HashMap::new());
        Self { state, running, actors, again: HashSet::new(), waiting: VecDeque::new() }
    }

    fn wake(&mut self, actor: ActorId) {
        if self.actors.values().any(|busy| *busy == actor) {
            self.again.insert(actor);
        } else if self.running.len() < CONCURRENT {
            self.start(actor);
        } else if !self.waiting.contains(&actor) {
            self.waiting.push_back(actor);
        }
    }

    fn start(&mut self, actor: ActorId) {
        let (state, whose) = (self.state.clone(), actor.clone());
        let task = self.running.spawn(async move {
            let deadline = Deadline::after(Instant::now().into_std(), WORK_LIMIT);
            let Err(error) = Box::pin(actingweb_deliver::deliver(&state, &actor, deadline)).await else { return true };
            tracing::error!(%actor, %error, "delivery failed");
            sleep(AGAIN_AFTER).await;
            false
        });
        self.actors.insert(task.id(), whose);
    }

    fn end(&mut self, ended: Result<(Id, bool), JoinError>) {
        let (id, is_done) = match ended {
            Ok(ended) => ended,
            Err(panicked) => {
                tracing::error!(panic = %panicked, "delivery panicked");
                (panicked.id(), true)
            }
        };
        if let Some(actor) = self.actors.remove(&id)
            && (self.again.remove(&actor) || !is_done)
        {
            self.waiting.push_back(actor);
        }
        if let Some(next) = self.waiting.pop_front() {
            self.start(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_and_notices_of_actors_wake() {
        let id = "0123456789abcdef0123456789abcdef";
        let woken = |pk: &str, sk: &str| woken(&Inserted { pk: pk.to_owned(), sk: sk.to_owned() });
        let own = format!("A#{id}");
        for sk in ["CHG#00000000000000000001", "OUT#1767225600000#ab"] {
            assert_eq!(woken(&own, sk), Some(ActorId::parse(id).unwrap()), "{sk}");
        }
        for (pk, sk) in [
            (&*own, "DIFF#a#1"),
            (&*own, "PROP#x"),
            ("DUE#1", "CHG#1"),
            ("A#x", "OUT#1"),
            (&*format!("{own}#L#a#1"), "CHG#1"),
        ] {
            assert_eq!(woken(pk, sk), None, "{pk} {sk}");
        }
    }
}
