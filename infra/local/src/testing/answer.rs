//! A reply, read whole, with assertions that say what came instead.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// A reply.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request, for messages.
    pub request: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Sends a request and reads its reply.
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.expect("a request that can be sent");
        let name = format!("{} {}", request.method(), request.url());
        let response = client.execute(request).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        Self { request: name, status, headers, body }
    }

    /// Asserts the status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.request, self.body);
        self
    }

    /// Asserts the status and that the body is a problem document that says why, and nothing internal.
    #[track_caller]
    pub fn problem(self, status: u16) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.request);
        let problem = answer.json();
        assert_eq!(problem["status"], status, "{}", answer.request);
        assert_eq!(problem["request_id"], answer.header("x-request-id"), "{}", answer.request);
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 5), "{}: {problem}", answer.request);
        answer
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{}: {error}: {}", self.request, self.body))
    }

    /// A header; empty when absent.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header of text"))
    }

    /// The reason of a problem.
    #[track_caller]
    pub fn detail(&self) -> String {
        self.json()["detail"].as_str().expect("a problem with a detail").to_owned()
    }
}
