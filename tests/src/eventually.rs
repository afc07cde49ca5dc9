//! What comes about in its own time, because somebody else must be told first.

use std::time::Duration;

/// How often it is looked again, in all [`LOOKS`] times.
const PAUSE: Duration = Duration::from_millis(50);
const LOOKS: u32 = 400;

/// Looks until it finds what it looks for, and says what was seen last when that never comes.
///
/// Only for what another process or task does: a test that knows when something happens asks once.
pub async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let mut seen = String::new();
    for _ in 0..LOOKS {
        match look().await {
            Ok(found) => return found,
            Err(other) => seen = other,
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("within {:?} never: {what}; seen last: {seen}", PAUSE * LOOKS)
}
