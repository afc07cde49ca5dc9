//! Property hooks: a value on its way through all of them.

use actingweb_hooks::prelude::*;
use actingweb_hooks::{Filtered, HookFailure, Hooks};

use crate::common::{app, build, invocation};

async fn filter(hooks: &Hooks, op: Op, name: &str, value: Value) -> Result<Filtered, HookFailure> {
    hooks.filter_property(&invocation(), op, name, value, &[]).await
}

fn append(mark: &'static str) -> impl Fn(PropertyAccess) -> Result<Verdict, HookError> + Send + Sync + 'static {
    move |access: PropertyAccess| Ok(Verdict::Replace(json!(format!("{}{mark}", access.text().unwrap_or_default()))))
}

fn guard_email(access: PropertyAccess) -> Result<Verdict, HookError> {
    if !access.is_write() {
        return Ok(Verdict::Hide);
    }
    match access.text() {
        Some(text) if text.contains('@') => Ok(Verdict::Replace(text.to_lowercase().into())),
        _ => Err(HookError::rejected("not an e-mail address")),
    }
}

#[tokio::test]
async fn a_value_is_threaded_through_its_own_hooks_and_then_the_wildcards() {
    let hooks = build(
        app()
            .property("*", append("*"))
            .property("p", append("1"))
            .property("p", append("2"))
            .property("*", append("+")),
    )
    .await;
    assert_eq!(filter(&hooks, Op::Put, "p", json!("v")).await, Ok(Filtered::Value(json!("v12*+"))));
    assert_eq!(filter(&hooks, Op::Get, "q", json!("v")).await, Ok(Filtered::Value(json!("v*+"))));
}

#[tokio::test]
async fn keep_passes_the_value_on_as_it_is() {
    fn keep(access: PropertyAccess) -> Result<Verdict, HookError> {
        assert_eq!((access.name(), access.path(), access.op()), ("p", &["a".to_owned()][..], Op::Put));
        Ok(Verdict::Keep)
    }
    let hooks = build(app().property("p", keep)).await;
    let value = json!({"a": [1, 2]});
    let filtered = hooks.filter_property(&invocation(), Op::Put, "p", value.clone(), &["a".to_owned()]).await;
    assert_eq!(filtered, Ok(Filtered::Value(value)));
}

#[tokio::test]
async fn a_hook_hides_changes_and_refuses() {
    let hooks = build(app().property("email", guard_email)).await;
    assert_eq!(filter(&hooks, Op::Get, "email", json!("a@b.c")).await, Ok(Filtered::Hidden));
    assert_eq!(filter(&hooks, Op::Put, "email", json!("A@B.C")).await, Ok(Filtered::Value(json!("a@b.c"))));
    let refused = filter(&hooks, Op::Put, "email", json!("nobody")).await.unwrap_err();
    assert_eq!((refused.status, refused.detail.as_str()), (403, "not an e-mail address"));
}

#[tokio::test]
async fn what_is_hidden_cannot_be_written() {
    fn hide() -> Result<Verdict, HookError> {
        Ok(Verdict::Hide)
    }
    let hooks = build(app().property("p", hide)).await;
    for op in [Op::Put, Op::Post, Op::Delete] {
        assert_eq!(filter(&hooks, op, "p", json!(1)).await.unwrap_err().status, 403, "{op}");
    }
}

#[tokio::test]
async fn a_failing_hook_never_lets_the_value_through() {
    fn breaks() -> Result<Verdict, HookError> {
        Err(HookError::terminal("the policy service is away"))
    }
    let hooks = build(app().property("p", breaks).property("*", append("unreached"))).await;
    assert_eq!(filter(&hooks, Op::Get, "p", json!("stored")).await.unwrap_err().status, 500);
}

#[tokio::test]
async fn a_misshapen_value_is_invalid_input_with_its_place() {
    #[derive(Deserialize)]
    struct Address {
        #[expect(dead_code, reason = "only read for its shape")]
        zip: u32,
    }
    fn check(access: PropertyAccess) -> Result<Verdict, HookError> {
        access.read::<Address>()?;
        Ok(Verdict::Keep)
    }
    let hooks = build(app().property("address", check)).await;
    let failure = filter(&hooks, Op::Put, "address", json!({"zip": "x"})).await.unwrap_err();
    assert_eq!(failure.status, 400);
    assert!(failure.detail.starts_with("`zip`: invalid type: string \"x\""), "{}", failure.detail);
}

#[tokio::test]
async fn callers_know_which_properties_have_hooks() {
    let hooks = build(app().property("p", guard_email)).await;
    assert!(hooks.has_property_hooks("p"));
    assert!(!hooks.has_property_hooks("q"));
    assert_eq!(filter(&hooks, Op::Get, "q", json!(1)).await, Ok(Filtered::Value(json!(1))));
    let hooks = build(app().property("*", guard_email)).await;
    assert!(hooks.has_property_hooks("q"));
}
