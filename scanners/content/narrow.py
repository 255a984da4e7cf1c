"""Walks a file system once where the content walks it twice for the same files.

The content looks for files whose group is unknown, and once more with the groups of a
second file known too. What the second walk finds is always among what the first one
found, so it becomes a filter over the first (OVAL 5.11, ``set``). oscap collects an
object that no path of the criteria needs, too: the second walk was never free.
"""

import copy
from collections.abc import Iterator, Mapping

from lxml import etree

from scanners.content.slim import oval_components
from scanners.content.twins import said
from scanners.content.xml import OVAL, Element

_FILTER = f"{OVAL}filter"
_SET = f"{OVAL}set"
_REFERENCE = f"{OVAL}object_reference"


def narrow_walks(root: Element) -> int:
    """Replace in place; how many walks went. Every test keeps the files that it looks at."""
    return sum(_narrow(oval) for oval in oval_components(root))


def _narrow(oval: Element) -> int:
    named = {
        e.get("id", ""): e for kind in ("objects", "states", "variables") for e in _of(oval, kind)
    }
    walks = [o for o in _of(oval, "objects") if _is_walk(o)]
    gone = 0
    for narrow in walks:
        for wide in walks:
            state = _is_within(narrow, wide, named) if narrow is not wide else None
            if state is not None:
                _become_filter(narrow, wide.get("id", ""), state)
                gone += 1
                break
    return gone


def _of(oval: Element, kind: str) -> Iterator[Element]:
    return oval.iterfind(f"{OVAL}{kind}/*")


def _is_walk(element: Element) -> bool:
    behaviors = element.find("{*}behaviors")
    return behaviors is not None and behaviors.get("recurse_direction") == "down"


def _is_within(narrow: Element, wide: Element, named: Mapping[str, Element]) -> str | None:
    """The state that makes ``narrow`` of what ``wide`` collects; None where none is seen to."""
    if said(_unfiltered(narrow)) != said(_unfiltered(wide)):
        return None
    mine, others = _filters(narrow), _filters(wide)
    (only_mine, only_other) = mine - others, others - mine
    if len(only_mine) != 1 or len(only_other) != 1:
        return None
    (action, state), (other_action, other) = *only_mine, *only_other
    if action != "exclude" or other_action != "exclude":
        return None
    return state if _lets_less_through(named.get(state), named.get(other), named) else None


def _lets_less_through(
    strict: Element | None, loose: Element | None, named: Mapping[str, Element]
) -> bool:
    """Whether ``strict`` matches all that ``loose`` does: alike, but for a variable with more."""
    if strict is None or loose is None:
        return False
    mine, other = _variables(strict), _variables(loose)
    if len(mine) != 1 or len(other) != 1 or said(_unnamed(strict)) != said(_unnamed(loose)):
        return False
    if mine[0].get("var_check") != "at least one":
        return False
    return _holds_more(
        named.get(mine[0].get("var_ref", "")), named.get(other[0].get("var_ref", "")), named
    )


def _holds_more(more: Element | None, less: Element | None, named: Mapping[str, Element]) -> bool:
    """Whether a variable is the same field of a plain union that takes in the other's object."""
    if more is None or less is None:
        return False
    parts = [v.findall(f"{OVAL}object_component") for v in (more, less)]
    if any(len(p) != 1 or len(v) != 1 for p, v in zip(parts, (more, less), strict=True)):
        return False
    (mine,), (other,) = parts
    if mine.get("item_field") != other.get("item_field"):
        return False
    if more.get("datatype") != less.get("datatype"):
        return False
    union = named.get(mine.get("object_ref", ""))
    if union is None or len(union) != 1 or union[0].tag != _SET:
        return False
    if union[0].get("set_operator", "UNION") != "UNION" or any(
        x.tag != _REFERENCE for x in union[0]
    ):
        return False
    return other.get("object_ref") in {(x.text or "").strip() for x in union[0]}


def _become_filter(narrow: Element, wide: str, state: str) -> None:
    for part in list(narrow):
        narrow.remove(part)
    group = etree.SubElement(narrow, _SET)
    etree.SubElement(group, _REFERENCE).text = wide
    etree.SubElement(group, _FILTER, action="exclude").text = state


def _filters(element: Element) -> set[tuple[str, str]]:
    return {(f.get("action", "exclude"), (f.text or "").strip()) for f in element.iterfind(_FILTER)}


def _unfiltered(element: Element) -> Element:
    bare = copy.deepcopy(element)
    for found in bare.findall(_FILTER):
        bare.remove(found)
    return bare


def _variables(element: Element) -> list[Element]:
    return [part for part in element.iter("{*}*") if part.get("var_ref")]


def _unnamed(element: Element) -> Element:
    bare = copy.deepcopy(element)
    for part in _variables(bare):
        del part.attrib["var_ref"]
    return bare
