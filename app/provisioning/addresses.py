"""Which texts are mailbox addresses."""

import re

from app.provisioning.text import is_text

__all__ = ["is_address"]

_ADDRESS = re.compile(r"""[^\s@<>()\[\],;:\\"]{1,64}@[^\s@<>()\[\],;:\\"_/?#%]+""")


def is_address(text: str) -> bool:
    """Whether this can be the address of a mailbox: RFC 5321 section 4.1.2 without quoted local parts.

    Non-ASCII letters are allowed on both sides (RFC 6531). Lengths are those of RFC 5321 section 4.5.3.1.
    """
    if not is_text(text, 254) or _ADDRESS.fullmatch(text) is None:
        return False
    local, domain = text.split("@")
    return all(local.split(".")) and all(
        label and not label.startswith("-") and not label.endswith("-") for label in domain.split(".")
    )
