# shellcheck shell=bash
# An actor for schemathesis on a local stack.

# start_local: starts the local stack on an empty engine in memory, and sets `url`.
start_local() {
  local port
  port=$(free_ports 1)
  url=http://127.0.0.1:$port
  beside local target/debug/actingweb-local --memory --port "$port"
  wait_until 60 "the local stack answers" answers "$url/openapi.json"
}

# create_actor: creates an actor at $url with a property and a list, and exports what
# schemathesis.toml needs to know of it.
create_actor() {
  export ACTINGWEB_URL=$url ACTINGWEB_CREATOR=ann ACTINGWEB_PASSPHRASE="correct horse battery" ACTINGWEB_ACTOR
  ACTINGWEB_ACTOR=$(
    python3 - <<'PY'
import base64, json, os, urllib.request

url, creator, passphrase = (os.environ[f"ACTINGWEB_{name}"] for name in ("URL", "CREATOR", "PASSPHRASE"))
basic = base64.b64encode(f"{creator}:{passphrase}".encode()).decode()

def post(path, body):
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {basic}"}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
    return json.load(urllib.request.urlopen(request, timeout=10))

actor = post("/", {"creator": creator, "passphrase": passphrase})["id"]
post(f"/{actor}/properties", {"profile": {"name": "Ann"}, "notes": {"_type": "list"}})
for item in ["milk", {"name": "bread"}, 3]:
    post(f"/{actor}/properties/notes", item)
print(actor)
PY
  )
}
