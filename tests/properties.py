"""How often Hypothesis tries a property: with the same examples in each run, or with others on request.

    PROPERTY_EXAMPLES=5000 ./run tests tests/unit tests/sync --hypothesis-seed=7 --timeout=0

A run that says no is to say it of a change, not of the dice or of a slow machine. So the examples follow from
the test and the code it is about, none is kept for the next run, and nothing depends on how long they take.
"""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

__all__ = ["examples", "takes_minutes"]

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "0"))

takes_minutes = pytest.mark.timeout(0 if EXAMPLES else 600)
"""For a property that takes minutes on a slow machine; as long as it takes, where others are asked for."""


def examples(count: int = 100, **others: Any) -> settings:
    """So many examples, always the same ones; or as many others as somebody asks for. A decorator."""
    return settings(
        max_examples=EXAMPLES or count,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        **others,
    )
