use actingweb_hooks::prelude::*;

#[derive(Deserialize, JsonSchema)]
struct City {
    name: String,
}

async fn weather(city: City, http: Http) -> Result<String, HookError> {
    let _ = http;
    Ok(city.name)
}

fn main() {
    let _ = App::new("urn:actingweb:example.com:demo").method("weather", weather);
}
