//! Peers that are not well.

use std::time::Duration;

use actingweb_protocol::Clock as _;
use actingweb_protocol::subscription::Scope;
use actingweb_store::Settled;
use actingweb_tests::{Behaviour, Faults, eventually};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::{publisher, scene};

/// A server that does not speak HTTP; the address where it does not.
async fn garbage() -> (String, tokio::task::JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/garbage", listener.local_addr().unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(&[0xff, 0x00, b'\n'].repeat(2_000)).await;
        }
    });
    (url, tasks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_ill_holds_up_nobody_and_is_told_later() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let ill = [
        ("slow", Behaviour::TakeAfter(Duration::from_secs(60))),
        ("busy", Behaviour::Answer(429)),
        ("broken", Behaviour::Answer(500)),
        ("away", Behaviour::Answer(503)),
        ("refusing", Behaviour::Answer(400)),
        ("breaking", Behaviour::Break),
        ("silent", Behaviour::Silence),
        ("redirecting", Behaviour::Redirect),
        ("flooding", Behaviour::Flood),
    ];
    let (garbage_url, _garbage) = garbage().await;
    let places = [
        ("garbage", garbage_url.as_str()),
        ("private", "http://10.0.0.1/private"),
        ("closed", "http://127.0.0.1:9/closed"),
    ];
    let mut everybody = Vec::new();
    for (name, behaviour) in &ill {
        subscribers.behave(name, behaviour.clone());
        everybody.push((publisher.befriend(name, &subscribers.url(name)).await, *name));
    }
    for (name, url) in places {
        everybody.push((publisher.befriend(name, url).await, name));
    }
    everybody.push((publisher.befriend("well", &subscribers.url("well")).await, "well"));
    let mut subscriptions = Vec::new();
    for (peer, name) in &everybody {
        subscriptions.push((publisher.subscribe(peer, Scope::target("properties")).await, *name));
    }

    publisher.change("color", &json!("blue")).await;
    publisher.change("color", &json!("green")).await;
    let begun = Instant::now();
    let delivered = publisher.deliver().await;
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    assert_eq!((delivered.callbacks, delivered.held), (2, everybody.len() - 1));
    assert_eq!(subscribers.taken("well"), [1, 2]);
    assert!(subscribers.flooded() < 20_000_000, "{} bytes of a flood were taken", subscribers.flooded());
    for (subscription, name) in subscriptions.iter().filter(|(_, name)| *name != "well") {
        let held = publisher.subscription(subscription).await;
        assert!(held.retry_at.is_some() && held.leased_until.is_none() && held.delivered == 0, "{name}: {held:?}");
        assert!(subscribers.sent_to(name).len() <= 1, "{name} was sent more after it failed");
    }

    // They recover, or move to where they can be reached.
    for (name, _) in &ill {
        subscribers.behave(name, Behaviour::Take);
    }
    for (peer, name) in everybody.iter().filter(|(_, name)| places.iter().any(|(place, _)| place == name)) {
        publisher.change_trust(peer, |trust| trust.base_uri = subscribers.url(name)).await;
    }
    subscribers.forget();
    publisher.settle(&clock).await;
    for (_, name) in everybody.iter().filter(|(_, name)| *name != "well") {
        assert_eq!(subscribers.taken(name), [1, 2], "{name}");
    }
}

#[tokio::test]
async fn what_a_peer_takes_is_in_order_whatever_it_refuses_in_between() {
    use Behaviour::{Answer, Ask, Take};
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    publisher.subscribed(&subscribers, 3).await;
    subscribers
        .script("p0", [Take, Answer(500), Take, Take, Answer(429), Ask(503, 90), Take, Answer(404), Take, Answer(400)]);
    subscribers.script("p1", [Answer(410), Answer(502), Answer(504), Take, Ask(429, 7), Take, Answer(302)]);
    for number in 1..=6 {
        publisher.change("color", &json!(number)).await;
        publisher.deliver().await;
    }
    for number in 7..=12 {
        publisher.change("color", &json!(number)).await;
    }
    publisher.settle(&clock).await;
    for peer in ["p0", "p1", "p2"] {
        assert_eq!(subscribers.taken(peer), (1..=12).collect::<Vec<_>>(), "{peer}");
        let told = subscribers.sent_to(peer);
        let what_each_says = told.iter().map(|sent| (sent.sequence(), sent.body["data"]["color"].as_u64().unwrap()));
        assert!(what_each_says.clone().all(|(sequence, color)| sequence == color), "one number says one thing");
    }
}

#[tokio::test]
async fn a_peer_that_asks_for_time_gets_it_for_that_subscription_alone() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let peer = publisher.befriend("p0", &subscribers.url("p0")).await;
    let held = publisher.subscribe(&peer, Scope::subtarget("properties", "a")).await;
    publisher.subscribe(&peer, Scope::subtarget("properties", "b")).await;

    subscribers.script("p0", [Behaviour::Ask(429, 120)]);
    publisher.change("a", &json!(1)).await;
    publisher.deliver().await;
    let asked_at = clock.now();
    publisher.change("b", &json!(1)).await;
    assert_eq!(publisher.deliver().await.callbacks, 1, "the other subscription goes on");
    let retry_at = publisher.subscription(&held).await.retry_at.unwrap();
    assert!(retry_at >= asked_at.plus(Duration::from_secs(120)), "{retry_at}");
    assert!(retry_at <= asked_at.plus(Duration::from_secs(131)), "{retry_at}");

    publisher.change("a", &json!(2)).await;
    clock.advance(Duration::from_secs(119));
    assert_eq!(publisher.deliver().await.callbacks, 0, "its time has not come");
    clock.advance(Duration::from_secs(30));
    // By itself: the job that was left for it.
    site.drain().await;
    let told: Vec<_> = subscribers.sent().iter().filter(|sent| sent.taken).map(|sent| sent.body.clone()).collect();
    let of_a: Vec<_> = told.iter().filter(|body| body["subtarget"] == "a").map(|body| body["data"].clone()).collect();
    assert_eq!(of_a, [json!(1), json!(2)]);
}

#[tokio::test]
async fn jobs_for_later_do_not_pile_up() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    publisher.subscribed(&subscribers, 60).await;
    for number in 0..60 {
        subscribers.behave(&format!("p{number}"), Behaviour::Answer(500));
    }
    publisher.change("color", &json!(1)).await;
    assert_eq!(publisher.deliver().await.held, 60);
    let jobs = site.table().await.into_iter().filter(|item| item["work"] == "deliver").count();
    // Within the ten seconds over which first retries are spread.
    assert!((1..=12).contains(&jobs), "{jobs} jobs");
}

#[tokio::test]
async fn whoever_dies_with_a_lease_is_replaced_when_it_ends() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let peer = publisher.befriend("p0", &subscribers.url("p0")).await;
    let subscription = publisher.subscribe(&peer, Scope::target("properties")).await;
    // It takes the lease, and is never heard of again.
    publisher.store().lease_subscription(&publisher.id, &subscription).await.unwrap().unwrap();
    publisher.change("color", &json!("blue")).await;
    assert_eq!(publisher.deliver().await.callbacks, 0);
    // The lease lasts 90 seconds; jobs of more than a minute ahead share slots of ten.
    clock.advance(Duration::from_secs(101));
    site.drain().await;
    assert_eq!(subscribers.taken("p0"), [1]);
}

#[tokio::test]
async fn what_is_numbered_while_another_gives_its_lease_back_is_delivered_at_once() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let peer = publisher.befriend("p0", &subscribers.url("p0")).await;
    let subscription = publisher.subscribe(&peer, Scope::target("properties")).await;
    let held = publisher.store().lease_subscription(&publisher.id, &subscription).await.unwrap().unwrap();
    publisher.change("color", &json!("blue")).await;
    // The delivery has read the subscription when its lease ends, and has numbered nothing yet.
    site.meter().reset();
    site.meter().inject(Faults::latency(Duration::from_millis(200)));
    let end = async {
        eventually("subscriptions are read", || async {
            let read = site.meter().calls().count_of("Query");
            if read > 0 { Ok(()) } else { Err("nothing is read".to_owned()) }
        })
        .await;
        publisher.store().settle_subscription(&publisher.id, &held, 0, Settled::Taken).await.unwrap();
    };
    let (delivered, ()) = tokio::join!(publisher.deliver(), end);
    site.meter().heal();
    assert_eq!(delivered.callbacks, 1, "nobody else knows of it before the lease would have ended");
    assert_eq!(subscribers.taken("p0"), [1]);
}

#[tokio::test]
async fn failures_before_something_was_taken_do_not_lengthen_the_next_wait() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let peer = publisher.befriend("p0", &subscribers.url("p0")).await;
    let subscription = publisher.subscribe(&peer, Scope::target("properties")).await;
    publisher.change("color", &json!(1)).await;
    subscribers.behave("p0", Behaviour::Answer(400));
    for _ in 0..12 {
        publisher.deliver().await;
        clock.advance(Duration::from_secs(3600));
    }
    publisher.change("color", &json!(2)).await;
    subscribers.script("p0", [Behaviour::Take, Behaviour::Answer(400)]);
    publisher.deliver().await;
    let now = publisher.subscription(&subscription).await;
    assert_eq!((now.delivered, now.failures), (1, 1));
    assert!(now.retry_at.unwrap() <= clock.now().plus(Duration::from_secs(10)), "{now:?}");
}
