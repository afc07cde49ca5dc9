# shellcheck shell=bash
# What .ci/run and .ci/long share: running steps, and processes beside a step.
# A step is a function `step_NAME`; the first comment line inside it says what it checks.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
ci=$PWD/target/ci
mkdir -p "$ci"

# Sources and Cargo.lock decide what is built; nothing else may.
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never} PIP_DISABLE_PIP_VERSION_CHECK=1 SAM_CLI_TELEMETRY=0
[[ ! ${CI:-} ]] || export CARGO_INCREMENTAL=0 # nothing is built twice in a fresh clone

# Runs the steps named in the arguments, or all of "${steps[@]}", each in a process of its
# own, and stops at the first that fails.
run_steps() {
  local chosen=("${steps[@]}") step started=$SECONDS before
  case ${1:-} in
    --list)
      list_steps
      return
      ;;
    --inside)
      "step_${2:?}" # on its own: in an && list a failure inside the step would not end it
      return
      ;;
    -*) echo "usage: $0 [--list] [STEP ...]" >&2 && return 2 ;;
    ?*) chosen=("$@") ;;
  esac
  for step in "${chosen[@]}"; do
    declare -F "step_$step" >/dev/null || { echo "$0: there is no step '$step'; see --list" >&2 && return 2; }
  done
  for step in "${chosen[@]}"; do
    before=$SECONDS
    echo "=== $step"
    if ! "$BASH" "$0" --inside "$step" </dev/null; then
      echo "=== $step FAILED after $((SECONDS - before)) s; repeat it with: $0 $step"
      return 1
    fi
    echo "=== $step ok, $((SECONDS - before)) s"
  done
  echo "=== all ok, $((SECONDS - started)) s"
}

list_steps() {
  local step
  for step in "${steps[@]}"; do
    printf '%-10s %s\n' "$step" "$(sed -n "/^step_$step() {/{n;s/^ *# //p;q}" "$0")"
  done
}

# Builds every program that a step starts. Always all of them: with fewer packages or targets cargo
# would choose other features for what they depend on, and build that once more.
build_programs() {
  cargo build --locked --workspace --bins --examples
}

# --- Processes beside a step: started by `beside`, stopped by their ids when it ends --------

beside_pids=()
beside_logs=()

# beside LOG COMMAND...: starts a command in the background, its output in target/ci/LOG.log.
beside() {
  local log=$ci/$1.log
  shift
  "$@" >"$log" 2>&1 </dev/null &
  beside_pids+=($!)
  beside_logs+=("$log")
}

# Ends everything that `beside` started; shows the ends of their logs if the step failed.
# shellcheck disable=SC2317,SC2329 # called by the trap
stop_beside() {
  local status=$? pid log try
  for pid in "${beside_pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${beside_pids[@]}"; do
    for ((try = 0; try < 50; try++)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
  done
  if ((status)); then
    for log in "${beside_logs[@]}"; do
      echo "--- the end of $log"
      tail -n 20 "$log"
    done
  fi
  return "$status"
}
trap stop_beside EXIT

# Waits until a condition holds; fails after the seconds, or once a process beside has ended.
wait_until() {
  local seconds=$1 what=$2 pid
  shift 2
  local until=$((SECONDS + seconds))
  until "$@"; do
    for pid in "${beside_pids[@]}"; do
      kill -0 "$pid" 2>/dev/null || { echo "a process ended while waiting until $what" && return 1; }
    done
    ((SECONDS < until)) || { echo "not within $seconds s: $what" && return 1; }
    sleep 0.2
  done
}

# Whether something listens on the port. A subshell, so that the connection is closed.
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_ports N: N ports that nobody listens on now.
free_ports() {
  python3 - "$1" <<'PY'
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(server.getsockname()[1] for server in held))
PY
}

# Whether the URL is answered at all, by whatever status.
answers() {
  python3 - "$1" <<'PY'
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=5)
except urllib.error.HTTPError as reply:
    sys.exit(reply.code >= 500)
except OSError:
    sys.exit(1)
PY
}
