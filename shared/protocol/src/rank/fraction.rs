//! What follows the integer: digits after the point, without zeros at the end.

use super::DIGITS;
use crate::Entropy;

/// With jitter, how many places to choose from there are at least: 62^3. Two concurrent inserts meet in the middle half
/// of them, so they collide about once in a hundred thousand times.
const JITTER_ROOM: u64 = 62 * 62 * 62;

/// A fraction strictly between two; an empty `low` is 0, no `high` is 1. `low < high`, or the result is meaningless.
///
/// Takes digits until there is room between the two, then the middle of that room, or with jitter any place in its
/// middle half: whichever side the next insert is on, about as much room is left.
pub(super) fn between(low: &str, high: Option<&str>, jitter: Option<&dyn Entropy>) -> String {
    let wanted = if jitter.is_some() { JITTER_ROOM } else { 2 };
    let mut low_digits = low.bytes().map(value);
    let mut high_digits = high.map(|high| high.bytes().map(value));
    let mut digits = Vec::with_capacity(low.len() + 4);
    // How much greater `high` is than `low`, both cut behind the digits taken so far.
    let mut room: u64 = u64::from(high.is_none());
    while room < wanted {
        let below = low_digits.next().unwrap_or(0);
        let above = high_digits.as_mut().map_or(0, |digits| digits.next().unwrap_or(0));
        // Stays below 62 * wanted, and above zero once the two have parted.
        room = (room * 62 + above).saturating_sub(below);
        digits.push(below);
        // Only equal or disordered bounds get here; ending is better than running on.
        if room == 0 && digits.len() > low.len() + high.map_or(0, str::len) {
            break;
        }
    }
    let offset = match jitter {
        None => room / 2,
        Some(entropy) => room / 4 + 1 + entropy.below(room / 2),
    };
    add(&mut digits, offset);
    while digits.last() == Some(&0) {
        digits.pop();
    }
    digits.into_iter().filter_map(|digit| DIGITS.get(usize::try_from(digit).ok()?).copied().map(char::from)).collect()
}

/// Adds to a number given by its digits; it does not overflow, as the sum is below `high`.
fn add(digits: &mut [u64], mut carry: u64) {
    for digit in digits.iter_mut().rev() {
        let sum = *digit + carry;
        *digit = sum % 62;
        carry = sum / 62;
    }
}

/// A digit's value; 0 for what is none, which no rank contains.
fn value(digit: u8) -> u64 {
    DIGITS.iter().position(|&known| known == digit).map_or(0, |place| place as u64)
}
