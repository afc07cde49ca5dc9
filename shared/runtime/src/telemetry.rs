//! Log lines as docs/logging.md specifies them: one JSON object per line.

use std::fmt;
use std::io::Write as _;
use std::str::FromStr;
use std::sync::Arc;

use actingweb_protocol::Clock;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What the modules of this project have in common.
const OURS: &str = "actingweb";

/// What is logged: the value of `ACTINGWEB_LOG`.
///
/// Levels by module, `info,actingweb_hooks=debug`. A level without a module is that of this project and of the
/// application; libraries stay at `warn` unless named.
#[derive(Clone, Debug, PartialEq)]
pub struct LogFilter(Targets);

/// A text that is no filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no filter: expected a level, or levels by module such as info,actingweb_hooks=debug")]
pub struct InvalidFilter;

impl FromStr for LogFilter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        // The empty text would be a level, too.
        let parse = |level: &str| level.parse().ok().filter(|_| !level.is_empty()).ok_or(InvalidFilter);
        let mut level = LevelFilter::INFO;
        let mut modules = Vec::new();
        for directive in text.split(',').map(str::trim) {
            match directive.split_once('=') {
                None => level = parse(directive)?,
                Some(("", _)) => return Err(InvalidFilter),
                Some((module, level)) => modules.push((module.to_owned(), parse(level)?)),
            }
        }
        Ok(Self(Self::levels(level).0.with_targets(modules)))
    }
}

/// `info`.
impl Default for LogFilter {
    fn default() -> Self {
        Self::levels(LevelFilter::INFO)
    }
}

impl LogFilter {
    fn levels(ours: LevelFilter) -> Self {
        Self(Targets::new().with_default(ours.min(LevelFilter::WARN)).with_target(OURS, ours))
    }

    /// Whether lines of this level are logged for this module.
    #[must_use]
    pub fn enables(&self, module: &str, level: Level) -> bool {
        self.0.would_enable(module, &level)
    }
}

/// Sends this process's log lines to standard output. Only the first call in a process counts.
pub fn log_to_stdout(filter: LogFilter, clock: Arc<dyn Clock>) {
    let lines = JsonLines { clock, writer: std::io::stdout };
    // An error means that there is a subscriber already: a test's, or the embedding program's.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter.0.or(filter_fn(is_our_span)))).try_init();
}

/// Spans are kept at any level of logging: they carry the request id that every line has.
fn is_our_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && *metadata.level() <= Level::INFO && metadata.target().starts_with(OURS)
}

/// Writes each event as a line: time, level, module, message, then the fields of the spans around it and its own.
struct JsonLines<W> {
    clock: Arc<dyn Clock>,
    writer: W,
}

/// Fields by name, in the order they were given.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), self.clock.now().to_string().into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        line.insert("message".to_owned(), own.0.shift_remove("message").unwrap_or_default());
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                line.extend(fields.0.clone());
            }
        }
        line.extend(own.0);
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        // One write per line, so that lines of several threads never mix. A closed pipe leaves nobody to tell.
        let _ = self.writer.make_writer_for(event.metadata()).write_all(text.as_bytes());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0.insert(field.name().to_owned(), value.to_string().into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use actingweb_protocol::Timestamp;

    use super::*;

    #[derive(Debug)]
    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_795_359_002_120)
        }
    }

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(filter: &str, act: impl FnOnce()) -> Vec<Value> {
        let sink = Sink::default();
        let writer = sink.clone();
        let lines = JsonLines { clock: Arc::new(Stopped), writer: move || writer.clone() };
        let filter = filter.parse::<LogFilter>().unwrap().0.or(filter_fn(is_our_span));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines.with_filter(filter)), act);
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_has_time_level_target_message_and_all_fields() {
        let logged = lines("info", || {
            let _request = tracing::info_span!("request", request_id = "r1", hook = "outer").entered();
            tracing::warn!(hook = "inner\n\"", ms = 1.5, n = 3, yes = true, none = None::<&str>, "it happened");
        });
        let expected = serde_json::json!({
            "timestamp": "2026-11-22T14:50:02.120Z", "level": "WARN", "target": "actingweb_runtime::telemetry::tests",
            "message": "it happened", "request_id": "r1", "hook": "inner\n\"", "ms": 1.5, "n": 3, "yes": true,
        });
        assert_eq!(logged, [expected]);
    }

    #[test]
    fn the_request_id_stays_when_less_is_logged() {
        let logged = lines("warn", || {
            let _request = tracing::info_span!("request", request_id = "r1").entered();
            tracing::info!("not this");
            tracing::error!("this");
        });
        assert_eq!(logged.len(), 1);
        assert_eq!(logged[0]["request_id"], "r1");
    }

    #[test]
    fn libraries_stay_at_warn_unless_named() {
        let filter: LogFilter = "debug,hyper=info".parse().unwrap();
        assert!(filter.enables("actingweb_store::store", Level::DEBUG));
        assert!(filter.enables("aws_config", Level::WARN) && !filter.enables("aws_config", Level::INFO));
        assert!(filter.enables("hyper::proto", Level::INFO) && !filter.enables("hyper::proto", Level::DEBUG));

        let filter: LogFilter = "actingweb_hooks=debug".parse().unwrap();
        assert!(filter.enables("actingweb_hooks::engine", Level::DEBUG));
        assert!(filter.enables("actingweb_web", Level::INFO) && !filter.enables("actingweb_web", Level::DEBUG));

        let filter: LogFilter = "off".parse().unwrap();
        assert!(!filter.enables("actingweb_web", Level::ERROR) && !filter.enables("hyper", Level::ERROR));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in ["", "loud", "info,", "=info", "actingweb_hooks=", "actingweb_hooks=loud", "info,=,"] {
            assert_eq!(text.parse::<LogFilter>(), Err(InvalidFilter), "{text}");
        }
    }
}
