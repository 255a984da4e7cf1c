"""RFC 8785 bytes, joined from those of parts, so that two documents can share parts."""

from collections.abc import Iterable, Mapping

from hardpan.core.files import canonical_json


def encode_members(members: Mapping[str, object]) -> dict[str, bytes]:
    """Return each value as RFC 8785 bytes.

    Raises:
        ValueError: as ``canonical_json`` does.
    """
    return {name: canonical_json(value) for name, value in members.items()}


def join_array(items: Iterable[bytes]) -> bytes:
    """Return the array of ``items``, which are RFC 8785 bytes."""
    return b"[%b]" % b",".join(items)


def join_object(members: Mapping[str, bytes]) -> bytes:
    """Return the object of ``members``, whose values are RFC 8785 bytes."""
    # RFC 8785 sorts by UTF-16 units, which is the same for the ASCII keys of OSCAL.
    texts = (b"%b:%b" % (canonical_json(name), members[name]) for name in sorted(members))
    return b"{%b}" % b",".join(texts)
