"""The scripts that run OpenSCAP on a target, and the bytes that they read.

They need POSIX sh, coreutils and oscap. Nothing that hardpan brings is executed from a file:
fapolicyd would refuse it. The work folder may be on any file system with space, also a noexec one.
It is removed at the end, also after a lost connection; after SIGKILL the next scan removes it.
"""

import gzip
import re

from hardpan.core.errors import ToolError
from hardpan.scanners.collect.openscap_packages import PushedPackage
from hardpan.scanners.collect.preconditions import RPM_DATABASE_TEST
from hardpan.scanners.content.prepare import PreparedContent, StreamPart

NO_FOLDER, INCOMPLETE_UPLOAD, NO_TMP, CANNOT_UNPACK, CANNOT_EXECUTE = 42, 43, 44, 45, 46
"""Exit codes of the script."""

_PLAIN_ID = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_KIB = 1024
_ARF_KIB = 12 << 10
"""Space for the results of a part, in KiB; its ARF repeats the content."""

_MEMORY_RATIO = 0.7
_TIME_RATIO = 0.9
"""Share of the time limit after which oscap is ended, so that the results can be sent."""

_SCRIPT = r"""
set -u
umask 077
main=$$ watcher= pids= work= fallback=

# Field 22 of proc_pid_stat(5), after the name in brackets: a process id is reused, a start is not.
start_of() {
  s=
  { read -r s < "/proc/$1/stat"; } 2>/dev/null
  set -- ${s##*) }
  echo "${20:-0}"
}
remove_stale() {
  for d in "$1"/hardpan-scan.*; do
    [ -d "$d" ] && [ ! -L "$d" ] && [ -O "$d" ] || continue
    owner=${d##*/hardpan-scan.} owner=${owner%.*}
    [ -d "/proc/${owner%.*}" ] && [ "$(start_of "${owner%.*}")" = "${owner#*.}" ] || rm -rf "$d"
  done
}
free_kib() { df -Pk "$1" 2>/dev/null | { read -r _; read -r _ _ _ n _ && echo "$n" || echo 0; }; }

# In any other folder its owner, or everybody, could replace what root writes there.
is_safe() { case $1 in /tmp|/var/tmp|/dev/shm) [ -k "$1" ];; *) [ -O "$1" ];; esac; }

# No clock that may be set while the scan runs.
uptime_s() {
  up=0
  { read -r up _ < /proc/uptime; } 2>/dev/null
  echo "${up%.*}"
}
end=$(($(uptime_s) + @LIMIT@))

[ -w /tmp ] || { echo "/tmp is not writable" >&2; exit @NO_TMP@; }
# oscap executes script checks from files, or runs them in an interpreter where that is impossible:
# a noexec folder is preferred, because fapolicyd refuses the former.
for base in /var/lib /var/tmp /root "${HOME:-/root}" /opt /run /dev/shm /tmp /run/user/*; do
  [ -d "$base" ] && [ -w "$base" ] && is_safe "$base" || continue
  remove_stale "$base"
  [ "$(free_kib "$base")" -gt @NEED@ ] 2>/dev/null || continue
  folder=$(mktemp -d "$base/hardpan-scan.$$.$(start_of $$).XXXXXXXX" 2>/dev/null) || continue
  : 2>/dev/null > "$folder/x" && chmod 700 "$folder/x" || { rm -rf "$folder"; continue; }
  if [ -x "$folder/x" ]; then is_noexec=false; else is_noexec=true; fi
  if [ "$is_noexec" = @NOEXEC@ ]; then work=$folder; break; fi
  if [ -n "$fallback" ]; then rm -rf "$folder"; else fallback=$folder; fi
done
if [ -z "$work" ] && @NOEXEC@; then work=$fallback
elif [ -n "$fallback" ]; then rm -rf "$fallback"
fi
[ -n "$work" ] || { echo "no safe folder has @NEED@ KiB of free space" >&2; exit @NO_FOLDER@; }

before=$(echo /tmp/oscap.*)
# What a killed oscap leaves in /tmp, unless another oscap runs that may be its owner.
remove_temporary() {
  for c in /proc/[0-9]*/comm; do
    { read -r name < "$c"; } 2>/dev/null && [ "$name" = oscap ] && return
  done
  for d in /tmp/oscap.*; do
    case " $before " in *" $d "*) continue;; esac
    [ -d "$d" ] && [ ! -L "$d" ] && [ -O "$d" ] && rm -rf "$d"
  done
}
# Again where a process of the scan that ends just now added a file to it.
remove_work() {
  for _ in 1 2 3; do
    rm -rf "$work" && return
    sleep 1
  done 2>/dev/null
}
clean() {
  # Ignored, not reset: 'timeout' signals this shell and then the group it is in.
  trap - EXIT
  trap '' TERM INT HUP
  [ -z "$watcher" ] || kill -KILL "$watcher" 2>/dev/null
  for p in $pids; do kill -KILL "-$p" "$p"; wait "$p"; done 2>/dev/null
  remove_temporary
  cd /
  remove_work
}
trap clean EXIT
trap 'clean; exit 143' TERM INT HUP
cd "$work" || exit @NO_FOLDER@
rm -f x
@RECEIVE@
# No here-document: bash 5.0 and older write it to a temporary file.
printf '%s\n' @SUMS@ | sha256sum -c - >/dev/null || exit @INCOMPLETE@
@PACKAGES@
exec 3<&0
# stdin ends when the connection is lost. This shell may have been killed by then.
( trap - EXIT TERM INT HUP
  while read -r _; do :; done <&3
  kill -TERM "$main"
  sleep 2
  while read -r p; do kill -KILL "-$p" "$p"; done < "$work/pids"
  sleep 1
  remove_temporary
  remove_work ) >/dev/null 2>&1 &
watcher=$!
exec 0</dev/null
command -v oscap >/dev/null && oscap --version >/dev/null || exit @CANNOT_EXECUTE@
# oscap says only "error" for script checks that it cannot execute, where this helper is missing:
# EL's openscap-scanner does not bring it. The link makes the target's bash run the script.
command -v oscap-run-sce-script >/dev/null 2>&1 || {
  mkdir bin
  ln -s "$(command -v bash || command -v sh)" bin/oscap-run-sce-script
  PATH="$PATH:$work/bin"
}
version=$(oscap --version 2>/dev/null)
case $version in *"SCE Version"*) sce=yes;; *) sce=no;; esac
package=$(@HAS_RPM_DATABASE@ && rpm -q openscap-scanner 2>/dev/null) ||
  package=$(dpkg-query -W -f '${Package}-${Version}' openscap-scanner 2>/dev/null) ||
  package=unknown
package=@PUSHED@${package}
echo "hardpan-engine $(echo "$version" | head -n 1); SCE plugin: $sce; package: $package" >&2
# Copies at most $1 blocks of 512 bytes at once, and reads the rest: neither the disk nor the
# connection gets more, and oscap is not blocked. The file $2 exists when the input has ended.
copy_start() {
  dd bs=512 count="$1" 2>/dev/null
  cat >/dev/null
  : > "$2"
}
wait_for() {
  i=0
  while [ ! -e "$1" ] && [ "$i" -lt 30 ]; do
    sleep 0.1 2>/dev/null || sleep 1
    i=$((i + 1))
  done
}
limit=$((end - $(uptime_s)))
[ "$limit" -gt 0 ] || limit=1
for n in @PARTS@; do
  mkdir "t$n"
  mkfifo "progress$n" "messages$n"
  # Opened for both: no process then waits for another that fails to open its end. 'command':
  # where the folder was removed, the shell goes on.
  { command exec 4<>"progress$n" 5<>"messages$n"; } 2>/dev/null
  # 'exec' in a subshell: for a function, dash keeps copies of the closed descriptors.
  ( trap - EXIT TERM INT HUP
    exec < "progress$n" >&2 3<&- 4<&- 5<&-
    copy_start 20000 "progress_end$n" ) &
  ( trap - EXIT TERM INT HUP
    exec < "messages$n" > "err$n" 3<&- 4<&- 5<&-
    copy_start 2000 "messages_end$n" ) &
  # timeout leads a process group: with oscap, its script checks are ended, too.
  TMPDIR="$work/t$n" OSCAP_PROBE_MEMORY_USAGE_RATIO=@RATIO@ timeout -k 5 "$limit" nice -n 5 \
    oscap xccdf eval --progress --skip-validation --profile @PROFILE@ \
    --results-arf "arf$n.xml" "part$n.xml" > "progress$n" 2> "messages$n" 3<&- 4<&- 5<&- &
  exec 4<&- 5<&-
  eval "pid$n=$!"
  pids="$pids $!"
  echo "$!" >> pids
done
for n in @PARTS@; do
  eval "wait \$pid$n"
  status=$?
  case $status in
    137|143) [ "$(uptime_s)" -lt "$end" ] || status=124;;
  esac
  echo "$status" > "rc$n"
  eval "kill -KILL \"-\$pid$n\"" 2>/dev/null
  rm -rf "part$n.xml" "t$n"
  wait_for "progress_end$n"
  wait_for "messages_end$n"
  tail -n 8 "err$n" > "tail$n"
  mv "tail$n" "err$n"
  @COMPRESS@
done
pids=
for f in rc* err* arf*; do
  [ -f "$f" ] || continue
  echo "$f $(wc -c < "$f")"
  cat "$f"
done
echo "end 0"
"""


# The packages are unpacked, not installed: nothing of them remains.
_PACKAGES_SCRIPT = r"""
pushed=$work/pushed
mkdir pushed
unpack_deb() { dpkg-deb -x "$1" "$pushed"; }
unpack_rpm() {
  rpm2cpio "$1" > package.cpio && ( cd "$pushed" && cpio -idm --quiet < ../package.cpio )
}
@UNPACK@
rm -f package.cpio
libraries=
for d in lib64 lib lib/x86_64-linux-gnu lib/aarch64-linux-gnu; do
  libraries=$libraries:$pushed/usr/$d
done
LD_LIBRARY_PATH=${libraries#:}
OSCAP_SCHEMA_PATH=$pushed/usr/share/openscap/schemas
OSCAP_XSLT_PATH=$pushed/usr/share/openscap/xsl
OSCAP_CPE_PATH=$pushed/usr/share/openscap/cpe
PATH=$pushed/usr/bin:$PATH
export LD_LIBRARY_PATH OSCAP_SCHEMA_PATH OSCAP_XSLT_PATH OSCAP_CPE_PATH PATH"""


def _render_packages(packages: tuple[PushedPackage, ...]) -> str:
    if not packages:
        return ""
    lines = []
    for number, package in enumerate(packages):
        kind = "rpm" if package.is_rpm else "deb"
        lines += [
            f"head -c {len(package.data)} > package{number} || exit {INCOMPLETE_UPLOAD}",
            f"unpack_{kind} package{number} || exit {CANNOT_UNPACK}",
            f"rm -f package{number}",
        ]
    return _PACKAGES_SCRIPT.replace("@UNPACK@", "\n".join(lines))


def encode_parts(parts: tuple[StreamPart, ...], *, is_compressed: bool) -> tuple[bytes, ...]:
    """Return the bytes of each part that the script reads; the same parts give the same bytes."""
    if not is_compressed:
        return tuple(part.data for part in parts)
    return tuple(gzip.compress(part.data, 6, mtime=0) for part in parts)


def render_script(
    prepared: PreparedContent,
    encoded_parts: tuple[bytes, ...],
    *,
    is_compressed: bool,
    timeout_s: float,
    packages: tuple[PushedPackage, ...] = (),
) -> str:
    """Return the script that reads the parts and the packages, and evaluates the parts.

    It sends what it has before ``timeout_s`` ends, also if an oscap process hangs.

    Raises:
        ToolError: the profile's id cannot be an argument.
    """
    profile_id = prepared.benchmark.profile_id
    if not _PLAIN_ID.fullmatch(profile_id):
        raise ToolError(["oscap"], f"cannot use the profile id {profile_id[:80]!r}")
    unpack = "| gzip -dc " if is_compressed else ""
    receive = (
        f"head -c {len(data)} {unpack}> part{n}.xml || exit {INCOMPLETE_UPLOAD}"
        for n, data in enumerate(encoded_parts)
    )
    count = len(prepared.parts)
    need_kib = sum(2 * len(p.data) // _KIB + _ARF_KIB for p in prepared.parts)
    need_kib += sum(6 * len(p.data) // _KIB for p in packages)
    names = " ".join(p.name for p in packages)
    script = _SCRIPT.replace("@PACKAGES@", _render_packages(packages))
    for placeholder, value in {
        "@RECEIVE@": "\n".join(receive),
        "@SUMS@": " ".join(f"'{p.sha256}  part{n}.xml'" for n, p in enumerate(prepared.parts)),
        "@COMPRESS@": 'gzip -1 "arf$n.xml" 2>/dev/null' if is_compressed else "true",
        "@NEED@": str(need_kib),
        "@PARTS@": " ".join(str(n) for n in range(count)),
        "@LIMIT@": str(max(1, int(timeout_s * _TIME_RATIO))),
        "@RATIO@": f"{_MEMORY_RATIO / count:.2f}",
        "@PROFILE@": profile_id,
        "@NO_FOLDER@": str(NO_FOLDER),
        "@NO_TMP@": str(NO_TMP),
        "@CANNOT_EXECUTE@": str(CANNOT_EXECUTE),
        "@NOEXEC@": "false" if packages else "true",
        "@HAS_RPM_DATABASE@": RPM_DATABASE_TEST,
        "@PUSHED@": f"'uploaded {names}; installed: '" if packages else "",
        "@INCOMPLETE@": str(INCOMPLETE_UPLOAD),
    }.items():
        script = script.replace(placeholder, value)
    return script
