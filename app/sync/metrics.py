"""What the workers count, for /metrics."""

from prometheus_client import Counter, Gauge

__all__ = ["OPERATIONS", "RUNNING", "RUNS", "SYNC_JOB_RUNS"]

OPERATIONS = Counter(
    "rooster_operations", "Operations sent to a provider, by their outcome.", ["type", "operation", "outcome"]
)
RUNS = Counter("rooster_mailbox_runs", "Runs over a mailbox, by how they ended.", ["type", "ending"])
RUNNING = Gauge("rooster_mailboxes_running", "Mailboxes that this worker is running now.", ["type"])
SYNC_JOB_RUNS = Counter(
    "rooster_sync_job_runs", "Runs of sync jobs that this worker had, by how they ended.", ["ending"]
)
