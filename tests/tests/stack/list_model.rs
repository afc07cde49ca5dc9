//! Random sequences of list operations, over HTTP, against a plain `Vec`.

use actingweb_hooks::App;
use actingweb_tests::{Answer, Owner, Site};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

/// A small generator with a seed: the same sequence every time, another one for every seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("33 bits") % bound
    }
}

async fn one_step(ann: &Owner, dice: &mut Dice, model: &mut Vec<Value>, step: usize) {
    let value = json!({ "step": step });
    let index = dice.below(model.len() + 2);
    let within = index < model.len();
    let items = |body: Value| async move { ann.post("/properties/notes/items", &body).await };
    let path = format!("/properties/notes/{index}");
    match dice.below(12) {
        0 | 1 => {
            let answer = ann.post("/properties/notes", &value).await.expect(201);
            assert_eq!(answer.json()["index"], model.len());
            model.push(value);
        }
        2 | 3 => {
            let answer = items(json!({ "action": "insert", "item_index": index, "item_value": value })).await;
            if index <= model.len() {
                assert_eq!(answer.expect(201).json()["index"], index);
                model.insert(index, value);
            } else {
                drop(answer.problem(400));
            }
        }
        4 => match index.cmp(&model.len()) {
            std::cmp::Ordering::Less => {
                ann.put(&path, &value).await.expect(204);
                model[index] = value;
            }
            std::cmp::Ordering::Equal => {
                ann.put(&path, &value).await.expect(204);
                model.push(value);
            }
            std::cmp::Ordering::Greater => drop(ann.put(&path, &value).await.problem(404)),
        },
        5 | 6 => {
            let answer = ann.delete(&path).await;
            if within {
                answer.expect(204);
                model.remove(index);
            } else {
                answer.problem(404);
            }
        }
        7 | 8 => {
            let to = dice.below(model.len().max(1));
            let answer = items(json!({ "action": "move", "item_index": index, "to_index": to })).await;
            if within {
                answer.expect(204);
                let moved = model.remove(index);
                model.insert(to, moved);
            } else {
                answer.problem(400);
            }
        }
        9 if within => {
            let listed = ann.get("/properties/notes/items").await.expect(200).json();
            let handle = listed["items"][index]["handle"].clone();
            items(json!({ "action": "update", "handle": handle, "item_value": value })).await.expect(204);
            model[index] = value;
        }
        10 if within => {
            items(json!({ "action": "delete", "item_value": model[index] })).await.expect(204);
            let first = model.iter().position(|item| *item == model[index]).expect("it is there");
            model.remove(first);
        }
        11 if step.is_multiple_of(37) => {
            items(json!({ "action": "clear" })).await.expect(204);
            model.clear();
        }
        _ => {
            let bulk = json!({ "notes": { "items": [
                { "index": 0, "bulk": step }, { "index": model.len() + 1, "bulk": step },
                { "index": model.len(), "bulk": step }, { "index": 1 },
            ] } });
            ann.post("/properties", &bulk).await.expect(201);
            let bulk = json!({ "bulk": step });
            let before = model.len();
            model.extend([bulk.clone(), bulk.clone()].into_iter().take(if before == 0 { 1 } else { 2 }));
            if before == 0 {
                // Position 0 is the first append, 1 the second, which its own deletion does not undo.
                model.push(bulk);
            } else {
                model[0] = bulk;
                if before > 1 {
                    model.remove(1);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_list_behaves_like_a_vec() {
    for seed in 0..4 {
        let site = Site::of(App::new("urn:actingweb:example.com:lists")).await;
        let ann = site.actor("ann").await;
        ann.post("/properties", &json!({ "notes": { "_type": "list" } })).await.expect(201);
        let (mut dice, mut model) = (Dice(seed), Vec::new());
        for step in 0..120 {
            one_step(&ann, &mut dice, &mut model, step).await;
            let short = ann.get("/properties/notes?format=short").await.expect(200).json();
            assert_eq!(short["count"], model.len(), "seed {seed}, step {step}");
            if step % 5 == 0 {
                assert_eq!(
                    ann.get("/properties/notes").await.expect(200).json(),
                    json!(model),
                    "seed {seed}, step {step}"
                );
            }
            let index = dice.below(model.len().max(1));
            let item = Answer::of(ann.request(Method::GET, &format!("/properties/notes/{index}"))).await;
            assert_eq!(item.status, if model.is_empty() { 404 } else { 200 });
            if let Some(expected) = model.get(index) {
                assert_eq!(item.json(), *expected, "seed {seed}, step {step}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_made_at_the_same_time_leave_what_some_order_would_have_left() {
    let site = Site::of(App::new("urn:actingweb:example.com:lists")).await;
    let ann = site.actor("ann").await;
    ann.post("/properties", &json!({ "notes": { "_type": "list" } })).await.expect(201);

    let appends = (0..24).map(|n| {
        let ann = &ann;
        async move { ann.post("/properties/notes", &json!({ "n": n })).await.expect(201).json()["index"].as_u64() }
    });
    let mut indices: Vec<_> = join_all(appends).await.into_iter().flatten().collect();
    let after: Vec<Value> = serde_json::from_value(ann.get("/properties/notes").await.expect(200).json()).unwrap();
    indices.sort_unstable();
    assert_eq!(indices, (0..24).collect::<Vec<u64>>(), "every append has a place of its own");
    let mut values: Vec<_> = after.iter().filter_map(|item| item["n"].as_u64()).collect();
    values.sort_unstable();
    assert_eq!(values, (0..24).collect::<Vec<u64>>(), "no append is lost");

    // Inserts, deletions by value and moves at once: every effect is there exactly once.
    let changes = (0..24).map(|n| {
        let ann = &ann;
        async move {
            let body = match n % 3 {
                0 => json!({ "action": "insert", "item_index": 3, "item_value": { "m": n } }),
                1 => json!({ "action": "delete", "item_value": { "n": n } }),
                _ => json!({ "action": "move", "item_index": 0, "to_index": 5 }),
            };
            ann.post("/properties/notes/items", &body).await
        }
    });
    for answer in join_all(changes).await {
        assert!(matches!(answer.status, 201 | 204), "{}: {}", answer.status, answer.body);
    }
    let after = ann.get("/properties/notes").await.expect(200).json();
    let after = after.as_array().unwrap();
    assert_eq!(after.len(), 24);
    assert_eq!(ann.get("/properties/notes?format=short").await.expect(200).json()["count"], 24);
    for n in 0..24 {
        let (m, n) = (json!({ "m": n }), json!({ "n": n }));
        let number = n["n"].as_u64().unwrap();
        assert_eq!(after.iter().filter(|item| **item == m).count(), usize::from(number % 3 == 0), "{m}");
        assert_eq!(after.iter().filter(|item| **item == n).count(), usize::from(number % 3 != 1), "{n}");
    }
}
