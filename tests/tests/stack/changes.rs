//! What subscribers are told: every change, once, in order, in one shape; whoever writes at the same time, and whatever
//! storage does meanwhile.

mod races;

use actingweb_hooks::{Actor, App, HookError, Input};
use actingweb_protocol::permission::{Category, Operation, Rules, TrustDefinition};
use actingweb_protocol::subscription::Scope;
use actingweb_tests::{Answer, Publisher, Site};
use futures_util::future::join;
use reqwest::Method;
use serde_json::{Value, json};

fn app() -> App {
    App::new("urn:actingweb:example.com:changes")
        .method("announce", async |Input(it): Input<Value>, actor: Actor| {
            let [target, subtarget, resource] = ["target", "subtarget", "resource"].map(|name| it[name].as_str());
            actor.announce(target.unwrap_or_default(), subtarget, resource, it["data"].clone()).await?;
            Ok::<_, HookError>(json!(true))
        })
        .method("suspend", async |Input(it): Input<Value>, actor: Actor| {
            let target = it["target"].as_str().unwrap_or_default();
            Ok::<_, HookError>(json!(actor.suspend(target, it["subtarget"].as_str()).await?))
        })
        .method("resume", async |Input(it): Input<Value>, actor: Actor| {
            let target = it["target"].as_str().unwrap_or_default();
            Ok::<_, HookError>(json!(actor.resume(target, it["subtarget"].as_str()).await?))
        })
        .method("erase", async |Input(name): Input<String>, actor: Actor| {
            actor.delete_property(&name).await?;
            Ok::<_, HookError>(json!(true))
        })
}

#[tokio::test]
async fn changes_of_properties_are_told_relative_to_what_is_subscribed_to() {
    let site = Site::of(app()).await;
    let ann = Publisher::new(&site).await;
    let all = ann.poller("all", "properties", "none").await;
    let cfg = ann.poller("cfg", "properties/cfg", "none").await;
    let city = ann.poller("city", "properties/cfg/home/city", "none").await;
    let owner = &ann.owner;
    owner.put("/properties/cfg", &json!({ "home": { "city": "Oslo", "zip": 1 } })).await.expect(204);
    owner.put("/properties/cfg/home", &json!({ "zip": 2 })).await.expect(204);
    owner.put("/properties/cfg/home/city", &json!("Rome")).await.expect(204);
    owner.delete("/properties/cfg/home/city").await.expect(204);
    owner.post("/properties", &json!({ "cfg": { "home": { "city": "Bonn" } }, "size": 1 })).await.expect(201);
    owner.put("/properties/cfg", &json!({ "x": 1 })).await.expect(204);
    owner.delete("/properties/cfg").await.expect(204);
    owner.delete("/properties/cfg").await.expect(204);
    owner.post("/properties", &json!({ "size": 2 })).await.expect(201);
    owner.delete("/properties").await.expect(204);
    assert_eq!(
        all.told().await,
        [
            json!({ "cfg": { "home": { "city": "Oslo", "zip": 1 } } }),
            json!({ "cfg": { "home": { "city": "Oslo", "zip": 2 } } }),
            json!({ "cfg": { "home": { "city": "Rome" } } }),
            json!({ "cfg": { "home": { "city": "" } } }),
            json!({ "cfg": { "home": { "city": "Bonn" } }, "size": 1 }),
            json!({ "cfg": { "x": 1 } }),
            json!({ "cfg": "" }),
            json!({ "size": 2 }),
            json!(""),
        ]
    );
    assert_eq!(
        cfg.told().await,
        [
            json!({ "home": { "city": "Oslo", "zip": 1 } }),
            json!({ "home": { "city": "Oslo", "zip": 2 } }),
            json!({ "home": { "city": "Rome" } }),
            json!({ "home": { "city": "" } }),
            json!({ "home": { "city": "Bonn" } }),
            json!({ "x": 1 }),
            json!(""),
            json!(""),
        ]
    );
    assert_eq!(city.told().await, ["Oslo", "Oslo", "Rome", "", "Bonn", "", "", ""].map(|text| json!(text)));
}

#[tokio::test]
async fn what_did_not_happen_is_not_told() {
    let site = Site::of(app()).await;
    let ann = Publisher::new(&site).await;
    let bob = ann.poller("bob", "properties", "none").await;
    ann.owner.put("/properties/a%23", &json!(1)).await.problem(400);
    ann.owner.put("/properties/a", &json!(null)).await.problem(400);
    ann.owner.delete("/properties/a").await.expect(204);
    ann.owner.delete("/properties/a/b").await.problem(404);
    ann.owner.post("/methods/erase", &json!("a")).await.expect(200);
    ann.owner.post("/properties", &json!({ "notes": { "_type": "list" } })).await.expect(201);
    ann.owner.put("/properties/notes", &json!(1)).await.problem(409);
    ann.owner.delete("/properties/notes/3").await.problem(404);
    let told = bob.told().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["notes"]["operation"], "metadata");
}

#[tokio::test]
async fn operations_on_lists_are_told_in_one_shape_that_gives_the_same_list() {
    let site = Site::of(app()).await;
    let ann = Publisher::new(&site).await;
    let all = ann.poller("all", "properties", "none").await;
    let notes = ann.poller("notes", "properties/notes", "none").await;
    let owner = &ann.owner;
    owner.post("/properties", &json!({ "notes": { "_type": "list", "description": "what to do" } })).await.expect(201);
    let items = |body: Value| owner.post("/properties/notes/items", Box::leak(Box::new(body)));
    owner.post("/properties/notes", &json!("a")).await.expect(201);
    items(json!({ "action": "add", "item_value": "b" })).await.expect(201);
    owner.put("/properties/notes/2", &json!("c")).await.expect(204);
    items(json!({ "action": "insert", "item_index": 1, "item_value": "d" })).await.expect(201);
    owner.put("/properties/notes/0", &json!("A")).await.expect(204);
    items(json!({ "action": "update", "old_value": "b", "item_value": "B" })).await.expect(204);
    let handles = owner.get("/properties/notes/items").await.expect(200).json();
    items(json!({ "action": "update", "handle": handles["items"][3]["handle"], "item_value": "C" })).await.expect(204);
    items(json!({ "action": "move", "item_index": 0, "to_index": 2 })).await.expect(204);
    items(json!({ "action": "move", "item_index": 3, "to_index": 0 })).await.expect(204);
    items(json!({ "action": "move", "item_index": 1, "to_index": 1 })).await.expect(204);
    let edits =
        json!([{ "index": 0, "v": 1 }, { "index": 4, "v": 2 }, { "index": 5, "v": 3 }, { "index": 1 }, { "index": 2 }]);
    owner.post("/properties", &json!({ "notes": { "items": edits } })).await.expect(201);
    items(json!({ "action": "delete", "handle": handles["items"][0]["handle"] })).await;
    owner.delete("/properties/notes/0").await.expect(204);
    items(json!({ "action": "delete", "old_value": { "v": 3 } })).await.expect(204);
    owner.put("/properties/notes/metadata", &json!({ "explanation": "why" })).await.expect(204);

    let now = owner.get("/properties/notes?format=full").await;
    let now: Vec<Value> = serde_json::from_value(match now.json() {
        Value::Array(items) => items.into(),
        body => body["items"].clone(),
    })
    .unwrap();
    let told = notes.told().await;
    assert_eq!(replayed(&told), Some(now.clone()), "{told:#?}");
    assert_eq!(all.told().await, told.iter().map(|data| json!({ "notes": data })).collect::<Vec<_>>());
    let shapes: Vec<_> = told[..8].iter().map(Value::to_string).collect();
    assert_eq!(
        shapes,
        [
            r#"{"list":"notes","operation":"metadata","length":0,"description":"what to do","explanation":""}"#,
            r#"{"list":"notes","operation":"append","length":1,"item":"a","index":0}"#,
            r#"{"list":"notes","operation":"append","length":2,"item":"b","index":1}"#,
            r#"{"list":"notes","operation":"append","length":3,"item":"c","index":2}"#,
            r#"{"list":"notes","operation":"insert","length":4,"item":"d","index":1}"#,
            r#"{"list":"notes","operation":"update","length":4,"item":"A","index":0}"#,
            r#"{"list":"notes","operation":"update","length":4,"item":"B","index":2,"old_item":"b"}"#,
            r#"{"list":"notes","operation":"update","length":4,"item":"C","index":3,"old_item":"c"}"#,
        ]
    );
    items(json!({ "action": "clear" })).await.expect(204);
    assert_eq!(replayed(&notes.told().await), Some(Vec::new()));
    owner.delete("/properties/notes").await.expect(204);
    let told = notes.told().await;
    assert_eq!(replayed(&told), None);
    assert_eq!(told.last().unwrap(), &json!({ "list": "notes", "operation": "delete_all", "length": 0 }));
}

/// The list that these operations make; `None` when there is none.
fn replayed(told: &[Value]) -> Option<Vec<Value>> {
    let mut list: Option<Vec<Value>> = None;
    for data in told {
        assert_eq!(data["list"], "notes", "{data}");
        let operation = data["operation"].as_str().unwrap();
        if operation == "delete_all" {
            list = None;
            continue;
        }
        let items = list.get_or_insert_default();
        let index = data["index"].as_u64().map(|index| usize::try_from(index).unwrap());
        match operation {
            "append" => {
                assert_eq!(index, Some(items.len()));
                items.push(data["item"].clone());
            }
            "extend" => items.extend(data["items"].as_array().unwrap().iter().cloned()),
            "insert" => items.insert(index.unwrap(), data["item"].clone()),
            "update" => items[index.unwrap()] = data["item"].clone(),
            "delete" => {
                items.remove(index.unwrap());
            }
            "clear" => items.clear(),
            "metadata" => {}
            other => panic!("{other} in {data}"),
        }
        assert_eq!(data["length"], items.len(), "{data}");
    }
    list
}

#[tokio::test]
async fn what_does_not_fit_is_to_be_read_again() {
    let site = Site::of(app()).await;
    let ann = Publisher::new(&site).await;
    let bob = ann.poller("bob", "properties", "none").await;
    let one = ann.poller("one", "properties/p3", "none").await;
    let values = |bytes: usize, count: usize| -> Value {
        (0..count).map(|n| (format!("p{n}"), json!("x".repeat(bytes)))).collect::<serde_json::Map<_, _>>().into()
    };
    ann.owner.post("/properties", &values(100_000, 7)).await.expect(201);
    let told = bob.told().await;
    let counts: Vec<_> = told.iter().map(|data| data.as_object().unwrap().len()).collect();
    assert_eq!(counts, [2, 2, 2, 1], "in parts that fit an item");
    assert_eq!(one.told().await, [json!("x".repeat(100_000))]);
    // Values and what is told of them are more than a transaction holds.
    ann.owner.post("/properties", &values(340_000, 10)).await.expect(201);
    assert_eq!(bob.told().await[4..], [json!("resync")]);
    assert_eq!(one.told().await[1..], [json!("resync")]);
    ann.owner.post("/properties", &values(1, 70)).await.expect(201);
    assert_eq!(bob.told().await[5].as_object().unwrap().len(), 70);
    // A part of the list is more than an item of the log holds beside another.
    ann.owner.post("/properties", &json!({ "notes": { "_type": "list" } })).await.expect(201);
    let (old, new) = ("o".repeat(340_000), "n".repeat(340_000));
    ann.owner.post("/properties/notes", &json!(old)).await.expect(201);
    let swap = json!({ "action": "update", "old_value": old, "item_value": new });
    ann.owner.post("/properties/notes/items", &swap).await.expect(204);
    let told = bob.poll().await;
    let last = told["data"].as_array().unwrap().last().unwrap();
    assert_eq!(last["type"], "resync");
}

#[tokio::test]
async fn a_write_costs_the_same_whoever_is_subscribed() {
    let site = Site::of(app()).await;
    let ann = Publisher::new(&site).await;
    let owner = &ann.owner;
    owner
        .post("/properties", &json!({ "address": { "city": "Oslo" }, "notes": { "_type": "list" } }))
        .await
        .expect(201);
    let mut spent: Vec<Vec<(usize, usize)>> = Vec::new();
    for subscribers in [None, Some(0), Some(1), Some(40)] {
        if let Some(count) = subscribers {
            let existing = ann.store().subscriptions(&ann.id, None).await.unwrap().len();
            if count == 0 {
                ann.befriend("friend", "http://127.0.0.1:9/friend").await;
            }
            for n in existing..count {
                let peer = ann.befriend(&format!("p{n}"), "http://127.0.0.1:9/p").await;
                ann.subscribe(&peer, Scope::target("properties")).await;
            }
        }
        let (value, item) = (json!("red"), json!("item"));
        let add = json!({ "action": "add", "item_value": 2 });
        let many = json!({ "a": 1, "b": 2 });
        let requests: Vec<(&str, Method, &str, Option<&Value>, usize)> = vec![
            ("put", Method::PUT, "/properties/color", Some(&value), 2),
            ("put nested", Method::PUT, "/properties/address/zip", Some(&value), 2),
            ("post", Method::POST, "/properties", Some(&many), 2),
            ("delete nested", Method::DELETE, "/properties/address/zip", None, 2),
            ("delete", Method::DELETE, "/properties/color", None, 2),
            ("append", Method::POST, "/properties/notes", Some(&item), 2),
            ("add", Method::POST, "/properties/notes/items", Some(&add), 2),
            ("set", Method::PUT, "/properties/notes/0", Some(&item), 3),
        ];
        let mut costs = Vec::new();
        for (what, method, path, body, most) in requests {
            let request = owner.request(method, path);
            let request = body.into_iter().fold(request, |request, body| request.json(body));
            let (answer, calls) = site.meter().measure(Answer::of(request)).await;
            assert!(answer.status < 300, "{what}: {}", answer.body);
            let cost = (calls.count(), calls.longest_chain());
            assert!(cost.0 <= most && cost.1 <= most, "{what} with {subscribers:?}: {:?}", calls.operations());
            costs.push(cost);
        }
        spent.push(costs);
    }
    assert!(spent.windows(2).all(|pair| pair[0] == pair[1]), "{spent:?}");
}

#[tokio::test]
async fn a_peer_is_told_once_by_the_most_specific_of_its_subscriptions() {
    for once in [true, false] {
        let site = Site::of(app().one_callback_per_change(once)).await;
        let ann = Publisher::new(&site).await;
        let wide = ann.poller("bob", "properties", "high").await;
        let polled = ann.also_polled("bob", "properties", "none").await;
        ann.change("cfg", &json!({ "x": 0 })).await;
        let narrow = ann.also_polled("bob", "properties/cfg", "low").await;
        let other = ann.poller("eve", "properties", "high").await;
        ann.change("cfg", &json!({ "x": 1 })).await;
        ann.owner.put("/properties/cfg/x", &json!(2)).await.expect(204);
        ann.owner.post("/properties", &json!({ "cfg": { "x": 3 }, "size": 1 })).await.expect(201);
        ann.change("size", &json!(2)).await;
        let told = [
            json!({ "cfg": { "x": 0 } }),
            json!({ "cfg": { "x": 1 } }),
            json!({ "cfg": { "x": 2 } }),
            json!({ "cfg": { "x": 3 }, "size": 1 }),
            json!({ "size": 2 }),
        ];
        assert_eq!(polled.told().await, told, "what is polled records everything");
        assert_eq!(other.told().await, told[1..]);
        assert_eq!(narrow.told().await, [json!({ "x": 1 }), json!({ "x": 2 }), json!({ "x": 3 })]);
        let wide_told = wide.told().await;
        if once {
            // What came before the narrow one, and what it does not tell whole.
            assert_eq!(wide_told, [told[0].clone(), told[3].clone(), told[4].clone()]);
        } else {
            assert_eq!(wide_told, told);
        }
        assert_eq!(
            wide.diffs().await.into_keys().collect::<Vec<_>>(),
            (1..=wide_told.len() as u64).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn applications_announce_what_is_no_property() {
    let reader = TrustDefinition::new("friend", "Friend", "Reads reports and the calendar")
        .grants(Category::Resources, Rules::patterns(&["report/*"], &[Operation::Read]))
        .path_rule("subscriptions/<id>", "", "a")
        .path_rule("calendar", "GET", "a");
    let site = Site::of(app().trust_type(reader)).await;
    let ann = Publisher::new(&site).await;
    let announce = |body: Value| {
        let owner = ann.owner.clone();
        async move { owner.post("/methods/announce", &body).await }
    };
    announce(json!({ "target": "resources", "subtarget": "report", "data": 0 })).await.expect(200);
    let report = ann.poller("report", "resources/report/1", "none").await;
    let resources = ann.also_polled("report", "resources", "none").await;
    let calendar = ann.also_polled("report", "calendar", "none").await;
    let diary = ann.also_polled("report", "diary", "none").await;
    announce(json!({ "target": "resources", "subtarget": "report", "resource": "1", "data": { "n": 1 } }))
        .await
        .expect(200);
    announce(json!({ "target": "resources", "subtarget": "payroll", "resource": "1", "data": 2 })).await.expect(200);
    announce(json!({ "target": "calendar", "subtarget": "monday", "data": "dentist" })).await.expect(200);
    announce(json!({ "target": "diary", "data": "dear" })).await.expect(200);
    assert_eq!(report.told().await, [json!({ "n": 1 })]);
    assert_eq!(resources.told().await, [json!({ "report": { "1": { "n": 1 } } })]);
    assert_eq!(calendar.told().await, [json!({ "monday": "dentist" })]);
    assert_eq!(diary.told().await, [Value::Null; 0], "no rule lets a peer read it");
    announce(json!({ "target": "properties", "subtarget": "x", "data": 1 })).await.problem(400);
    announce(json!({ "target": "a/b", "data": 1 })).await.problem(400);
    announce(json!({ "target": "resources", "resource": "1", "data": 1 })).await.problem(400);
}

#[tokio::test]
async fn what_is_suspended_is_not_told_but_to_be_read_again_afterwards() {
    let site = Site::of(app()).await;
    let ann = Publisher::new(&site).await;
    let all = ann.poller("all", "properties", "none").await;
    let cfg = ann.poller("cfg", "properties/cfg/x", "none").await;
    let size = ann.poller("size", "properties/size", "none").await;
    let call = |name: &str, body: Value| {
        let (owner, path) = (ann.owner.clone(), format!("/methods/{name}"));
        async move { owner.post(&path, &body).await.expect(200).json() }
    };
    let scope = json!({ "target": "properties", "subtarget": "cfg" });
    assert_eq!(call("suspend", scope.clone()).await, json!(true));
    assert_eq!(call("suspend", scope.clone()).await, json!(false));
    ann.change("cfg", &json!({ "x": 1 })).await;
    ann.owner.put("/properties/cfg/x", &json!(2)).await.expect(204);
    ann.owner.post("/properties", &json!({ "cfg": { "x": 3 }, "size": 1 })).await.expect(201);
    assert_eq!(all.told().await, [json!({ "size": 1 })]);
    assert_eq!(cfg.told().await, [Value::Null; 0]);
    assert_eq!(size.told().await, [json!(1)]);
    assert_eq!(call("resume", json!({ "target": "properties" })).await, json!(false), "it is not what was suspended");
    assert_eq!(call("resume", scope.clone()).await, json!(true));
    assert_eq!(call("resume", scope).await, json!(false));
    ann.change("cfg", &json!({ "x": 4 })).await;
    assert_eq!(all.told().await, [json!({ "size": 1 }), json!("resync"), json!({ "cfg": { "x": 4 } })]);
    assert_eq!(cfg.told().await, [json!("resync"), json!(4)]);
    assert_eq!(size.told().await, [json!(1)]);
    assert_eq!(cfg.poll().await["data"][0]["url"], format!("{}/properties/cfg/x", ann.owner.url));

    // A write that is under way when the suspension ends is told.
    for round in 0..10 {
        let scope = json!({ "target": "properties" });
        call("suspend", scope.clone()).await;
        let write = ann.owner.put("/properties/cfg/x", Box::leak(Box::new(json!(100 + round))));
        let (written, _) = join(write, call("resume", scope)).await;
        written.expect(204);
        let told = cfg.told().await;
        let resync = told.iter().rposition(|data| data == "resync").unwrap();
        let later = &told[resync + 1..];
        assert!(later.is_empty() || later == [json!(100 + round)], "{told:?}");
        if later.is_empty() {
            // Then it came before: whoever reads again has it.
            let now = ann.owner.get("/properties/cfg/x").await.expect(200).json();
            assert_eq!(now, json!(100 + round));
        }
    }
}
