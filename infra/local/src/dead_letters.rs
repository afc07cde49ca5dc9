//! The command for deliveries and tasks that were given up.

use actingweb_hooks::App;
use actingweb_runtime::Environment;
use actingweb_store::{DeadLetter, Letter, Redriven, Store, StoreError};

use crate::stack::{Opened, open};
use crate::{Options, StartError};

/// Lists what was given up, or has it delivered or run again: what `--dead-letters` and `--redrive` ask for. Gives what to print.
///
/// # Errors
/// [`StartError`], in one line that says what to do.
pub async fn dead_letters(options: Options, environment: Environment, app: App) -> Result<String, StartError> {
    let redrive = options.redrive.clone();
    let opened = Box::pin(open(&options, environment, app)).await?;
    let store = opened.state.actors.store();
    let failed = |source| StartError::Table { endpoint: opened.endpoint(), source };
    let letters = store.dead_letters().await.map_err(failed)?;
    let said = match redrive.as_deref() {
        None => listed(&letters),
        Some("all") => redriven(store, &letters).await.map_err(failed)?,
        Some(id) => match letters.iter().find(|letter| letter.id == id) {
            Some(letter) => redriven(store, std::slice::from_ref(letter)).await.map_err(failed)?,
            None => return Err(StartError::NoDeadLetter { id: id.to_owned() }),
        },
    };
    let Opened { engine, .. } = opened;
    if let Some(engine) = engine.and_then(std::sync::Arc::into_inner) {
        engine.stop().await;
    }
    Ok(said)
}

fn listed(letters: &[DeadLetter]) -> String {
    match letters {
        [] => "nothing was given up".to_owned(),
        letters => letters.iter().map(line).collect::<Vec<_>>().join("\n"),
    }
}

/// One letter in one line.
fn line(letter: &DeadLetter) -> String {
    let DeadLetter { id, actor, at, reason, .. } = letter;
    let what = match &letter.letter {
        Letter::Subscription { peer, id, sequence } => {
            format!("peer {peer}: subscription {id} from change {sequence} on")
        }
        Letter::Notice(notice) => format!("peer {}: notice \"{}\"", notice.peer, notice.kind.as_str()),
        Letter::Task(task) => format!("task {} of action {}", task.id, task.action),
    };
    format!("{id}  {at}  actor {actor}, {what} ({reason})")
}

async fn redriven(store: &Store, letters: &[DeadLetter]) -> Result<String, StoreError> {
    let mut lines = Vec::new();
    for letter in letters {
        let became = match store.redrive(letter).await? {
            Redriven::Again if matches!(letter.letter, Letter::Task(_)) => "is run again",
            Redriven::Again => "is delivered again",
            Redriven::Ended => "is gone: there is nothing left to do",
        };
        lines.push(format!("{} {became}", letter.id));
    }
    if lines.is_empty() {
        lines.push("nothing was given up".to_owned());
    }
    Ok(lines.join("\n"))
}
