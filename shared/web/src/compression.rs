//! Compressed request bodies (RFC 9110, 8.4).

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use http::header;

use crate::{Incoming, MAX_BODY_BYTES, Problem};

impl Incoming {
    /// Replaces a gzip body by what was compressed, at most [`MAX_BODY_BYTES`] of it. For the paths that announce to
    /// take such bodies.
    ///
    /// # Errors
    /// 400 for what is no gzip, 413 when it grows beyond the limit, 415 for any other encoding.
    pub fn decompress(&mut self) -> Result<(), Problem> {
        let named = self.headers.get_all(header::CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let encodings: Vec<String> = named
            .flat_map(|value| value.split(','))
            .map(|word| word.trim().to_ascii_lowercase())
            .filter(|word| !matches!(word.as_str(), "" | "identity"))
            .collect();
        match encodings.as_slice() {
            [] => return Ok(()),
            [one] if matches!(one.as_str(), "gzip" | "x-gzip") => {}
            _ => {
                let detail = "bodies are taken as they are or compressed by gzip";
                let status = http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
                return Err(Problem::new(status, detail).with(header::ACCEPT_ENCODING, "gzip"));
            }
        }
        self.payload.bytes = gunzip(&self.payload.bytes, MAX_BODY_BYTES)?.into();
        Ok(())
    }
}

/// Unpacks up to `limit` bytes; what is packed tighter is given up as soon as it shows.
fn gunzip(packed: &[u8], limit: usize) -> Result<Vec<u8>, Problem> {
    let mut plain = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    let read = MultiGzDecoder::new(packed).take(most.saturating_add(1)).read_to_end(&mut plain);
    read.map_err(|_| Problem::bad_request("the body is declared as gzip and is none"))?;
    if plain.len() > limit {
        return Err(Problem::too_large(format!("the unpacked body is larger than {limit} bytes")));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_packed_comes_out_up_to_the_limit() {
        assert_eq!(gunzip(&gzip(b"hello"), 5).unwrap(), b"hello");
        let bomb = gzip(&vec![0; 10_000_000]);
        assert!(bomb.len() < 20_000);
        assert_eq!(gunzip(&bomb, 1_000_000).unwrap_err().status().as_u16(), 413);
    }

    #[test]
    fn what_is_no_gzip_is_refused() {
        let whole = gzip(b"hello");
        for odd in [&b"hello"[..], &[], &whole[..whole.len() - 4], &whole[..5]] {
            assert_eq!(gunzip(odd, 100).unwrap_err().status().as_u16(), 400, "{odd:?}");
        }
    }
}
