"""Checks that files are programs for Lambda on arm64: AArch64, and no glibc newer than provided.al2023 has."""

import re
import sys

AARCH64 = 183  # e_machine of the ELF header
GLIBC = (2, 34)  # of Amazon Linux 2023

for path in sys.argv[1:]:
    with open(path, "rb") as file:
        program = file.read()
    if program[:4] != b"\x7fELF" or int.from_bytes(program[18:20], "little") != AARCH64:
        sys.exit(f"{path} is no AArch64 program")
    needed = {(int(major), int(minor)) for major, minor in re.findall(rb"GLIBC_(\d+)\.(\d+)", program)}
    if newer := [version for version in needed if version > GLIBC]:
        sys.exit(f"{path} needs glibc {newer}, provided.al2023 has {GLIBC}")
    print(f"{path}: AArch64, {len(program) / 1e6:.1f} MB, glibc {max(needed, default='none')}")
