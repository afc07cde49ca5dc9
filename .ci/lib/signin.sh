# shellcheck shell=bash
# A browser, and certified OpenID Connect providers for it (tests/browser). Needs common.sh and tools.sh, and
# target/debug/actingweb-local.

browser_tests=$ci/browser

# Chromium, and the packages that tests/browser names.
install_browser() {
  need chromium chromium
  need npm npm
  cmp -s tests/browser/package-lock.json "$browser_tests/installed.json" && return
  rm -rf "$browser_tests" && mkdir -p "$browser_tests"
  cp tests/browser/package*.json "$browser_tests/"
  (cd "$browser_tests" && npm ci --silent --ignore-scripts --no-audit --no-fund)
  cp tests/browser/package-lock.json "$browser_tests/installed.json"
}

# start_providers: starts the local stack on an empty engine in memory, and two providers that it knows; sets `url`.
start_providers() {
  local port house club
  read -r port house club < <(free_ports 3)
  url=http://127.0.0.1:$port
  # Beside its packages, where node looks for them.
  cp tests/browser/*.mjs "$browser_tests/"
  beside house node "$browser_tests/provider.mjs" "$house" house "$url/oauth/callback"
  beside club node "$browser_tests/provider.mjs" "$club" club "$url/oauth/callback"
  local secret=the-secret-of-the-client-of-32-characters
  beside local env \
    ACTINGWEB_OAUTH_HOUSE_ISSUER="http://127.0.0.1:$house" ACTINGWEB_OAUTH_HOUSE_DISPLAY_NAME=House \
    ACTINGWEB_OAUTH_HOUSE_CLIENT_ID=the-client ACTINGWEB_OAUTH_HOUSE_CLIENT_SECRET=$secret \
    ACTINGWEB_OAUTH_CLUB_ISSUER="http://127.0.0.1:$club" ACTINGWEB_OAUTH_CLUB_DISPLAY_NAME=Club \
    ACTINGWEB_OAUTH_CLUB_CLIENT_ID=the-client ACTINGWEB_OAUTH_CLUB_CLIENT_SECRET=$secret \
    target/debug/actingweb-local --memory --port "$port"
  wait_until 60 "the first provider listens" listens "$house"
  wait_until 60 "the second provider listens" listens "$club"
  wait_until 60 "the local stack answers" answers "$url/openapi.json"
}
