//! Three services at once, and an answer even when one of them has none.

use actingweb_hooks::prelude::*;

use crate::bounded_text::BoundedText;
use crate::ended::Ended;
use crate::services::{News, Outside, Quote, Weather};

/// What the digest is about.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Interests {
    /// The weather where?
    city: BoundedText<100>,
    /// The news on what?
    topic: BoundedText<100>,
    /// The price of which share?
    symbol: BoundedText<20>,
}

/// What the services said.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Digest {
    /// Whether all of them answered.
    complete: bool,
    /// The weather.
    weather: Ended<Weather>,
    /// The news.
    news: Ended<News>,
    /// The price.
    quote: Ended<Quote>,
}

/// Method `aggregate_data`. It takes as long as the slowest service, not as long as all three.
pub(crate) async fn aggregate_data(
    Input(Interests { city, topic, symbol }): Input<Interests>,
    outside: Outside,
    ctx: Context,
) -> Result<Digest, HookError> {
    let (weather, news, quote) = tokio::join!(
        Ended::of(&ctx, "weather", outside.weather(&city)),
        Ended::of(&ctx, "news", outside.news(&topic)),
        Ended::of(&ctx, "quotes", outside.quote(&symbol)),
    );
    let answered = [weather.is_ok(), news.is_ok(), quote.is_ok()];
    if answered == [false; 3] {
        return Err(HookError::retryable("none of the services answered"));
    }
    Ok(Digest { complete: answered == [true; 3], weather, news, quote })
}
