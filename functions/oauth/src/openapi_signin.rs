//! What sign-in by identity providers and by applications answers.

use actingweb_web::openapi::{Content, Group, Operation};
use serde_json::{Value, json};

/// Describes `/oauth/login/{provider}`, `/oauth/callback`, `/oauth/email`, `/oauth/config`, `/oauth/session` and `/oauth/spa`.
pub(crate) fn describe(group: &mut Group<'_>) {
    let error = group.schema("AppError", error_schema());
    let tokens = group.schema("SessionTokens", tokens_schema());
    browsers(group);
    asking(group, &error);
    group
        .path("/oauth/spa/authorize", [authorize(&error)])
        .path("/oauth/spa/token", [token(&tokens, &error)])
        .path("/oauth/spa/session/{word}", [pick_up(&tokens, &error)])
        .path(
            "/oauth/spa/revoke",
            [fails(
                Operation::post("revoke_session", "Ends the session of a token")
                    .body(
                        false,
                        "The token; without it the bearer's, else the cookies'.",
                        [Content::json(json!({
                            "type": "object", "properties": { "token": { "type": "string" } },
                        }))],
                    )
                    .reply(200, "The token and its session are worthless.", [Content::any_json()]),
                &error,
            )],
        )
        .path(
            "/oauth/spa/logout",
            [fails(
                Operation::post("sign_out_page", "Ends the session of the bearer and of the cookies").reply(
                    200,
                    "Nobody is signed in any more.",
                    [Content::any_json()],
                ),
                &error,
            )],
        );
}

fn browsers(group: &mut Group<'_>) {
    let text = || json!({ "type": "string" });
    let start = Operation::get("begin_sign_in", "Sends a browser to an identity provider")
        .query("next", "Where to go on: a path that begins with `/oauth/authorize?`.", text())
        .query("link", "`1` connects another identity with the actor that is signed in to.", text())
        .query("redirect_uri", "Where an application is led back to, as `/oauth/spa/authorize` says.", text())
        .reply(303, "To the provider, with a cookie that this browser is known by when it comes back.", [])
        .with_location(303)
        .problems(&[403, 404, 429]);
    let connect = Operation::post("connect_identity", "Connects an identity that was proved, after a look at it")
        .body(
            true,
            "What the page of the question holds.",
            [Content::form(json!({
                "type": "object", "required": ["link"], "properties": { "link": text() },
            }))],
        )
        .reply(303, "It is connected, or belongs to another actor.", [])
        .with_location(303)
        .problems(&[403, 404]);
    let back = |id: &str| {
        let operation = if id == "finish_sign_in" {
            Operation::get(id, "A browser comes back from a provider")
                .query("state", "What the sign-in is known by; it counts once.", text())
                .query("code", "What the provider gives.", text())
                .query("error", "Why it gives none.", text())
        } else {
            Operation::post(id, "A browser comes back from Apple").body(
                true,
                "The same, as a form.",
                [Content::form(
                    json!({ "type": "object", "properties": { "state": text(), "code": text(), "error": text() } }),
                )],
            )
        };
        operation
            .reply(200, "A question: whether to connect this identity.", [Content::html()])
            .reply(303, "Signed in, or back to where it began with the reason.", [])
            .with_location(303)
            .reply(400, "This sign-in has ended, was used before, or began in another browser.", [Content::html()])
            .reply(403, "The application keeps this person out.", [Content::html()])
    };
    group
        .path("/oauth/login/{provider}", [start, connect])
        .path("/oauth/callback", [back("finish_sign_in")])
        .path("/oauth/callback/apple", [back("finish_sign_in_with_apple")]);
}

fn asking(group: &mut Group<'_>, error: &Value) {
    let text = || json!({ "type": "string" });
    let any = json!({ "type": "object", "additionalProperties": true });
    let form = json!({
        "type": "object",
        "properties": { "session": text(), "email": text(), "verify": text() },
    });
    group
        .path(
            "/oauth/config",
            [Operation::get("get_sign_in_config", "What applications need to know to sign people in").reply(
                200,
                "Providers and endpoints.",
                [Content::json(any.clone())],
            )],
        )
        .path(
            "/oauth/session",
            [Operation::get("get_session", "Who is signed in, by the bearer or the cookies").reply(
                200,
                "`authenticated`, and if so whose actor it is.",
                [Content::json(any.clone())],
            )],
        )
        .path(
            "/oauth/email",
            [
                fails(
                    Operation::get("get_email_page", "The page that asks for an e-mail address, or to confirm one")
                        .query("session", "A sign-in that waits for an address.", text())
                        .query("verify", "What was sent to an address.", text())
                        .reply(
                            200,
                            "The page. Opening it changes nothing.",
                            [Content::html(), Content::json(any.clone())],
                        )
                        .reply(403, "The sign-in began in another browser.", [Content::html()]),
                    error,
                ),
                fails(
                    Operation::post("verify_email", "Names an address, which is sent a link; or confirms it")
                        .body(
                            true,
                            "`session` and `email`, or `verify`.",
                            [Content::form(form.clone()), Content::json(form)],
                        )
                        .reply(200, "The link was sent.", [Content::html(), Content::json(any)])
                        .reply(303, "The address is confirmed, and the sign-in goes on.", [])
                        .with_location(303)
                        .reply(429, "Too many mails.", [Content::json(error.clone())]),
                    error,
                ),
            ],
        );
}

fn authorize(error: &Value) -> Operation {
    let text = || json!({ "type": "string" });
    let body = json!({
        "type": "object",
        "properties": {
            "provider": text(),
            "redirect_uri": text(),
            "return_path": text(),
            "token_delivery": { "enum": ["json", "cookie", "hybrid"] },
            "pkce": { "enum": ["server", "client"] },
            "code_challenge": text(),
            "code_challenge_method": { "const": "S256" },
            "state": text(),
        },
    });
    let reply = json!({
        "type": "object",
        "required": ["authorization_url", "state", "provider", "token_delivery"],
        "properties": {
            "authorization_url": { "type": "string", "format": "uri" },
            "state": text(),
            "provider": text(),
            "token_delivery": text(),
        },
    });
    let operation = Operation::post("begin_page_sign_in", "Says where an application sends the browser to sign in")
        .body(true, "Where to come back to, and how tokens are wanted.", [Content::json(body)])
        .reply(200, "The address.", [Content::json(reply)])
        .reply(429, "Too many sign-ins.", [Content::json(error.clone())]);
    fails(operation, error)
}

fn token(tokens: &Value, error: &Value) -> Operation {
    let text = || json!({ "type": "string" });
    let body = json!({
        "type": "object",
        "required": ["grant_type"],
        "properties": {
            "grant_type": { "enum": [
                "refresh_token", "mobile_ticket", "apple_mobile_ticket", "urn:ietf:params:oauth:grant-type:jwt-bearer",
            ] },
            "refresh_token": text(),
            "ticket": text(),
            "code_verifier": text(),
            "provider": text(),
            "assertion": text(),
            "nonce": text(),
            "token_delivery": { "enum": ["json", "cookie", "hybrid"] },
        },
    });
    let operation = Operation::post("issue_session_tokens", "Tokens of a person's own, for applications")
        .body(true, "One of several proofs.", [Content::json(body)])
        .reply(200, "The tokens, or what of them is in no cookie.", [Content::json(tokens.clone())])
        .reply(401, "The proof has ended.", [Content::json(error.clone())])
        .reply(404, "There is no such actor any more.", [Content::json(error.clone())])
        .reply(409, "The address leads to another actor.", [Content::json(error.clone())])
        .reply(429, "Too many attempts.", [Content::json(error.clone())]);
    fails(operation, error)
}

fn pick_up(tokens: &Value, error: &Value) -> Operation {
    let body = json!({ "type": "object", "properties": { "code_verifier": { "type": "string" } } });
    let operation = Operation::post("pick_up_session", "The tokens of a sign-in, once")
        .about("For whoever began it: the browser, by its cookie, or who knows the verifier of its challenge.")
        .body(false, "The verifier.", [Content::json(body)])
        .reply(200, "The tokens, or what of them is in no cookie.", [Content::json(tokens.clone())])
        .reply(404, "There is none, or it was picked up.", [Content::json(error.clone())]);
    fails(operation, error)
}

/// What all of these may answer: they are for pages of some origins alone.
fn fails(operation: Operation, error: &Value) -> Operation {
    operation
        .reply(
            400,
            "What is asked for cannot be had.",
            [Content::json(error.clone()), Content::html(), Content::problem()],
        )
        .reply(403, "Not from here.", [Content::json(error.clone()), Content::html(), Content::problem()])
        .reply(503, "Storage, a provider or a hook is not available.", [Content::json(error.clone())])
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error", "status_code", "message"],
        "properties": {
            "error": { "const": true },
            "status_code": { "type": "integer" },
            "message": { "type": "string" },
        },
    })
}

fn tokens_schema() -> Value {
    json!({
        "type": "object",
        "required": ["success", "actor_id", "expires_in", "expires_at"],
        "properties": {
            "success": { "const": true },
            "actor_id": { "type": "string" },
            "email": { "type": "string", "description": "A verified address, where the sign-in came with one." },
            "access_token": { "type": "string" },
            "refresh_token": { "type": "string" },
            "token_type": { "const": "Bearer" },
            "expires_in": { "type": "integer", "description": "Seconds." },
            "expires_at": { "type": "integer", "description": "Seconds since 1970." },
            "refresh_token_expires_in": { "type": "integer" },
            "token_delivery": { "enum": ["cookie", "hybrid"] },
            "redirect_url": { "type": "string" },
        },
    })
}
