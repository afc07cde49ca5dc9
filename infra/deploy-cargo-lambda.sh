#!/usr/bin/env bash
# Builds every function with cargo-lambda and deploys it beside an infrastructure-only stack.
#
#   infra/deploy-cargo-lambda.sh [--dry-run] [--stack NAME] [--region REGION] [group ...]
#
# 1. `sam deploy` with Functions=none: table, keys, roles, log groups, queue, an API without routes.
# 2. For every group: `cargo lambda build`, then `cargo lambda deploy` as <stack>-<group>.
# 3. `sam deploy` with Functions=cargo-lambda: routes, streams, the worker's schedule, alarms.
#
# With groups named, only step 2 for those: new code into a deployment that exists.
# --dry-run prints every command and runs none of them; it needs no credentials.
# Needs cargo-lambda, sam and aws (the AWS command line) on PATH.
#
# From the environment, each the template's parameter of the same purpose, all optional:
#   BASE_URL BEDROCK_MODEL BOT_TOKEN LOG_LEVEL DEVTEST MEMORY_SIZE and PARAMETERS, further
#   `Name=value` pairs for the stack (such as "LogRetentionDays=90").
# Identity providers: ACTINGWEB_OAUTH_<PROVIDER>_... for the function oauth, and clients of services,
#   ACTINGWEB_OAUTH_SERVICE_<NAME>_..., for every function: docs/oauth.md says which there are.
set -euo pipefail
cd "$(dirname "$0")/.."

stack=actingweb
region=${AWS_REGION:-us-east-1}
dry_run=
groups=()
while (($#)); do
  case $1 in
    --dry-run) dry_run=yes ;;
    --stack) stack=${2:?--stack needs a name} && shift ;;
    --region) region=${2:?--region needs a name} && shift ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" && exit ;;
    -*) echo "$0: unknown option $1; see --help" >&2 && exit 2 ;;
    *) groups+=("$1") ;;
  esac
  shift
done
only_code=
if ((${#groups[@]})); then
  only_code=yes
else
  for folder in functions/*/; do groups+=("$(basename "$folder")"); done
fi
for group in "${groups[@]}"; do
  [[ -f functions/$group/Cargo.toml ]] || { echo "$0: there is no function group '$group' in functions/" >&2 && exit 2; }
done

# Runs a command, or only prints it.
run() {
  printf '+' >&2
  printf ' %q' "$@" >&2
  printf '\n' >&2
  [[ $dry_run ]] || "$@"
}

deploy_stack() {
  local parameters=("Functions=$1")
  [[ -z ${BASE_URL:-} ]] || parameters+=("BaseUrl=$BASE_URL")
  [[ -z ${BEDROCK_MODEL:-} ]] || parameters+=("BedrockModel=$BEDROCK_MODEL")
  # shellcheck disable=SC2206 # PARAMETERS is a list of words
  parameters+=(${PARAMETERS:-})
  run sam deploy --template-file infra/template.yaml --stack-name "$stack" --region "$region" \
    --capabilities CAPABILITY_IAM --resolve-s3 --no-confirm-changeset --no-fail-on-empty-changeset \
    --parameter-overrides "${parameters[@]}"
}

# An output of the stack; in a dry run its name in angle brackets. "None" if there is none.
output() {
  if [[ $dry_run ]]; then
    echo "<$1>"
  else
    aws cloudformation describe-stacks --stack-name "$stack" --region "$region" --output text \
      --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue | [0]"
  fi
}

[[ $only_code ]] || deploy_stack none

table=$(output TableName)
base_url=$(output BaseUrl)
keys_arn=$(output KeysArn)
kms_key=$(output KmsKeyArn)
if [[ $dry_run ]]; then
  keys="<the secret $keys_arn>"
else
  keys=$(aws secretsmanager get-secret-value --secret-id "$keys_arn" --region "$region" \
    --query SecretString --output text)
fi

# The keys go through a file that only this user can read, never through a command line.
settings=$(mktemp)
oauth_settings=$(mktemp)
trap 'rm -f "$settings" "$oauth_settings"' EXIT
chmod 600 "$settings" "$oauth_settings"
cat >"$settings" <<END
ACTINGWEB_TABLE='$table'
ACTINGWEB_BASE_URL='$base_url'
ACTINGWEB_KEYS='$keys'
ACTINGWEB_OUTBOUND='strict'
ACTINGWEB_LOG='${LOG_LEVEL:-info}'
ACTINGWEB_DEVTEST='${DEVTEST:-false}'
END
# A variable as a line of such a file: its value stands between single quotes, on one line. Of the line breaks of a key it
# keeps \n, which is how they are read.
setting() {
  [[ $2 != *\'* ]] || { echo "$0: the value of $1 must not hold a single quote" >&2 && exit 2; }
  printf "%s='%s'\n" "$1" "${2//$'\n'/\\n}"
}
[[ -z ${BOT_TOKEN:-} ]] || setting ACTINGWEB_BOT_TOKEN "$BOT_TOKEN" >>"$settings"
[[ -z ${BEDROCK_MODEL:-} ]] || setting ACTINGWEB_BEDROCK_MODEL "$BEDROCK_MODEL" >>"$settings"
for name in $(compgen -e ACTINGWEB_OAUTH_SERVICE_ | sort); do
  setting "$name" "${!name}" >>"$settings"
done
# Secrets of identity providers are the business of one function.
cp "$settings" "$oauth_settings"
for name in $(compgen -e ACTINGWEB_OAUTH_ | sort); do
  [[ $name == ACTINGWEB_OAUTH_SERVICE_* ]] || setting "$name" "${!name}" >>"$oauth_settings"
done
if [[ $dry_run ]]; then
  echo "# $settings would hold:" >&2
  sed -E "s/^/#   /; s/(SECRET|TOKEN)='.*/\\1='...'/" "$settings" >&2
  echo "# and for the function oauth also: $(compgen -e ACTINGWEB_OAUTH_ | grep -v _SERVICE_ | sort | tr '\n' ' ')" >&2
fi

packages=()
for group in "${groups[@]}"; do packages+=(-p "actingweb-$group"); done
# The profile "lambda" is the smallest and quickest to start.
run cargo lambda build --profile lambda --arm64 "${packages[@]}"

for group in "${groups[@]}"; do
  role=$(output "$(sed -E 's/(^|-)(.)/\u\2/g' <<<"$group")RoleArn")
  timeout=29
  env_file=$settings
  case $group in
    oauth) env_file=$oauth_settings ;;
    worker) timeout=900 ;;
    deliver) timeout=120 ;;
    methods-stream) timeout=300 ;;
  esac
  run cargo lambda deploy --region "$region" --binary-name "actingweb-$group" \
    --role "$role" --env-file "$env_file" \
    --memory "${MEMORY_SIZE:-512}" --timeout "$timeout" "$stack-$group"
  if [[ $kms_key == arn:* ]]; then
    run aws lambda update-function-configuration --region "$region" --function-name "$stack-$group" \
      --kms-key-arn "$kms_key" --output text --query LastUpdateStatus
  fi
done

[[ $only_code ]] || deploy_stack cargo-lambda
echo "Actors live at $base_url"
