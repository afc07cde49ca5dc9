"""Fails if a dependency in Cargo.lock has a licence that .ci/licences.toml does not allow."""

import json
import re
import subprocess
import sys
import tomllib


def tokens(expression):
    """Splits an SPDX expression; the old "MIT/Apache-2.0" means OR, X WITH Y is one licence."""
    expression = re.sub(r"\s+WITH\s+", "+WITH+", expression.replace("/", " OR "))
    return [token.replace("+WITH+", " WITH ") for token in re.findall(r"[()]|[^\s()]+", expression)]


def allows(expression, allowed):
    """Whether the expression is met by allowed licences alone; AND binds closer than OR."""
    rest = tokens(expression)

    def either():
        result = both()
        while rest and rest[0] == "OR":
            rest.pop(0)
            result = both() or result
        return result

    def both():
        result = one()
        while rest and rest[0] == "AND":
            rest.pop(0)
            result = one() and result
        return result

    def one():
        token = rest.pop(0)
        if token != "(":
            return token in allowed
        result = either()
        if not rest or rest.pop(0) != ")":
            raise ValueError(f"unbalanced: {expression}")
        return result

    result = either()
    if rest:
        raise ValueError(f"cannot read {expression!r} at {rest[0]!r}")
    return result


def check_reading():
    """The reader above, against cases whose answer is known."""
    allowed = {"MIT", "ISC", "A WITH B"}
    for expression, expected in {
        "MIT": True,
        "GPL-3.0": False,
        "GPL-3.0 OR MIT": True,
        "GPL-3.0/MIT": True,
        "GPL-3.0 AND MIT": False,
        "MIT AND GPL-3.0 OR ISC": True,
        "MIT AND (GPL-3.0 OR LGPL-3.0)": False,
        "(GPL-3.0 OR MIT) AND ISC": True,
        "A WITH B": True,
        "A": False,
    }.items():
        assert allows(expression, allowed) == expected, expression


def main():
    check_reading()
    with open(".ci/licences.toml", "rb") as file:
        policy = tomllib.load(file)
    allowed, named = set(policy["allowed"]), policy["named"]
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    refused, seen = [], set()
    for package in metadata["packages"]:
        name, licence = package["name"], package["license"] or named.get(package["name"])
        seen.add(name)
        if not licence:
            refused.append(f"{name} {package['version']} names no licence; look it up and add it to [named]")
        elif not allows(licence, allowed):
            refused.append(f"{name} {package['version']} is under {licence}, which is not allowed")
    refused += [f"{name} in [named] is no dependency any more" for name in named if name not in seen]
    if refused:
        sys.exit("\n".join(refused))
    print(f"{len(metadata['packages'])} packages, every licence allowed")


main()
