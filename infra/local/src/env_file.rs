//! The `.env` that `cargo lambda watch` hands to the functions.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use actingweb_runtime::Environment;

use crate::{StartError, data};

/// The first line of a file that may be replaced.
const HEADER: &str = "# Written by `actingweb-local --engine-only`, and replaced by its next run.";

/// The variables of AWS that functions need besides the project's own.
const AWS: [&str; 3] = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_REGION"];

/// Writes the settings of the functions to `.env` in the current folder; a file of somebody else's is left alone.
pub(crate) fn write(environment: &Environment) -> Result<PathBuf, StartError> {
    let path = Path::new(".env");
    let failed = |reason: String| StartError::EnvFile { path: path.to_owned(), reason };
    if let Ok(old) = std::fs::read_to_string(path)
        && !old.starts_with(HEADER)
    {
        return Err(failed("there is one of your own; move it away".to_owned()));
    }
    data::write_private(path, &content(environment)).map_err(|error| failed(error.to_string()))?;
    Ok(path.to_owned())
}

/// Single quotes, which shells and dotenv readers alike take literally: the keys are JSON.
fn content(environment: &Environment) -> String {
    let mut text = format!("{HEADER}\n");
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name}='{}'", value.replace('\'', ""));
    };
    for name in AWS {
        line(name, environment.get(name).unwrap_or("us-east-1"));
    }
    // Real ones reach the functions through the environment; they are never written down.
    if environment.get("AWS_ACCESS_KEY_ID").is_none() {
        line("AWS_ACCESS_KEY_ID", "local");
        line("AWS_SECRET_ACCESS_KEY", "local");
    }
    for (name, value) in environment.below("ACTINGWEB_") {
        line(&format!("ACTINGWEB_{name}"), value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_the_functions_need_is_there_and_no_real_credentials() {
        let environment: Environment = [
            ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000"),
            ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://127.0.0.1:2"),
            ("ACTINGWEB_KEYS", r#"{"k1":"secret"}"#),
            ("AWS_SECRET_ACCESS_KEY", "real"),
            ("PATH", "/bin"),
        ]
        .into_iter()
        .collect();
        let text = content(&environment);
        for line in [
            "AWS_ENDPOINT_URL_DYNAMODB='http://127.0.0.1:8000'",
            "AWS_REGION='us-east-1'",
            "AWS_ACCESS_KEY_ID='local'",
            r#"ACTINGWEB_KEYS='{"k1":"secret"}'"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("real") && !text.contains("PATH"), "{text}");
        assert!(!content(&environment.with("AWS_ACCESS_KEY_ID", "AKIA")).contains("ACCESS_KEY"));
    }
}
