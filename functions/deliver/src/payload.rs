//! A callback as it is sent: bounded, and compressed for peers that understand it.

use std::io::Write as _;

use actingweb_peer::PeerRequest;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, HeaderName, HeaderValue};

/// The largest body that is sent (spec 1.4). A larger diff is told by its address.
pub(crate) const MAX_BYTES: usize = 256 * 1024;

/// What is smaller gains nothing from compression.
pub(crate) const COMPRESSED_ABOVE: usize = 1024;

const DOWNGRADED: HeaderName = HeaderName::from_static("x-actingweb-granularity-downgraded");
const ORIGINAL_SIZE: HeaderName = HeaderName::from_static("x-actingweb-original-size");

/// The body of a callback.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    text: Bytes,
    is_compressed: bool,
    /// How large the body was that this one stands for.
    original_size: Option<usize>,
}

impl Payload {
    /// A body with all there is to say.
    pub(crate) fn whole(text: String) -> Self {
        Self { text: text.into(), is_compressed: false, original_size: None }
    }

    /// A body with the address of what would have been this large.
    pub(crate) fn address(text: String, original_size: usize) -> Self {
        Self { text: text.into(), is_compressed: false, original_size: Some(original_size) }
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether it only says where to read.
    pub(crate) const fn is_address(&self) -> bool {
        self.original_size.is_some()
    }

    /// The same, smaller; as it was if compression does not make it so.
    pub(crate) fn compressed(self) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        match encoder.write_all(&self.text).and_then(|()| encoder.finish()) {
            Ok(bytes) if bytes.len() < self.text.len() => Self { text: bytes.into(), is_compressed: true, ..self },
            _ => self,
        }
    }

    /// Puts it into a request.
    pub(crate) fn fill<'r>(&self, request: PeerRequest<'r>) -> PeerRequest<'r> {
        let mut request = request.json_text(self.text.clone());
        if self.is_compressed {
            request = request.header(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(size) = self.original_size {
            request = request.header(DOWNGRADED, HeaderValue::from_static("true"));
            request = request.header(ORIGINAL_SIZE, HeaderValue::from(size));
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_does_not_shrink_is_sent_as_it_is() {
        let long = Payload::whole("ab".repeat(5_000)).compressed();
        assert!(long.is_compressed && long.len() < 1_000);
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*long.text).read_to_string(&mut text).unwrap();
        assert_eq!(text, "ab".repeat(5_000));
        assert!(!Payload::whole("a".to_owned()).compressed().is_compressed);
    }
}
