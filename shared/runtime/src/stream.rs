//! A batch of the table's stream: whose rows it tells of, and what the platform wants to hear of it.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use actingweb_protocol::{ActorId, Deadline};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

/// How many actors of a batch are worked on at once.
const CONCURRENCY: usize = 8;

/// What of an invocation is kept for the answer: one that ends without it fails its whole batch.
const RESERVE: Duration = Duration::from_secs(2);

/// An event of the table's stream, as far as it matters here.
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>
#[derive(Debug, Deserialize)]
pub(crate) struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Debug, Deserialize)]
struct Record {
    dynamodb: Change,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    keys: Keys,
    sequence_number: String,
}

#[derive(Debug, Deserialize)]
struct Keys {
    pk: Text,
}

/// DynamoDB's JSON of a string.
#[derive(Debug, Deserialize)]
struct Text {
    #[serde(rename = "S")]
    text: String,
}

impl Batch {
    /// Each actor whose own partition a record is of, once, with the sequence number of its first record.
    fn actors(self) -> Vec<(ActorId, String)> {
        let mut seen = HashSet::new();
        let changes = self.records.into_iter().map(|record| record.dynamodb);
        changes
            .filter_map(|change| Some((ActorId::parse(change.keys.pk.text.strip_prefix("A#")?).ok()?, change)))
            .filter(|(actor, _)| seen.insert(actor.clone()))
            .map(|(actor, change)| (actor, change.sequence_number))
            .collect()
    }

    /// Hands every actor to `work`, several at once, and answers with the records to be sent again: the first of each
    /// actor whose work failed, or was cut off before the deadline.
    ///
    /// The platform goes on from the lowest of them, so work that is done is asked for again.
    pub(crate) async fn answer<W, F, T, E>(self, deadline: Deadline, work: W) -> Value
    where
        W: Fn(ActorId, Deadline) -> F,
        F: Future<Output = Result<T, E>>,
        E: fmt::Display,
    {
        let deadline = deadline.minus(RESERVE);
        let ends = Instant::from_std(deadline.instant());
        let work = |(actor, record): (ActorId, String)| {
            let work = work(actor.clone(), deadline);
            async move {
                let reason = match timeout_at(ends, work).await {
                    Ok(Ok(_)) => return None,
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => "the invocation has no time left".to_owned(),
                };
                tracing::error!(%actor, error = reason, "delivery failed");
                Some(json!({ "itemIdentifier": record }))
            }
        };
        let outcomes = stream::iter(self.actors()).map(work).buffered(CONCURRENCY);
        let failures: Vec<Value> = outcomes.filter_map(std::future::ready).collect().await;
        json!({ "batchItemFailures": failures })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn id(digit: char) -> ActorId {
        ActorId::parse(&digit.to_string().repeat(32)).unwrap()
    }

    /// A batch as the platform sends it, of rows with these partition keys.
    fn batch(partitions: &[String]) -> Batch {
        let record = |(at, pk): (usize, &String)| {
            json!({
                "eventID": format!("event-{at}"),
                "eventName": "INSERT",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "eu-north-1",
                "dynamodb": {
                    "ApproximateCreationDateTime": 1_795_358_402,
                    "Keys": { "pk": { "S": pk }, "sk": { "S": "CHG#00000000000000000001" } },
                    "NewImage": { "v": { "N": "1" } },
                    "SequenceNumber": format!("10{at}"),
                    "SizeBytes": 26,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
                "eventSourceARN": "arn:aws:dynamodb:eu-north-1:123456789012:table/t/stream/2026-11-22T00:00:00.000",
            })
        };
        let records: Vec<Value> = partitions.iter().enumerate().map(record).collect();
        serde_json::from_value(json!({ "Records": records })).unwrap()
    }

    fn of(actor: char) -> String {
        format!("A#{}", id(actor))
    }

    fn in_a_minute() -> Deadline {
        Deadline::after(Instant::now().into_std(), Duration::from_secs(60))
    }

    #[tokio::test]
    async fn each_actor_is_worked_on_once_whatever_fails_is_sent_again() {
        let worked = Mutex::new(Vec::new());
        let work = |actor: ActorId, _| {
            worked.lock().unwrap().push(actor.clone());
            async move { if actor == id('b') { Err("no table") } else { Ok(()) } }
        };
        let answer = batch(&[of('a'), of('b'), of('a'), of('b'), of('c')]).answer(in_a_minute(), work).await;
        assert_eq!(*worked.lock().unwrap(), [id('a'), id('b'), id('c')]);
        assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "101" }] }));
    }

    #[tokio::test]
    async fn rows_outside_of_actors_own_partitions_are_nobodys_work() {
        let work = |actor: ActorId, _| async move { Err::<(), _>(format!("{actor} was worked on")) };
        let others = ["DUE#1".to_owned(), format!("{}#L#name#1", of('a')), "A#".to_owned(), "A#b".to_owned()];
        let answer = batch(&others).answer(in_a_minute(), work).await;
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_too_long_is_sent_again_and_delays_no_other() {
        let work = |actor: ActorId, deadline: Deadline| async move {
            if actor == id('a') {
                tokio::time::sleep_until(Instant::from_std(deadline.instant()) + RESERVE).await;
            }
            Ok::<_, String>(())
        };
        let (started, deadline) = (Instant::now(), in_a_minute());
        let answer = batch(&[of('a'), of('b')]).answer(deadline, work).await;
        assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "100" }] }));
        assert!(deadline.remaining(Instant::now().into_std()) > Duration::ZERO, "{:?}", started.elapsed());
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        assert!(serde_json::from_value::<Batch>(json!({ "source": "aws.scheduler" })).is_err());
    }
}
