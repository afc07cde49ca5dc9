# shellcheck shell=bash
# The official SDKs of MCP as clients (tests/sdk_clients). Needs common.sh and tools.sh.

sdk_clients=$ci/sdk-clients

# The SDKs, at the versions in requirements.txt and package-lock.json.
install_sdk_clients() {
  local from=tests/sdk_clients
  install_node
  need python3 python3
  if ! cmp -s $from/requirements.txt "$sdk_clients/installed.txt"; then
    python3 -c 'import ensurepip' 2>/dev/null || install_package python3-venv
    python3 -m venv --clear "$sdk_clients/python"
    "$sdk_clients/python/bin/python" -m pip install --quiet --requirement $from/requirements.txt
    cp $from/requirements.txt "$sdk_clients/installed.txt"
  fi
  if ! cmp -s $from/package-lock.json "$sdk_clients/installed.json"; then
    cp $from/package*.json "$sdk_clients/"
    (cd "$sdk_clients" && npm ci --silent --ignore-scripts --no-audit --no-fund)
    cp $from/package-lock.json "$sdk_clients/installed.json"
  fi
}

# try_sdk_clients URL: each SDK goes through the whole flow of OAuth at this deployment, uses what it offers, and is
# shut out again.
try_sdk_clients() {
  local package
  # Beside their packages, where node looks for them.
  cp tests/sdk_clients/*.ts "$sdk_clients/"
  PYTHONDONTWRITEBYTECODE=1 "$sdk_clients/python/bin/python" tests/sdk_clients/python_client.py "$1"
  for package in client sdk; do
    "$node" "$sdk_clients/typescript_client.ts" "@modelcontextprotocol/$package" "$1"
  done
}
