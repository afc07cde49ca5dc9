//! Requests that HTTP clients would tidy up before sending: written byte by byte.

use actingweb_tests::{Answer, Site};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A reply as it came.
struct RawAnswer {
    status: u16,
    head: String,
    body: String,
}

impl RawAnswer {
    /// Asserts the status, and that the body is a problem document with it.
    #[track_caller]
    fn problem(&self, status: u16, what: &str) {
        assert_eq!(self.status, status, "{what}: {}{}", self.head, self.body);
        let body: Value =
            serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{what}: {error}: {}", self.body));
        assert_eq!(body["status"], status, "{what}");
    }
}

/// Sends a request's head, completed with `Host` and `Connection: close`, and a body.
async fn exchange(site: &Site, head: &[u8], body: &[u8]) -> RawAnswer {
    let mut stream = TcpStream::connect(site.host()).await.expect("a connection");
    let mut request = head.to_vec();
    request.extend_from_slice(format!("\r\nHost: {}\r\nConnection: close\r\n\r\n", site.host()).as_bytes());
    request.extend_from_slice(body);
    stream.write_all(&request).await.expect("the request to be taken");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.expect("a reply");
    let reply = String::from_utf8(reply).expect("a reply of text");
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((&reply, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let is_chunked = head.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked");
    let body = if is_chunked { without_chunks(body) } else { body.to_owned() };
    RawAnswer { status, head: head.to_owned(), body }
}

/// A body in chunks (RFC 9112, 7.1), as a function that streams sends it.
fn without_chunks(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

#[tokio::test]
async fn paths_are_taken_as_written() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let signed = STANDARD.encode(format!("{}:{}", owner.creator, owner.passphrase));
    let before = owner.get("/properties").await.expect(200).json();
    let body = r#"{"a":1}"#;
    for (path, status) in [
        ("/properties/..", 400),
        ("/properties/.", 400),
        ("/properties/%2e%2E", 400),
        ("/properties/x/../y", 400),
        ("/properties//", 400),
        ("/properties//x", 400),
        ("/properties/x//y", 400),
        ("/properties/%", 400),
        ("/properties/%zz", 400),
        ("/properties/x%2", 400),
        ("/methods/..", 400),
        ("/actions//log_message", 400),
        ("/resources/%2e", 400),
        ("/../properties/x", 404),
        ("//properties/x", 404),
    ] {
        let length = body.len();
        let head =
            format!("PUT /{}{path} HTTP/1.1\r\nAuthorization: Basic {signed}\r\nContent-Length: {length}", owner.id);
        exchange(&site, head.as_bytes(), body.as_bytes()).await.problem(status, path);
    }
    assert_eq!(owner.get("/properties").await.expect(200).json(), before);
}

#[tokio::test]
async fn two_credentials_are_none() {
    let site = Site::start().await;
    if !crate::in_process(&site, "a gateway joins or drops headers that come twice") {
        return;
    }
    let owner = site.actor("ann@example.org").await;
    let header = format!("Authorization: Basic {}", STANDARD.encode(format!("{}:{}", owner.creator, owner.passphrase)));
    let head = format!("GET /{} HTTP/1.1\r\n{header}\r\n{header}", owner.id);
    let answer = exchange(&site, head.as_bytes(), b"").await;
    answer.problem(401, "two headers");
    assert!(answer.head.to_ascii_lowercase().contains("www-authenticate: basic realm="), "{}", answer.head);
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_harms_nobody() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let heads: [&[u8]; 7] = [
        b"GET /a b HTTP/1.1",
        b"GET /\x01 HTTP/1.1",
        b"G=T / HTTP/1.1",
        b"GET / HTTP/9.9",
        b"POST / HTTP/1.1\r\nContent-Length: x",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2",
        b"GET / HTTP/1.1\r\nBad Header: 1",
    ];
    for head in heads {
        let answer = exchange(&site, head, b"").await;
        assert!((400..=505).contains(&answer.status) && answer.status != 500, "{}", answer.head);
    }
    owner.get("").await.expect(200);
}

/// The next reply on a connection that stays open.
async fn next_reply(stream: &mut TcpStream) -> String {
    let mut reply = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&reply).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next());
            let length: usize = length.and_then(|length| length.parse().ok()).expect("a length");
            if body.len() == length {
                return text;
            }
        }
        let read = stream.read_buf(&mut reply).await.expect("a reply");
        assert_ne!(read, 0, "the connection ended after: {text}");
    }
}

/// Clients find out at `/mcp` where tokens come from, and go on at once with the same connection.
#[tokio::test]
async fn a_refusal_waits_for_the_body_so_that_the_connection_goes_on() {
    let site = Site::start().await;
    if !crate::in_process(&site, "a gateway reads the whole request before it passes it on") {
        return;
    }
    let mut stream = TcpStream::connect(site.host()).await.expect("a connection");
    for _ in 0..3 {
        let head = format!("POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\n\r\n", site.host());
        stream.write_all(head.as_bytes()).await.expect("the head to be taken");
        // Meanwhile the server has time to refuse the request by its head.
        for _ in 0..3 {
            Answer::of(site.request(Method::POST, "/mcp").body("{}")).await.problem(401);
        }
        stream.write_all(b"{}").await.expect("the body to be taken");
        let reply = next_reply(&mut stream).await;
        assert!(reply.starts_with("http/1.1 401"), "{reply}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_creates_nothing() {
    let site = Site::start().await;
    if !crate::in_process(&site, "it counts the writes") {
        return;
    }
    let mut stream = TcpStream::connect(site.host()).await.expect("a connection");
    let body = json!({ "creator": "ann@example.org" }).to_string();
    let head = format!("POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}", site.host(), body.len() + 1);
    stream.write_all(head.as_bytes()).await.expect("the request to be taken");
    stream.shutdown().await.expect("half a close");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.expect("a reply, or the end");
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 400"), "{reply}");
    assert_eq!(site.meter().calls().count_of("TransactWriteItems"), 0);
}
