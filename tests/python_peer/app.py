"""A peer on the published Python library, for tests of interoperation.

Run it on an engine that speaks DynamoDB, see docs/interop.md:

    AWS_DB_HOST=http://127.0.0.1:8000 python app.py --port 5001

Everything below /{actor} is the library's own. Below /_test are windows into it, for tests
alone: they show secrets and ask for no credentials, so the server listens on 127.0.0.1 only.

    GET  /_test/ready                                  the library's version
    GET  /_test/{actor}                                what the library keeps of the actor's peers
    GET  /_test/{actor}/requests                       what arrived below /{actor}, oldest first, answered or not
    POST /_test/{actor}/sync/{peer}/{subscription}     pull what is new from the peer
    POST /_test/{actor}/suspend/{target}[/{subtarget}] say no more of changes
    POST /_test/{actor}/resume/{target}[/{subtarget}]  speak again, and have subscribers start afresh
"""

import argparse
import dataclasses
import json
import os
import threading
import time
from typing import Any

# Read by the library when it is imported. Nothing here leaves the machine.
os.environ.setdefault("AWS_DB_HOST", "http://127.0.0.1:8000")
os.environ.setdefault("AWS_DB_PREFIX", "python_peer")
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
os.environ.setdefault("AWS_ACCESS_KEY_ID", "local")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "local")

import actingweb  # noqa: E402
import uvicorn  # noqa: E402
from actingweb.attribute import Attributes  # noqa: E402
from actingweb.interface import ActingWebApp, ActorInterface  # noqa: E402
from actingweb.peer_permissions import get_peer_permission_store  # noqa: E402
from actingweb.remote_storage import RemotePeerStore  # noqa: E402
from fastapi import FastAPI, HTTPException  # noqa: E402
from starlette.types import ASGIApp, Message, Receive, Scope, Send  # noqa: E402

AW_TYPE = "urn:actingweb:example.com:python-peer"


class Journal:
    """What happened to each actor, in order. Kept in memory: a test's actors are its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, list[dict[str, Any]]] = {}

    def add(self, actor: str, entry: dict[str, Any]) -> None:
        with self._lock:
            self._entries.setdefault(actor, []).append(entry)

    def of(self, actor: str) -> list[dict[str, Any]]:
        with self._lock:
            return list(self._entries.get(actor, []))


applied = Journal()
hooks = Journal()
requests = Journal()


class Recorder:
    """Notes every request below /{actor}: what came, who spoke, what was answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        actor = scope.get("path", "").split("/")[1:2]
        if scope["type"] != "http" or actor in ([], [""], ["_test"]):
            return await self._app(scope, receive, send)
        sent, got, status = b"", b"", 0

        async def receiving() -> Message:
            nonlocal sent
            message = await receive()
            sent += message.get("body", b"")
            return message

        async def sending(message: Message) -> None:
            nonlocal got, status
            status = message.get("status", status)
            got += message.get("body", b"")
            await send(message)

        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        entry = {
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode(),
            "auth": headers.pop("authorization", "").split(" ")[0],
            "headers": headers,
        }
        began = time.monotonic()
        try:
            await self._app(scope, receiving, sending)
        finally:
            milliseconds = round((time.monotonic() - began) * 1000)
            entry |= {"body": parsed(sent), "status": status, "reply": parsed(got), "milliseconds": milliseconds}
            requests.add(actor[0], entry)


def parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode("utf-8", "replace")


def application(host: str, port: int, gap_timeout: float) -> FastAPI:
    """The application and its windows."""
    app = (
        ActingWebApp(aw_type=AW_TYPE, database="dynamodb", fqdn=f"{host}:{port}", proto="http://")
        .with_sync_callbacks(True)
        .with_subscription_processing(auto_sequence=True, auto_storage=True, gap_timeout_seconds=gap_timeout)
        .with_peer_profile(["displayname"])
        .with_peer_capabilities()
        .with_peer_permissions()
        .with_mcp(enable=False)
    )
    config = app.get_config()
    config.default_relationship = "friend"
    config.auto_accept_default_relationship = False

    @app.subscription_data_hook("*")
    def on_data(
        actor: ActorInterface, peer_id: str, target: str, data: Any, sequence: int, callback_type: str
    ) -> None:
        entry = {"peer": peer_id, "target": target, "data": data, "sequence": sequence, "type": callback_type}
        applied.add(str(actor.id), entry)

    def on_event(event: str) -> None:
        @app.lifecycle_hook(event)
        def note(actor: ActorInterface, **arguments: Any) -> None:
            hooks.add(str(actor.id), {"event": event, "peer": arguments.get("peer_id")})

    for event in (
        "trust_initiated",
        "trust_request_received",
        "trust_fully_approved_local",
        "trust_fully_approved_remote",
        "trust_deleted",
        "subscription_deleted",
    ):
        on_event(event)

    @app.method_hook("greet")
    def greet(actor: ActorInterface, method_name: str, data: dict[str, Any]) -> dict[str, Any]:
        return {"greeting": f"Hello, {data.get('name', 'you')}"}

    api = FastAPI()

    def find(actor_id: str) -> ActorInterface:
        found = ActorInterface.get_by_id(actor_id, config)
        if found is None:
            raise HTTPException(404, "no such actor")
        return found

    @api.get("/_test/ready")
    def ready() -> dict[str, Any]:
        return {"version": actingweb.__version__, "type": AW_TYPE}

    @api.get("/_test/{actor_id}")
    def state(actor_id: str) -> dict[str, Any]:
        actor = find(actor_id)
        trusts = [trust.to_dict() for trust in actor.trust.relationships]
        inbound = [subscription.to_dict() for subscription in actor.subscriptions.inbound_subscriptions]
        outbound = [subscription.to_dict() for subscription in actor.subscriptions.outbound_subscriptions]
        # Data of peers whose trust is gone is asked for too: it must be gone as well.
        peers = {str(trust["peerid"]) for trust in trusts} | {entry["peer"] for entry in applied.of(actor_id)}
        grants = get_peer_permission_store(config)
        # The library remembers what it read; a window must not.
        grants.clear_cache()
        granted = {peer: grants.get_permissions(actor_id, peer) for peer in peers}
        pending = Attributes(actor_id=actor_id, bucket="_callback_state", config=config).get_bucket() or {}
        return {
            "trusts": trusts,
            "inbound": inbound,
            "outbound": outbound,
            "remote": {peer: remote(actor, peer) for peer in peers},
            "granted": {peer: grant.to_dict() for peer, grant in granted.items() if grant},
            "profiles": {peer: plain(actor.trust.get_peer_profile(peer)) for peer in peers},
            "capabilities": {peer: plain(actor.trust.get_peer_capabilities(peer)) for peer in peers},
            "callback_state": {name: value.get("data") for name, value in pending.items()},
            "applied": applied.of(actor_id),
            "hooks": hooks.of(actor_id),
        }

    @api.get("/_test/{actor_id}/requests")
    def arrived(actor_id: str) -> list[dict[str, Any]]:
        return requests.of(actor_id)

    @api.post("/_test/{actor_id}/sync/{peer_id}/{subscription_id}")
    def sync(actor_id: str, peer_id: str, subscription_id: str) -> dict[str, Any]:
        processing = app.get_subscription_config()
        return dataclasses.asdict(find(actor_id).subscriptions.sync_subscription(peer_id, subscription_id, processing))

    @api.post("/_test/{actor_id}/suspend/{target}")
    @api.post("/_test/{actor_id}/suspend/{target}/{subtarget}")
    def suspend(actor_id: str, target: str, subtarget: str | None = None) -> dict[str, Any]:
        return {"suspended": find(actor_id).subscriptions.suspend(target, subtarget)}

    @api.post("/_test/{actor_id}/resume/{target}")
    @api.post("/_test/{actor_id}/resume/{target}/{subtarget}")
    def resume(actor_id: str, target: str, subtarget: str | None = None) -> dict[str, Any]:
        return {"told": find(actor_id).subscriptions.resume(target, subtarget)}

    # After the windows, which would match /{actor} otherwise.
    app.integrate_fastapi(api)
    api.add_middleware(Recorder)
    return api


def remote(actor: ActorInterface, peer: str) -> dict[str, Any]:
    """What the actor holds of a peer: values as they are stored, lists as their items."""
    store = RemotePeerStore(actor, peer, validate_peer_id=False)
    values = {name: store.get_value(name) for name in store.list_all_scalars()}
    return {"values": values, "lists": {name: store.get_list(name) for name in store.list_all_lists()}}


def plain(record: Any) -> Any:
    return record.to_dict() if record is not None else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "5001")))
    parser.add_argument("--gap-timeout", type=float, default=5.0, help="seconds before a gap leads to a resync")
    options = parser.parse_args()
    api = application("127.0.0.1", options.port, options.gap_timeout)
    uvicorn.run(api, host="127.0.0.1", port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
