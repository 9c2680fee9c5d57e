"""Checks events and calendars against Microsoft's metadata, as a JSON Schema made from it.

Only where the sandbox is given a folder of schemas, and with ``jsonschema-rs``, which the sandbox needs
for nothing else and therefore imports only then.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from providers.sandbox.graph.errors import request_body_read
from providers.sandbox.state import State

__all__ = ["FILE", "Schema"]

FILE = Path("msgraph", "calendar.schema.json")
"""Within the folder of schemas."""


class Schema:
    """The vendor's schema, or nothing to check against."""

    def __init__(self, state: State) -> None:
        self._state = state
        path = None if state.schemas is None else state.schemas / FILE
        self._path = path if path is not None and path.is_file() else None

    def asked(self, definition: str, body: Any) -> None:
        """Note what is wrong with a request's body. Raises ``GraphError`` (400) if anything is."""
        problems = self._problems("request", definition, body)
        if problems:
            raise request_body_read(problems[0])

    def answered(self, definition: str, body: dict[str, Any]) -> dict[str, Any]:
        """The same body, with what is wrong with it noted."""
        self._problems("answer", definition, body)
        return body

    def _problems(self, direction: str, definition: str, body: Any) -> list[str]:
        if self._path is None:
            return []
        # The message names the place and the rule; the text of the event does not belong in it.
        problems = [
            f"{'/'.join(str(step) for step in error.instance_path) or definition}: does not fit "
            f"{'/'.join(str(step) for step in error.schema_path)}"
            for error in _validator(self._path, definition).iter_errors(body)
        ]
        self._state.violations += [f"o365 {direction} {definition}: {problem}" for problem in problems]
        return problems


@lru_cache
def _validator(path: Path, definition: str) -> Any:
    import jsonschema_rs

    schema = json.loads(path.read_text())
    return jsonschema_rs.validator_for({**schema, "$ref": f"#/$defs/{definition}"})
