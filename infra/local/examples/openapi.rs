//! Writes `docs/openapi.json` from the code: `cargo run -p actingweb-local --example openapi`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let document = actingweb_local::openapi(&actingweb_app::app());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    std::fs::write(path, format!("{document:#}\n"))
}
