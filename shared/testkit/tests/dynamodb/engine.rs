use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actingweb_protocol::Clock;
use actingweb_testkit::engine::{Engine, EngineError, Storage};
use actingweb_testkit::fakes::FakeClock;
use aws_sdk_dynamodb::types::{AttributeValue, TimeToLiveSpecification};

use crate::table::{TABLE, client, create, has, string};

#[tokio::test]
async fn a_file_keeps_its_data_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/engine.db");

    let engine = Engine::file(&path).unwrap();
    let before = client(engine.url());
    create(&before).await;
    before.put_item().table_name(TABLE).item("pk", string("kept")).send().await.unwrap();
    engine.stop().await;
    assert!(!path.with_extension("db-wal").exists(), "a clean stop leaves one file");

    let engine = Engine::file(&path).unwrap();
    assert!(has(&client(engine.url()), "kept").await);
}

#[tokio::test]
async fn an_acknowledged_write_is_in_the_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.db");
    let engine = Engine::file(&path).unwrap();
    let writer = client(engine.url());
    create(&writer).await;
    writer.put_item().table_name(TABLE).item("pk", string("kept")).send().await.unwrap();

    // What a killed process leaves behind is what its files hold at that moment.
    let crash = tempfile::tempdir().unwrap();
    for file in ["engine.db", "engine.db-wal"] {
        std::fs::copy(folder.path().join(file), crash.path().join(file)).unwrap();
    }
    let recovered = Engine::file(crash.path().join("engine.db")).unwrap();
    assert!(has(&client(recovered.url()), "kept").await);
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::file(folder.path().join("engine.db")).unwrap();
    create(&client(engine.url())).await;
    for file in ["engine.db", "engine.db-wal", "engine.db-shm"] {
        let mode = std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn two_engines_in_memory_share_nothing() {
    let (one, other) = (Engine::memory().unwrap(), Engine::memory().unwrap());
    create(&client(one.url())).await;
    let tables = client(other.url()).list_tables().send().await.unwrap();
    assert!(tables.table_names().is_empty());
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Engine::start(&Storage::Memory, port).unwrap_err();
    assert!(matches!(error, EngineError::PortInUse { port: named } if named == port), "{error:?}");
    assert!(error.to_string().contains(&port.to_string()));

    // The file is left alone, so a second stack started by mistake does no harm.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.db");
    Engine::start(&Storage::File(path.clone()), port).unwrap_err();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stopped_engine_frees_its_port() {
    let engine = Engine::memory().unwrap();
    let port = engine.port();
    // An idle connection must not hold up the stop.
    let idle = client(engine.url());
    create(&idle).await;
    engine.stop().await;

    let again = Engine::start(&Storage::Memory, port).unwrap();
    drop(again);
    let engine = Engine::start(&Storage::Memory, port).unwrap();
    assert_eq!(engine.url(), format!("http://127.0.0.1:{port}"));
}

#[test]
fn an_unwritable_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    // Fails for every user, root included.
    let error = Engine::file(file.join("engine.db")).unwrap_err();
    assert!(matches!(&error, EngineError::NotWritable { path, .. } if *path == file), "{error:?}");

    let error = Engine::file(folder.path()).unwrap_err();
    assert!(matches!(&error, EngineError::NotWritable { path, .. } if path == folder.path()), "{error:?}");
}

#[test]
fn another_programs_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let notes = "nothing a database would begin with ".repeat(100);
    std::fs::write(&path, &notes).unwrap();
    let error = Engine::file(&path).unwrap_err();
    assert!(matches!(error, EngineError::NotADatabase { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), notes);
}

#[tokio::test]
async fn a_sweep_deletes_what_the_clock_says_has_expired() {
    let clock = FakeClock::new();
    let engine = Engine::memory_at(Arc::new(clock.clone())).unwrap();
    let client = client(engine.url());
    create(&client).await;
    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires").build().unwrap();
    client.update_time_to_live().table_name(TABLE).time_to_live_specification(ttl).send().await.unwrap();
    let expires = (clock.now().as_secs() + 60).to_string();
    client
        .put_item()
        .table_name(TABLE)
        .item("pk", string("short-lived"))
        .item("expires", AttributeValue::N(expires))
        .send()
        .await
        .unwrap();

    assert_eq!(engine.sweep_ttl().await.unwrap(), 0);
    assert!(has(&client, "short-lived").await);
    clock.advance(Duration::from_secs(61));
    assert_eq!(engine.sweep_ttl().await.unwrap(), 1);
    assert!(!has(&client, "short-lived").await);
}
