//! Messages to the application as a whole.

use actingweb_hooks::prelude::*;
use actingweb_hooks::{BotToken, Hooks};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use crate::common::{app, build, invocation};

const TOKEN: &str = "0123456789";

fn message(authorization: &'static str, body: &[u8]) -> BotMessage {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(authorization))]);
    BotMessage::new(BotToken::new(TOKEN), headers, body)
}

async fn call(hooks: &Hooks, body: &[u8]) -> Result<bool, u16> {
    let taken = hooks.call_bot(&invocation(), message("Bearer 0123456789", body)).await;
    taken.map_err(|failure| failure.status)
}

#[derive(Deserialize)]
struct Said {
    text: String,
}

fn hello(message: BotMessage) -> Result<bool, HookError> {
    Ok(message.json::<Said>()?.text == "hello")
}

#[tokio::test]
async fn hooks_are_asked_in_order_until_one_takes_it() {
    fn takes_all(actor: Option<Actor>, ctx: Context) -> Result<(), HookError> {
        assert!(actor.is_none() && !ctx.caller().is_creator());
        Ok(())
    }
    async fn refuses() -> Result<bool, HookError> {
        Err(HookError::rejected("no"))
    }
    let hooks = build(app()).await;
    assert!(!hooks.has_bot_hooks());
    assert_eq!(call(&hooks, b"{}").await, Ok(false));

    let hooks = build(app().bot(hello)).await;
    assert!(hooks.has_bot_hooks());
    assert_eq!(call(&hooks, br#"{"text": "hello"}"#).await, Ok(true));
    assert_eq!(call(&hooks, br#"{"text": "bye"}"#).await, Ok(false));
    assert_eq!(call(&hooks, b"hello").await, Err(400));

    let hooks = build(app().bot(hello).bot(takes_all).bot(refuses)).await;
    assert_eq!(call(&hooks, br#"{"text": "bye"}"#).await, Ok(true));
    let hooks = build(app().bot(hello).bot(refuses).bot(takes_all)).await;
    assert_eq!(call(&hooks, br#"{"text": "hello"}"#).await, Ok(true));
    assert_eq!(call(&hooks, br#"{"text": "bye"}"#).await, Err(403));
}

#[test]
fn a_message_bears_the_token_or_does_not() {
    for (authorization, bears) in [
        ("Bearer 0123456789", true),
        ("bearer  0123456789", true),
        ("Bearer 012345678", false),
        ("Bearer 0123456780", false),
        ("Bearer 01234567890", false),
        ("Bearer ", false),
        ("Basic 0123456789", false),
        ("0123456789", false),
    ] {
        assert_eq!(message(authorization, b"").bears_token(), bears, "{authorization}");
    }
    assert!(!BotMessage::new(BotToken::new(TOKEN), HeaderMap::new(), b"").bears_token());
}

#[test]
fn a_message_shows_what_signatures_are_made_of_and_prints_no_token() {
    let message = message("Bearer x", b"{ \"text\":1}");
    assert_eq!((message.bytes(), message.token()), (&b"{ \"text\":1}"[..], TOKEN));
    assert_eq!((message.header("authorization"), message.header("x-signature")), (Some("Bearer x"), None));
    assert!(!format!("{message:?}").contains(TOKEN));
}
