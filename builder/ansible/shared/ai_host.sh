# shellcheck shell=sh
# What every AI layer finds on the host: the group and user ai, the folders, the variables of
# all units, the embedding model. Read by a layer's install.sh, as root, in the folder that its
# archive was unpacked in.
model=opt/ai/models/all-MiniLM-L6-v2

getent group ai > /dev/null || groupadd --system ai
id ai > /dev/null 2>&1 ||
    useradd --system --gid ai --home-dir /var/lib/ai --no-create-home --shell /usr/sbin/nologin ai
install -d -o root -g root -m 0755 /opt/ai /opt/ai/models "/$model" /etc/hardpan
install -d -o ai -g ai -m 0750 /var/lib/ai /var/lib/ai/tmp /var/lib/ai/jit

(cd "$model" && sha256sum --quiet -c SHA256SUMS)
for file in "$model"/*; do
    cmp -s "$file" "/$file" || install -o root -g root -m 0444 "$file" "/$model/"
done
(cd "/$model" && sha256sum --quiet -c SHA256SUMS)
install -o root -g root -m 0644 etc/hardpan/ai.env /etc/hardpan/ai.env
