# shellcheck shell=sh disable=SC2034
# What every AI layer finds on the host: the group and user ai, the folders, the variables of
# all units, the embedding model. Read by a layer's install.sh, as root, in the folder that its
# archive was unpacked in. Sets 'changed' to 1 when something was not as it is now.
model=opt/ai/models/all-MiniLM-L6-v2

put() { # file, destination, mode
    cmp -s "$1" "$2" || { install -o root -g root -m "$3" "$1" "$2"; changed=1; }
}

getent group ai > /dev/null || { groupadd --system ai; changed=1; }
id ai > /dev/null 2>&1 || {
    useradd --system --gid ai --home-dir /var/lib/ai --no-create-home --shell /usr/sbin/nologin ai
    changed=1
}
install -d -o root -g root -m 0755 /opt/ai /opt/ai/models "/$model" /etc/hardpan
install -d -o ai -g ai -m 0750 /var/lib/ai /var/lib/ai/tmp /var/lib/ai/jit

(cd "$model" && sha256sum --quiet -c SHA256SUMS)
for file in "$model"/*; do
    put "$file" "/$file" 0444
done
(cd "/$model" && sha256sum --quiet -c SHA256SUMS)
put etc/hardpan/ai.env /etc/hardpan/ai.env 0644
