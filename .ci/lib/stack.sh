# shellcheck shell=bash
# The functions under the real Lambda runtime loop: engine, Lambda's APIs, one process each.

# The groups that answer HTTP, as folders of functions/. The others are fed by events, which
# the engine's process delivers itself.
http_groups() {
  local folder
  for folder in functions/*/; do
    folder=$(basename "$folder")
    case $folder in worker | deliver) ;; *) echo "$folder" ;; esac
  done
}

# start_functions DIR: starts everything and sets `url`. Binaries are those of target/debug.
start_functions() {
  local data=$ci/$1 engine_port watch_port group path
  read -r engine_port watch_port < <(free_ports 2)
  url=http://127.0.0.1:$watch_port
  rm -rf "$data" && mkdir -p "$data"

  # Kept out of the checkout: the engine writes its state, the keys and a `.env` where it runs.
  beside engine env -C "$data" "$PWD/target/debug/actingweb-local" \
    --engine-only --dynamodb-port "$engine_port" --base-url "$url" --data "$data/state"
  wait_until 60 "the engine listens" listens "$engine_port"
  wait_until 60 "the engine wrote the settings of the functions" test -s "$data/.env"

  # --env-file is for functions that watch starts; these are started by hand, so that they
  # are built before and that nothing is compiled while a request waits. Without CORS, as the
  # gateway of the template: watch would answer OPTIONS itself and add headers to replies.
  beside watch cargo lambda watch --only-lambda-apis --ignore-changes --disable-cors \
    --invoke-address 127.0.0.1 --invoke-port "$watch_port"
  wait_until 60 "Lambda's APIs listen" listens "$watch_port"

  for group in $(http_groups); do
    # shellcheck disable=SC2016 # meant for the shell that is started, and for Lambda
    beside "function-$group" env \
      AWS_LAMBDA_RUNTIME_API="$url/.rt/actingweb-$group" \
      AWS_LAMBDA_FUNCTION_NAME="actingweb-$group" AWS_LAMBDA_FUNCTION_VERSION='$LATEST' \
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512 AWS_LAMBDA_MAX_CONCURRENCY=32 \
      "$BASH" -c 'set -a && source "$1" && set +a && exec "$2"' - "$data/.env" "target/debug/actingweb-$group"
  done
  for group in $(http_groups); do
    path=/nobody/$group
    case $group in
      factory) path=/nobody ;;
      methods-stream) path=/nobody/methods/any ;;
    esac
    wait_until 60 "$group answers" answers "$url$path"
  done
}

# start_dynamodb_local: starts the vendor's engine, empty and in memory, and sets `dynamodb_url`.
start_dynamodb_local() {
  local port
  port=$(free_ports 1)
  dynamodb_url=http://127.0.0.1:$port
  beside dynamodb-local java -Xmx512m "-Djava.library.path=$dynamodb_local/DynamoDBLocal_lib" \
    -jar "$dynamodb_local/DynamoDBLocal.jar" -inMemory -sharedDb -port "$port"
  wait_until 60 "DynamoDB Local listens" listens "$port"
}
