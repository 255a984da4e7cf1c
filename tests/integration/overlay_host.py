"""A throw-away host in about a second: an sshd in a chroot over this machine's own files.

The root is an overlay whose lower layer is ``/`` and whose upper layer is a tmpfs. sshd is the
first process of its own mount, PID, UTS and IPC namespaces, so the end of it ends every process
and every mount. ``/dev``, ``/run``, ``/tmp``, ``/home`` and ``/root`` are fresh; ``/sys`` is
read-only. The network is this machine's: sshd listens on a loopback port.
"""

import contextlib
import fcntl
import hashlib
import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hardpan.core.process import CompletedProcess, run, spawn
from hardpan.ssh.target import Target, parse_target
from tests.integration.local_sshd import free_port, wait_for_port

CACHE = Path(__file__).parents[2] / "images" / "cache" / "overlay-host"
"""Packages and layers; both are created once and reused by later sessions."""

PASSWORD = "correct horse 'battery' $taple"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_PROGRAM_FOLDERS = ("usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin")
_FRESH_FOLDERS = {
    "/run": "755",
    "/tmp": "1777",
    "/var/tmp": "1777",
    "/home": "755",
    "/root": "700",
    "/mnt": "755",
}
_FIRST_USER_ID = 2001
_OVERLAY_OPTIONS = "lowerdir=/,upperdir=top/upper,workdir=top/work"
_XATTRS = "--xattrs --xattrs-include='*'"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostUser:
    """One user; ``root`` exists already and gets these properties."""

    name: str
    login_shell: str = "/bin/bash"
    password: str = ""
    """Empty: no password; login is by key."""

    files: Mapping[str, str] = field(default_factory=dict)
    """Name below the home directory, e.g. ``.bashrc`` -> text."""

    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    """How the host differs from this machine."""

    packages: tuple[str, ...] = ()
    """Debian packages to install, with their dependencies."""

    removed: tuple[str, ...] = ()
    """Programs without a path, e.g. ``tar``, or absolute paths of files and folders."""

    users: tuple[HostUser, ...] = ()
    sudoers: str = ""
    """Text of a file in ``/etc/sudoers.d``."""

    files: Mapping[str, str] = field(default_factory=dict)
    """Absolute path -> text; files below ``bin`` folders are executable."""

    tmpfs: Mapping[str, str] = field(default_factory=dict)
    """Folder -> mount options, e.g. ``{"/tmp": "noexec,size=8m"}``."""

    root_device: str = "overlay"
    """Source of the root's mount. Rules about local file systems expect one below ``/dev``."""

    is_root_ext4: bool = False
    """The root is a new ext4 on a loop device, with ``/etc`` of this machine; ``/usr`` and ``/var``
    are an overlay. Scripts of the content skip file systems without a block device."""

    is_root_read_only: bool = False
    size_mib: int = 512
    """Free space of the root file system at the start."""

    os_release: str = ""
    setup: str = ""
    """Shell script that runs inside as root, last, while the root is still writable."""

    sshd_settings: Mapping[str, str] = field(default_factory=dict)
    layer_script: str = ""
    """Shell script that runs inside once, after the packages; its result is cached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayHost:
    """A running host."""

    port: int
    folder: Path
    pid: int
    """Its first process, seen from outside."""

    def target(self, user: str = "root") -> Target:
        """Return the host as a scanner addresses it, with its host key pinned."""
        return parse_target(
            f"{user}@127.0.0.1:{self.port}",
            identity=self.folder / "user",
            host_keys=[(self.folder / "host.pub").read_text()],
        )

    def run(
        self, script: str, *, ok: Sequence[int] = (0,), timeout_s: float = 60
    ) -> CompletedProcess:
        """Run a shell script inside as root, without SSH."""
        argv = ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-r", "-w", "--"]
        environment = {"HOME": "/root", "PATH": _PATH}
        return run([*argv, "/bin/sh", "-c", script], timeout_s=timeout_s, ok=ok, env=environment)

    def process_names(self) -> list[str]:
        """Return the command lines of its processes, without sshd's and this query's."""
        script = "for p in /proc/[0-9]*; do tr '\\0' ' ' 2>/dev/null <$p/cmdline; echo; done"
        lines = self.run(script).stdout.splitlines()
        return [x for x in lines if x.strip() and "sshd" not in x and "/proc/[0-9]" not in x]


@contextlib.contextmanager
def overlay_host(folder: Path, spec: HostSpec) -> Iterator[OverlayHost]:
    """Start a host for the length of the block; ``folder`` gets its keys and its log."""
    assert os.geteuid() == 0, "overlay hosts need root: they are namespaces and mounts"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("host", "user"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], timeout_s=30)
    port = free_port()
    setup = folder / "setup.sh"
    setup.write_text(_setup_script(folder, spec, port))
    script = [
        _mount_script(folder / "root.d", spec, _layer(spec.packages, spec.layer_script)),
        f"chroot root /bin/sh -e /dev/fd/3 3<{shlex.quote(str(setup))}",
        "mount -o remount,ro root" if spec.is_root_read_only else "",
        "exec chroot root /usr/sbin/sshd -D -e -f /etc/ssh/overlay_host_config",
    ]
    log = folder / "sshd.log"
    environment = {"HOME": "/root", "PATH": _PATH}
    with spawn(_namespaces(folder / "start.sh", script), log=log, env=environment) as process:
        try:
            wait_for_port(port)
        except AssertionError as e:
            raise AssertionError(f"{e}: {log.read_text(errors='replace')[-2000:]}") from e
        yield OverlayHost(port=port, folder=folder, pid=_find_child(process.pid))


def _namespaces(path: Path, script: Sequence[str]) -> list[str | Path]:
    """Return the argv that runs a script, stored at ``path``, in its own namespaces."""
    path.write_text("\n".join(script))
    options = ["-m", "-p", "-u", "-i", "-f", "--kill-child", "--propagation", "private"]
    return ["unshare", *options, "/bin/sh", "-eu", path]


def _find_child(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def _mount_script(base: Path, spec: HostSpec, layer: Path | None) -> str:
    """Mount the overlay at ``root`` below ``base``, which becomes the working folder."""
    options_by_folder = {path: f"mode={mode}" for path, mode in _FRESH_FOLDERS.items()}
    for path, options in spec.tmpfs.items():
        options_by_folder[path] = f"{options_by_folder.get(path, 'mode=755')},{options}"
    quoted = shlex.quote(str(base))
    lines = [
        f"umask 022; mkdir -p {quoted}; mount -t tmpfs -o mode=755 tmpfs {quoted}; cd {quoted}",
        f"mkdir top root; mount -t tmpfs -o mode=755,size={spec.size_mib}m tmpfs top",
        "mkdir top/upper top/work",
        "" if layer is None else f"tar {_XATTRS} -xpf {shlex.quote(str(layer))} -C top/upper",
        *(f"mkdir -p {f.parent}; rm -rf {f}; mknod {f} c 0 0" for f in _whiteouts(spec.removed)),
        *(f"rm -rf top/upper/{name}; mknod top/upper/{name} c 0 0" for name in _unusual_folders()),
        _root_script(spec),
        "mount -t proc proc root/proc",
        "mount --bind /sys root/sys; mount -o remount,bind,ro root/sys",
        _DEV_SCRIPT,
    ]
    for path, options in options_by_folder.items():
        lines += [f"mkdir -p root{path}; mount -t tmpfs -o {options} tmpfs root{path}"]
    return "\n".join([*lines, "hostname overlay-host"])


def _root_script(spec: HostSpec) -> str:
    if not spec.is_root_ext4:
        return f"mount -t overlay {shlex.quote(spec.root_device)} -o {_OVERLAY_OPTIONS} root"
    return f"""\
mkdir merged; mount -t overlay overlay -o {_OVERLAY_OPTIONS} merged
truncate -s {spec.size_mib}m disk; mkfs.ext4 -q -F -i 4096 -O ^has_journal disk
mount -o loop,noinit_itable disk root
cp -a merged/etc root/etc
for folder in usr var; do mkdir root/$folder; mount --bind merged/$folder root/$folder; done
for folder in bin sbin lib lib64; do cp -a merged/$folder root/$folder; done
mkdir root/proc root/sys root/dev"""


_DEV_SCRIPT = """\
mount -t tmpfs -o mode=755 tmpfs root/dev
mknod -m 666 root/dev/null c 1 3; mknod -m 666 root/dev/zero c 1 5
mknod -m 666 root/dev/full c 1 7; mknod -m 666 root/dev/random c 1 8
mknod -m 666 root/dev/urandom c 1 9; mknod -m 666 root/dev/tty c 5 0
mkdir root/dev/pts root/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts root/dev/pts
mount -t tmpfs -o mode=1777 tmpfs root/dev/shm
ln -s pts/ptmx root/dev/ptmx; ln -s /proc/self/fd root/dev/fd
ln -s /proc/self/fd/0 root/dev/stdin; ln -s /proc/self/fd/1 root/dev/stdout
ln -s /proc/self/fd/2 root/dev/stderr"""
"""The devices of a container; not this machine's disks."""


def _unusual_folders() -> Iterator[str]:
    """Yield what this machine has in ``/`` beyond a distribution's folders."""
    folders = "bin boot dev etc home lib lib64 media mnt opt proc root run sbin srv sys tmp usr var"
    usual = folders.split(" ")
    yield from (shlex.quote(p.name) for p in Path("/").iterdir() if p.name not in usual)


def _whiteouts(removed: Sequence[str]) -> Iterator[Path]:
    """Yield the paths of the whiteouts: character devices 0/0 (kernel, overlayfs.rst)."""
    for name in removed:
        if name.startswith("/"):
            yield Path("top/upper", name.lstrip("/"))
        else:
            yield from (Path("top/upper", folder, name) for folder in _PROGRAM_FOLDERS)


def _setup_script(folder: Path, spec: HostSpec, port: int) -> str:
    """The script that runs inside: files, users, sudoers, sshd."""
    settings = {
        "Port": str(port),
        "ListenAddress": "127.0.0.1",
        "HostKey": "/etc/ssh/overlay_host_key",
        "AuthorizedKeysFile": "/etc/ssh/overlay_host_authorized",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
        "PasswordAuthentication": "no",
        **spec.sshd_settings,
    }
    files = {
        "/etc/ssh/overlay_host_config": "".join(f"{k} {v}\n" for k, v in settings.items()),
        "/etc/ssh/overlay_host_authorized": (folder / "user.pub").read_text(),
        "/etc/hosts": "127.0.0.1 localhost overlay-host\n",
        **({"/etc/os-release": spec.os_release} if spec.os_release else {}),
        **spec.files,
    }
    lines = ["umask 022", "mkdir -p /run/sshd"]
    if spec.os_release:
        lines += ["rm -f /etc/os-release"]
    lines += [_write_file(path, text) for path, text in files.items()]
    lines += [
        _write_file("/etc/ssh/overlay_host_key", (folder / "host").read_text()),
        "chmod 600 /etc/ssh/overlay_host_key",
    ]
    if spec.sudoers:
        lines += [_write_file("/etc/sudoers.d/overlay", spec.sudoers)]
        lines += ["chmod 440 /etc/sudoers.d/overlay"]
    for user_id, user in enumerate(spec.users, _FIRST_USER_ID):
        lines += _user_script(user, user_id)
    lines += [_password_script(spec.users)]
    return "\n".join([*lines, spec.setup, "true"])


def _write_file(path: str, text: str) -> str:
    quoted, content = shlex.quote(path), shlex.quote(text)
    mode = "755" if "/bin/" in path or "/sbin/" in path else "644"
    folder = shlex.quote(str(Path(path).parent))
    return f"mkdir -p {folder}; printf %s {content} > {quoted}; chmod {mode} {quoted}"


def _user_script(user: HostUser, user_id: int) -> Iterator[str]:
    home = "/root" if user.name == "root" else f"/home/{user.name}"
    if user.name == "root":
        yield f"sed -i 's#^root:.*#root:x:0:0:root:/root:{user.login_shell}#' /etc/passwd"
    else:
        # useradd needs half a second. '*': sshd refuses a user with '!' as locked.
        ids = f"{user_id}:{user_id}"
        yield f"echo '{user.name}:x:{ids}::{home}:{user.login_shell}' >> /etc/passwd"
        yield f"echo '{user.name}:x:{user_id}:' >> /etc/group"
        yield f"echo '{user.name}:*:19000:0:99999:7:::' >> /etc/shadow; mkdir -p {home}"
        yield from (f"usermod -aG {group} {user.name}" for group in user.groups)
    for name, text in user.files.items():
        yield _write_file(f"{home}/{name}", text)
    yield f"chown -R {user.name}: {home}"


def _password_script(users: Sequence[HostUser]) -> str:
    lines = "".join(f"{u.name}:{u.password}\n" for u in users if u.password)
    return f"printf %s {shlex.quote(lines)} | chpasswd -c SHA256 -s 1000" if lines else ""


def _layer(packages: Sequence[str], script: str) -> Path | None:
    """Return the archive with what the packages and the script change; None for neither."""
    if not packages and not script:
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256("\0".join([*sorted(packages), "", script]).encode()).hexdigest()[:16]
    layer = CACHE / f"{key}.tar"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not layer.exists():
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                archive = Path(folder) / "layer.tar"
                _build_layer(packages, script, archive)
                archive.rename(layer)
    return layer


def _build_layer(packages: Sequence[str], script: str, archive: Path) -> None:
    debs = archive.parent / "debs"
    debs.mkdir()
    lines = [_mount_script(archive.parent / "root.d", HostSpec(size_mib=2048), None)]
    if packages:
        _download(packages, debs)
        lines += [
            f"mount --bind {shlex.quote(str(debs))} root/mnt",
            f"chroot root /bin/sh -ec {shlex.quote(_INSTALL_SCRIPT)}",
            "umount root/mnt",
        ]
    lines += [
        f"chroot root /bin/sh -ec {shlex.quote(script)}",
        f"tar {_XATTRS} -cf {shlex.quote(str(archive))} -C top/upper .",
    ]
    environment = {"HOME": "/root", "PATH": _PATH}
    run(_namespaces(archive.parent / "build.sh", lines), timeout_s=300, env=environment)


_INSTALL_SCRIPT = """\
export DEBIAN_FRONTEND=noninteractive
dpkg --force-unsafe-io --force-confnew -i /mnt/*.deb"""


def _download(packages: Sequence[str], folder: Path) -> None:
    """Download the packages and those of their dependencies that this machine lacks."""
    (folder / "partial").mkdir()
    options = ["-y", "-qq", "--no-install-recommends", "-o", "Debug::NoLocking=1"]
    options += ["-o", f"Dir::Cache::archives={folder}"]
    run(["apt-get", "install", "--download-only", *options, *packages], timeout_s=300)
