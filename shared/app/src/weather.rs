//! An async hook that calls one service.

use actingweb_hooks::prelude::*;

use crate::bounded_text::BoundedText;
use crate::services::{Outside, Weather};

/// Where.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Place {
    /// The city's name.
    city: BoundedText<100>,
}

/// Method `fetch_weather`. `?` is all the error handling there is to do: a service that is away or overloaded becomes a
/// 503, one that talks nonsense a 500, one that never answers a 504 at the hook's deadline.
pub(crate) async fn fetch_weather(Input(Place { city }): Input<Place>, outside: Outside) -> Result<Weather, HookError> {
    outside.weather(&city).await
}
