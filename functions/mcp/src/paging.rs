//! Lists in pages: a cursor says after which name to go on, so that pages hold however the list changes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rmcp::ErrorData;
use rmcp::model::PaginatedRequestParams;

use crate::catalog::Offered;

/// An entry of a list.
pub(crate) trait Listed {
    /// By which lists are sorted.
    fn name(&self) -> &str;
}

impl<T: Offered> Listed for &T {
    fn name(&self) -> &str {
        &self.item().name
    }
}

/// How many entries a page has.
pub(crate) const PAGE: usize = 100;

/// The entries of one page, and the cursor of the next one. They are sorted.
pub(crate) fn page<T: Listed>(
    entries: impl Iterator<Item = T>,
    request: Option<&PaginatedRequestParams>,
) -> Result<(Vec<T>, Option<String>), ErrorData> {
    let after = match request.and_then(|request| request.cursor.as_deref()) {
        Some(cursor) => {
            Some(read(cursor).ok_or_else(|| ErrorData::invalid_params("this cursor is none of ours", None))?)
        }
        None => None,
    };
    let mut rest = entries.filter(|entry| after.as_ref().is_none_or(|after| entry.name() > after.as_str())).peekable();
    let page: Vec<_> = rest.by_ref().take(PAGE).collect();
    let next = page.last().filter(|_| rest.peek().is_some()).map(|last| URL_SAFE_NO_PAD.encode(last.name()));
    Ok((page, next))
}

fn read(cursor: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}
