//! What `infra/`, the watch router and `functions/` say about each other: they are written in
//! four places and must agree. Only files are read; nothing is started.

mod permissions;
mod resources;
mod routes;
mod template;
