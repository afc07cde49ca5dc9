//! A reply read event by event.

use std::collections::VecDeque;

use reqwest::header::HeaderMap;
use serde_json::Value;

/// A reply of server-sent events, read as it comes. Dropping it closes the connection.
///
/// ```no_run
/// # use serde_json::json;
/// # async fn example(actor: actingweb_local::testing::TestActor) {
/// let mut events = actor.stream("/methods/draft", &json!({ "topic": "tides" })).await;
/// let first = events.next().await.unwrap();
/// assert_eq!((first.name.as_str(), first.json()), ("message", json!("Tides ")));
/// # }
/// ```
#[derive(Debug)]
pub struct Events {
    /// The headers.
    pub headers: HeaderMap,
    response: reqwest::Response,
    unread: Vec<u8>,
    events: VecDeque<Event>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `message` when it has no name of its own.
    pub name: String,
    /// Its data.
    pub data: String,
}

impl Event {
    /// The data as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {}", self.data))
    }
}

impl Events {
    /// Sends a request that accepts nothing but events, and reads the head of its reply.
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.header("accept", "text/event-stream").send().await.expect("a reply");
        let headers = response.headers().clone();
        let kind = headers.get("content-type").and_then(|value| value.to_str().ok());
        if response.status() != 200 || kind != Some("text/event-stream") {
            panic!("{} {kind:?} {}", response.status(), response.text().await.unwrap_or_default());
        }
        Self { headers, response, unread: Vec::new(), events: VecDeque::new() }
    }

    /// The next event, once it is there; `None` at the end. Comments are passed over.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            self.unread.extend(self.response.chunk().await.expect("a stream that does not break off")?);
            while let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.unread.drain(..end + 2).collect();
                self.events.extend(event(&String::from_utf8(block).expect("text")));
            }
        }
    }

    /// All events that are left.
    pub async fn rest(mut self) -> Vec<Event> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        assert!(self.unread.is_empty(), "half an event: {}", String::from_utf8_lossy(&self.unread));
        all
    }
}

/// An event of its lines; `None` for a comment.
fn event(block: &str) -> Option<Event> {
    let (mut name, mut data) = ("message", Vec::new());
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = value,
            "data" => data.push(value),
            _ => {}
        }
    }
    (!data.is_empty()).then(|| Event { name: name.to_owned(), data: data.join("\n") })
}
