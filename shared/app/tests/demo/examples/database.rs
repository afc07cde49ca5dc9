//! Hooks that share one pool of connections to a PostgreSQL server, which `ACTINGWEB_TEST_POSTGRES` names.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actingweb_hooks::prelude::*;
use actingweb_hooks::{Event, EventKind, Filtered, Op};
use futures_util::future::join_all;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::world::World;

/// A server for tests, such as `postgres://postgres@127.0.0.1:5432/postgres`. Its tables are this test's to make.
const SERVER: &str = "ACTINGWEB_TEST_POSTGRES";
/// How many connections the pool may open.
const MOST: u32 = 4;
/// How long a hook waits for a connection: longer than any test takes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn user_profile(access: PropertyAccess, actor: Actor, State(pool): State<PgPool>) -> Result<Verdict, HookError> {
    if access.is_write() {
        return Ok(Verdict::Keep);
    }
    let profile: Option<String> = sqlx::query_scalar("SELECT profile::text FROM profiles WHERE actor_id = $1")
        .bind(actor.id().as_str())
        .fetch_optional(&*pool)
        .await
        .map_err(database_failed)?;
    Ok(match profile {
        Some(json) => Verdict::Replace(serde_json::from_str(&json)?),
        None => Verdict::Hide,
    })
}

/// A property hook is asked about what is stored, so there must be something.
async fn reserve_profile(actor: Actor) -> Result<(), HookError> {
    Ok(actor.set_property("user_profile", json!({})).await?)
}

/// Holds a connection for a while, and says which: the id of the server's process.
async fn hold(State(pool): State<PgPool>) -> Result<i32, HookError> {
    sqlx::query_scalar("SELECT pg_backend_pid() FROM pg_sleep(0.05)").fetch_one(&*pool).await.map_err(database_failed)
}

/// No connection to be had may pass; anything else is for the log.
fn database_failed(error: sqlx::Error) -> HookError {
    match error {
        sqlx::Error::PoolTimedOut => HookError::retryable("the database does not answer"),
        error => HookError::terminal(error),
    }
}

/// The application, and how many pools were made for it. The server knows its connections by `name`.
fn app(server: PgConnectOptions, name: &str, patience: Duration) -> (App, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let options = server.application_name(name);
    let open_pool = move |_: Init| async move {
        count.fetch_add(1, Ordering::SeqCst);
        let pool = PgPoolOptions::new().max_connections(MOST).acquire_timeout(patience);
        Ok::<_, sqlx::Error>(pool.connect_lazy_with(options))
    };
    let app = App::new("urn:actingweb:example.com:profiles")
        .state_from(open_pool)
        .property("user_profile", user_profile)
        .method("hold", hold)
        .on(ActorCreated, reserve_profile);
    (app, made)
}

/// The server, unless there is none; then it says how to have one.
#[expect(clippy::disallowed_methods, reason = "the environment decides whether there is a database")]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn server() -> Option<PgConnectOptions> {
    let Some(url) = std::env::var(SERVER).ok().filter(|url| !url.is_empty()) else {
        eprintln!("skipped: no database. `.ci/run postgres` starts one; or set {SERVER}=postgres://user@host/database");
        return None;
    };
    Some(url.parse().unwrap())
}

/// Asks the server itself, over a connection of the test's own.
async fn outside(server: &PgConnectOptions) -> PgPool {
    PgPoolOptions::new().max_connections(1).connect_with(server.clone()).await.unwrap()
}

#[tokio::test]
async fn hooks_at_once_share_one_pool_and_open_no_more_connections_than_it_may() {
    let Some(server) = server() else { return };
    let (app, made) = app(server.clone(), "actingweb-pool", PATIENCE);
    let world = World::of(app, &[]).await;
    let outside = outside(&server).await;
    let hold_many = async || join_all((0..60).map(|_| world.method("hold", json!({})))).await;

    let connections =
        |answers: Vec<Value>| -> BTreeSet<i64> { answers.iter().map(|pid| pid.as_i64().unwrap()).collect() };
    let first = connections(hold_many().await);
    assert!((2..=MOST as usize).contains(&first.len()), "60 hooks were served by the connections {first:?}");
    let second = connections(hold_many().await);
    let both = &first | &second;
    assert!(both.len() <= MOST as usize, "connections are kept: first {first:?}, then {second:?}");

    // The server's own count, and ours of pools.
    let open: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE application_name = $1")
        .bind("actingweb-pool")
        .fetch_one(&outside)
        .await
        .unwrap();
    assert!((1..=i64::from(MOST)).contains(&open), "{open} connections are open");
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_property_is_answered_from_a_table() {
    let Some(server) = server() else { return };
    let (app, _) = app(server.clone(), "actingweb-profiles", PATIENCE);
    let world = World::of(app, &[]).await;
    let outside = outside(&server).await;
    let table = "CREATE TABLE IF NOT EXISTS profiles (actor_id text PRIMARY KEY, profile jsonb NOT NULL)";
    sqlx::query(table).execute(&outside).await.unwrap();

    let invocation = world.invocation(Caller::Creator);
    let runs = world.hooks.fire(&invocation, Event::new(EventKind::ActorCreated)).await;
    assert!(runs.iter().all(|run| run.result.is_ok()), "{runs:?}");
    let stored = world.actor.property("user_profile").await.unwrap();
    assert_eq!(stored, Some(json!({})));

    let read = async || world.hooks.filter_property(&invocation, Op::Get, "user_profile", json!({}), &[]).await;
    assert_eq!(read().await, Ok(Filtered::Hidden));
    sqlx::query("INSERT INTO profiles VALUES ($1, '{\"nickname\": \"Ann\"}')")
        .bind(world.actor.id().as_str())
        .execute(&outside)
        .await
        .unwrap();
    assert_eq!(read().await, Ok(Filtered::Value(json!({ "nickname": "Ann" }))));
}

#[tokio::test]
async fn a_database_that_is_away_costs_the_hooks_that_need_it() {
    let nobody = PgConnectOptions::new().host("127.0.0.1").port(1).username("nobody");
    let world = World::of(app(nobody, "actingweb-away", Duration::from_millis(100)).0, &[]).await;
    let failed = world.refusal("hold", json!({})).await;
    assert_eq!(failed.status, 503);
    assert!(!failed.detail.contains("127.0.0.1"), "{failed}");
}
