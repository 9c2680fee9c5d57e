"""``python -m tests.benchmarks``."""

from tests.benchmarks.preferences import command

if __name__ == "__main__":
    command(prog_name="python -m tests.benchmarks")
