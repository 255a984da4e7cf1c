"""The dated table of CMVP certificates, validated as strictly as a profile."""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hardpan.core.resources import resource_path
from hardpan.profiles.constraint_set import Violation
from hardpan.profiles.table_file import parse_table_file
from hardpan.scanners.fips.model import ModuleName

CMVP_FILE = resource_path("hardpan.scanners.fips", "cmvp.yaml")
STALE_AFTER = timedelta(days=180)
HISTORICAL_140_2 = date(2026, 9, 22)
"""From this day on every FIPS 140-2 certificate is historical (NIST, FIPS 140-3 transition)."""

ShortText = Annotated[str, Field(min_length=1, max_length=200)]


class CmvpModel(BaseModel):
    """Base of the table's models: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TestedEnvironment(CmvpModel):
    """A processor on which a module was tested, or which its vendor affirms."""

    arch: Annotated[str, Field(pattern=r"^[a-z0-9_]{3,12}$")]
    cpu: Annotated[str, Field(min_length=4, max_length=80)]
    """Part of the processor's own name, e.g. ``Xeon(R) Gold 6230``."""

    affirmed: bool = False
    """Not tested: the vendor affirms that the module works on it."""


class CmvpCertificate(CmvpModel):
    """One certificate, or one module in process, for one release."""

    module: ModuleName
    vendor: ShortText
    """Who builds and signs the packages; as in ``keys``, if a key of the vendor is known."""

    certificate: Annotated[int, Field(ge=1)] | None
    """None while the module is in process."""

    level: Literal["140-2", "140-3"]
    status: Literal["active", "in_process", "unverified"]
    """``unverified``: the build is named by a security policy, the rest by one source at most."""

    sunset: date | None
    release: ShortText
    tag: Annotated[str, Field(pattern=r"^[a-z0-9]{3,30}$")]
    """Part of the vendor's release strings. It only turns ``not_validated`` into ``unknown``."""

    builds: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_+-]+-[0-9:]*[^-]+-[^-]+$")], ...]
    """Exact builds as published, with or without epoch and architecture."""

    signer: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = None
    """Id of the key that signs these builds; without one, no build is validated."""

    environments: tuple[TestedEnvironment, ...] = ()
    """Empty if the source does not list them."""

    ml_kem: bool = False
    """ML-KEM is among the module's approved services."""

    def is_historical(self, today: date) -> bool:
        """Return whether the certificate is no longer active by its dates."""
        past = self.sunset is not None and today > self.sunset
        return past or (self.level == "140-2" and today >= HISTORICAL_140_2)


class VendorKey(CmvpModel):
    """A key that signs packages."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """Key id of OpenPGP: the last 16 hex digits of the fingerprint."""

    vendor: ShortText
    certificates: Literal["exist", "not_looked_up", "none_known"]
    """What is known about certificates of the vendor that the table does not list."""


class CmvpTable(CmvpModel):
    """The table in cmvp.yaml."""

    as_of: date
    read: date | None = None
    """Day on which hardpan took the rows from the source."""

    source: ShortText
    checked: ShortText
    """How far the table was verified, as text."""

    certificates: tuple[CmvpCertificate, ...]
    keys: tuple[VendorKey, ...] = ()

    def find_key(self, signer: str) -> VendorKey | None:
        """Return the known key with the id of ``signer``, which may be a whole fingerprint."""
        return next((k for k in self.keys if signer.endswith(k.id)), None)

    def describe_age(self, today: date) -> str:
        """Return why the table cannot be used on ``today``; empty if it can."""
        if not self.is_stale(today):
            return ""
        if self.as_of > today:
            expected = "one of the past (check the clock of this machine)"
        else:
            expected = f"one of at most {STALE_AFTER.days} days"
        return (
            f"the list of CMVP certificates is of {self.as_of}, expected {expected}: "
            "no certificate is called active"
        )

    def is_stale(self, today: date) -> bool:
        """Return whether the table is too old to call a certificate active, or from the future."""
        return not timedelta(0) <= today - self.as_of <= STALE_AFTER


@lru_cache(maxsize=1)
def load_table() -> CmvpTable:
    """Load the shipped table.

    Raises:
        InputError: the file was changed and has problems.
    """
    return parse_table(CMVP_FILE.read_bytes(), CMVP_FILE.name)


def parse_table(data: bytes, file: str) -> CmvpTable:
    """Parse the table in ``data``; ``file`` names it in every message.

    Raises:
        InputError: it has problems; each is reported on a separate line.
    """
    return parse_table_file(data, file, CmvpTable, _find_violations)


def _find_violations(cmvp_table: CmvpTable) -> Iterator[Violation]:
    listed_builds: set[str] = set()
    key_ids = [key.id for key in cmvp_table.keys]
    for i, key_id in enumerate(key_ids):
        if key_id in key_ids[:i]:
            yield Violation(("keys", i, "id"), f"{key_id} is duplicated")
    for i, row in enumerate(cmvp_table.certificates):
        location = ("certificates", i)
        if row.status == "active" and (row.certificate is None or row.sunset is None):
            yield Violation(location, "expected a certificate and a sunset for an active module")
        if row.status == "in_process" and row.certificate is not None:
            yield Violation((*location, "certificate"), "expected none for a module in process")
        for build in row.builds:
            if build in listed_builds:
                yield Violation((*location, "builds"), f"{build} is duplicated")
            listed_builds.add(build)
