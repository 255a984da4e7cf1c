# shellcheck shell=bash
# Sourced by bash before every fix, in the same shell. Each function wraps a program that fixes
# call very often, that takes seconds per call on a machine without KVM, or that must not run
# during a build. Calls that a function does not handle go to the program itself.

# Called about a thousand times: answered from the package list that remediate.py wrote.
rpm() {
    local name names
    case "$1 $2" in
        '--quiet -q' | '-q --quiet')
            IFS= read -r -d '' names < "$HARDPAN_WORKDIR/packages"
            shift 2
            for name in "$@"; do
                [[ $names == *$'\n'"$name"$'\n'* ]] || return 1
            done
            ;;
        *) command rpm "$@" ;;
    esac
}

# remediate.py has already installed the packages of all rules in one transaction.
dnf() {
    local names rc
    if [[ $1 == install ]]; then
        IFS= read -r -d '' names < "$HARDPAN_WORKDIR/unavailable"
        if [[ $names == *$'\n'"${*: -1}"$'\n'* ]]; then
            echo "${*: -1}: not available in the enabled repositories" >&2
            return 1
        fi
    fi
    command dnf "$@"
    rc=$?
    { echo; command rpm -qa --qf '%{NAME}\n'; } > "$HARDPAN_WORKDIR/packages"
    return "$rc"
}
yum() { dnf "$@"; }

# SYSTEMD_OFFLINE is set: units are enabled and disabled through their files and nothing is
# started, because the machine reboots before it is used. systemctl rejects --now then.
systemctl() {
    local argument arguments=()
    for argument in "$@"; do
        [[ $argument == --now ]] || arguments+=("$argument")
    done
    command systemctl "${arguments[@]}"
}
service() { echo "service $*: deferred to the next boot" >&2; }

# Audit rules are compiled and loaded at the next boot, when they are complete; loading them now
# would make them immutable before all fixes have run.
augenrules() {
    case "$*" in
        --load) echo 'augenrules --load: deferred to the next boot' >&2 ;;
        *) command augenrules "$@" ;;
    esac
}
auditctl() { echo "auditctl $*: deferred to the next boot" >&2; }

# Runs once, after the last fix.
grub2-mkconfig() { echo grub2-mkconfig >> "$HARDPAN_WORKDIR/deferred"; }
