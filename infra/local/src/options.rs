//! What the command line decides.

use std::path::PathBuf;

use clap::Parser;
use url::Url;

/// Runs every function in one process on 127.0.0.1, over an embedded DynamoDB engine.
///
/// Settings come from the same environment variables as on AWS (docs/architecture.md); those that are not set get values
/// for local use. Stand-ins take the place of Bedrock and of the demo's services unless their URLs are set.
#[derive(Clone, Debug, Parser)]
#[command(name = "actingweb-local", version)]
pub struct Options {
    /// Where to listen, on 127.0.0.1; 0 takes any free port
    #[arg(long, default_value_t = 3000, value_name = "N")]
    pub port: u16,

    /// Where state and keys are kept
    #[arg(long, default_value = ".actingweb", value_name = "DIR")]
    pub data: PathBuf,

    /// Keep nothing: state and keys are gone at the end
    #[arg(long, conflicts_with = "data")]
    pub memory: bool,

    /// Serve the test endpoints, as ACTINGWEB_DEVTEST=true does
    #[arg(long)]
    pub devtest: bool,

    /// Use this DynamoDB, another engine or AWS itself, instead of the embedded one
    #[arg(long, value_name = "URL", conflicts_with = "engine_only")]
    pub dynamodb_endpoint: Option<Url>,

    /// The public URL [default: the address this listens on; with --engine-only http://127.0.0.1:9000]
    #[arg(long, value_name = "URL")]
    pub base_url: Option<Url>,

    /// Serve the engine, the stand-ins, deliver and the worker alone, for `cargo lambda watch`, whose `.env` is written
    #[arg(long)]
    pub engine_only: bool,

    /// Where the embedded engine listens, on 127.0.0.1 [default: any free port; with --engine-only 8000]
    #[arg(long, value_name = "N", conflicts_with = "dynamodb_endpoint")]
    pub dynamodb_port: Option<u16>,

    /// List the deliveries to peers that were given up, and end
    #[arg(long, conflicts_with_all = ["engine_only", "memory"])]
    pub dead_letters: bool,

    /// Deliver again what was given up, one by its id or all of it, and end
    #[arg(long, value_name = "ID|all", conflicts_with_all = ["engine_only", "memory", "dead_letters"])]
    pub redrive: Option<String>,
}

/// As without any flag.
impl Default for Options {
    fn default() -> Self {
        Self {
            port: 3000,
            data: PathBuf::from(".actingweb"),
            memory: false,
            devtest: false,
            dynamodb_endpoint: None,
            base_url: None,
            engine_only: false,
            dynamodb_port: None,
            dead_letters: false,
            redrive: None,
        }
    }
}

impl Options {
    /// A stack in memory on any free port: what a test wants.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { port: 0, memory: true, ..Self::default() }
    }

    /// The embedded engine's port; 0 stands for any free one.
    pub(crate) fn engine_port(&self) -> u16 {
        self.dynamodb_port.unwrap_or(if self.engine_only { 8000 } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once(&"actingweb-local").chain(flags))
    }

    #[test]
    fn the_defaults_are_those_of_no_flags() {
        assert_eq!(format!("{:?}", parse(&[]).unwrap()), format!("{:?}", Options::default()));
        assert_eq!(parse(&["--engine-only"]).unwrap().engine_port(), 8000);
        assert_eq!(parse(&[]).unwrap().engine_port(), 0);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for flags in [
            &["--memory", "--data", "x"][..],
            &["--engine-only", "--dynamodb-endpoint", "http://127.0.0.1:1"],
            &["--dynamodb-port", "1", "--dynamodb-endpoint", "http://127.0.0.1:1"],
            &["--dead-letters", "--redrive", "all"],
            &["--dead-letters", "--memory"],
            &["--redrive"],
            &["--port", "70000"],
            &["--base-url", "example.com"],
            &["--unknown"],
        ] {
            assert!(parse(flags).is_err(), "{flags:?}");
        }
    }
}
