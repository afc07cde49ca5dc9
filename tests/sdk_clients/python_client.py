"""The official Python SDK as a client of `/mcp`: from an address to a tool's result, to renewed and to revoked tokens.

    python python_client.py http://127.0.0.1:3000

What the SDK does by itself is left to it; this only plays the person, and looks at what went over the wire.
"""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from threading import Thread

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider, OAuthFlowError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from person import Person

SDK = f"mcp {version('mcp')}"
REDIRECT_URI = "http://127.0.0.1:53682/callback"

# What a run may take, in all: a server that hangs would hold it for ever.
LIMIT_SECONDS = 120

# What the demo offers beyond what clients may use by default.
RIGHTS = {
    "tools": {"allowed": ["get_status", "notify_peers"]},
    "actions": {"allowed": ["notify_peers"]},
    "prompts": {"allowed": ["get_summary_prompt"]},
}


class Storage:
    """Where the SDK keeps what it was given."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class App:
    """A program that uses the SDK on behalf of a person, who answers its questions with `decision`."""

    def __init__(self, person: Person, decision: str = "allow") -> None:
        self.person, self.decision = person, decision
        self.base_url = person.base_url
        self.storage = Storage()
        self.wire: list[tuple[str, str, int]] = []
        self.times_asked = 0
        self.told: dict[str, str] = {}
        self.oauth = OAuthClientProvider(
            server_url=f"{self.base_url}/mcp",
            client_metadata=OAuthClientMetadata(
                client_name="Python SDK",
                redirect_uris=[REDIRECT_URI],
                grant_types=["authorization_code", "refresh_token"],
                response_types=["code"],
                token_endpoint_auth_method="none",
            ),
            storage=self.storage,
            redirect_handler=self.on_redirect,
            callback_handler=self.on_callback,
        )
        self.http = httpx2.AsyncClient(
            auth=self.oauth, trust_env=False, timeout=30, event_hooks={"response": [self.on_response]}
        )

    @property
    def tokens(self) -> OAuthToken:
        assert self.storage.tokens, "the SDK has no tokens"
        return self.storage.tokens

    @property
    def client_id(self) -> str:
        assert self.storage.client, "the SDK did not register"
        return self.storage.client.client_id

    async def on_redirect(self, url: str) -> None:
        self.times_asked += 1
        self.told = await asyncio.to_thread(self.person.answer, url, self.decision)

    async def on_callback(self) -> AuthorizationCodeResult:
        told = self.told
        return AuthorizationCodeResult(code=told.get("code", ""), state=told.get("state"), iss=told.get("iss"))

    async def on_response(self, response: httpx2.Response) -> None:
        request = response.request
        self.wire.append((request.method, request.url.path, response.status_code))

    def connect(self, mode: str = "auto") -> Client:
        # Lists may be kept for a minute, in which rights change here.
        return Client(streamable_http_client(f"{self.base_url}/mcp", http_client=self.http), mode=mode, cache=None)

    def sent(self) -> list[tuple[str, str, int]]:
        """What went over the wire since this was last asked."""
        wire, self.wire = self.wire, []
        return wire


def expect(what: str, found: object, wanted: object) -> None:
    assert found == wanted, f"{what}:\n  found  {found}\n  wanted {wanted}"


async def connects(app: App) -> None:
    """The client knows an address, and gets to a tool's result."""
    async with app.connect() as client:
        expect("the revision", client.protocol_version, "2026-07-28")
        expect(
            "how the SDK got its tokens",
            app.sent(),
            [
                ("POST", "/mcp", 401),
                ("GET", "/.well-known/oauth-protected-resource/mcp", 200),
                ("GET", "/.well-known/oauth-authorization-server", 200),
                ("POST", "/oauth/register", 201),
                ("POST", "/oauth/token", 200),
                ("POST", "/mcp", 200),
            ],
        )
        expect("how often the person was asked", app.times_asked, 1)
        expect("the issuer that the person's answer names", app.told["iss"], app.base_url)
        expect("the tools on offer, by default", await names(client), ["get_status"])
        await asyncio.to_thread(app.person.permit, app.client_id, RIGHTS)
        await uses(client)


async def uses(client: Client) -> None:
    """Everything that the application offers."""
    expect("the tools on offer", await names(client), ["get_status", "notify_peers"])
    result = await client.call_tool("notify_peers", {"message": "hello"})
    expect("whether the tool failed", result.is_error, False)
    expect("the tool's result", result.structured_content, {"told": 0, "peers": []})
    result = await client.call_tool("notify_peers", {})
    expect("whether a call without its argument failed", result.is_error, True)

    prompts = (await client.list_prompts()).prompts
    expect("the prompts on offer", [prompt.name for prompt in prompts], ["get_summary_prompt"])
    prompt = await client.get_prompt("get_summary_prompt", {"topic": "tides"})
    said = [(message.role, message.content.text) for message in prompt.messages]
    expect("the prompt", said, [("user", "See how my actor is doing, then sum up what you know about tides.")])

    resources = (await client.list_resources()).resources
    expect("the resources on offer", [str(resource.uri) for resource in resources], ["usage://status"])
    status = json.loads((await client.read_resource("usage://status")).contents[0].text)
    tool = (await client.call_tool("get_status", {})).structured_content
    expect("the resource, next to the tool", status["actor_id"], tool["actor_id"])


async def names(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


async def speaks_earlier_revisions(app: App) -> None:
    async with app.connect(mode="legacy") as client:
        expect("the revision after `initialize`", client.protocol_version, "2025-11-25")
        await uses(client)
    expect("how often the person was asked", app.times_asked, 1)


async def renews(app: App) -> None:
    """A token that has ended is renewed without the person."""
    before = app.tokens
    async with app.connect() as client:
        app.sent()
        app.oauth.context.token_expiry_time = time.time() - 1
        await uses(client)
    expect("what the SDK did first", app.sent()[:2], [("POST", "/oauth/token", 200), ("POST", "/mcp", 200)])
    assert app.tokens.access_token != before.access_token, "the access token is still the same"
    assert app.tokens.refresh_token != before.refresh_token, "the refresh token is still the same"
    expect("how often the person was asked", app.times_asked, 1)


async def goes_on_after_a_refusal(app: App) -> None:
    """A token that the server refuses, of which the SDK knew nothing: this SDK then asks the person again."""
    async with app.connect() as client:
        app.tokens.access_token = "no-such-token"
        app.sent()
        await uses(client)
    expect("how the server refused", app.sent()[0], ("POST", "/mcp", 401))
    expect("how often the person was asked", app.times_asked, 2)


async def is_shut_out(app: App) -> None:
    """Once its tokens are revoked, nothing goes without the person."""
    async with app.connect() as client:
        old = app.tokens.model_copy()
        revocation = str(app.oauth.context.oauth_metadata.revocation_endpoint)
        async with httpx2.AsyncClient(trust_env=False) as http:
            form = {"token": old.refresh_token, "client_id": app.client_id}
            expect("the answer to the revocation", (await http.post(revocation, data=form)).status_code, 200)
            headers = {"authorization": f"Bearer {old.access_token}"}
            refused = await http.post(f"{app.base_url}/mcp", json={}, headers=headers)
            expect("the answer to the revoked access token", refused.status_code, 401)
            assert "invalid_token" in refused.headers["www-authenticate"], "the refusal does not say `invalid_token`"
        app.sent()
        app.oauth.context.token_expiry_time = time.time() - 1
        await uses(client)
    expect("what became of the revoked tokens", app.sent()[:2], [("POST", "/oauth/token", 400), ("POST", "/mcp", 401)])
    expect("how often the person was asked", app.times_asked, 3)
    expect("how often the person signed in", app.person.sign_ins, 1)


async def is_denied(app: App) -> None:
    """The person does not let it in."""
    try:
        async with app.connect():
            pass
    except BaseException as error:
        found = [leaf for leaf in leaves(error) if isinstance(leaf, OAuthFlowError)]
        assert found, f"the SDK failed otherwise than expected: {error!r}"
    else:
        raise AssertionError("connected, though the person did not allow it")
    expect("what the client was told", app.told["error"], "access_denied")
    expect("whether it has tokens", app.storage.tokens, None)


async def is_known_by_its_document(app: App) -> None:
    """It does not register: its id is the URL of a document that says who it is."""
    with served_document(app.oauth.context.client_metadata) as url:
        # Not given to the provider as it is made: that takes https alone, as do servers that are not on this machine.
        app.oauth.context.client_metadata_url = url
        async with app.connect() as client:
            expect("the tools on offer, by default", await names(client), ["get_status"])
    expect("the client's id", app.client_id, url)
    assert ("POST", "/oauth/register", 201) not in app.sent(), "it registered"


@contextmanager
def served_document(metadata: OAuthClientMetadata) -> Iterator[str]:
    """A client ID metadata document at a URL of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = metadata.model_dump(mode="json", exclude_none=True) | {"client_id": url}
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/client.json"
        Thread(target=server.serve_forever, daemon=True).start()
        yield url
        server.shutdown()


def leaves(error: BaseException) -> list[BaseException]:
    """The errors in a group, and in the groups in it."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


async def main(base_url: str) -> None:
    doing, limit = "begins", asyncio.timeout(LIMIT_SECONDS)
    try:
        async with limit:
            person = await asyncio.to_thread(Person, base_url)
            first = App(person)
            for step, app in (
                (connects, first),
                (speaks_earlier_revisions, first),
                (renews, first),
                (goes_on_after_a_refusal, first),
                (is_shut_out, first),
                (is_known_by_its_document, App(person)),
                (is_denied, App(person, decision="deny")),
            ):
                doing = step.__name__.replace("_", " ")
                await step(app)
                print(f"{SDK}: {doing}")
    except BaseException:
        if limit.expired():
            message = f"{SDK}: not done after {LIMIT_SECONDS} s, at the step '{doing}': {base_url} does not answer"
            raise SystemExit(message) from None
        raise


if __name__ == "__main__":
    logging.disable()  # it logs what is wanted here: refusals
    try:
        asyncio.run(main(sys.argv[1]))
    except BaseExceptionGroup as group:
        raise leaves(group)[0] from None
