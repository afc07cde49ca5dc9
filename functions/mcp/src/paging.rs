//! Lists in pages: a cursor says after which name to go on, so that pages hold however the list changes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rmcp::ErrorData;
use rmcp::model::PaginatedRequestParams;

use crate::catalog::Offered;

/// How many entries a page has.
pub(crate) const PAGE: usize = 100;

/// The entries of one page, and the cursor of the next one.
pub(crate) fn page<'a, T: Offered>(
    entries: impl Iterator<Item = &'a T>,
    request: Option<&PaginatedRequestParams>,
) -> Result<(Vec<&'a T>, Option<String>), ErrorData> {
    let after = match request.and_then(|request| request.cursor.as_deref()) {
        Some(cursor) => {
            Some(read(cursor).ok_or_else(|| ErrorData::invalid_params("this cursor is none of ours", None))?)
        }
        None => None,
    };
    let mut rest = entries.filter(|entry| after.as_ref().is_none_or(|after| entry.item().name > *after)).peekable();
    let page: Vec<_> = rest.by_ref().take(PAGE).collect();
    let next = page.last().filter(|_| rest.peek().is_some()).map(|last| URL_SAFE_NO_PAD.encode(&last.item().name));
    Ok((page, next))
}

fn read(cursor: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}
