# shellcheck shell=bash
# The official conformance suite of MCP, on a fixture that has what its scenarios name.

conformance=$ci/conformance
conformance_version=0.2.0-alpha.12 # the first line that knows the revision 2026-07-28

# What the suite has of the extension for tasks, which no revision requires.
# shellcheck disable=SC2034 # used by .ci/run
tasks_scenarios=(tasks-lifecycle tasks-capability-negotiation tasks-wire-fields tasks-request-state-removal
  tasks-request-headers tasks-dispatch-and-envelope tasks-required-task-error tasks-mrtr-input tasks-mrtr-composition)

# Installs the suite.
install_conformance() {
  local wanted="conformance $conformance_version"
  install_node
  [[ $(cat "$conformance/installed.txt" 2>/dev/null) == "$wanted" ]] && return
  need npm npm
  mkdir -p "$conformance"
  npm install --silent --no-audit --no-fund --prefix "$conformance" \
    "@modelcontextprotocol/conformance@$conformance_version"
  echo "$wanted" >"$conformance/installed.txt"
}

# start_mcp_fixture: starts the fixture, goes through the whole flow of OAuth, and sets `mcp_url`.
start_mcp_fixture() {
  local port
  port=$(free_ports 1)
  mcp_url=http://127.0.0.1:$port/mcp
  beside mcp-fixture target/debug/examples/mcp_fixture "127.0.0.1:$port"
  wait_until 60 "the fixture listens" listens "$port"
}

# conformance_of REVISION OPTION...: runs the scenarios that the options choose; the checks that are known to fail in this
# revision are listed with their reasons.
conformance_of() {
  local revision=$1
  shift
  "$node" "$conformance/node_modules/@modelcontextprotocol/conformance/dist/index.js" \
    server --url "$mcp_url" --expected-failures ".ci/lib/mcp_expected_failures/$revision.yml" \
    --output-dir "$ci/conformance-results" "$@"
}
