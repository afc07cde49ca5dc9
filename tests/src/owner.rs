//! An actor and its creator, who signs every request.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{Answer, Site};

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
    pub(crate) async fn create(site: &Site, creator: &str) -> Self {
        let http = site.http.clone();
        let answer = Answer::of(http.post(site.url("/")).json(&json!({ "creator": creator }))).await.expect(201);
        let body = answer.json();
        let text = |name: &str| body[name].as_str().expect("a text").to_owned();
        Self {
            url: site.url(&format!("/{}", text("id"))),
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

    /// A request that nobody signed.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
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

    /// Any method with a body as it is.
    pub async fn send(&self, method: Method, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        Answer::of(self.request(method, path).header("content-type", content_type).body(body)).await
    }
}
