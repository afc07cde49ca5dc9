//! A person's browser, as far as forms and cookies go: it keeps cookies, says which site a form comes from, and follows
//! redirects only when told to.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use reqwest::Method;

use crate::{Answer, Owner, Site};

/// A browser.
#[derive(Debug)]
pub struct Browser {
    http: reqwest::Client,
    base: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// A form of a page: where it goes, and what it holds before anybody touched it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// `action`.
    pub action: String,
    /// Fields with their values: hidden and text inputs, and the radio buttons that are chosen.
    pub fields: Vec<(String, String)>,
    /// The values of its radio buttons, in their order.
    pub choices: Vec<String>,
}

impl Form {
    /// The same with another value of a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(field, _)| field != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of a field; empty when there is none.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }
}

impl Browser {
    /// A new one, in which nobody is signed in anywhere.
    #[must_use]
    pub fn new(site: &Site) -> Self {
        Self { http: site.http.clone(), base: site.url(""), cookies: Mutex::default() }
    }

    /// One in which an actor's owner is signed in, at the page.
    pub async fn of(site: &Site, owner: &Owner) -> Self {
        let browser = Self::new(site);
        browser.sign_in(owner).await.expect(303);
        browser
    }

    /// Opens a URL, or a path of the site.
    pub async fn open(&self, url: &str) -> Answer {
        self.go(self.request(Method::GET, url)).await
    }

    /// Sends a form of a page of this site.
    pub async fn submit(&self, form: &Form) -> Answer {
        let request = with_form(self.request(Method::POST, &form.action), &form.fields);
        self.go(request.header("sec-fetch-site", "same-origin").header("origin", &self.base)).await
    }

    /// Fills the sign-in page in.
    pub async fn sign_in(&self, owner: &Owner) -> Answer {
        let page = self.open("/oauth/login").await.expect(200);
        self.submit(&self.sign_in_form(&page, owner)).await
    }

    /// The form of a sign-in page, filled in.
    #[must_use]
    pub fn sign_in_form(&self, page: &Answer, owner: &Owner) -> Form {
        form(page, "/oauth/login").with("actor", &owner.url).with("passphrase", &owner.passphrase)
    }

    /// A request with the cookies.
    pub fn request(&self, method: Method, url: &str) -> reqwest::RequestBuilder {
        let url = if url.starts_with('/') { format!("{}{url}", self.base) } else { url.to_owned() };
        let request = self.http.request(method, url);
        match self.cookie_header() {
            Some(cookies) => request.header("cookie", cookies),
            None => request,
        }
    }

    /// Sends a request, and keeps the cookies of its answer.
    pub async fn go(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = Answer::of(request).await;
        let mut cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().expect("a cookie of text");
            let (name, value) = cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            if cookie.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        drop(cookies);
        answer
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn cookie_header(&self) -> Option<String> {
        let cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// The request with the fields of a form.
pub fn with_form<N: AsRef<str>, V: AsRef<str>>(
    request: reqwest::RequestBuilder,
    fields: &[(N, V)],
) -> reqwest::RequestBuilder {
    let url = reqwest::Url::parse_with_params("http://form/", fields).expect("a URL");
    let body = url.query().unwrap_or_default().to_owned();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

/// The form of a page that goes to a path.
#[track_caller]
pub fn form(page: &Answer, path: &str) -> Form {
    let forms = page.body.split("<form ").skip(1).map(|rest| rest.split("</form>").next().unwrap_or_default());
    let found = forms.into_iter().find(|html| attribute(html, "action").is_some_and(|action| action.ends_with(path)));
    let html = found.unwrap_or_else(|| panic!("{}: no form goes to {path}: {}", page.request, page.body));
    let mut form = Form { action: attribute(html, "action").unwrap_or_default(), ..Form::default() };
    for input in html.split("<input ").skip(1).map(|rest| rest.split('>').next().unwrap_or_default()) {
        let (name, value) =
            (attribute(input, "name").unwrap_or_default(), attribute(input, "value").unwrap_or_default());
        if attribute(input, "type").as_deref() == Some("radio") {
            form.choices.push(value.clone());
            if !input.ends_with(" checked") {
                continue;
            }
        }
        form.fields.push((name, value));
    }
    form
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    let value = rest.split('"').next()?;
    Some(
        value
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
}
