//! How much an actor may hold, and the checks that every write passes.

use actingweb_protocol::{Name, json};
use serde_json::Value;

use crate::ActorError;

/// The largest value of a property or an attribute, in bytes of JSON text. DynamoDB's items hold 400 KB with their keys.
pub const MAX_VALUE_BYTES: usize = 350_000;

/// The most properties written by one request: they are read before in one call of 100 keys, beside the actor, its
/// caller and its change log.
pub const MAX_PROPERTIES_AT_ONCE: usize = actingweb_store::MAX_TRANSACTION_ITEMS - 3;

/// The most bytes of JSON text written by one request. DynamoDB's transactions hold 4 MB.
pub const MAX_BYTES_AT_ONCE: usize = 3_500_000;

/// The longest passphrase, in bytes.
pub const MAX_PASSPHRASE_BYTES: usize = 256;

/// The longest trustee root, in bytes.
pub const MAX_TRUSTEE_ROOT_BYTES: usize = 1024;

/// Checks a value about to be stored under `name`; gives its size in bytes of JSON text.
pub(crate) fn check_value(name: &str, value: &Value) -> Result<usize, ActorError> {
    json::check_depth(value).map_err(|error| ActorError::Invalid(format!("the value of `{name}` is {error}")))?;
    let size = value.to_string().len();
    if size > MAX_VALUE_BYTES {
        return Err(ActorError::TooLarge { what: format!("the value of `{name}`"), limit: MAX_VALUE_BYTES });
    }
    Ok(size)
}

/// The longest description or explanation of a list, in bytes.
pub const MAX_LIST_TEXT_BYTES: usize = 10_000;

/// Checks what is said of a list; gives its size in bytes.
pub(crate) fn check_texts<'a>(texts: impl IntoIterator<Item = &'a Option<String>>) -> Result<usize, ActorError> {
    texts.into_iter().flatten().try_fold(0, |sum, text| match text.len() {
        size if size > MAX_LIST_TEXT_BYTES => {
            Err(ActorError::TooLarge { what: "a text about the list".to_owned(), limit: MAX_LIST_TEXT_BYTES })
        }
        size => Ok(sum + size),
    })
}

/// Checks what one request writes: each value, and their sum with what is written beside them.
pub(crate) fn check_values<'a>(
    values: impl Iterator<Item = (&'a Name, &'a Value)>,
    beside: usize,
) -> Result<(), ActorError> {
    let sizes = values.map(|(name, value)| check_value(name.as_str(), value));
    if sizes.sum::<Result<usize, _>>()? + beside > MAX_BYTES_AT_ONCE {
        return Err(ActorError::TooLarge { what: "the sum of all values".to_owned(), limit: MAX_BYTES_AT_ONCE });
    }
    Ok(())
}
