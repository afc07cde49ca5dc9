//! What property and lifecycle hooks make of an actor's state.

use actingweb_hooks::{Caller, Event, EventKind, Filtered, Op};
use serde_json::{Value, json};

use crate::world::{CREATED_AT, World, peer};

async fn email(world: &World, caller: Caller, op: Op, value: Value) -> Result<Filtered, u16> {
    let invocation = world.invocation(caller);
    world.hooks.filter_property(&invocation, op, "email", value, &[]).await.map_err(|failure| failure.status)
}

#[tokio::test]
async fn the_creators_address_is_checked_and_lower_cased() {
    let world = World::start().await;
    for op in [Op::Put, Op::Post] {
        let stored = email(&world, Caller::Creator, op, json!(" Ann@Example.ORG ")).await;
        assert_eq!(stored, Ok(Filtered::Value(json!("ann@example.org"))), "{op}");
        for wrong in [json!("ann"), json!("ann@"), json!(""), json!(7), json!(null), json!({"email": "a@b"})] {
            assert_eq!(email(&world, Caller::Creator, op, wrong.clone()).await, Err(400), "{op} {wrong}");
        }
    }
    for op in [Op::Get, Op::Delete] {
        let kept = email(&world, Caller::Creator, op, json!("ann@example.org")).await;
        assert_eq!(kept, Ok(Filtered::Value(json!("ann@example.org"))), "{op}");
    }
}

#[tokio::test]
async fn others_neither_see_nor_change_it() {
    let world = World::start().await;
    for caller in [peer(), Caller::Anonymous] {
        let seen = email(&world, caller.clone(), Op::Get, json!("ann@example.org")).await;
        assert_eq!(seen, Ok(Filtered::Hidden), "{caller:?}");
        for op in [Op::Put, Op::Post, Op::Delete] {
            assert_eq!(email(&world, caller.clone(), op, json!("eve@example.org")).await, Err(403), "{caller:?} {op}");
        }
    }
}

#[tokio::test]
async fn other_properties_are_nobodys_business() {
    let world = World::start().await;
    assert!(world.hooks.has_property_hooks("email"));
    assert!(!world.hooks.has_property_hooks("city"));
}

#[tokio::test]
async fn a_new_actor_knows_when_it_was_created() {
    let world = World::start().await;
    let runs = world.hooks.fire(&world.invocation(Caller::Creator), Event::new(EventKind::ActorCreated)).await;
    assert!(runs.iter().all(|run| run.result.is_ok()), "{runs:?}");
    assert_eq!(world.actor.property("created_at").await.unwrap(), Some(json!(CREATED_AT)));
}
