//! What wakes the worker: messages of its queue, which a pipe fills with the rows of jobs as they are inserted, and the
//! schedule.

use serde::Deserialize;
use serde_json::{Value, json};

/// What an event says about work that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    /// There may be some: a tick of the schedule, or an event of a kind that is not known.
    Sweep,
    /// These jobs were inserted.
    Jobs(Vec<InsertedJob>),
}

/// A message about the row of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsertedJob {
    /// The message's id: what is answered when it is to be sent again.
    pub message: String,
    /// The row's partition key.
    pub partition: String,
    /// The row's sort key.
    pub sort_key: String,
}

/// An event of the queue, as far as it matters here.
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>
#[derive(Debug, Deserialize)]
struct QueueEvent {
    #[serde(rename = "Records")]
    records: Vec<Message>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    message_id: String,
    /// A record of the table's stream.
    body: String,
}

#[derive(Debug, Deserialize)]
struct StreamRecord {
    dynamodb: Change,
}

#[derive(Debug, Deserialize)]
struct Change {
    #[serde(rename = "Keys")]
    keys: Keys,
}

#[derive(Debug, Deserialize)]
struct Keys {
    pk: Text,
    sk: Text,
}

/// DynamoDB's JSON of a string.
#[derive(Debug, Deserialize)]
struct Text {
    #[serde(rename = "S")]
    text: String,
}

impl Wake {
    /// What an event says. A message that is none of the pipe's says that there may be work.
    pub(crate) fn read(event: Value) -> Self {
        let Ok(QueueEvent { records }) = serde_json::from_value(event) else { return Self::Sweep };
        let jobs = records.into_iter().map(|message| {
            let StreamRecord { dynamodb: Change { keys } } = serde_json::from_str(&message.body).ok()?;
            Some(InsertedJob { message: message.message_id, partition: keys.pk.text, sort_key: keys.sk.text })
        });
        jobs.collect::<Option<_>>().map_or(Self::Sweep, Self::Jobs)
    }

    /// What the platform is answered: which messages are to be sent again.
    pub(crate) fn answer(failed: &[String]) -> Value {
        let failures: Vec<_> = failed.iter().map(|message| json!({ "itemIdentifier": message })).collect();
        json!({ "batchItemFailures": failures })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message as the pipe writes it and the queue sends it.
    fn message(id: &str, pk: &str, sk: &str) -> Value {
        let record = json!({
            "eventID": "1", "eventName": "INSERT", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
            "awsRegion": "eu-north-1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_795_358_402,
                "Keys": { "pk": { "S": pk }, "sk": { "S": sk } },
                "NewImage": { "pk": { "S": pk }, "sk": { "S": sk }, "v": { "N": "1" } },
                "SequenceNumber": "100", "SizeBytes": 90, "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "eventSourceARN": "arn:aws:dynamodb:eu-north-1:123456789012:table/t/stream/2026-11-22T00:00:00.000",
        });
        json!({
            "messageId": id, "receiptHandle": "r", "body": record.to_string(),
            "attributes": { "ApproximateReceiveCount": "1" }, "messageAttributes": {}, "md5OfBody": "m",
            "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-north-1:123456789012:q", "awsRegion": "eu-north-1",
        })
    }

    #[test]
    fn messages_name_their_jobs() {
        let event = json!({ "Records": [message("m1", "RUN#1", "a"), message("m2", "DUE#0", "b")] });
        let job = |message: &str, partition: &str, sort_key: &str| InsertedJob {
            message: message.to_owned(),
            partition: partition.to_owned(),
            sort_key: sort_key.to_owned(),
        };
        assert_eq!(Wake::read(event), Wake::Jobs(vec![job("m1", "RUN#1", "a"), job("m2", "DUE#0", "b")]));
    }

    #[test]
    fn everything_else_says_that_there_may_be_work() {
        let mut odd = message("m1", "RUN#1", "a");
        odd["body"] = json!("hello");
        for event in [
            json!({ "source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": {} }),
            json!({ "Records": [{ "eventName": "INSERT", "dynamodb": { "Keys": { "pk": { "S": "DUE#1" } } } }] }),
            json!({ "Records": [odd] }),
            json!(null),
        ] {
            assert_eq!(Wake::read(event.clone()), Wake::Sweep, "{event}");
        }
    }

    #[test]
    fn failed_messages_are_named() {
        assert_eq!(Wake::answer(&[]), json!({ "batchItemFailures": [] }));
        assert_eq!(Wake::answer(&["m1".to_owned()]), json!({ "batchItemFailures": [{ "itemIdentifier": "m1" }] }));
    }
}
