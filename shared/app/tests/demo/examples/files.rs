//! A hook that reads and writes files.

use actingweb_hooks::Op;
use actingweb_hooks::prelude::*;
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt;

use crate::world::{World, answer, failure};

struct Scratch(TempDir);

async fn make_scratch(_: Init) -> std::io::Result<Scratch> {
    Ok(Scratch(tempfile::tempdir()?))
}

/// Appends a line to the actor's own file, and answers with the file's lines.
async fn jot(
    Input(line): Input<String>,
    actor: Actor,
    State(scratch): State<Scratch>,
) -> Result<Vec<String>, HookError> {
    let path = scratch.0.path().join(actor.id().as_str());
    let mut file = OpenOptions::new().create(true).append(true).open(&path).await?;
    file.write_all(format!("{}\n", line.replace('\n', " ")).as_bytes()).await?;
    file.flush().await?;
    Ok(tokio::fs::read_to_string(&path).await?.lines().map(str::to_owned).collect())
}

/// A file that is not there.
async fn lose(State(scratch): State<Scratch>) -> Result<String, HookError> {
    Ok(tokio::fs::read_to_string(scratch.0.path().join("nothing")).await?)
}

fn app() -> App {
    App::new("urn:actingweb:example.com:files").state_from(make_scratch).method("jot", jot).method("lose", lose)
}

#[tokio::test]
async fn hooks_at_work_at_once_lose_no_line() {
    let world = World::of(app(), &[]).await;
    let lines: Vec<_> = (0..40).map(|n| format!("line {n}")).collect();
    join_all(lines.iter().map(|line| world.method("jot", json!(line)))).await;

    let kept = world.method("jot", json!("the\nlast")).await;
    let mut kept: Vec<String> = serde_json::from_value(kept).unwrap();
    assert_eq!(kept.pop().as_deref(), Some("the last"), "one line, whatever is in it");
    kept.sort_by_key(|line| line["line ".len()..].parse::<u32>().unwrap());
    assert_eq!(kept, lines);
}

#[tokio::test]
async fn a_file_that_is_missing_is_our_fault_and_nobody_is_told_where_it_was() {
    let world = World::of(app(), &[]).await;
    let lost = failure(world.hooks.call_method(&world.invocation(Caller::Creator), "lose", Op::Post, json!({})).await);
    assert_eq!(lost.status, 500);
    assert!(!lost.detail.contains("nothing") && !lost.detail.contains('/'), "{lost}");
    // The folder is there all the same, for the next hook.
    let jotted = world.hooks.call_method(&world.invocation(Caller::Creator), "jot", Op::Post, json!("a")).await;
    assert_eq!(answer(jotted), json!(["a"]));
}
