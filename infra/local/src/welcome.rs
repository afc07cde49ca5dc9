//! What the stack says when it runs.

use url::Url;

use crate::{Options, Running};

/// Where it answers, what it uses, and two commands to paste into a shell: one makes an actor, one calls a hook.
#[must_use]
pub fn welcome(options: &Options, running: &Running) -> String {
    let Running { url, dynamodb_url, stood_in, .. } = running;
    let kept = match (&options.dynamodb_endpoint, options.memory) {
        (Some(_), _) => dynamodb_url.clone(),
        (None, true) => format!("memory, gone when this stops ({dynamodb_url})"),
        (None, false) => format!("{} ({dynamodb_url})", options.data.display()),
    };
    let stood_in =
        if stood_in.is_empty() { String::new() } else { format!("  stand-ins for: {}\n", stood_in.join(", ")) };
    let head = if options.engine_only {
        // Behind a public name it is up to whoever set that up which port leads here.
        let local = Url::parse(url).ok().filter(|url| matches!(url.host_str(), Some("127.0.0.1" | "localhost")));
        let port = local.and_then(|url| url.port_or_known_default()).unwrap_or(9000);
        format!(
            "The engine runs at {dynamodb_url}; the settings of the functions are in .env\n  state: {kept}\n{stood_in}\n\
             Serve the functions at {url}, in another terminal:\n\n  \
             cargo lambda watch --env-file .env --invoke-address 127.0.0.1 --invoke-port {port}\n"
        )
    } else {
        format!("ActingWeb runs at {url}\n  state: {kept}\n{stood_in}")
    };
    format!(
        "{head}\nCreate an actor:\n\n  \
         ACTOR=$(curl -s {url}/ -H 'Content-Type: application/json' \
         -d '{{\"creator\":\"ann@example.com\",\"passphrase\":\"open sesame\"}}' \
         | tee /dev/stderr | sed 's/.*\"id\": *\"\\([^\"]*\\)\".*/\\1/')\n\n\
         Call one of its methods:\n\n  \
         curl -u 'ann@example.com:open sesame' {url}/$ACTOR/methods/add_numbers \
         -H 'Content-Type: application/json' -d '{{\"a\":2,\"b\":3}}'\n"
    )
}
