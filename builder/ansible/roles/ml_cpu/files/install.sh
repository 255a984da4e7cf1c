#!/bin/sh
# Puts the model in place and checks every file.
# Run as root in the folder that the archive was unpacked in.
set -eu

for package in python3-torch python3-numpy python3-safetensors; do
    rpm -q --quiet "$package" || { echo "$package is not installed" >&2; exit 1; }
done
# shellcheck source=/dev/null
. ./ai_host.sh
