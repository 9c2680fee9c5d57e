"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta


class SettableClock:
    """``app.clock.Clock`` for tests: call it for the present moment."""

    def __init__(self, now: datetime = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def set(self, now: datetime) -> None:
        """It is now this moment (aware)."""
        self.now = now.astimezone(UTC)

    def advance(self, **duration: float) -> datetime:
        """Time goes by, named as timedelta's arguments: ``advance(minutes=5)``. The new present."""
        self.now += timedelta(**duration)
        return self.now
