"""What a campaign has come to."""

from collections import Counter

import msgspec

from tests.crashes.compare import Verdict

__all__ = ["Result"]

OFTEN = 5
"""Workers that have to come to a step before a kill at it is waited for. To some, few ever come."""


class Result(msgspec.Struct, kw_only=True):
    """What a campaign has come to."""

    type: str
    seed: int
    kills: Counter[str] = msgspec.field(default_factory=Counter)
    """By step; those at no particular step among them."""
    seen: Counter[str] = msgspec.field(default_factory=Counter)
    """The steps that were passed, and by how many workers."""
    paused: int = 0
    """Workers stopped until another one had taken over, and set going again."""
    verdict: Verdict = msgspec.field(default_factory=Verdict)
    seconds: float = 0.0

    @property
    def missed(self) -> set[str]:
        """Steps at which nobody was killed, though workers came to them often enough."""
        return {step for step, workers in self.seen.items() if workers >= OFTEN and not self.kills[step]}

    @property
    def good(self) -> bool:
        """Whether nothing is wrong and every step had its kill."""
        return self.verdict.faults == 0 and not self.missed
