//! The application: which hooks there are, under which names, and what is said of them. **This is the crate to edit.**
//!
//! The demo has one file per theme, each worth copying:
//!
//! | to write a hook that | look at |
//! |---|---|
//! | computes something at once | `arithmetic`, `text` |
//! | reads the actor's properties | `status` |
//! | calls a service | `weather`, and `services` for the client |
//! | asks several at once and answers with what came | `aggregate` |
//! | needs all of several sources | `sources` (also: reads a file, has a state) |
//! | does the same to many items | `batch` |
//! | asks a model | `summary` |
//! | answers piece by piece | `draft` |
//! | calls other actors | `peers` |
//! | writes to the actor, keeps a log | `log` |
//! | does something in the world | `notifications` |
//! | checks, changes and hides a property | `email` |
//! | computes for long | `fingerprint` |
//! | notices that an actor was created | `lifecycle` |
//! | checks its input before it runs | `bounded_text` |
//! | begins a conversation with an AI client | `begin`; tools and resources are methods and actions with a word more, below |

mod aggregate;
mod arithmetic;
mod batch;
mod begin;
mod bounded_text;
mod collect;
mod draft;
mod email;
mod ended;
mod fingerprint;
mod lifecycle;
mod log;
mod notifications;
mod peers;
mod services;
mod sources;
mod status;
mod summary;
mod text;
mod weather;

use actingweb_hooks::prelude::*;

/// Compiles the examples of the project's front page.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// Compiles the examples for those who come from the Python library.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/migrating-from-python.md")]
struct Migrating;

/// Compiles the examples of asking models.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/bedrock.md")]
struct Models;

/// The demo application.
pub fn app() -> App {
    App::new("urn:actingweb:example.com:demo")
        .describe_app("A demo of what hooks can do")
        .version(env!("CARGO_PKG_VERSION"))
        .state_from(sources::NotesFile::unpack)
        //
        .method("add_numbers", arithmetic::add_numbers)
        .describe("Adds two numbers")
        .annotate(Annotations::read_only().idempotent().closed_world())
        .method("calculate", arithmetic::calculate)
        .describe("Adds, subtracts, multiplies or divides two numbers")
        .annotate(Annotations::read_only().idempotent().closed_world())
        .method("echo", text::echo)
        .describe("Answers with what it was sent")
        .annotate(Annotations::read_only().idempotent().closed_world())
        .method("greet", text::greet)
        .describe("Greets somebody, the actor's creator by default")
        .annotate(Annotations::read_only().idempotent().closed_world())
        .method("get_status", status::get_status)
        .describe("Tells how the actor is doing")
        .annotate(Annotations::read_only().closed_world())
        .tool("Tells how the user's actor is doing: since when it is there, and how much it holds")
        .mcp_resource("usage://status", "How the user's actor is doing")
        .title("Status")
        .method("get_summary_prompt", begin::get_summary_prompt)
        .describe("Begins a conversation on a topic")
        .annotate(Annotations::read_only().idempotent().closed_world())
        .prompt("Sums up what is known about a topic")
        .method("fetch_weather", weather::fetch_weather)
        .describe("Tells the weather in a city")
        .annotate(Annotations::read_only().open_world())
        .deadline(Duration::from_secs(10))
        .method("aggregate_data", aggregate::aggregate_data)
        .describe("Asks for weather, news and a share's price at once, and answers with what came in time")
        .annotate(Annotations::read_only().open_world())
        .deadline(Duration::from_secs(10))
        .method("gather_sources", sources::gather_sources)
        .describe("Reads a file and a slow store at once")
        .annotate(Annotations::read_only().open_world())
        .method("process_batch", batch::process_batch)
        .describe("Looks up many keys in a slow store, a few at a time, with an outcome for each")
        .annotate(Annotations::read_only().open_world())
        .method("summarize", summary::summarize)
        .describe("Has a model summarise the actor's properties on a topic, and adds the news")
        .annotate(Annotations::read_only().open_world())
        .method("draft", draft::draft)
        .describe("Has a model write on a topic, and streams what it writes")
        .annotate(Annotations::read_only().open_world())
        .method("fingerprint", blocking(fingerprint::fingerprint))
        .describe("Computes an iterated SHA-256")
        .annotate(Annotations::read_only().idempotent().closed_world())
        .deadline(Duration::from_secs(15))
        //
        .action("log_message", log::log_message)
        .describe("Writes a message to the actor's log")
        .annotate(Annotations::additive().closed_world())
        .action("send_notification", notifications::send_notification)
        .describe("Sends a message to a person")
        .annotate(Annotations::additive().open_world())
        .action("notify_peers", peers::notify_peers)
        .describe("Sends a message to other actors, with an outcome for each")
        .annotate(Annotations::additive().open_world())
        .tool("Tell every friend")
        .action("collect_entries", collect::collect_entries)
        .as_task()
        .describe("Looks up many keys in a slow store, one after another")
        .annotate(Annotations::additive().open_world())
        //
        .property("email", email::guard_email)
        .resource("report", log::report)
        .describe("The actor's log: GET reads it, DELETE clears it")
        .on(ActorCreated, lifecycle::welcome)
}
