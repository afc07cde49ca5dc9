//! What a deployment says of sign-in by parameters alone, and what reaches browsers and clients through the gateway.

use actingweb_runtime::{Config, Environment};
use serde_json::{Value, json};

use crate::template::{STREAM, http_groups, logical, of_type, template, text};

/// A key as Apple gives developers one, made for tests.
const APPLE_KEY: &str = "-----BEGIN PRIVATE KEY-----\\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQga7G/FgK1gQSzxLMM\\n\
hue765PbPlOIx9OtqWMmXtJ+iOuhRANCAATsrb+/xI4qS4nOwBCcT7GpdEa9h+VY\\n\
309xp+RNokJzlQVmyCjyine+b+CvxUpjQF8eyIBajQo8mxgxtsB5MgEo\\n\
-----END PRIVATE KEY-----";

/// What the template says for these parameters: of `!If [condition, !Ref parameter, !Ref AWS::NoValue]` and conditions that
/// are `!Not [!Equals [!Ref parameter, '']]`.
fn environment(template: &Value, parameters: &[(&str, &str)]) -> Environment {
    let given = |name: &Value| {
        let name = name.as_str().expect("a parameter");
        assert!(template["Parameters"][name].is_object(), "{name} is no parameter");
        parameters.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    };
    let holds = |condition: &Value| {
        let condition = &template["Conditions"][condition.as_str().expect("a condition")];
        let [of, empty] = condition["Fn::Not"][0]["Fn::Equals"].as_array().expect("`!Not [!Equals …]`").as_slice()
        else {
            panic!("two things are compared: {condition}")
        };
        assert_eq!(empty, "");
        !given(&of["Ref"]).is_empty()
    };
    let variables = template["Resources"]["OauthFunction"]["Properties"]["Environment"]["Variables"].as_object();
    let set = variables.expect("variables").iter().filter_map(|(name, value)| {
        let [condition, then, otherwise] = value["Fn::If"].as_array().expect("`!If`").as_slice() else {
            panic!("`!If` has three parts: {value}")
        };
        assert_eq!(otherwise, &json!({"Ref": "AWS::NoValue"}));
        holds(condition).then(|| (name.clone(), given(&then["Ref"]).to_owned()))
    });
    set.collect::<Environment>()
        .with("ACTINGWEB_BASE_URL", "https://actors.example.com")
        .with("ACTINGWEB_KEYS", r#"{"k1": "0123456789abcdef0123456789abcdef"}"#)
}

/// The providers that people sign in with where these parameters are set.
fn providers(parameters: &[(&str, &str)]) -> Vec<(String, String)> {
    let config = Config::read(&environment(&template(), parameters)).expect("a configuration");
    config.providers.into_iter().map(|provider| (provider.name, provider.display_name)).collect()
}

#[test]
fn providers_are_switched_on_by_parameters_alone() {
    assert_eq!(providers(&[]), []);
    let pair = |name: &str, display: &str| (name.to_owned(), display.to_owned());
    let google = [("GoogleClientId", "g"), ("GoogleClientSecret", "s")];
    assert_eq!(providers(&google), [pair("google", "Google")]);
    // What belongs to a provider that is not switched on is nothing.
    assert_eq!(providers(&[("GoogleClientSecret", "s"), ("OidcDisplayName", "The House")]), []);
    let oidc = [("OidcClientId", "o"), ("OidcIssuer", "https://id.example.com")];
    assert_eq!(providers(&oidc), [pair("oidc", "oidc")]);
    let all = [
        &google[..],
        &oidc,
        &[("OidcDisplayName", "The House"), ("OidcClientSecret", "s")],
        &[("GithubClientId", "h"), ("GithubClientSecret", "s")],
        &[("AppleClientId", "a"), ("AppleTeamId", "t"), ("AppleKeyId", "k"), ("ApplePrivateKey", APPLE_KEY)],
    ]
    .concat();
    assert_eq!(
        providers(&all),
        [pair("apple", "Apple"), pair("github", "GitHub"), pair("google", "Google"), pair("oidc", "The House")]
    );
}

#[test]
fn secrets_of_providers_are_not_shown_and_what_is_needed_is_asked_for() {
    let template = template();
    let parameters = template["Parameters"].as_object().expect("parameters");
    for (name, parameter) in parameters {
        let is_secret = ["Secret", "PrivateKey", "Token"].iter().any(|end| name.ends_with(end));
        assert_eq!(parameter["NoEcho"] == true, is_secret, "{name}");
    }
    for provider in ["Google", "Github", "Apple", "Oidc"] {
        let rule = &template["Rules"][format!("{provider}IsComplete")];
        let asked = rule["RuleCondition"]["Fn::Not"][0]["Fn::Equals"][0]["Ref"].as_str().expect("a parameter");
        assert_eq!(asked, format!("{provider}ClientId"));
        for assertion in rule["Assertions"].as_array().expect("assertions") {
            let needed = assertion["Assert"]["Fn::Not"][0]["Fn::Equals"][0]["Ref"].as_str().expect("a parameter");
            let told = format!("{asked} needs {needed}");
            assert!(parameters.contains_key(needed) && assertion["AssertDescription"] == told.as_str(), "{told}");
        }
    }
}

#[test]
fn the_deploy_script_hands_settings_of_providers_on() {
    let script = text("infra/deploy-cargo-lambda.sh");
    assert!(script.contains("ACTINGWEB_OAUTH_") && script.contains("ACTINGWEB_OAUTH_SERVICE_"));
}

/// What the deploy script does, or would do, where this client id is set.
fn dry_run(client_id: &str) -> (bool, String) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut script = std::process::Command::new("bash");
    script.args(["infra/deploy-cargo-lambda.sh", "--dry-run", "worker"]).current_dir(root);
    let ran = script.env("ACTINGWEB_OAUTH_SERVICE_DESK_CLIENT_ID", client_id).output().expect("bash");
    (ran.status.success(), String::from_utf8(ran.stderr).expect("text"))
}

#[test]
fn the_deploy_script_writes_no_value_that_ends_early() {
    let (is_fine, told) = dry_run("desk-1");
    assert!(is_fine && told.contains("ACTINGWEB_OAUTH_SERVICE_DESK_CLIENT_ID='desk-1'\n"), "{told}");
    // Line breaks, as keys have them, are written as they are read.
    let (is_fine, told) = dry_run("first\nsecond");
    assert!(is_fine && told.contains(r"ACTINGWEB_OAUTH_SERVICE_DESK_CLIENT_ID='first\nsecond'"), "{told}");
    let (is_fine, told) = dry_run("it's");
    assert!(!is_fine && told.contains("ACTINGWEB_OAUTH_SERVICE_DESK_CLIENT_ID must not hold"), "{told}");
}

/// The gateway renames the header, by which clients learn how to sign in, and of `/mcp` what a token lacks.
#[test]
fn challenges_reach_clients_under_their_name() {
    let template = template();
    for group in http_groups().into_iter().filter(|group| group != STREAM) {
        let integration = &template["Resources"][format!("{}Integration", logical(&group))];
        let [condition, mapped, nothing] = integration["Properties"]["ResponseParameters"]["Fn::If"]
            .as_array()
            .unwrap_or_else(|| panic!("{group} restores no challenge"))
            .as_slice()
        else {
            panic!("`!If` has three parts")
        };
        assert_eq!((condition, nothing), (&json!("MapChallenge"), &json!({"Ref": "AWS::NoValue"})));
        let statuses: Vec<&str> = mapped.as_object().expect("statuses").keys().map(String::as_str).collect();
        assert_eq!(statuses, if group == "mcp" { vec!["401", "403"] } else { vec!["401"] }, "{group}");
        for restored in mapped.as_object().expect("statuses").values() {
            let header = json!([{ "Destination": "overwrite:header.WWW-Authenticate",
                                  "Source": "$response.header.WWW-Authenticate" }]);
            assert_eq!(restored["ResponseParameters"], header);
        }
    }
    assert!(!of_type(&template, "AWS::ApiGatewayV2::Integration").is_empty());
}
