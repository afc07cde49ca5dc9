//! `cargo run`: the local stack until Ctrl-C or SIGTERM.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use actingweb_local::{Options, StartError, dead_letters, start_app, welcome};
use actingweb_runtime::{Config, Environment, SystemClock, log_to_stdout};
use clap::Parser as _;
use tokio::time::Instant;

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            return refuse(text.lines().next().unwrap_or_default().trim_start_matches("error: "), 2);
        }
        Err(help) => help.exit(),
    };
    match Box::pin(run(options)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error.to_string(), 1),
    }
}

async fn run(options: Options) -> Result<(), StartError> {
    let begun = Instant::now();
    // The engine warns of what it does not implement and nobody here needs.
    let environment = Environment::of_process().with_default("ACTINGWEB_LOG", "info,dynoxide=error");
    if options.dead_letters || options.redrive.is_some() {
        say(&dead_letters(options, environment, actingweb_app::app()).await?);
        return Ok(());
    }
    log_to_stdout(Config::log(&environment)?, Arc::new(SystemClock));
    // Asked for before anything runs, so that no signal is missed.
    let stopped = stop_signal().map_err(|source| StartError::Listen { port: options.port, source })?;

    let running = start_app(options.clone(), environment, actingweb_app::app()).await?;
    say(&welcome(&options, &running));
    let init_ms = (begun.elapsed().as_secs_f64() * 10_000.0).round() / 10.0;
    tracing::info!(group = "all", version = env!("CARGO_PKG_VERSION"), init_ms, "started");

    stopped.await;
    running.stop().await;
    Ok(())
}

/// Completes on Ctrl-C or SIGTERM.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[expect(clippy::print_stdout, reason = "a command line program speaks to its user")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "a command line program speaks to its user")]
fn refuse(reason: &str, code: u8) -> ExitCode {
    eprintln!("actingweb-local: {reason}");
    ExitCode::from(code)
}
