#!/bin/sh
# Puts the model in place, checks every file, and says whether anything changed.
# Run as root in the folder that the archive was unpacked in.
set -eu
model=opt/ai/models/all-MiniLM-L6-v2

for package in python3-torch python3-numpy python3-safetensors; do
    rpm -q --quiet "$package" || { echo "$package is not installed" >&2; exit 1; }
done
getent group ai > /dev/null || groupadd --system ai
id ai > /dev/null 2>&1 ||
    useradd --system --gid ai --home-dir /var/lib/ai --no-create-home --shell /usr/sbin/nologin ai
install -d -o root -g root -m 0755 /opt/ai /opt/ai/models "/$model" /etc/hardpan
install -d -o ai -g ai -m 0750 /var/lib/ai /var/lib/ai/tmp /var/lib/ai/jit

(cd "$model" && sha256sum --quiet -c SHA256SUMS)
if cmp -s "$model/models.lock" "/$model/models.lock" &&
    (cd "/$model" && sha256sum --status -c SHA256SUMS); then
    echo unchanged
else
    for file in "$model"/*; do
        install -o root -g root -m 0444 "$file" "/$model/"
    done
    (cd "/$model" && sha256sum --quiet -c SHA256SUMS)
    echo changed
fi
install -o root -g root -m 0644 etc/hardpan/ai.env /etc/hardpan/ai.env
