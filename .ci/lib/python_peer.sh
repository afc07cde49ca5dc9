# shellcheck shell=bash
# A peer on the published Python library (tests/python_peer), on the embedded engine.
# Needs common.sh and tools.sh, and target/debug/actingweb-local.

python_peer=$ci/python-peer

# The library and all it needs, at the versions in tests/python_peer/requirements.txt.
install_python_peer() {
  local wanted=tests/python_peer/requirements.txt
  cmp -s "$wanted" "$python_peer/installed.txt" && return
  need python3 python3
  python3 -c 'import ensurepip' 2>/dev/null || install_package python3-venv
  python3 -m venv --clear "$python_peer"
  "$python_peer/bin/python" -m pip install --quiet --requirement "$wanted"
  cp "$wanted" "$python_peer/installed.txt"
}

# start_python_peer [FLAG ...]: starts the peer with these flags of app.py, on an engine of its
# own, both empty; sets `python_peer_url`. `beside` ends both with the step.
start_python_peer() {
  local data=$ci/python-peer-engine engine_port port
  read -r engine_port port < <(free_ports 2)
  python_peer_url=http://127.0.0.1:$port
  rm -rf "$data" && mkdir -p "$data"
  beside python-peer-engine env -C "$data" "$PWD/target/debug/actingweb-local" \
    --engine-only --dynamodb-port "$engine_port" --data "$data/state"
  wait_until 60 "the peer's engine listens" listens "$engine_port"
  beside python-peer env AWS_DB_HOST="http://127.0.0.1:$engine_port" \
    "$python_peer/bin/python" tests/python_peer/app.py --port "$port" "$@"
  wait_until 60 "the peer answers" answers "$python_peer_url/_test/ready"
}
