//! One hook asks three services, Bedrock and a peer at once: it waits for the slowest of them, not for their sum.
//!
//! Every time is taken over HTTP and compared with others of the same attempt. A machine that is busy with something
//! else for a moment costs an attempt; a hook that waits for one thing after another fails them all.

use std::time::Duration;

use actingweb_hooks::{App, Bedrock, Call, FromCall, GuardedHttp, HookError, Http, Kind, Services, Signature, State};
use actingweb_peer::PeerAddress;
use actingweb_testkit::bedrock_standin::Script;
use actingweb_testkit::service_standin::ServiceStandin;
use actingweb_tests::{Owner, Site};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

/// How long each of the five takes to answer.
const DELAY: Duration = Duration::from_millis(500);
/// How many calls are made at once.
const CALLS: usize = 50;
const ATTEMPTS: usize = 3;
const SOURCES: [&str; 5] = ["weather", "news", "quotes", "model", "friend"];

struct Friend(PeerAddress);

/// Everything a hook can wait for.
struct Sources {
    http: Http,
    services: Services,
    bedrock: Bedrock,
    guarded: GuardedHttp,
    friend: State<Friend>,
}

impl<K: Kind> FromCall<K> for Sources {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        Ok(Self {
            http: Http::from_call(call)?,
            services: Services::from_call(call)?,
            bedrock: Bedrock::from_call(call)?,
            guarded: GuardedHttp::from_call(call)?,
            friend: State::from_call(call)?,
        })
    }

    fn describe(signature: &mut Signature) {
        <State<Friend> as FromCall<K>>::describe(signature);
    }
}

impl Sources {
    async fn service(&self, name: &str, path: &str) -> Result<Value, HookError> {
        let url = self.services.join(name, path)?;
        Ok(self.http.get(url).send().await?.error_for_status()?.json().await?)
    }

    async fn ask(&self, source: &str) -> Result<Value, HookError> {
        match source {
            "weather" => self.service("weather", "weather?city=Oslo").await,
            "news" => self.service("news", "news?topic=rust").await,
            "quotes" => self.service("quotes", "quotes?symbol=ACME").await,
            "model" => Ok(json!(self.bedrock.converse("How are you?").await?.text)),
            _ => Ok(self.guarded.get(&self.friend.0.0, "slow-store/mood").send().await?.json()?),
        }
    }
}

async fn together(sources: Sources) -> Result<Value, HookError> {
    let [a, b, c, d, e] = SOURCES.map(|source| sources.ask(source));
    let (a, b, c, d, e) = tokio::try_join!(a, b, c, d, e)?;
    Ok(json!([a, b, c, d, e]))
}

async fn one_by_one(sources: Sources) -> Result<Value, HookError> {
    let mut answers = Vec::new();
    for source in SOURCES {
        answers.push(sources.ask(source).await?);
    }
    Ok(json!(answers))
}

fn app(friend: PeerAddress) -> App {
    let app = App::new("urn:actingweb:example.com:concurrency").state(Friend(friend));
    let app = app.method("together", together).method("one_by_one", one_by_one);
    SOURCES
        .into_iter()
        .fold(app, |app, source| app.method(source, move |sources: Sources| async move { sources.ask(source).await }))
}

/// What one attempt took.
#[derive(Debug)]
struct Times {
    /// The slowest of the five, asked for nothing else.
    slowest: Duration,
    /// All five in one call.
    together: Duration,
    /// Many such calls at once, until the last of them was answered.
    many: Duration,
    /// All five, one after another.
    one_by_one: Duration,
}

impl Times {
    async fn take(owner: &Owner) -> Self {
        let mut slowest = Duration::ZERO;
        let mut expected = Vec::new();
        for source in SOURCES {
            let (took, answer) = call(owner, source).await;
            slowest = slowest.max(took);
            expected.push(answer);
        }
        let (together, answer) = call(owner, "together").await;
        assert_eq!(answer, json!(expected));

        let begun = Instant::now();
        let answers = join_all((0..CALLS).map(|_| call(owner, "together"))).await;
        let many = begun.elapsed();
        assert!(answers.iter().all(|(_, answer)| *answer == json!(expected)));

        let (one_by_one, answer) = call(owner, "one_by_one").await;
        assert_eq!(answer, json!(expected));
        Self { slowest, together, many, one_by_one }
    }

    fn are_good(&self) -> bool {
        let ratio = |span: Duration| span.as_secs_f64() / self.slowest.as_secs_f64();
        ratio(self.together) < 1.5 && ratio(self.many) < 2.0 && ratio(self.one_by_one) >= 4.5
    }
}

async fn call(owner: &Owner, method: &str) -> (Duration, Value) {
    let begun = Instant::now();
    let answer = owner.post(&format!("/methods/{method}"), &json!({})).await.expect(200).json();
    (begun.elapsed(), answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_waits_for_the_slowest_of_what_it_asks() {
    let peer = ServiceStandin::start().unwrap();
    let site = Site::of(app(PeerAddress::new(peer.url()).unwrap())).await;
    let owner = site.actor("ann").await;
    let services = site.services();
    // Once without delays, which opens every connection.
    join_all((0..CALLS).map(|_| call(&owner, "together"))).await;
    services.http.set_delay(DELAY);
    services.bedrock.set_script(Script::new().delay(DELAY));
    peer.set_delay(DELAY);

    let mut seen = Vec::new();
    while seen.len() < ATTEMPTS {
        let times = Times::take(&owner).await;
        println!("{times:?}");
        if times.are_good() {
            // No queue on the way: all the calls were outside at the same time.
            assert!(services.http.max_concurrent() > 2 * CALLS, "{}", services.http.max_concurrent());
            assert!(services.bedrock.max_concurrent() > CALLS / 2, "{}", services.bedrock.max_concurrent());
            assert!(peer.max_concurrent() > CALLS / 2, "{}", peer.max_concurrent());
            return;
        }
        seen.push(times);
    }
    panic!("five waits of {DELAY:?} are not concurrent: {seen:#?}");
}
