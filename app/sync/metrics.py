"""What the workers count, for /metrics."""

from prometheus_client import Counter, Gauge

__all__ = ["OPERATIONS", "RUNNING", "RUNS"]

OPERATIONS = Counter(
    "rooster_operations", "Operations sent to a provider, by their outcome.", ["type", "operation", "outcome"]
)
RUNS = Counter("rooster_mailbox_runs", "Runs over a mailbox, by how they ended.", ["type", "ending"])
RUNNING = Gauge("rooster_mailboxes_running", "Mailboxes that this worker is running now.", ["type"])
