//! `/bot`: messages to the application as a whole.

use actingweb_hooks::BotToken;
use actingweb_hooks::prelude::*;
use actingweb_tests::{Answer, Site};
use reqwest::Method;

const TOKEN: &str = "shared with the bot";

/// Leaves a message for whoever has the e-mail address it is for.
async fn deliver(message: BotMessage, directory: Directory) -> Result<bool, HookError> {
    #[derive(Deserialize)]
    struct Sent {
        to: String,
        text: String,
    }
    if !message.bears_token() {
        return Ok(false);
    }
    let sent: Sent = message.json()?;
    let Some(actor) = directory.find("email", &sent.to).await?.only() else { return Ok(false) };
    actor.set_property("message", sent.text).await?;
    Ok(true)
}

fn app() -> App {
    App::new("urn:actingweb:example.com:bot").indexed("email").bot(deliver)
}

async fn send(site: &Site, token: &str, body: &str) -> Answer {
    Answer::of(site.request(Method::POST, "/bot").bearer_auth(token).body(body.to_owned())).await
}

#[tokio::test]
async fn a_message_reaches_the_application_and_through_it_an_actor() {
    let site = Site::adjusted(app(), |state| state.bot_token = Some(BotToken::new(TOKEN))).await;
    let ann = site.actor("ann").await;
    ann.put("/properties/email", &json!("ann@example.org")).await.expect(204);

    let hello = r#"{"to": "ann@example.org", "text": "hello"}"#;
    assert_eq!(send(&site, TOKEN, hello).await.expect(204).body, "");
    assert_eq!(ann.get("/properties/message").await.expect(200).body, "hello");

    send(&site, "guessed", r#"{"to": "ann@example.org", "text": "fooled"}"#).await.problem(404);
    send(&site, TOKEN, r#"{"to": "bob@example.org", "text": "hello"}"#).await.problem(404);
    let detail = send(&site, TOKEN, r#"{"to": 1}"#).await.problem(400).detail();
    assert!(detail.contains("to"), "{detail}");
    assert_eq!(ann.get("/properties/message").await.expect(200).body, "hello");

    for method in [Method::GET, Method::PUT, Method::DELETE] {
        assert_eq!(site.send(method, "/bot").await.problem(405).header("allow"), "POST");
    }
    let huge = "x".repeat((1 << 20) + 1);
    send(&site, TOKEN, &huge).await.problem(413);
}

#[tokio::test]
async fn without_a_token_or_a_hook_nothing_takes_messages() {
    let without_token = Site::of(app()).await;
    let without_hook = Site::adjusted(App::new("urn:actingweb:example.com:bot"), |state| {
        state.bot_token = Some(BotToken::new(TOKEN));
    })
    .await;
    for site in [without_token, without_hook] {
        send(&site, TOKEN, "{}").await.problem(404);
        site.send(Method::GET, "/bot").await.problem(405);
    }
}
