//! Methods that answer piece by piece.

use actingweb_tests::{Answer, Site};
use reqwest::Method;
use serde_json::{Value, json};

/// The model's words on a topic, put together.
fn text(events: &[actingweb_tests::Event]) -> String {
    let words = events.iter().filter(|event| event.name == "message");
    words.map(|event| event.json().as_str().expect("a text").to_owned()).collect()
}

/// The stand-in for Bedrock writes one word on a prompt with `[wait:..]`, and the others once there was one with `[go:..]`.
/// So nobody who waits for the whole answer before the first word is passed on would ever see one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_word_is_read_before_the_second_is_written() {
    let site = Site::start().await;
    let ann = site.actor("ann@example.org").await;
    let mut events = ann.stream("/methods/draft", &json!({ "topic": format!("tides [wait:{}]", ann.id) })).await;
    assert_eq!(events.headers["cache-control"], "no-store");
    let first = events.next().await.expect("a word");
    assert_eq!((first.name.as_str(), first.json()), ("message", json!("Summary: ")));

    let go = ann.post("/methods/draft", &json!({ "topic": format!("[go:{}]", ann.id) })).await.expect(200);
    assert!(go.json().as_str().is_some_and(|text| text.starts_with("Summary: ")), "{}", go.body);
    let rest = events.rest().await;
    assert!(text(&rest).ends_with("message(s)."), "{rest:?}");
    let done = rest.last().expect("an end");
    assert_eq!((done.name.as_str(), &done.json()["stop_reason"]), ("done", &json!("end_turn")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streamed_and_whole_answers_say_the_same() {
    let site = Site::start().await;
    let ann = site.actor("ann@example.org").await;
    let topic = json!({ "topic": "grüezi 🌊" });
    let whole = ann.post("/methods/draft", &topic).await.expect(200);
    assert_eq!(whole.header("content-type"), "application/json");
    let streamed = ann.stream("/methods/draft", &topic).await.rest().await;
    assert_eq!(text(&streamed), whole.json().as_str().expect("a text"));
    let form = ann.request(Method::POST, "/methods/draft").header("accept", "text/event-stream");
    let form = form.header("content-type", crate::FORM).body("topic=tides");
    let form = Answer::of(form).await.expect(200);
    assert!(form.body.starts_with("data: \"Summary: \"\n\n"), "{}", form.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_a_reply_as_anywhere_else() {
    let site = Site::start().await;
    let ann = site.actor("ann@example.org").await;
    let refused = |request: reqwest::RequestBuilder| Answer::of(request.header("accept", "text/event-stream"));
    let post = |body: &Value| ann.request(Method::POST, "/methods/draft").json(body);
    refused(post(&json!({ "topic": "" }))).await.problem(400);
    refused(post(&json!({}))).await.problem(400);
    refused(ann.anonymous(Method::POST, "/methods/draft").json(&json!({ "topic": "tides" }))).await.problem(401);
    refused(ann.request(Method::POST, "/methods/nobody").json(&json!({}))).await.problem(400);
    // A method that does not stream.
    let sum = refused(ann.request(Method::POST, "/methods/add_numbers").json(&json!({ "a": 1, "b": 2 }))).await;
    assert_eq!(sum.expect(200).body, "data: {\"result\":3.0}\n\nevent: done\ndata: {}\n\n");
    let listed = ann.get("/methods").await.expect(200).json();
    let streams = |name: &str| {
        let methods = listed["methods"].as_array().expect("a list");
        methods.iter().find(|method| method["name"] == name).expect("a method").get("streams").cloned()
    };
    assert_eq!((streams("draft"), streams("add_numbers")), (Some(json!(true)), None));
}
