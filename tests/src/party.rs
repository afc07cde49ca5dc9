//! One side of what two sites do together.

use actingweb_hooks::App;
use actingweb_local::{Options, Running, start_app};
use actingweb_runtime::Environment;
use reqwest::Client;

use crate::resident::Kind;
use crate::site::{client, variable};
use crate::{Owner, Resident};

/// Where the Python peer of tests/python_peer listens, such as `http://127.0.0.1:5001`.
const PYTHON: &str = "ACTINGWEB_TEST_PYTHON_PEER";

/// A site whose actors meet those of another.
pub struct Party {
    root: String,
    kind: Kind,
    http: Client,
    _stack: Option<Running>,
}

impl Party {
    /// A local stack of its own, with all that runs beside the functions, as `cargo run` starts it.
    pub async fn ours(app: App) -> Self {
        let options = Options { devtest: true, ..Options::in_memory() };
        let stack = start_app(options, Environment::default(), app).await.expect("a local stack");
        Self { root: stack.url.clone(), kind: Kind::Ours, http: client(), _stack: Some(stack) }
    }

    /// The Python peer, if the environment says where it is.
    pub fn python() -> Option<Self> {
        let root = variable(PYTHON)?.trim_end_matches('/').to_owned();
        Some(Self { root, kind: Kind::Python, http: client(), _stack: None })
    }

    /// How to have [`Party::python`], for tests that go without.
    pub fn how_to_have_python() -> String {
        format!("start the Python peer (docs/interop.md) and name it: {PYTHON}=http://127.0.0.1:5001")
    }

    /// A new actor.
    pub async fn actor(&self, creator: &str) -> Resident {
        let owner = Owner::create(self.http.clone(), &self.root, creator).await;
        Resident::new(owner, self.kind, &self.root)
    }
}
