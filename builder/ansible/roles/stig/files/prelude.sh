# shellcheck shell=bash
# Read by bash before every fix, in the same shell. Each function stands before a
# program that fixes call again and again, that takes seconds each time on a machine
# without KVM, or that must not run on a machine that is being built. Whatever a
# function does not know goes to the program itself.

# Asked about a thousand times: answered from the list that mend.py made.
rpm() {
    local name names
    case "$1 $2" in
        '--quiet -q' | '-q --quiet')
            IFS= read -r -d '' names < "$HARDPAN_ROOM/packages"
            shift 2
            for name in "$@"; do
                [[ $names == *$'\n'"$name"$'\n'* ]] || return 1
            done
            ;;
        *) command rpm "$@" ;;
    esac
}

# The packages that rules are about were asked for in one transaction already.
dnf() {
    local names rc
    if [[ $1 == install ]]; then
        IFS= read -r -d '' names < "$HARDPAN_ROOM/unavailable"
        if [[ $names == *$'\n'"${*: -1}"$'\n'* ]]; then
            echo "${*: -1}: no enabled repository has it" >&2
            return 1
        fi
    fi
    command dnf "$@"
    rc=$?
    { echo; command rpm -qa --qf '%{NAME}\n'; } > "$HARDPAN_ROOM/packages"
    return "$rc"
}
yum() { dnf "$@"; }

# SYSTEMD_OFFLINE is set: units are switched on and off by their files and nothing is
# started, because the machine starts anew before it is used. --now is refused then.
systemctl() {
    local argument kept=()
    for argument in "$@"; do
        [[ $argument == --now ]] || kept+=("$argument")
    done
    command systemctl "${kept[@]}"
}
service() { echo "service $*: left to the machine's next start" >&2; }

# The rules are compiled and loaded at the next start, when they are complete; loading
# them now would make them immutable in the middle of the work.
augenrules() {
    case "$*" in
        --load) echo 'augenrules --load: left to the next start' >&2 ;;
        *) command augenrules "$@" ;;
    esac
}
auditctl() { echo "auditctl $*: left to the next start" >&2; }

# Once, after the last fix.
grub2-mkconfig() { echo grub2-mkconfig >> "$HARDPAN_ROOM/later"; }
