"""Layer ``audit``: audit rules, model checks and log forwarding."""

from collections.abc import Mapping

from hardpan.builder.layers.base import Layer, LayerPreparation, PreparedLayer
from hardpan.profiles.schema.audit import Audit, LogHost
from hardpan.profiles.schema.profile import Profile

_WATCHED_FOLDERS = ("/opt/ai/models", "/var/lib/ai")
_ARCHITECTURES = ("b64", "b32")
_DEVICES = {
    # 195 is nvidia0 and on, nvidiactl and nvidia-modeset; nvidia-uvm's number changes.
    "nvidia": ("-F devmajor=195", "-F path=/dev/nvidia-uvm"),
    # 226 is the DRM's card and render nodes; kfd's number changes.
    "amd": ("-F devmajor=226", "-F path=/dev/kfd"),
}


def prepare(preparation: LayerPreparation) -> PreparedLayer:
    """Return the plan."""
    return PreparedLayer(variables=role_variables(preparation.profile))


def role_variables(profile: Profile) -> Mapping[str, object]:
    """Return the role's variables."""
    return {"audit_plan": make_plan(profile)}


def make_plan(profile: Profile) -> Mapping[str, object]:
    """Return the plan that the role carries out."""
    section = profile.audit or Audit()
    host = section.log_host
    return {
        "watched": list(_WATCHED_FOLDERS),
        "rules": render_rules(profile.hardware.accelerator),
        "backlog": f"# Python that forks fills the STIG's 8192 fast.\n-b {section.backlog}\n",
        "forward": render_forwarding(host, section.tls_driver(profile.release)) if host else "",
        "authority": host.ca_certificate if host else "",
        "units": render_units(section),
    }


def render_rules(accelerator: str) -> str:
    """The audit rules: one line for each architecture a program can call the kernel in."""
    lines = []
    for arch in _ARCHITECTURES:
        start = f"-a always,exit -F arch={arch}"
        lines.append(f"{start} -F dir=/opt/ai/models -F perm=wa -F key=ai_models")
        lines.append(f"{start} -S execve,execveat -F dir=/var/lib/ai -F key=ai_exec")
        lines += [
            f"{start} -S open,openat,openat2 {device} -F key=ai_gpu"
            for device in _DEVICES.get(accelerator, ())
        ]
    return "# Model files, programs among the data of AI services, accelerators.\n" + "".join(
        f"{line}\n" for line in lines
    )


def render_forwarding(host: LogHost, driver: str) -> str:
    """The configuration of rsyslog that sends everything to the log host, over TLS only."""
    return (
        "# Everything to the log host, over TLS, to nobody with another name.\n"
        f'global(DefaultNetstreamDriver="{driver}"\n'
        '       DefaultNetstreamDriverCAFile="/etc/hardpan/loghost-ca.pem")\n'
        # The STIG's content wants the selector before the action and the action at the
        # beginning of a line: on two lines it is both.
        "*.*\n"
        f'action(type="omfwd" target="{host.host}" port="{host.port}" protocol="tcp"\n'
        f'       StreamDriver="{driver}" StreamDriverMode="1" StreamDriverAuthMode="x509/name"\n'
        f'       StreamDriverPermittedPeers="{host.permitted_peer or host.host}"\n'
        '       queue.type="LinkedList" queue.filename="hardpan_loghost"\n'
        '       queue.maxDiskSpace="1g" queue.saveOnShutdown="on"\n'
        '       action.resumeRetryCount="-1")\n'
    )


def render_units(section: Audit) -> Mapping[str, str]:
    """The service that checks the models, and its timer."""
    return {
        "hardpan-models-check.service": (
            "[Unit]\n"
            "Description=Compare every model with its models.lock\n"
            "\n[Service]\n"
            "Type=oneshot\n"
            "ExecStart=/usr/libexec/hardpan/models-check\n"
            "Nice=19\n"
            "IOSchedulingClass=idle\n"
            "CapabilityBoundingSet=CAP_DAC_READ_SEARCH\n"
            "NoNewPrivileges=yes\n"
            "ProtectSystem=strict\n"
            "ProtectHome=yes\n"
            "PrivateTmp=yes\n"
            "PrivateDevices=yes\n"
            "PrivateNetwork=yes\n"
            "MemoryDenyWriteExecute=yes\n"
            "RestrictAddressFamilies=AF_UNIX\n"
            "SystemCallFilter=@system-service\n"
        ),
        "hardpan-models-check.timer": (
            "[Unit]\n"
            "Description=Compare every model with its models.lock, regularly\n"
            "\n[Timer]\n"
            "OnBootSec=5min\n"
            f"OnCalendar={section.check_models}\n"
            "RandomizedDelaySec=10min\n"
            "Persistent=yes\n"
            "\n[Install]\n"
            "WantedBy=timers.target\n"
        ),
    }


def describe_forwarding(profile: Profile) -> str:
    """Return where logs are sent."""
    log_host = profile.audit.log_host if profile.audit else None
    return f"logs go to {log_host.host} over TLS" if log_host else "logs stay on the machine"


AUDIT = Layer(
    name="audit",
    section="audit",
    summary="audits model files and accelerators, and verifies models against their locks",
    details=describe_forwarding,
    prepare=prepare,
    planned_variables=role_variables,
)
