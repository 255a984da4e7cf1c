"""The whole AI service on a booted lab host: login, chat, documents, failures, no way out."""

import ast
import http.client
import ipaddress
import json
import re
import shlex
import ssl
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from hardpan.builder.layers import registry as layers
from hardpan.builder.receipts import Assessment, LayerReceipt
from hardpan.errors import ToolError
from hardpan.events import silent
from hardpan.files import Sha256
from hardpan.profiles.load import load
from hardpan.profiles.model import Profile
from hardpan.scanners.collect import serving
from hardpan.scanners.collect.smoke import COSINES
from hardpan.scanners.transport import connect
from tests.integration.browser import browser
from tests.integration.conftest import CACHE, REPO
from tests.integration.lab_host import LabHost, Payload, lab_host

pytestmark = pytest.mark.integration

NOTHING = Assessment(content_sha256=Sha256("0" * 64), counts={}, remedies=())
HOST = "ai.example"
PROFILE = """\
extends: lab-stig
name: sovereign
title: The whole stack
layers: [ml_frameworks, sovereign_stack]
frameworks:
  stacks:
    - name: serving
      packages: ["llama-cpp-python[server]"]
      lock: ai-serving
      python: "3.13"
      sources:
        - name: llama-cpp-python
          # As the lab's own profile has it: compiled once for both.
          cmake:
            - CMAKE_CXX_FLAGS_RELEASE=-O1
            - GGML_NATIVE=OFF
            - GGML_AVX=OFF
            - GGML_AVX2=OFF
            - GGML_FMA=OFF
            - GGML_F16C=OFF
            - GGML_BMI2=OFF
            - GGML_OPENMP=OFF
            - LLAVA_BUILD=OFF
            - MTMD_BUILD=OFF
sovereign:
  host_name: ai.example
  server: {threads: 1}
  users: [{name: ada}, {name: ben}]
"""
# That module loads PyTorch when it is imported, so its texts are read off its source.
TEXTS = ast.literal_eval(
    re.findall(
        r"^TEXTS = (\[.*?^\])",
        (REPO / "scanners/collect/workload/smoke.py").read_text(),
        re.MULTILINE | re.DOTALL,
    )[0]
)
ONLY = ("sovereign_stack",)
UNITS = ("hardpan-llm", "hardpan-kb", "hardpan-login", "nginx")
PORTS = (8081, 8082, 8083, 8084)
HANDBOOK = (
    "# Backups\n\nThe backup of the host runs every night at two and is kept for ninety days.\n\n"
    "# Keys\n\nThe steward keeps the keys of the server room in the safe on the second floor.\n"
)


@dataclass(frozen=True)
class Reply:
    """What the proxy answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def told(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Stack:
    """A host with the stack on it, seen from another machine."""

    host: LabHost
    profile: Profile
    first: tuple[LayerReceipt, ...]
    key: str
    passwords: Mapping[str, str]

    def tls(self) -> ssl.SSLContext:
        """Trust in this machine's own certificate and nothing else."""
        return ssl.create_default_context(
            cadata=self.host.run("cat /etc/pki/hardpan/tls.crt").stdout
        )

    def ask(
        self,
        method: str,
        path: str,
        value: object = None,
        *,
        key: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        link = _Link(self.host.guest.address, self.tls())
        body = value if isinstance(value, str | bytes) else json.dumps(value) if value else None
        sent = {"Content-Type": "application/json", **(headers or {})}
        if key:
            sent["Authorization"] = f"Bearer {key}"
        try:
            link.request(method, path, body=body, headers=sent)
            answer = link.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            link.close()

    def login(self, name: str) -> Mapping[str, str]:
        """The headers of a person who has logged in."""
        form = urlencode({"name": name, "password": self.passwords[name]})
        ours = {"Origin": f"https://{HOST}"}
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self.ask("POST", "/login", form, headers={**ours, **kind})
        assert answer.status == 303
        return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0], **ours}

    def denied(self) -> int:
        """Packets that the AI services were denied so far."""
        told = self.host.run("nft -j list counter inet hardpan_ai denied").stdout
        return int(json.loads(told)["nftables"][-1]["counter"]["packets"])

    def until(self, unit: str) -> None:
        """Wait until a unit is active."""
        self.host.run(f"timeout 60 sh -c 'until systemctl -q is-active {unit}; do sleep .1; done'")


class _Link(http.client.HTTPSConnection):
    """A connection to an address that is asked for the stack's own name."""

    def __init__(self, address: str, tls: ssl.SSLContext) -> None:
        super().__init__(HOST, context=tls, timeout=60)
        self._address, self._tls = address, tls

    def connect(self) -> None:
        plain = self._create_connection((self._address, 443), self.timeout)  # type: ignore[attr-defined]
        self.sock = self._tls.wrap_socket(plain, server_hostname=HOST)


def put(profile: Profile, host: LabHost) -> tuple[LayerReceipt, ...]:
    return layers.apply(profile, host.guest, NOTHING, cache=CACHE, emit=silent)


@pytest.fixture(scope="module")
def stack(lab_payload: Payload, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("sovereign")
    (folder / "sovereign.yaml").write_text(PROFILE)
    profile = load(folder / "sovereign.yaml")
    with lab_host(lab_payload, folder / "host", install=["nginx", "nftables", "firewalld"]) as host:
        first = put(profile, host)
        assert host.run("ls /root/hardpan-access /etc/pki/hardpan/tls.key", ok=(2,)).stdout == ""
        host.run("systemctl start hardpan-ai.target", timeout_s=120)
        host.run("systemctl is-active " + " ".join(UNITS))
        read = "cat /root/hardpan-access/"
        yield Stack(
            host=host,
            profile=profile,
            first=first,
            key=host.run(read + "api-key").stdout.strip(),
            passwords={n: host.run(f"{read}password-{n}").stdout.strip() for n in ("ada", "ben")},
        )


def test_the_second_run_changes_nothing(stack: Stack) -> None:
    (again,) = put(stack.profile.model_copy(update={"layers": ONLY}), stack.host)

    assert stack.first[-1].changed == 1
    assert again.changed == 0
    assert "https" in stack.host.run("firewall-offline-cmd --list-services").stdout


def test_what_is_no_longer_in_the_profile_goes_and_what_is_new_comes(stack: Stack) -> None:
    section = stack.profile.sovereign
    assert section is not None
    shorter = section.model_copy(update={"session_hours": 4})
    old = "/etc/hardpan/sovereign/old"
    stack.host.run(f"touch {old}; echo {old} >> /var/lib/hardpan/sovereign_stack.files")

    (made,) = put(
        stack.profile.model_copy(update={"layers": ONLY, "sovereign": shorter}), stack.host
    )

    assert made.changed == 1
    assert stack.host.run(f"test -e {old}", ok=(1,)).returncode == 1
    assert stack.login("ada")
    told = stack.host.run("cat /etc/hardpan/sovereign/login.json").stdout
    assert json.loads(told)["session_hours"] == 4
    for unit in UNITS:
        stack.until(unit)


def test_without_the_stack_of_wheels_the_layer_says_what_is_missing(stack: Stack) -> None:
    stack.host.run("mv /opt/ai/stacks/serving /opt/ai/stacks/gone")
    try:
        with pytest.raises(ToolError) as caught:
            put(stack.profile.model_copy(update={"layers": ONLY}), stack.host)
    finally:
        stack.host.run("mv /opt/ai/stacks/gone /opt/ai/stacks/serving")

    assert "/opt/ai/stacks/serving/bin/python3 is not there" in caught.value.tail


def test_systemd_finds_nothing_wrong_and_little_exposed(stack: Stack) -> None:
    units = [f"{u}.service" for u in (*UNITS, "hardpan-egress", "hardpan-first-start")]
    verify = f"systemd-analyze verify --man=no {' '.join(units)} multi-user.target 2>&1"
    said = stack.host.run(verify, ok=(0, 1)).stdout
    # multi-user.target takes the stack along: a circle in the order of a start shows here.
    assert [x for x in said.splitlines() if "hardpan" in x or "cycle" in x] == []
    for unit in units:
        told = stack.host.run(f"systemd-analyze security --no-pager {unit}").stdout
        found = re.search(r"exposure level for \S+: ([0-9.]+)", told)
        assert found is not None
        assert float(found[1]) < 2.5, told


PATHS = [
    "/",
    "/index.html",
    "/app.js",
    "/outside/login.html",
    "/v1/models",
    "/v1/chat/completions",
    "/kb/documents",
    "/kb/search",
    "/session",
    "/login",
    "/nothing/here",
    "/_gate",
    "/_login",
    "/openapi.json",
    "/docs",
    "/extras/tokenize",
]


ODD_PATHS = [
    "/kb/../v1/models",
    "/metrics/../v1/models",
    "/v1/../metrics",
    "/v1/%2e%2e/metrics",
    "/v1/%252e%252e/metrics",
    "/v1%2fmodels",
    "/v1/./models",
    "/v1//models",
    "//v1/models",
    "/v1/;/models",
    "/v1/..\\metrics",
    "/v1/%00models",
    "/healthz/../v1/models",
]


def test_odd_path_reaches_no_service_even_with_a_key(stack: Stack) -> None:
    got = {path: stack.ask("GET", path, key=stack.key).status for path in ODD_PATHS}

    assert got == dict.fromkeys(ODD_PATHS, 400)
    assert stack.ask("GET", "/v1/models", key=stack.key).status == 200
    assert stack.ask("GET", "/kb/documents?x=%2e%2e", key=stack.key).status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_without_a_login_no_path_tells_anything(stack: Stack, method: str) -> None:
    for path in PATHS:
        answer = stack.ask(method, path, headers={"Cookie": "__Host-hardpan=guess"})
        # The doors of the login turn a form without the page's origin away; the rest is 401,
        # and 404 for what no address outside leads to.
        assert answer.status in ((400, 401, 403) if path == "/login" else (401, 404)), path
        assert answer.status != 404 or path in ("/_gate", "/_login"), path
        assert b"hardpan-tiny" not in answer.body
    assert stack.ask("GET", "/v1/models", key="hp_" + "x" * 43).status == 401
    ok = stack.ask("GET", "/healthz")
    assert (ok.status, ok.body) == (200, b"ok\n")


def test_every_answer_carries_the_headers_that_hold_a_browser_back(stack: Stack) -> None:
    inside = stack.login("ada")
    for path, headers in (("/", {}), ("/", inside), ("/v1/models", {}), ("/healthz", {})):
        told = stack.ask("GET", path, headers=headers).headers
        assert told["Strict-Transport-Security"] == "max-age=31536000"
        assert told["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in told["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in told
        assert told["Server"] == "nginx"


def test_the_proxy_speaks_tls_1_2_and_later_with_this_machines_own_key(stack: Stack) -> None:
    old = stack.tls()
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1_1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    link = _Link(stack.host.guest.address, old)
    with pytest.raises(ssl.SSLError):
        link.request("GET", "/healthz")
    told = stack.host.run("openssl x509 -in /etc/pki/hardpan/tls.crt -noout -text").stdout
    assert "DNS:ai.example, DNS:localhost, IP Address:127.0.0.1" in told
    assert "ASN1 OID: secp384r1" in told
    assert stack.host.run("stat -c %U:%a /etc/pki/hardpan/tls.key").stdout == "root:600\n"


def test_a_person_logs_in_and_chats_and_the_answer_streams(stack: Stack) -> None:
    before = stack.denied()
    ada = stack.login("ada")
    asked = {
        "messages": [{"role": "user", "content": "What is kept?"}],
        "max_tokens": 12,
        "temperature": 0,
    }

    one = stack.ask("POST", "/v1/chat/completions", asked, headers=ada).told()
    streamed = stack.ask("POST", "/v1/chat/completions", {**asked, "stream": True}, headers=ada)

    events = [x[5:].strip() for x in streamed.body.decode().splitlines() if x.startswith("data:")]
    pieces = [json.loads(e)["choices"][0]["delta"].get("content", "") for e in events[:-1]]
    assert events[-1] == "[DONE]"
    assert len([p for p in pieces if p]) > 5
    assert "".join(pieces) == one["choices"][0]["message"]["content"]
    assert one["model"].endswith("hardpan-tiny-random") or "hardpan-tiny-random" in one["model"]
    assert stack.ask("GET", "/session", headers=ada).told() == {"user": "ada"}
    # A page elsewhere may hold the cookie's browser, never its say.
    elsewhere = {**ada, "Origin": "https://evil.example"}
    assert stack.ask("POST", "/v1/chat/completions", asked, headers=elsewhere).status == 403
    assert stack.denied() == before == 0


def test_the_scans_own_chat_test_passes_on_it(stack: Stack) -> None:
    server = serving.Server(
        model="hardpan-tiny-random",
        model_file="/opt/ai/models/hardpan-tiny-random/model.gguf",
        key_file="/root/hardpan-access/api-key",
        cafile="/etc/pki/hardpan/tls.crt",
        engine="llama-cpp-python",
    )
    with connect(stack.host.target, timeout_s=30) as via:
        told = serving.serving(via, server, timeout_s=120)

    assert told.verdict == "pass", told.reason


def test_the_embedding_model_in_numpy_gives_the_references_likeness(stack: Stack) -> None:
    code = (
        "import sys, json, pathlib; sys.path.insert(0, '/usr/libexec/hardpan/sovereign');"
        "from sovereign.minilm import MiniLM;"
        "m = MiniLM(pathlib.Path('/opt/ai/models/all-MiniLM-L6-v2'));"
        f"v = [m.embed(t) for t in {TEXTS!r}];"
        "n = range(len(v));"
        "print(json.dumps([float(v[a] @ v[b]) for a in n for b in n if a < b]))"
    )
    python = "/opt/ai/stacks/serving/bin/python3"
    found = json.loads(stack.host.run(f"{python} -I -c {shlex.quote(code)}").stdout)

    assert found == pytest.approx(COSINES, abs=1e-3)


def test_a_document_is_put_in_found_kept_over_a_restart_and_deleted(stack: Stack) -> None:
    ada, ben = stack.login("ada"), stack.login("ben")
    made = stack.ask("POST", "/kb/documents", {"title": "b.md", "text": HANDBOOK}, headers=ada)
    assert made.status == 201

    def hit() -> Any:
        found = stack.ask(
            "POST",
            "/kb/search",
            {"query": "Who has the server room keys?", "limit": 1},
            key=stack.key,
        )
        return found.told()["hits"]

    ends = time.monotonic() + 30
    while not hit() and time.monotonic() < ends:
        time.sleep(0.2)
    (found,) = hit()
    assert found["title"] == "b.md"
    assert "in the safe on the second floor" in found["text"]
    assert found["score"] > 0.6

    # A host without a kernel of its own cannot start anew; its services all do.
    stack.host.run("systemctl stop hardpan-ai.target 'hardpan-*.service' nginx.service")
    assert stack.host.run("nft list tables").stdout == ""
    stack.host.run("systemctl start hardpan-ai.target")
    assert hit() == [found]
    assert stack.ask("GET", "/v1/models", headers=ada).status == 401, "sessions end with the gate"

    document = f"/kb/documents/{made.told()['id']}"
    ada, ben = stack.login("ada"), stack.login("ben")
    assert stack.ask("DELETE", document, headers=ben).status == 403
    assert stack.ask("DELETE", document, headers=ada).status == 204
    assert hit() == []
    assert stack.denied() == 0


@pytest.mark.parametrize(
    ("unit", "path"), [("hardpan-llm", "/v1/models"), ("hardpan-kb", "/kb/documents")]
)
def test_a_killed_service_is_503_with_a_hint_and_comes_back(
    stack: Stack, unit: str, path: str
) -> None:
    stack.host.run(f"systemctl kill -s KILL {unit}")
    seen: list[int] = []
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        answer = stack.ask("GET", path, key=stack.key)
        seen.append(answer.status)
        if answer.status == 503:
            assert answer.headers["Retry-After"] == "5"
            assert "try again" in answer.told()["error"]["message"]
        if 503 in seen and answer.status == 200:
            break
        time.sleep(0.1)

    assert set(seen) <= {200, 503}
    assert seen[-1] == 200
    assert 503 in seen
    assert stack.ask("GET", "/healthz").status == 200
    stack.until(unit)


def test_a_service_that_hangs_is_restarted_by_its_watchdog(stack: Stack) -> None:
    stack.host.run(
        "mkdir -p /run/systemd/system/hardpan-kb.service.d; printf"
        " '[Service]\\nWatchdogSec=3\\n' > /run/systemd/system/hardpan-kb.service.d/t.conf;"
        " systemctl daemon-reload; systemctl restart hardpan-kb"
    )
    first = stack.host.run("systemctl show -P MainPID hardpan-kb").stdout
    stack.host.run("systemctl kill -s STOP hardpan-kb")
    restarts = "$(systemctl show -P NRestarts hardpan-kb)"
    stack.host.run(f"timeout 40 sh -c 'until [ {restarts} -gt 0 ]; do sleep .2; done'")
    stack.until("hardpan-kb")
    stack.host.run(
        "rm -r /run/systemd/system/hardpan-kb.service.d; systemctl daemon-reload;"
        " systemctl restart hardpan-kb"
    )

    assert stack.host.run("systemctl show -P MainPID hardpan-kb").stdout != first


@pytest.mark.parametrize("user", ["ai-llm", "ai-kb", "ai-auth", "ai"])
def test_nothing_leaves_and_each_attempt_is_counted(stack: Stack, user: str) -> None:
    before = stack.denied()
    attempt = (
        "import socket,sys; s=socket.socket(); s.settimeout(3);\n"
        f"try: s.connect(('{_neighbour(stack)}', 9))\n"
        "except OSError as e: print(type(e).__name__, e.errno)"
    )
    as_user = f'runuser -u {user} -- /usr/bin/python3 -c "{attempt}"'
    # 111 is the neighbour's own refusal: root reaches it, the services do not.
    assert "ConnectionRefusedError 111" in stack.host.run(f'/usr/bin/python3 -c "{attempt}"').stdout
    assert stack.denied() == before
    said = stack.host.run(as_user).stdout
    assert "ConnectionRefusedError 111" not in said
    assert stack.denied() > before


def test_the_sandbox_alone_already_stops_a_service(stack: Stack) -> None:
    stack.host.run("nft insert rule inet hardpan_ai egress tcp dport 9 accept")
    argv = (
        "systemd-run -q --wait --pipe --uid=ai-kb -p IPAddressDeny=any -p IPAddressAllow=localhost"
    )
    code = (
        "import socket; s=socket.socket(); s.settimeout(2);\n"
        f"try: s.connect(('{_neighbour(stack)}', 9)); print('out')\n"
        "except OSError as e: print('stopped', e.errno)"
    )
    said = stack.host.run(f'{argv} /usr/bin/python3 -c "{code}"').stdout
    stack.host.run("systemctl restart hardpan-egress")
    for unit in UNITS:
        stack.until(unit)

    assert said.startswith("stopped")
    assert "111" not in said


def test_a_local_user_cannot_go_round_the_proxy(stack: Stack) -> None:
    for port in PORTS:
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 3); print('in')"
        said = stack.host.run(f'runuser -u steward -- python3 -c "{code}" 2>&1', ok=(1,)).stdout
        assert "ConnectionRefusedError" in said or "ConnectionResetError" in said
        assert stack.host.run(f'python3 -c "{code}"').stdout == "in\n"
    outside = stack.host.run("ss -Hltn").stdout
    assert {x.split()[3] for x in outside.splitlines() if ":808" in x} == {
        f"127.0.0.1:{port}" for port in PORTS
    }


_TRY = """
import socket, sys
for kind, port in {attempts}:
    with socket.socket(type=kind) as s:
        s.settimeout(3)
        try:
            s.connect(("127.0.0." + ("53" if port == 53 else "1"), port))
            s.send(b"GET /kb/documents HTTP/1.0\\r\\nX-Remote-User: ada\\r\\n\\r\\n")
            s.recv(1)
            print(port, "reached")
        except OSError as e:
            print(port, type(e).__name__)
"""


@pytest.mark.parametrize(
    ("user", "own"), [("ai-llm", 8081), ("ai-kb", 8082), ("ai-auth", 8083), ("ai", 0)]
)
def test_service_reaches_its_own_port_alone(stack: Stack, user: str, own: int) -> None:
    """By any port of the loopback it could be somebody else, and by the resolver tell a secret."""
    before = stack.denied()
    attempts = [(1, port) for port in (*PORTS, 22, 443, 631)] + [(2, 53), (2, 514), (1, 53)]
    code = _TRY.format(attempts=attempts)
    said = stack.host.run(f"runuser -u {user} -- /usr/bin/python3 -c {shlex.quote(code)}").stdout

    reached = [line.split()[0] for line in said.splitlines() if line.endswith("reached")]
    assert len(said.splitlines()) == len(attempts)
    assert reached == ([str(own)] if own else [])
    assert stack.denied() >= before + len(attempts) - len(reached)
    # What is refused here is there for root.
    assert "8082 reached" in stack.host.run(f"/usr/bin/python3 -c {shlex.quote(code)}").stdout


def test_user_named_by_another_than_the_proxy_is_nobody(stack: Stack) -> None:
    code = (
        "import http.client; link = http.client.HTTPConnection('127.0.0.1', 8082, timeout=9);"
        "link.request('GET', '/kb/documents', headers={}); print(link.getresponse().status)"
    )

    def status(**headers: str) -> str:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        said = stack.host.run(f"python3 -c {shlex.quote(code.format(named))}")
        return said.stdout.strip()

    secret = stack.host.run("cat /run/hardpan-ai/proxy-secret").stdout.strip()
    assert status(X_Remote_User="ada") == "403"
    assert status(X_Remote_User="ada", X_Proxy_Secret="guess") == "403"
    assert status(X_Remote_User="ada", X_Proxy_Secret=secret) == "200"
    # A client's own is not the proxy's.
    forged = {"X-Remote-User": "ada", "X-Proxy-Secret": secret}
    assert stack.ask("GET", "/kb/documents", headers=forged).status == 401
    modes = stack.host.run("stat -c '%U %a' /run/hardpan-ai /run/hardpan-ai/*").stdout
    assert modes == "root 700\nroot 600\nroot 600\n"
    places = "/etc /usr/libexec/hardpan /var/lib/ai /var/log /proc/[0-9]*/cmdline"
    spread = f"grep -rlF -f /run/hardpan-ai/proxy-secret {places} 2>/dev/null"
    assert stack.host.run(spread, ok=(1, 2)).stdout == ""
    assert secret not in stack.host.run("journalctl --no-pager -o cat").stdout


@pytest.mark.parametrize("unit", ["hardpan-llm", "hardpan-kb", "hardpan-login"])
def test_service_sees_no_socket_of_resolver_bus_or_log(stack: Stack, unit: str) -> None:
    pid = stack.host.run(f"systemctl show -P MainPID {unit}").stdout.strip()
    inside = f"nsenter -t {pid} -m -- "

    # 'find -type s' takes a socket that is mounted on a file for a file.
    sockets = stack.host.run(f"{inside}find /run /dev -exec test -S {{}} ';' -print").stdout
    assert sockets.split() == ["/run/systemd/notify"]
    assert stack.host.run(f"{inside}find /var -type s 2>/dev/null", ok=(0, 1)).stdout == ""
    assert stack.host.run(inside + "test -e /dev/log", ok=(1,)).returncode == 1
    assert "/run/systemd/journal/" in stack.host.run("find /run /dev -type s").stdout


_FLOOD = """
import http.client, json, ssl, threading, time
tls = ssl._create_unverified_context()
body = "name=ada&password=guess"
head = {"Origin": "https://ai.example", "Host": "ai.example",
        "Content-Type": "application/x-www-form-urlencoded"}
seen, took = [], []
def login(n):
    link = http.client.HTTPSConnection("127.0.0.1", 443, timeout=60, context=tls,
                                       source_address=(f"127.0.{1 + n // 100}.{n % 100 + 2}", 0))
    try:
        link.request("POST", "/login", body, head)
        answer = link.getresponse()
        seen.append((answer.status, answer.getheader("Retry-After")))
    finally:
        link.close()
flood = [threading.Thread(target=login, args=(n,)) for n in range(120)]
for one in flood: one.start()
while any(one.is_alive() for one in flood):
    start = time.monotonic()
    link = http.client.HTTPConnection("127.0.0.1", 8083, timeout=20)
    link.request("GET", "/health")
    assert link.getresponse().status == 200
    link.close()
    took.append(time.monotonic() - start)
    time.sleep(0.02)
took.sort()
print(json.dumps([seen, took[len(took) * 9 // 10], took[-1]]))
"""


def test_flood_of_logins_from_many_addresses_ends_no_session(stack: Stack) -> None:
    ben = stack.login("ben")
    show = "systemctl show -P MainPID -P NRestarts hardpan-login"
    before = stack.host.run(show).stdout

    seen, usual_s, most_s = json.loads(
        stack.host.run(f"/usr/bin/python3 -c {shlex.quote(_FLOOD)}").stdout
    )

    assert {status for status, _ in seen} == {401, 503}
    assert len(seen) == 120
    assert all(retry for status, retry in seen if status == 503)
    assert usual_s < 0.2
    assert most_s < 1
    assert stack.ask("GET", "/session", headers=ben).told() == {"user": "ben"}
    assert stack.host.run(show).stdout == before


def test_guessing_passwords_is_slowed_down(stack: Stack) -> None:
    form = urlencode({"name": "ada", "password": "guess"})
    headers = {
        "Origin": f"https://{HOST}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    seen = [stack.ask("POST", "/login", form, headers=headers).status for _ in range(14)]

    assert seen[0] in (401, 429)
    assert seen[-1] == 429
    # The next test logs in again.
    stack.host.run("systemctl restart nginx")


def test_the_page_in_a_browser(stack: Stack, tmp_path: Path) -> None:
    digest = stack.host.run(
        "openssl x509 -in /etc/pki/hardpan/tls.crt -noout -pubkey | openssl pkey -pubin"
        " -outform der | openssl dgst -sha256 -binary | base64"
    ).stdout.strip()
    handbook = tmp_path / "handbook.md"
    handbook.write_text(HANDBOOK)
    denied = stack.denied()
    address = stack.host.guest.address
    with browser(tmp_path / "chromium", host=HOST, address=address, key_digest=digest) as page:
        page.go(f"https://{HOST}/")
        page.type("#name", "ada")
        page.type("#password", "wrong")
        page.press("Enter")
        page.until("document.querySelector('[role=alert]')")
        page.type("#name", "ada")
        page.type("#password", stack.passwords["ada"])
        page.press("Enter")
        page.until("document.getElementById('model')?.textContent.startsWith('hardpan-tiny')")
        refused = page.complaints()
        page.choose("#file", handbook)
        page.until("document.querySelectorAll('#documents strong').length === 1")
        page.until("!document.querySelector('progress')")
        page.type("#question", "Where are the keys of the server room?")
        page.press("Enter")
        page.until("document.querySelector('#stop').hidden && document.querySelector('.source')")
        answer = page.script("document.querySelector('.turn:not(.mine) .text').textContent")
        source = page.script("document.querySelector('.source').textContent")
        page.picture(tmp_path / "chat.png")
        # A document is text, whatever is in it.
        handbook.write_text("# <img src=x onerror=alert(1)>\n\n<script>alert(2)</script> room keys")
        page.choose("#file", handbook)
        page.until("document.querySelector('#shelf-status').textContent.includes('is added')")
        page.script("document.querySelector('#documents button').click()")
        page.until("document.querySelector('#documents').textContent === 'None yet.'")
        assert page.script("document.images.length") == 1
        page.script("document.querySelector('form[action=\"/logout\"] button').click()")
        page.until("document.querySelector('#name')")

        assert len(answer.split()) > 20
        assert "in the safe on the second floor" in source
        assert page.asked_for() == {f"https://{HOST}"}
        # The 401 of the first page and of the wrong password, and nothing of a policy.
        assert refused
        assert [said for said in [*refused, *page.complaints()] if "401" not in said] == []
    assert stack.denied() == denied


def test_what_a_site_may_do_afterwards_on_the_machine(stack: Stack) -> None:
    run = "/opt/ai/stacks/serving/bin/python3 -I /usr/libexec/hardpan/sovereign"
    key = stack.host.run(f"{run} new-key batch documents").stdout.strip()

    assert stack.ask("GET", "/kb/documents", key=key).status == 200
    assert stack.ask("GET", "/v1/models", key=key).status == 403
    assert key not in stack.host.run("cat /etc/hardpan/sovereign/*.json").stdout

    ben = stack.login("ben")
    typed = "printf 'a new password\\na new password\\n'"
    stack.host.run(f"{typed} | {run} password ben 2>&1")
    assert stack.ask("GET", "/session", headers=ben).status == 401


def _neighbour(stack: Stack) -> str:
    """This machine, as the host sees it."""
    return str(ipaddress.ip_address(stack.host.guest.address) - 1)
