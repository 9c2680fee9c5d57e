"""``python -m tests.crashes``."""

if __name__ == "__main__":
    # Only here: each worker imports this module as well, and needs none of it.
    from tests.crashes.command import command

    command(prog_name="python -m tests.crashes")
