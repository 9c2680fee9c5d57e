"""Credentials at rest: unreadable without the key, and bound to their account."""

import stat
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from app.config import Config, ConfigError, DatabaseSettings
from app.sources.secrets import Undecipherable, Vault, open_vault
from app.sources.settings import SourceSettings

OWNER = UUID(int=1)
KEY = bytes(range(32))


def test_what_was_encrypted_can_be_read_and_does_not_show() -> None:
    vault = Vault(KEY)
    stored = vault.encrypt(b"s3cret", OWNER)
    assert b"s3cret" not in stored
    assert vault.encrypt(b"s3cret", OWNER) != stored
    assert Vault(KEY).decrypt(stored, OWNER) == b"s3cret"


@pytest.mark.parametrize(
    ("key", "owner", "change"),
    [
        (bytes(32), OWNER, lambda stored: stored),
        (KEY, UUID(int=2), lambda stored: stored),
        (KEY, OWNER, lambda stored: stored[:-1]),
        (KEY, OWNER, lambda stored: b"\x02" + stored[1:]),
        (KEY, OWNER, lambda stored: stored[:20] + bytes([stored[20] ^ 1]) + stored[21:]),
        (KEY, OWNER, lambda _: b""),
    ],
    ids=["another key", "another account", "cut off", "another version", "changed", "nothing"],
)
def test_nothing_else_can_be_read(key: bytes, owner: UUID, change) -> None:  # type: ignore[no-untyped-def]
    stored = change(Vault(KEY).encrypt(b"s3cret", OWNER))
    with pytest.raises(Undecipherable, match="encrypted with another key"):
        Vault(key).decrypt(stored, owner)


class TestKey:
    def test_as_configured(self) -> None:
        config = Config(sources=SourceSettings(encryption_key=b64encode(KEY).decode()))
        assert open_vault(config).decrypt(Vault(KEY).encrypt(b"x", OWNER), OWNER) == b"x"
        assert b64encode(KEY).decode() not in repr(config)

    @pytest.mark.parametrize("key", ["", "x", "not base64!", b64encode(bytes(16)).decode()])
    def test_one_that_is_none(self, key: str) -> None:
        with pytest.raises(ConfigError, match="expected 32 bytes in base64"):
            open_vault(Config(sources=SourceSettings(encryption_key=key)))

    def test_beside_an_embedded_database_it_is_made_once_for_its_owner_alone(self, tmp_path: Path) -> None:
        config = Config(data_dir=str(tmp_path / "data"))
        owner = uuid4()
        stored = open_vault(config).encrypt(b"x", owner)
        file = tmp_path / "data" / "sources.key"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert open_vault(config).decrypt(stored, owner) == b"x"
        assert [path.name for path in file.parent.iterdir()] == ["sources.key"]

    def test_of_many_at_once_all_have_the_same(self, tmp_path: Path) -> None:
        config = Config(data_dir=str(tmp_path))
        with ThreadPoolExecutor(8) as threads:
            vaults = list(threads.map(lambda _: open_vault(config), range(8)))
        stored = vaults[0].encrypt(b"x", OWNER)
        assert [vault.decrypt(stored, OWNER) for vault in vaults] == [b"x"] * 8

    def test_with_a_database_that_others_share_it_has_to_be_configured(self, tmp_path: Path) -> None:
        database = DatabaseSettings(url="postgresql://db.uni.example/rooster")
        config = Config(data_dir=str(tmp_path), database=database)
        with pytest.raises(ConfigError, match=r"sources\.encryption_key is missing.*openssl rand -base64 32"):
            open_vault(config)
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_cannot_be_written_is_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigError, match="can be neither read nor made"):
            open_vault(Config(data_dir=str(tmp_path / "file")))
