# shellcheck shell=bash
# A PostgreSQL server for a step: a cluster of its own, empty, on a free port of 127.0.0.1.

# Installs the server, unless there is one.
install_postgres() {
  [[ $(postgres_programs) ]] || install_package postgresql
  need setpriv util-linux
}

# The folder of the newest server's programs; they are not on the PATH.
postgres_programs() {
  local found
  found=$(compgen -G '/usr/lib/postgresql/*/bin' | sort --version-sort | tail -n 1)
  echo "${found:-$(dirname "$(command -v initdb)" 2>/dev/null)}"
}

# start_postgres: starts a server and sets `postgres_url`. Nothing in it outlives the step.
start_postgres() {
  local programs port as=()
  # shellcheck disable=SC2154 # from common.sh
  local data=$ci/postgres
  programs=$(postgres_programs)
  port=$(free_ports 1)
  rm -rf "$data" && mkdir -p "$data"
  if ((EUID == 0)); then
    # The server refuses to run as root. Its package brings a user for it; setpriv becomes that user without a
    # process in between, so that whoever ends the process ends the server.
    as=(setpriv --reuid postgres --regid postgres --clear-groups)
    chown postgres: "$data"
    "${as[@]}" test -w "$data" || { echo "the user postgres cannot enter $data: open its parents" >&2 && return 1; }
  fi
  env -C "$data" "${as[@]}" "$programs/initdb" --pgdata "$data" --auth trust --username postgres --encoding UTF8 \
    --locale C --no-sync >"$ci/initdb.log" 2>&1 || { cat "$ci/initdb.log" >&2 && return 1; }
  # Durability is nothing a test needs. No socket in a shared folder, and nobody but this machine.
  beside postgres env -C "$data" "${as[@]}" "$programs/postgres" -D "$data" -p "$port" \
    -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c full_page_writes=off
  wait_until 60 "PostgreSQL listens" "$programs/pg_isready" --quiet --host 127.0.0.1 --port "$port" --username postgres
  # shellcheck disable=SC2034 # for the step
  postgres_url=postgres://postgres@127.0.0.1:$port/postgres
}
