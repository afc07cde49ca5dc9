//! What a caller would like a method's answer to be (RFC 9110, 12.5.1).

use http::header;

use crate::Incoming;

/// How a caller takes the answer of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// As JSON, all at once: unless it says something else.
    Json,
    /// As events where there are any to be had, else as JSON.
    Events,
    /// As events, and as nothing else.
    EventsOnly,
}

impl Wish {
    /// What the request's `Accept` says. Only who names `text/event-stream`, and does not prefer JSON, wishes for events:
    /// `*/*` is no such wish.
    #[must_use]
    pub fn of(incoming: &Incoming) -> Self {
        let values = incoming.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        Self::told(values)
    }

    fn told<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        // Thousandths, as a weight has up to three digits; of each the one from the most specific range.
        let (mut events, mut json) = (0, (0, 0));
        for range in values.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let weight = weight.map_or(1000, thousandths);
            match media.as_str() {
                "text/event-stream" => events = events.max(weight),
                "application/json" => json = json.max((3, weight)),
                "application/*" => json = json.max((2, weight)),
                "*/*" => json = json.max((1, weight)),
                _ => {}
            }
        }
        match (events, json.1) {
            (0, _) => Self::Json,
            (_, 0) => Self::EventsOnly,
            (events, json) if events >= json => Self::Events,
            _ => Self::Json,
        }
    }
}

/// What is no weight counts as none.
fn thousandths(weight: &str) -> u16 {
    let weight = weight.parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 1000")]
    weight.map_or(0, |weight| (weight * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_for_those_who_name_them() {
        for (accept, wish) in [
            ("", Wish::Json),
            ("*/*", Wish::Json),
            ("text/*", Wish::Json),
            ("application/json", Wish::Json),
            ("text/event-stream", Wish::EventsOnly),
            ("Text/Event-Stream; charset=utf-8", Wish::EventsOnly),
            ("text/event-stream, */*", Wish::Events),
            ("text/event-stream, */*;q=0.5", Wish::Events),
            ("application/json, text/event-stream", Wish::Events),
            ("application/json;q=0.9, text/event-stream", Wish::Events),
            ("application/json, text/event-stream;q=0.5", Wish::Json),
            ("text/event-stream;q=0", Wish::Json),
            ("text/event-stream;q=0, */*", Wish::Json),
            ("text/event-stream, application/json;q=0", Wish::EventsOnly),
            ("text/event-stream;q=0.5, application/json;q=0, */*", Wish::EventsOnly),
            ("text/event-stream;q=0.5, application/json;q=0.1, */*", Wish::Events),
            ("text/event-stream;q=much", Wish::Json),
            ("text/event-stream;q=2", Wish::Json),
        ] {
            assert_eq!(Wish::told([accept].into_iter()), wish, "{accept}");
        }
        assert_eq!(Wish::told(["text/html", "text/event-stream"].into_iter()), Wish::EventsOnly);
    }
}
