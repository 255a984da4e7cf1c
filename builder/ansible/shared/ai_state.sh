# shellcheck shell=sh
# What is there, in the words that the build expects. Changes nothing.
# Arguments: names of RPMs, --, paths relative to the root.
while [ "$1" != -- ]; do
    rpm -q --qf '%{NAME} %{SHA256HEADER}\n' "$1"
    rpm -V "$1"
    shift
done
shift
cd / && sha256sum "$@"
stat -c '%n %U:%G %a' /opt/ai /opt/ai/models /var/lib/ai /var/lib/ai/tmp /var/lib/ai/jit
true
