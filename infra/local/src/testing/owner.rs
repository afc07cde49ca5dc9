//! An actor and its creator, who signs every request.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Answer, Events};

/// An actor's creator.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The actor's URL.
    pub url: String,
    /// The actor's id.
    pub id: String,
    /// Its creator.
    pub creator: String,
    /// The passphrase.
    pub passphrase: String,
    http: reqwest::Client,
}

impl Owner {
    /// Creates an actor below `root`, which ends without a slash.
    pub async fn create(http: reqwest::Client, root: &str, creator: &str) -> Self {
        let request = http.post(format!("{root}/")).json(&json!({ "creator": creator }));
        let answer = Answer::of(request).await.expect(201);
        let body = answer.json();
        let text = |name: &str| body[name].as_str().expect("a text").to_owned();
        Self {
            url: format!("{root}/{}", text("id")),
            id: text("id"),
            creator: text("creator"),
            passphrase: text("passphrase"),
            http,
        }
    }

    /// A signed request below the actor's URL: `path` begins with a slash, or is empty.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).basic_auth(&self.creator, Some(&self.passphrase))
    }

    /// A request below the actor's URL that a peer signed with the secret it shares with the actor.
    pub fn with_secret(&self, secret: &str, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(secret)
    }

    /// A request that nobody signed.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// A request elsewhere that nobody signed.
    pub fn anonymous_at(&self, method: Method, url: &str) -> RequestBuilder {
        self.http.request(method, url)
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path)).await
    }

    /// PUT of JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::PUT, path).json(body)).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    /// POST of JSON to a method that streams, which is read event by event.
    pub async fn stream(&self, path: &str, body: &Value) -> Events {
        Events::of(self.request(Method::POST, path).json(body)).await
    }

    /// Any method with a body as it is.
    pub async fn send(&self, method: Method, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        Answer::of(self.request(method, path).header("content-type", content_type).body(body)).await
    }
}
