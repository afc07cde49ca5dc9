//! Paths, read segment by segment before anything is decoded as a whole.

use percent_encoding::percent_decode_str;

use crate::Problem;

/// The decoded segments of a path; one slash at its end is ignored.
///
/// A segment that holds `/ ? # %` or a control character once decoded is refused: gateways decode, cut or split at
/// those, each in its own way, so that it would address one thing here and another there.
pub(crate) fn segments(path: &str) -> Result<Vec<String>, Problem> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    path.split('/').map(segment).collect()
}

fn segment(encoded: &str) -> Result<String, Problem> {
    let decoded =
        percent_decode_str(encoded).decode_utf8().map_err(|_| Problem::bad_request("the path is not UTF-8"))?;
    match decoded.chars().find(|c| matches!(c, '/' | '?' | '#' | '%') || c.is_control()) {
        Some(c) => Err(Problem::bad_request(format!("a name in the path must not contain {:?}", c))),
        None => Ok(decoded.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_decoded_one_by_one() {
        assert_eq!(segments("/").unwrap(), Vec::<String>::new());
        assert_eq!(segments("/a/properties/").unwrap(), ["a", "properties"]);
        assert_eq!(segments("/a/na%C3%AFve%20x/b").unwrap(), ["a", "naïve x", "b"]);
        assert_eq!(segments("/a//b").unwrap(), ["a", "", "b"]);
    }

    #[test]
    fn what_gateways_treat_differently_is_refused() {
        for path in ["/a%2Fb", "/a%3Fb", "/a%23b", "/a%25b", "/a%00b", "/a%0Ab", "/%ff"] {
            assert_eq!(segments(path).unwrap_err().status(), 400, "{path}");
        }
    }
}
