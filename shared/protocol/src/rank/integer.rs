//! The integer a rank starts with: a letter that says how many digits follow, and the digits.
//!
//! `a0` .. `az`, `b00` .. `bzz`, ... upwards; `Zz` .. `Z0`, `Yzz` .. `Y00`, ... downwards. Byte order is numeric order.

use super::DIGITS;

/// Splits a rank behind its integer; `None` when the text is too short or starts with no letter.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let head = text.bytes().next()?;
    text.split_at_checked(1 + digits(head)?)
}

/// How many digits follow this head.
fn digits(head: u8) -> Option<usize> {
    match head {
        b'a'..=b'z' => Some(usize::from(head - b'a') + 1),
        b'A'..=b'Z' => Some(usize::from(b'Z' - head) + 1),
        _ => None,
    }
}

/// The next greater integer; `None` after the greatest.
pub(super) fn next(integer: &str) -> Option<String> {
    step(integer, b'z', b'0', |head| if head == b'Z' { Some(b'a') } else { (head != b'z').then_some(head + 1) })
}

/// The next smaller integer; `None` before the smallest.
pub(super) fn previous(integer: &str) -> Option<String> {
    step(integer, b'0', b'z', |head| if head == b'a' { Some(b'Z') } else { (head != b'A').then_some(head - 1) })
}

/// Moves by one: digits that stand at `end` roll over to `start`; when all do, the head moves and the length follows.
fn step(integer: &str, end: u8, start: u8, next_head: impl Fn(u8) -> Option<u8>) -> Option<String> {
    let (&head, body) = integer.as_bytes().split_first()?;
    let mut body = body.to_vec();
    for digit in body.iter_mut().rev() {
        if *digit == end {
            *digit = start;
            continue;
        }
        let place = DIGITS.iter().position(|known| known == digit)?;
        *digit = *DIGITS.get(if end == b'z' { place + 1 } else { place.checked_sub(1)? })?;
        return Some(text(head, &body));
    }
    let head = next_head(head)?;
    Some(text(head, &vec![start; digits(head)?]))
}

fn text(head: u8, body: &[u8]) -> String {
    std::iter::once(head).chain(body.iter().copied()).map(char::from).collect()
}
