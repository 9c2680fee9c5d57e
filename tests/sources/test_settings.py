"""``[sources]``: limits that make sense, and a host's own rate."""

from pathlib import Path

import pytest

from app.config import ConfigError, load_config
from app.sources.settings import SourceSettings


def test_a_host_has_its_own_rate_or_that_of_all() -> None:
    settings = SourceSettings(requests_per_second=2, rates={"timetable.uni.example": 20})
    assert settings.rate("timetable.uni.example") == 20
    assert settings.rate("other.example") == 2


def test_secrets_can_be_files_and_are_not_shown(tmp_path: Path) -> None:
    secret = "whsec_" + "A" * 40
    tmp_path.joinpath("secret").write_text(f"{secret}\n")
    tmp_path.joinpath("rooster.toml").write_text(
        '[sources]\nencryption_key_file = "secret"\n'
        '[sources.webhook]\nurl = "https://hooks.example"\nsecret_file = "secret"\n'
    )
    sources = load_config({}, tmp_path).sources
    assert sources.webhook is not None
    assert (sources.encryption_key, sources.webhook.secret) == (secret, secret)
    assert len(sources.webhook.key) == 30
    assert secret not in repr(sources)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("allowed_networks = ['10.0.0.1/8']", "allowed_networks"),
        ("requests_per_second = 0", "requests_per_second"),
        ("rates = {x = -1}", "rates"),
        ("max_bytes = 0", "max_bytes"),
        ("timeout_seconds = 0", "timeout_seconds"),
        ("max_redirects = 21", "max_redirects"),
        ("webhook = {url = 'hooks.example', secret = 'whsec_AAAA'}", "webhook: url"),
        ("webhook = {url = 'https://hooks.example', secret = 'whsec_AAAA'}", "webhook: secret"),
        ("webhook = {url = 'https://hooks.example'}", "sources.webhook.secret is missing"),
        ("proxy = 'http://x'", "sources.proxy is not a known key"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_name(tmp_path: Path, line: str, said: str) -> None:
    tmp_path.joinpath("rooster.toml").write_text(f"[sources]\n{line}\n")
    with pytest.raises(ConfigError) as refused:
        load_config({}, tmp_path)
    assert said in refused.value.message
    assert "AAAA" not in refused.value.message
