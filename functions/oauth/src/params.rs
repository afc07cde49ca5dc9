//! Parameters of requests, of which none may come twice (RFC 6749, 3.1).

/// The parameters of a request, from its query or its form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

/// A parameter that came more than once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` must not be given more than once")]
pub(crate) struct Repeated(String);

impl Params {
    /// The parameters in their order.
    pub(crate) fn new(params: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(params.into_iter().collect())
    }

    /// A parameter; one without a value counts as left out (RFC 6749, 3.1).
    pub(crate) fn get(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let value = values.next();
        match values.next() {
            Some(_) => Err(Repeated(name.to_owned())),
            None => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    /// The first value of a parameter, for what only people see.
    pub(crate) fn first(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    /// As a query, without a question mark.
    pub(crate) fn to_query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}
