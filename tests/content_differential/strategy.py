"""Benchmarks with every construct that decides which rules are evaluated, how and with what."""

from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.content_differential.stream import (
    FALSE_DEFINITIONS,
    OCIL_SYSTEM,
    OVAL_SYSTEM,
    SCE_SYSTEM,
    TRUE_DEFINITIONS,
    benchmark,
    data_stream,
    definition_id,
    element,
    file_oval,
    item_id,
    script,
    variable_id,
)

PROFILE = item_id("profile", "p")
_BOOLEANS = ("true", "false", "1", "0")
_MOSTLY_TRUE = ("true", "true", "1", "1", "true", "false", "0")
_SEVERITIES = ("unknown", "info", "low", "medium", "high")
_ROLES = ("full", "unscored", "unchecked")
_WEIGHTS = ("0", "0.5", "1", "1.0", "10", "2.25")
_SELECTORS = ("strict", "loose")
_VALUES = ("v0", "v1", "v2")
_TEXTS = ("8", "9", "15", " 8 ", "a b", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A data stream and the profile to evaluate."""

    data: bytes
    tailoring: bytes | None = None
    """An XCCDF tailoring that has the profile too."""

    profile_id: str = PROFILE


@dataclass(frozen=True, slots=True)
class _Names:
    rules: tuple[str, ...]
    groups: tuple[str, ...]

    @property
    def items(self) -> tuple[str, ...]:
        return (*self.rules, *self.groups)


@st.composite
def cases(draw: DrawFn) -> Case:
    """A benchmark with four to seven rules whose settings vary, and twice as many that do not."""
    rules = tuple(item_id("rule", f"r{n}") for n in range(draw(st.integers(4, 7))))
    groups = tuple(item_id("group", f"g{n}") for n in range(draw(st.integers(1, 3))))
    names = _Names(rules, groups)
    anchors = tuple(item_id("rule", f"anchor{n}") for n in range(2 * len(rules)))
    profiles, tailoring = draw(_profiles(names, anchors))
    content = profiles + "".join(draw(_value(v)) for v in _VALUES)
    content += draw(_tree(names)) + "".join(_anchor(a, n) for n, a in enumerate(anchors))
    patches = draw(st.lists(st.sampled_from(TRUE_DEFINITIONS + FALSE_DEFINITIONS), unique=True))
    ovals = {
        "t-oval.xml": file_oval(TRUE_DEFINITIONS + FALSE_DEFINITIONS, _VALUES),
        "p-oval.xml": file_oval(tuple(patches or TRUE_DEFINITIONS[:1])),
    }
    scripts = {"pass.sh": script(101), "fail.sh": script(102)}
    return Case(data=data_stream(benchmark(content), ovals, scripts), tailoring=tailoring)


def _anchor(rule_id: str, number: int) -> str:
    """Return a rule that always passes or fails."""
    name = (TRUE_DEFINITIONS + FALSE_DEFINITIONS)[number % 5]
    check = _oval_check("t-oval.xml", definition_id(name))
    return element("Rule", f"<title>anchor</title>{check}", id=rule_id, selected="false")


def _optional(*choices: str, likelihood: float = 0.3) -> st.SearchStrategy[str | None]:
    """None, or one of the choices with about this likelihood."""
    first = 20 - max(1, round(20 * likelihood))
    return st.integers(0, 19).flatmap(
        lambda n: st.sampled_from(choices) if n >= first and choices else st.none()
    )


@st.composite
def _tree(draw: DrawFn, names: _Names) -> str:
    """Groups in one another, with the rules at any place; in document order."""
    children: dict[str, list[str]] = {g: [] for g in ("", *names.groups)}
    for number, group in enumerate(names.groups):
        children[draw(st.sampled_from(("", *names.groups[:number])))].append(group)
    for rule in names.rules:
        parent = draw(st.sampled_from(("", *names.groups)))
        siblings = children[parent]
        siblings.insert(draw(st.integers(0, len(siblings))), rule)

    def render(item: str) -> str:
        if item in names.rules:
            return draw(_rule(item, names))
        content = "".join(render(c) for c in children[item])
        dependencies = draw(_dependencies(item, names, likelihood=0.1))
        platform = draw(_platform(0.05))
        return element(
            "Group",
            f"<title>g</title>{platform}{dependencies}{content}",
            **draw(_attributes(names)),
            id=item,
        )

    return "".join(render(i) for i in children[""])


@st.composite
def _attributes(draw: DrawFn, names: _Names) -> dict[str, str | None]:
    return {
        "selected": draw(_optional(*_MOSTLY_TRUE, likelihood=0.5)),
        "weight": draw(_optional(*_WEIGHTS)),
        "cluster_id": draw(_optional("c0", "c1", likelihood=0.4)),
        "abstract": draw(_optional("false", "true", "1", likelihood=0.1)),
        "hidden": draw(_optional("true", likelihood=0.1)),
        "prohibitChanges": draw(_optional("true", likelihood=0.1)),
    }


@st.composite
def _platform(draw: DrawFn, likelihood: float) -> str:
    idref = draw(_optional("cpe:/o:example:absent:1", likelihood=likelihood))
    return element("platform", idref=idref) if idref else ""


@st.composite
def _dependencies(draw: DrawFn, item: str, names: _Names, likelihood: float = 0.15) -> str:
    others = [n for n in names.items if n != item] or [item]
    text = ""
    if draw(_optional("x", likelihood=likelihood)):
        ids = draw(st.lists(st.sampled_from(others), min_size=1, max_size=2))
        text += element("requires", idref=" ".join(ids))
    if draw(_optional("x", likelihood=likelihood)):
        text += element("conflicts", idref=draw(st.sampled_from(others)))
    return text


@st.composite
def _rule(draw: DrawFn, rule_id: str, names: _Names) -> str:
    position = names.rules.index(rule_id)
    parent = draw(_optional(*names.rules[:position], likelihood=0.25))
    content = "<title>r</title>" + draw(_platform(0.05)) + draw(_dependencies(rule_id, names))
    content += "" if parent and draw(st.booleans()) else draw(_checks())
    return element(
        "Rule",
        content,
        **draw(_attributes(names)),
        severity=draw(_optional(*_SEVERITIES, likelihood=0.7)),
        role=draw(_optional(*_ROLES, likelihood=0.15)),
        extends=parent,
        id=rule_id,
    )


def _oval_check(href: str, name: str | None, exports: str = "", **attributes: str | None) -> str:
    reference = element("check-content-ref", href=href, name=name)
    return element("check", exports + reference, system=OVAL_SYSTEM, **attributes)


@st.composite
def _simple_check(draw: DrawFn, selector: str | None = None) -> str:
    kind = draw(st.sampled_from(("file", "file", "file", "value", "value", "all", "sce", "remote")))
    attributes = {"selector": selector, "negate": draw(_optional(*_BOOLEANS, likelihood=0.2))}
    if kind == "file":
        names = (*TRUE_DEFINITIONS, *FALSE_DEFINITIONS, *TRUE_DEFINITIONS, "undefined")
        return _oval_check("t-oval.xml", definition_id(draw(st.sampled_from(names))), **attributes)
    if kind == "value":
        name = draw(st.sampled_from(_VALUES))
        export = element(
            "check-export", export_name=variable_id(name), value_id=item_id("value", name)
        )
        return _oval_check("t-oval.xml", definition_id(name), export, **attributes)
    if kind == "all":
        multi = draw(_optional(*_BOOLEANS, likelihood=0.7))
        href = draw(st.sampled_from(("p-oval.xml", "p-oval.xml", "t-oval.xml")))
        return _oval_check(href, None, multi_check=multi, **attributes)
    if kind == "sce":
        reference = element("check-content-ref", href=draw(st.sampled_from(("pass.sh", "fail.sh"))))
        return element("check", reference, system=SCE_SYSTEM, **attributes)
    references = element("check-content-ref", href="absent-oval.xml", name=definition_id("root"))
    if draw(st.booleans()):
        name = draw(st.sampled_from(TRUE_DEFINITIONS + FALSE_DEFINITIONS))
        references += element("check-content-ref", href="t-oval.xml", name=definition_id(name))
    return element("check", references, system=OVAL_SYSTEM, **attributes)


@st.composite
def _complex_check(draw: DrawFn, depth: int = 0) -> str:
    children = "".join(
        draw(_complex_check(depth + 1))
        if depth == 0 and draw(_optional("x", likelihood=0.2))
        else draw(_simple_check())
        for _ in range(draw(st.integers(1, 3)))
    )
    return element(
        "complex-check",
        children,
        operator=draw(st.sampled_from(("AND", "OR"))),
        negate=draw(_optional(*_BOOLEANS, likelihood=0.3)),
    )


@st.composite
def _checks(draw: DrawFn) -> str:
    kind = draw(st.sampled_from(("simple", "several", "complex", "simple", "several", "none")))
    ocil = element(
        "check", element("check-content-ref", href="ocil.xml", name="q"), system=OCIL_SYSTEM
    )
    if kind == "none":
        return draw(st.sampled_from(("", ocil)))
    if kind == "simple":
        return draw(_simple_check()) + draw(st.sampled_from(("", "", ocil)))
    if kind == "complex":
        return draw(_complex_check())
    selectors = [draw(_optional(*_SELECTORS, likelihood=0.4)) for _ in range(3)]
    checks = {s: draw(_simple_check(s)) for s in selectors}
    by_key = {(s, SCE_SYSTEM in checks[s]): checks[s] for s in checks}
    for selector in selectors:  # the schema allows one check of a system for each selector
        check = draw(_simple_check(selector))
        by_key.setdefault((selector, SCE_SYSTEM in check), check)
    return "".join(draw(st.permutations(list(by_key.values())))) + draw(st.sampled_from(("", ocil)))


@st.composite
def _value(draw: DrawFn, name: str) -> str:
    selectors = draw(st.permutations((None, *_SELECTORS)))[: draw(st.integers(1, 3))]
    content = "<title>v</title>"
    content += "".join(
        element("value", draw(st.sampled_from(_TEXTS)), selector=s) for s in selectors
    )
    if draw(_optional("x", likelihood=0.2)):
        content += element("default", "8", selector=draw(_optional(*_SELECTORS, likelihood=0.5)))
    if draw(_optional("x", likelihood=0.2)):
        content += element("match", ".*", selector=draw(_optional(*_SELECTORS, likelihood=0.5)))
    if draw(_optional("x", likelihood=0.2)):
        content += element("lower-bound", "1")
    if draw(_optional("x", likelihood=0.2)):
        content += element("choices", "<choice>8</choice><choice>15</choice>")
    parents = _VALUES[: _VALUES.index(name)]
    parent = draw(_optional(*parents, likelihood=0.15))
    return element(
        "Value",
        content,
        id=item_id("value", name),
        type=draw(_optional("number", "string")),
        operator=draw(_optional("equals", "pattern match")),
        extends=item_id("value", parent) if parent else None,
    )


@st.composite
def _profile(
    draw: DrawFn, name: str, names: _Names, extends: str | None, anchors: tuple[str, ...] = ()
) -> str:
    content = f"<title>{name}</title>"
    settings = [element("select", idref=a, selected="true") for a in anchors]
    targets = (*names.items, *names.items, "c0", "c1", "c0", "c1", "absent")
    settings += [
        element("select", idref=i, selected=draw(st.sampled_from(_MOSTLY_TRUE)))
        for i in draw(st.lists(st.sampled_from(targets), unique=True, max_size=4))
    ]
    settings += [
        draw(_refine_rule(i)) for i in draw(st.lists(st.sampled_from(targets), unique=True))
    ]
    values = st.lists(st.sampled_from(_VALUES), unique=True, max_size=2)
    for value in draw(values):
        selector = draw(st.sampled_from((*_SELECTORS, *_SELECTORS, "absent", "")))
        settings.append(element("refine-value", idref=item_id("value", value), selector=selector))
    for value in draw(values):
        text = draw(st.sampled_from(_TEXTS))
        settings.append(element("set-value", text, idref=item_id("value", value)))
    if draw(_optional("x", likelihood=0.1)):
        settings.append(
            element("set-complex-value", "<item>8</item>", idref=item_id("value", "v0"))
        )
    content += "".join(draw(st.permutations(settings)))
    return element("Profile", content, id=item_id("profile", name), extends=extends)


@st.composite
def _refine_rule(draw: DrawFn, idref: str) -> str:
    return element(
        "refine-rule",
        idref=idref,
        severity=draw(_optional(*_SEVERITIES, likelihood=0.5)),
        role=draw(_optional(*_ROLES, likelihood=0.2)),
        weight=draw(_optional(*_WEIGHTS)),
        selector=draw(_optional(*_SELECTORS, "absent")),
    )


@st.composite
def _profiles(draw: DrawFn, names: _Names, anchors: tuple[str, ...]) -> tuple[str, bytes | None]:
    """The profile ``p``, with what it extends in any order, in the benchmark or a tailoring."""
    p, base, root = (item_id("profile", n) for n in ("p", "base", "root"))
    depth = draw(st.integers(0, 2))
    has_tailoring = draw(_optional("x", likelihood=0.25)) is not None
    profiles = [
        draw(_profile("root", names, None)),
        draw(_profile("base", names, root if depth == 2 else None)),
        draw(_profile("other", names, draw(_optional(p, base)))),
    ]
    extends = base if depth else None
    if not has_tailoring:
        profiles.append(draw(_profile("p", names, extends, anchors)))
        return "".join(draw(st.permutations(profiles))), None
    profiles.append(draw(_profile("p", names, extends)))
    tailored = draw(_profile("p", names, draw(st.sampled_from((p, base, None))), anchors))
    tailoring = (
        '<Tailoring xmlns="http://checklists.nist.gov/xccdf/1.2" '
        f'id="xccdf_org.example_tailoring_t"><version time="2026-01-01T00:00:00">1</version>'
        f"{tailored}</Tailoring>"
    )
    return "".join(draw(st.permutations(profiles))), tailoring.replace("><", ">\n<").encode()
