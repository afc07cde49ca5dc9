//! What is logged, for tests to look at.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, Once, PoisonError};

use tracing::span::{Attributes, Id};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// What was logged on this thread while the guard lived, at every level: a line for each event,
/// `LEVEL field=value ..`, the fields of the spans around it first.
///
/// Tests of one thread (`#[tokio::test]` as it is) see all that their hooks log, `blocking` ones excepted.
///
/// ```
/// # use actingweb_testkit::log::Log;
/// let (log, _listening) = Log::capture();
/// tracing::warn!(peer = "bob", "peer does not answer");
/// assert_eq!(log.with("does not answer"), ["WARN message=peer does not answer peer=\"bob\""]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Listens until the guard is dropped.
    #[must_use]
    pub fn capture() -> (Self, DefaultGuard) {
        // Whether an event is of interest is remembered for the whole process. With nobody listening in general, an event
        // met first in a test that does not listen would never be heard again.
        static SOMEBODY_LISTENS: Once = Once::new();
        SOMEBODY_LISTENS.call_once(|| {
            let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
        });
        let log = Self::default();
        let subscriber = tracing_subscriber::registry().with(log.clone());
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The lines so far that hold this text.
    #[must_use]
    pub fn with(&self, text: &str) -> Vec<String> {
        self.lines().into_iter().filter(|line| line.contains(text)).collect()
    }
}

struct Fields(String);

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields(String::new());
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let mut line = Fields(event.metadata().level().to_string());
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<Fields>() {
                line.0.push_str(&fields.0);
            }
        }
        event.record(&mut line);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.0);
    }
}
