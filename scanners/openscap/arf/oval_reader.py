"""Reads the OVAL results of an ARF: definitions, tests and the items that they refer to.

Source: OVAL 5.11, the schemas of results and of system characteristics.
"""

from collections.abc import Callable

from hardpan.scanners.openscap.arf.state import (
    MAX_LINE,
    CollectedItem,
    ParserState,
    RawDefinition,
    invalid_arf,
)

CHARACTERISTICS = "http://oval.mitre.org/XMLSchema/oval-system-characteristics-5 "
_MAX_ITEMS = 400_000
_VIOLATION_TEST = {"check_existence": "any_exist", "check": "all", "state_operator": "OR"}
"""Attributes of a test whose evidence is the items that match no state: ``content.oval_share``
makes them of tests that require that there is no such item."""


class OvalReader:
    """Handles the elements of one report after the other, into the parser's state."""

    def __init__(
        self,
        name: str,
        state: ParserState,
        read_id: Callable[[dict[str, str], str], str],
        count_record: Callable[[], None],
    ) -> None:
        self.report = ""
        """Id of the current report."""

        self._name = name
        self._state = state
        self._read_id = read_id
        self._count_record = count_record
        self._definition = RawDefinition(result="")
        self._item_ids: list[str] = []
        self._allowed_ids: set[str] | None = None
        self._is_object_complete = True
        self._item_count = 0

    def in_tests(self, _tag: str, attributes: dict[str, str]) -> None:
        """Begin a test of the definitions: its comment."""
        self._count_record()
        comments = self._state.comments[self.report]
        comments[self._read_id(attributes, "id")] = attributes.get("comment", "")[: 2 * MAX_LINE]

    def start_definition(self, attributes: dict[str, str]) -> None:
        """Begin the result of a definition."""
        self._count_record()
        self._definition = RawDefinition(result=self._read_id(attributes, "result"))
        definitions = self._state.definitions[self.report]
        definitions[self._read_id(attributes, "definition_id")] = self._definition

    def start_criterion(self, attributes: dict[str, str]) -> None:
        """Begin a reference of the definition to a test."""
        self._count_record()
        self._definition.test_ids.append(self._read_id(attributes, "test_ref"))

    def start_extension(self, attributes: dict[str, str]) -> None:
        """Begin a reference of the definition to another one."""
        self._count_record()
        self._definition.extended_ids.append(self._read_id(attributes, "definition_ref"))

    def start_test(self, attributes: dict[str, str]) -> None:
        """Begin the result of a test."""
        self._count_record()
        self._item_ids = []
        test_id = self._read_id(attributes, "test_id")
        is_violation_test = _VIOLATION_TEST.items() <= attributes.items()
        allowed_items = self._state.allowed_items[self.report]
        self._allowed_ids = allowed_items.setdefault(test_id, set()) if is_violation_test else None
        tests = self._state.tests[self.report]
        tests[test_id] = (self._read_id(attributes, "result"), self._item_ids)

    def start_tested_item(self, attributes: dict[str, str]) -> None:
        """Begin a reference of the test to an item."""
        self._count_record()
        item_id = self._read_id(attributes, "item_id")
        self._item_ids.append(item_id)
        if self._allowed_ids is not None and attributes.get("result") == "true":
            self._allowed_ids.add(item_id)

    def start_object(self, attributes: dict[str, str]) -> None:
        """Begin a collected object."""
        self._is_object_complete = attributes.get("flag") != "incomplete"

    def in_object(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin a child of a collected object."""
        if tag == CHARACTERISTICS + "reference" and not self._is_object_complete:
            self._count_record()
            self._state.incomplete[self.report].add(self._read_id(attributes, "item_ref"))

    def create_item(self, name: str, attributes: dict[str, str], depth: int) -> CollectedItem:
        """Return the collected item that begins, an element ``name`` at ``depth``."""
        self._item_count += 1
        if self._item_count > _MAX_ITEMS:
            raise invalid_arf(self._name, f"has more than {_MAX_ITEMS} items")
        return CollectedItem(
            id=self._read_id(attributes, "id"),
            kind=name.removesuffix("_item"),
            status=self._read_id(attributes, "status") or "exists",
            depth=depth,
        )
