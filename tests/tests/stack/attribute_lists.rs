//! Lists among internal attributes, as hooks have them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actingweb_actor::{Actor, ActorError, AttributeList, Credentials, ListEdit, ListError, Presented};
use actingweb_hooks::App;
use actingweb_protocol::{ActorId, Deadline};
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Owner, Site};
use futures_util::future::join_all;
use serde_json::{Value, json};

fn app() -> App {
    App::new("urn:actingweb:example.com:attribute-lists")
}

/// An owner's actor as a hook would have it.
async fn actor_of(site: &Site, owner: &Owner) -> Actor {
    let id = ActorId::parse(&owner.id).unwrap();
    let credentials = Credentials::default();
    let presented = Presented { credentials: &credentials, address: None };
    let deadline = Deadline::after(Instant::now(), Duration::from_secs(60));
    site.state().actors.visit(&id, &presented, &[], deadline).await.unwrap().unwrap().actor
}

async fn ann(site: &Site) -> Actor {
    actor_of(site, &site.actor("ann").await).await
}

async fn all(list: &AttributeList) -> Vec<Value> {
    list.items().await.unwrap()
}

/// How many rows of the table have a partition that begins like this.
async fn rows(site: &Site, prefix: &str) -> usize {
    site.table().await.iter().filter(|row| row["pk"].as_str().is_some_and(|pk| pk.starts_with(prefix))).count()
}

#[tokio::test]
async fn a_list_that_is_not_there_reads_as_an_empty_one() {
    let site = Site::of(app()).await;
    let list = ann(&site).await.attribute_list("b", "list").unwrap();
    assert_eq!((list.length().await.unwrap(), list.get(0).await.unwrap()), (0, None));
    assert!(all(&list).await.is_empty() && list.record().await.unwrap().is_none());
    assert_eq!(list.page(None, 10).await.unwrap(), (Vec::new(), false));
    list.clear().await.unwrap();
    list.delete().await.unwrap();
    assert!(matches!(list.remove(0).await, Err(ListError::OutOfRange { length: 0, .. })));
    assert!(matches!(list.insert(1, 1).await, Err(ListError::OutOfRange { length: 0, .. })));
    assert_eq!(rows(&site, "DUE#").await, 0, "nothing is left to the worker");
    assert!(list.record().await.unwrap().is_none(), "none of it made a list");
    list.set(0, "first").await.unwrap();
    assert_eq!(all(&list).await, [json!("first")]);
}

#[tokio::test]
async fn a_list_behaves_like_a_vec() {
    let site = Site::of(app()).await;
    let list = ann(&site).await.attribute_list("b", "list").unwrap();
    let mut model: Vec<Value> = Vec::new();
    let mut dice = crate::list_model::Dice(7);
    for step in 0..150 {
        let length = model.len();
        let index = dice.below(length + 2);
        let position = index as u64;
        let outcome = match dice.below(8) {
            0 | 1 => {
                assert_eq!(list.append(step).await.unwrap(), length as u64);
                model.push(json!(step));
                Ok(())
            }
            2 | 3 => {
                let outcome = list.insert(position, step).await;
                if index <= length {
                    model.insert(index, json!(step));
                }
                outcome
            }
            4 => {
                let outcome = list.set(position, step).await;
                if index < length {
                    model[index] = json!(step);
                } else if index == length {
                    model.push(json!(step));
                }
                outcome
            }
            5 => {
                let outcome = list.remove(position).await;
                if index < length {
                    model.remove(index);
                }
                outcome
            }
            6 => {
                let to = dice.below(length.max(1));
                let outcome = list.move_item(position, to as u64).await;
                if index < length {
                    let moved = model.remove(index);
                    model.insert(to, moved);
                }
                outcome
            }
            _ => {
                if step % 40 == 0 {
                    list.clear().await.unwrap();
                    model.clear();
                }
                Ok(())
            }
        };
        assert!(matches!(outcome, Ok(()) | Err(ListError::OutOfRange { .. })), "step {step}: {outcome:?}");
        assert_eq!(list.length().await.unwrap(), model.len() as u64, "step {step}");
        assert_eq!(list.get(position).await.unwrap(), model.get(index).cloned(), "step {step}");
        if step % 5 == 0 {
            assert_eq!(all(&list).await, model, "step {step}");
        }
    }
    assert_eq!(all(&list).await, model);
}

#[tokio::test]
async fn pages_lead_through_a_list_while_it_changes() {
    let site = Site::of(app()).await;
    let list = ann(&site).await.attribute_list("b", "list").unwrap();
    for n in 0..7 {
        list.append(n).await.unwrap();
    }
    let (first, more) = list.page(None, 3).await.unwrap();
    assert!(more);
    let last = first.last().unwrap().rank.clone();
    list.insert(0, "before").await.unwrap();
    list.edit(ListEdit::RemoveItem(last.clone())).await.unwrap();
    let (second, more) = list.page(Some(&last), 10).await.unwrap();
    let values: Vec<Value> = second.into_iter().map(|item| item.value).collect();
    assert_eq!((values, more), (vec![json!(3), json!(4), json!(5), json!(6)], false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_at_the_same_time_are_all_there_from_the_first_on() {
    let site = Site::of(app()).await;
    let list = ann(&site).await.attribute_list("b", "list").unwrap();
    let mut places =
        join_all((0..20).map(|n| list.append(n))).await.into_iter().map(Result::unwrap).collect::<Vec<_>>();
    places.sort_unstable();
    assert_eq!(places, (0..20).collect::<Vec<u64>>());
    let mut values: Vec<u64> = all(&list).await.iter().filter_map(Value::as_u64).collect();
    values.sort_unstable();
    assert_eq!(values, (0..20).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_name_in_a_bucket_is_a_value_or_a_list() {
    let clock = FakeClock::new();
    let site = Site::with_clock(app(), Arc::new(clock.clone())).await;
    let ann = ann(&site).await;
    ann.set_attribute("b", "value", 1, None).await.unwrap();
    let value = ann.attribute_list("b", "value").unwrap();
    for refused in [value.append(2).await.map(|_| ()), value.delete().await, value.clear().await] {
        assert!(matches!(refused, Err(ListError::Plain(_))), "{refused:?}");
    }
    assert!(matches!(value.items().await, Err(ListError::Plain(_))));
    assert_eq!(ann.attribute("b", "value").await.unwrap(), Some(json!(1)));

    let list = ann.attribute_list("b", "list").unwrap();
    list.append("item").await.unwrap();
    let refused = ann.set_attribute("b", "list", 3, None).await;
    assert!(matches!(&refused, Err(ActorError::Conflict(reason)) if reason.contains("`list` of bucket `b`")));
    assert_eq!(all(&list).await, [json!("item")]);
    assert_eq!(ann.attribute("b", "list").await.unwrap(), Some(json!(["item"])), "read as a value, all its items");
    let bucket = json!(ann.attributes("b").await.unwrap());
    assert_eq!(bucket, json!({ "list": { "_list": true, "count": 1 }, "value": 1 }));

    // Deleted, the name is free for the other kind; so is one whose time has passed.
    ann.delete_attribute("b", "list").await.unwrap();
    ann.set_attribute("b", "list", 4, Some(Duration::from_secs(60))).await.unwrap();
    assert!(matches!(list.append(5).await, Err(ListError::Plain(_))));
    clock.advance(Duration::from_secs(61));
    list.append(5).await.unwrap();
    assert_eq!(all(&list).await, [json!(5)]);

    // The same name elsewhere is another list, and properties are apart.
    let other = ann.attribute_list("b2", "list").unwrap();
    assert_eq!(other.length().await.unwrap(), 0);
    ann.create_list("list", None, None).await.unwrap();
    ann.append("list", "a property's").await.unwrap();
    assert_eq!(all(&list).await, [json!(5)]);

    assert!(matches!(ann.attribute_list("b", "a/b"), Err(ActorError::Invalid(_))));
    assert!(matches!(ann.attribute_list("", "a"), Err(ActorError::TooLarge { .. })));
    assert!(matches!(list.append("x".repeat(400_000)).await, Err(ListError::Actor(ActorError::TooLarge { .. }))));
}

#[tokio::test]
async fn what_is_gone_leaves_no_items() {
    let clock = FakeClock::new();
    let site = Site::with_clock(app(), Arc::new(clock.clone())).await;
    let owner = site.actor("ann").await;
    let ann = actor_of(&site, &owner).await;
    let items = format!("A#{}#B#", owner.id);
    // Names and buckets that a careless key would mix up.
    let places = [("b", "one"), ("b", "two"), ("b#", "one"), ("b2", "one"), ("kept", "one")];
    for (bucket, name) in places {
        let list = ann.attribute_list(bucket, name).unwrap();
        for n in 0..3 {
            list.append(n).await.unwrap();
        }
    }
    ann.set_attribute("b", "value", 1, None).await.unwrap();
    assert_eq!(rows(&site, &items).await, 15);

    // One list is cleared and filled again, one deleted, two go with their bucket.
    let cleared = ann.attribute_list("b#", "one").unwrap();
    cleared.clear().await.unwrap();
    cleared.append("new").await.unwrap();
    ann.attribute_list("b2", "one").unwrap().delete().await.unwrap();
    ann.delete_attributes("b").await.unwrap();
    assert!(ann.attributes("b").await.unwrap().is_empty());
    assert_eq!(ann.attributes("b#").await.unwrap().len(), 1, "another bucket");
    site.drain().await;
    assert_eq!(rows(&site, &items).await, 3 + 1, "what is left: `kept`, and the new item");
    assert_eq!(all(&cleared).await, [json!("new")]);

    // The rest goes with the actor.
    owner.delete("").await.expect(204);
    site.drain().await;
    site.drain().await;
    clock.advance(Duration::from_secs(16 * 60));
    site.drain().await;
    assert_eq!(rows(&site, &format!("A#{}", owner.id)).await, 1, "the tombstone");
}

#[tokio::test]
async fn what_a_change_costs_does_not_grow_with_the_list() {
    let site = Site::of(app()).await;
    let ann = ann(&site).await;
    for size in [2, 400] {
        let list = ann.attribute_list("b", &format!("list{size}")).unwrap();
        for n in 0..size {
            list.append(n).await.unwrap();
        }
        let edits = [
            (ListEdit::Append(json!(1)), 2),
            (ListEdit::Insert(0, json!(1)), 3),
            (ListEdit::Set(size, json!(1)), 3),
            (ListEdit::Remove(0), 3),
            (ListEdit::Clear, 2),
        ];
        for (edit, at_most) in edits {
            // Who has not seen the actor for some time looks for it before a write.
            ann.property("any").await.unwrap();
            let (outcome, calls) = site.meter().measure(list.edit(edit.clone())).await;
            outcome.unwrap();
            assert!(calls.count() <= at_most, "{edit:?} of {size}: {:?}", calls.operations());
        }
        list.append(1).await.unwrap();
        ann.property("any").await.unwrap();
        let (outcome, calls) = site.meter().measure(list.delete()).await;
        outcome.unwrap();
        assert_eq!(calls.count(), 2, "{:?}", calls.operations());
    }
}
