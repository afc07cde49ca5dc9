//! The engine and the meter as the AWS SDK sees them.

mod engine;
mod faults;
mod measure;
mod stream;
mod table;
