//! The template's routes and the watch router send every method and path to the same function.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::template::{STREAM, http_groups, logical, of_type, template, text};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A route of the HTTP API: method (`ANY` for all), segments (`None` for `$default`), group.
pub(crate) struct Route {
    method: String,
    segments: Option<Vec<String>>,
    group: String,
}

/// How closely a segment of a route describes a path: what API Gateway prefers comes last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Closeness {
    Greedy,
    Variable,
    Exact,
}

impl Route {
    /// How closely this route describes the request, if it does at all.
    fn closeness(&self, method: &str, path: &[&str]) -> Option<(Vec<Closeness>, bool)> {
        if self.method != "ANY" && self.method != method {
            return None;
        }
        let Some(segments) = &self.segments else { return Some((Vec::new(), false)) };
        let mut found = Vec::new();
        for (at, segment) in segments.iter().enumerate() {
            let rest = path.get(at..).filter(|rest| !rest.is_empty())?;
            if segment.starts_with('{') && segment.ends_with("+}") {
                found.push(Closeness::Greedy);
                return Some((found, self.method != "ANY"));
            }
            found.push(match segment.starts_with('{') {
                true => Closeness::Variable,
                false if rest[0] == segment => Closeness::Exact,
                false => return None,
            });
        }
        (path.len() == segments.len()).then_some((found, self.method != "ANY"))
    }
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').skip(1).collect()
}

/// The routes of the template, with the group that each integration leads to.
pub(crate) fn routes(template: &Value) -> Vec<Route> {
    of_type(template, "AWS::ApiGatewayV2::Route")
        .into_iter()
        .map(|(name, route)| {
            let properties = &route["Properties"];
            let target = properties["Target"]["Fn::Sub"].as_str().unwrap_or_else(|| panic!("{name} has no target"));
            let integration = target.trim_start_matches("integrations/${").trim_end_matches('}');
            let uri = template["Resources"][integration]["Properties"]["IntegrationUri"]["Fn::Sub"].as_str();
            let uri = uri.unwrap_or_else(|| panic!("{name} leads to {integration}, which has no function"));
            let (_, group) = uri.rsplit_once("${AWS::StackName}-").expect("functions are named for the stack");
            let key = properties["RouteKey"].as_str().unwrap_or_else(|| panic!("{name} has no key"));
            let (method, segments) = match key.split_once(' ') {
                Some((method, path)) => (method, Some(segments(path).into_iter().map(str::to_owned).collect())),
                None => ("ANY", None),
            };
            Route { method: method.to_owned(), segments, group: group.to_owned() }
        })
        .collect()
}

/// The group that API Gateway chooses: the closest route, segment by segment, then by method.
pub(crate) fn by_gateway<'a>(routes: &'a [Route], method: &str, path: &str) -> Option<&'a str> {
    let path = segments(path);
    routes
        .iter()
        .filter_map(|route| Some((route.closeness(method, &path)?, route)))
        .max_by(|(one, _), (other, _)| one.cmp(other))
        .map(|(_, route)| route.group.as_str())
}

/// Where a path of the watch router leads: the method (`None` for all) and the group.
pub(crate) type Targets = Vec<(Option<String>, String)>;

/// The rows of the watch router.
fn watch_rows() -> Vec<(String, Targets)> {
    let manifest: toml::Table = text("Cargo.toml").parse().expect("the manifest is TOML");
    let router = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"].as_table().expect("a router").clone();
    let group = |function: &toml::Value| {
        let name = function.as_str().expect("a function's name");
        name.strip_prefix("actingweb-").unwrap_or_else(|| panic!("{name} is no function of this workspace")).to_owned()
    };
    router
        .into_iter()
        .map(|(path, target)| match target.as_array() {
            None => (path, vec![(None, group(&target))]),
            Some(rows) => {
                let method = |row: &toml::Value| row["method"].as_str().map(str::to_owned);
                (path, rows.iter().map(|row| (method(row), group(&row["function"]))).collect())
            }
        })
        .collect()
}

pub(crate) type Watch = matchit::Router<Targets>;

/// The watch router, built by the crate that cargo-lambda builds it with.
pub(crate) fn watch() -> Watch {
    let mut router = Watch::new();
    for (path, targets) in watch_rows() {
        router.insert(&path, targets).unwrap_or_else(|error| panic!("watch refuses to start: {path}: {error}"));
    }
    router
}

pub(crate) fn by_watch<'a>(router: &'a Watch, method: &str, path: &str) -> Option<&'a str> {
    let targets = router.at(path).ok()?.value;
    let row = targets.iter().find(|(only, _)| only.as_deref().is_none_or(|only| only == method))?;
    // Its router is that of `methods`, so that this is the same choice.
    Some(if row.1 == STREAM { "methods" } else { &row.1 })
}

/// Every path of up to four segments out of words that routes know, words like them, and
/// strangers. Empty segments are left out: what API Gateway does with them is not documented.
fn paths() -> Vec<String> {
    let mut words: BTreeSet<String> = ["login", "meta", "metaphor", "trust", "callbacks", "oauth", "mcp", "a%20b", "*"]
        .map(str::to_owned)
        .into_iter()
        .chain(http_groups())
        .collect();
    for route in routes(&template()) {
        words.extend(route.segments.into_iter().flatten().filter(|word| !word.is_empty() && !word.starts_with('{')));
    }
    let mut paths = vec!["/".to_owned()];
    let mut last = vec![String::new()];
    for _ in 0..3 {
        last = last.iter().flat_map(|path| words.iter().map(move |word| format!("{path}/{word}"))).collect();
        paths.extend(last.iter().cloned());
    }
    paths.extend(last.iter().step_by(17).map(|path| format!("{path}/deeper")));
    paths
}

#[test]
fn template_and_watch_choose_the_same_function() {
    let (routes, watch) = (routes(&template()), watch());
    for path in paths() {
        for method in METHODS {
            let (gateway, watch) = (by_gateway(&routes, method, &path), by_watch(&watch, method, &path));
            assert_eq!(gateway, watch, "{method} {path}: the template's choice and the watch router's");
            assert!(gateway.is_some(), "{method} {path} has no owner");
        }
    }
}

#[test]
fn every_path_has_the_owner_it_should() {
    let routes = routes(&template());
    let owner = |path: &str| by_gateway(&routes, "DELETE", path).map(str::to_owned);
    for path in ["/", "/login", "/bot", "/a1", "/a1/nothing", "/a1/metaphor", "/a1/b/c/d", "/openapi.json", "/meta"] {
        assert_eq!(owner(path).as_deref(), Some("factory"), "{path}");
    }
    // Those that an actor has by their own name; the others have paths of the host, or other names.
    for group in http_groups().iter().filter(|group| !["factory", "oauth", "mcp"].contains(&group.as_str())) {
        for path in [format!("/a1/{group}"), format!("/a1/{group}/x"), format!("/a1/{group}/x/y/z")] {
            assert_eq!(owner(&path).as_deref(), Some(group.as_str()), "{path}");
        }
    }
    for path in
        ["/oauth", "/oauth/token", "/oauth/meta", "/.well-known/x/y", "/a1/clients", "/a1/grants/x", "/a1/identities/x"]
    {
        assert_eq!(owner(path).as_deref(), Some("oauth"), "{path}");
    }
    for path in ["/a1/permissions", "/a1/permissions/x", "/a1/permissions/x/y"] {
        assert_eq!(owner(path).as_deref(), Some("trust"), "{path}");
    }
}

#[test]
fn every_function_is_reached_and_only_those() {
    let template = template();
    let in_template: BTreeSet<String> = routes(&template).into_iter().map(|route| route.group).collect();
    assert_eq!(in_template, http_groups(), "the template's routes");
    let in_watch: BTreeSet<String> =
        watch_rows().into_iter().flat_map(|(_, targets)| targets).map(|(_, group)| group).collect();
    let mut expected = http_groups();
    expected.insert(STREAM.to_owned());
    assert_eq!(in_watch, expected, "the watch router");
}

#[test]
fn streams_have_a_url_that_anybody_may_call_and_that_streams() {
    let template = template();
    let url = &template["Resources"]["MethodsStreamUrl"]["Properties"];
    assert_eq!((&url["InvokeMode"], &url["AuthType"]), (&"RESPONSE_STREAM".into(), &"NONE".into()));
    assert!(url["Cors"].is_null(), "as the API, which has none");
    assert_eq!(template["Outputs"]["StreamUrl"]["Value"]["Fn::GetAtt"], "MethodsStreamUrl.FunctionUrl");
    let function = url["TargetFunctionArn"].to_string();
    for (permission, action) in [
        ("MethodsStreamUrlPermission", "lambda:InvokeFunctionUrl"),
        ("MethodsStreamPermission", "lambda:InvokeFunction"),
    ] {
        let permission = &template["Resources"][permission]["Properties"];
        assert_eq!((&permission["Action"], &permission["Principal"]), (&action.into(), &"*".into()));
        assert_eq!(permission["FunctionName"].to_string(), function);
    }
    // Without this, anybody with an account could call the function itself.
    assert_eq!(template["Resources"]["MethodsStreamPermission"]["Properties"]["InvokedViaFunctionUrl"], true);
}

#[test]
fn the_gateway_may_call_each_function_and_speaks_one_format() {
    let template = template();
    for group in http_groups() {
        let permission = &template["Resources"][format!("{}Permission", logical(&group))]["Properties"];
        assert_eq!(permission["Principal"], "apigateway.amazonaws.com", "{group}");
        let name = permission["FunctionName"].to_string();
        assert!(name.contains(&format!("{}Function", logical(&group))), "{group}: {name}");
        assert!(name.contains(&format!("${{AWS::StackName}}-{group}")), "{group}: {name}");
    }
    for (name, integration) in of_type(&template, "AWS::ApiGatewayV2::Integration") {
        assert_eq!(integration["Properties"]["PayloadFormatVersion"], "2.0", "{name}");
        assert_eq!(integration["Properties"]["IntegrationType"], "AWS_PROXY", "{name}");
    }
}
