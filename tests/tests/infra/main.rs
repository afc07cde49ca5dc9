//! What `infra/`, the watch router, `docs/openapi.json` and `functions/` say about each other:
//! they are written in several places and must agree. Only files are read; nothing is started.
// A file that is not as expected is a failed test, also when a helper finds it.
#![allow(clippy::panic, clippy::expect_used, clippy::indexing_slicing)]

mod openapi;
mod permissions;
mod resources;
mod routes;
mod security;
mod sign_in;
mod template;
