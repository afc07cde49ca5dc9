//! The examples of `docs/migrating-from-python.md` that the demo has no hook for, at work: a database, files, objects.

mod database;
mod files;
mod objects;
mod peers;
mod urls;
