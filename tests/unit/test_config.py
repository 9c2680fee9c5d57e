"""CONTRACT §2: rooster.toml and the environment."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.config import Config, ConfigError, load_config

COMPLETE = """
instance = "uni.example"
timezone = "Europe/Amsterdam"
data_dir = "data"

[database]
url = "postgresql://rooster:hunter2@db.uni.example/rooster"

[providers.ews]
service_endpoint = "https://mail.uni.example/EWS/Exchange.asmx"
username = "svc-rooster@uni.example"
password_file = "secrets/ews"
auth_type = "ntlm"
access_type = "delegate"
ca_file = "ca.pem"
[[providers.ews.accounts]]
username = "svc-2@uni.example"
password = "hunter2"

[providers.o365]
tenant_id = "tenant"
client_id = "client"
certificate_file = "secrets/certificate.pem"

[providers.googlecalendar]
service_account_file = "secrets/google.json"

[sources]
allowed_networks = ["10.20.0.0/16"]

[sync.concurrency]
ews = 4
"""


@pytest.fixture
def complete(tmp_path: Path) -> Path:
    (tmp_path / "rooster.toml").write_text(COMPLETE)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "ews").write_text("hunter2\n")
    (secrets / "certificate.pem").write_text("hunter2 certificate\n")
    (secrets / "google.json").write_text('{"private_key": "hunter2"}\n')
    return tmp_path


def write(folder: Path, text: str) -> Path:
    (folder / "rooster.toml").write_text(text)
    return folder


def test_nothing_configured_gives_the_defaults(tmp_path: Path) -> None:
    config = load_config({}, tmp_path)
    assert config == Config()
    assert config.database.url is None
    assert config.providers.ews is None
    assert config.timetables.guard_share == 0.5
    assert config.timetables.guard_events == 20
    assert (config.timetables.window_days_back, config.timetables.window_days_ahead) == (30, 400)


def test_every_key_of_the_file_is_read(complete: Path) -> None:
    config = load_config({}, complete)
    assert config.instance == config.require_instance() == "uni.example"
    assert config.zone == ZoneInfo("Europe/Amsterdam")
    ews, o365, google = config.providers.ews, config.providers.o365, config.providers.googlecalendar
    assert ews is not None
    assert o365 is not None
    assert google is not None
    assert (ews.auth_type, ews.access_type) == ("ntlm", "delegate")
    assert ews.accounts[0].username == "svc-2@uni.example"
    assert config.sync.concurrency.ews == 4
    assert str(config.sources.networks[0]) == "10.20.0.0/16"


def test_secrets_are_read_from_their_files_and_stripped(complete: Path) -> None:
    providers = load_config({}, complete).providers
    assert providers.ews is not None
    assert providers.ews.password == "hunter2"
    assert providers.o365 is not None
    assert providers.o365.certificate == "hunter2 certificate"
    assert providers.googlecalendar is not None
    assert providers.googlecalendar.service_account == '{"private_key": "hunter2"}'


def test_relative_paths_are_relative_to_the_file_and_not_to_the_working_directory(complete: Path) -> None:
    config = load_config({"ROOSTER_CONFIG": str(complete / "rooster.toml")}, Path("/"))
    assert config.data_path == complete / "data"
    assert config.providers.ews is not None
    assert config.providers.ews.ca_file == str(complete / "ca.pem")


def test_no_secret_in_the_repr(complete: Path) -> None:
    config = load_config({}, complete)
    assert "hunter2" not in repr(config)
    assert "svc-2@uni.example" in repr(config)


@pytest.mark.parametrize(
    ("name", "value", "path", "expected"),
    [
        ("ROOSTER_INSTANCE", "other.example", "instance", "other.example"),
        ("ROOSTER_DATABASE__URL", "postgresql://other/x", "database.url", "postgresql://other/x"),
        ("ROOSTER_PROVIDERS__O365__TENANT_ID", "42", "providers.o365.tenant_id", "42"),
        ("ROOSTER_TIMETABLES__MAX_EVENTS", "42", "timetables.max_events", 42),
        ("ROOSTER_TIMETABLES__GUARD_SHARE", "0.25", "timetables.guard_share", 0.25),
        (
            "ROOSTER_SOURCES__ALLOWED_NETWORKS",
            "10.0.0.0/8, 192.168.0.0/16",
            "sources.allowed_networks",
            ("10.0.0.0/8", "192.168.0.0/16"),
        ),
        ("ROOSTER_SOURCES__ALLOWED_NETWORKS", '["10.0.0.0/8"]', "sources.allowed_networks", ("10.0.0.0/8",)),
        ("ROOSTER_SOURCES__ALLOWED_NETWORKS", "", "sources.allowed_networks", ()),
    ],
)
def test_a_variable_overrides_the_file(
    complete: Path, name: str, value: str, path: str, expected: object
) -> None:
    found: object = load_config({name: value}, complete)
    for key in path.split("."):
        found = getattr(found, key)
    assert found == expected


def test_a_variable_can_name_a_secret_in_place_of_its_file_and_the_other_way_round(complete: Path) -> None:
    (complete / "other").write_text("postgresql://from.file/x\n")
    config = load_config(
        {"ROOSTER_PROVIDERS__EWS__PASSWORD": "direct", "ROOSTER_DATABASE__URL_FILE": "other"}, complete
    )
    assert config.providers.ews is not None
    assert config.providers.ews.password == "direct"
    assert config.database.url == "postgresql://from.file/x"


def test_a_provider_can_come_from_the_environment_alone(tmp_path: Path) -> None:
    environ = {
        "ROOSTER_PROVIDERS__EWS__SERVICE_ENDPOINT": "https://mail.uni.example/EWS/Exchange.asmx",
        "ROOSTER_PROVIDERS__EWS__ACCOUNTS": '[{"username": "a", "password": "b"}]',
    }
    ews = load_config(environ, tmp_path).providers.ews
    assert ews is not None
    assert ews.accounts[0].password == "b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('instanse = "x"', "instanse is not a known key; did you mean instance?"),
        ("[providers.exchange]\na = 1", "providers.exchange is not a known key"),
        (
            '[providers.ews]\nservice_endpoint = "x"\nusernme = "y"',
            "providers.ews.usernme is not a known key; did you mean username?",
        ),
        ('[providers.googlecalendar]\napi_url = "x"', "providers.googlecalendar.service_account is missing"),
        ('timezone = "Europe/Amsterdm"', "timezone: not an IANA time zone"),
        ('timezone = "/etc/passwd"', "timezone: not an IANA time zone"),
        ("timezone = 3", "timezone: Expected `str`, got `int`"),
        ('instance = "uni example"', "instance: letters, digits"),
        (
            "[providers.ews]\nauth_type = 'kerberos'\nservice_endpoint = 'x'",
            "providers.ews.auth_type: expected one of basic, ntlm, oauth",
        ),
        ("[sync]\npeople = 'keep'", "sync.people: expected one of report, respect, restore"),
        ("[timetables]\nmax_events = 0", "timetables.max_events: Expected `int` >= 1"),
        (
            '[sources]\nallowed_networks = ["10.20.0.1/16"]',
            "allowed_networks: 10.20.0.1/16 has host bits set",
        ),
        ('[database]\nurl = "mysql://x:hunter2@y"', "expected a URL that begins with postgresql://"),
        ('[database]\nurl = "postgresql://x"\nurl_file = "y"', "database.url and database.url_file are both"),
        ('[database]\nurl_file = "nowhere"', "nowhere cannot be read: No such file or directory"),
        ('[providers.o365]\ntenant_id = "t"\nclient_id = "c"', "client_secret_file or certificate_file"),
        ('[providers.ews]\nservice_endpoint = "x"', "username and password are missing"),
        ('[providers.ews]\nservice_endpoint = "x"\nusername = "y"', "username and password go together"),
        ('[providers.ews]\nservice_endpoint = "x"\npassword = 3', "providers.ews.password: Expected"),
        ("[timetables", "is not valid TOML"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({}, write(tmp_path, text))
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ROOSTER_INSTANSE", "x", "ROOSTER_INSTANSE is not a known key; did you mean instance?"),
        ("ROOSTER_PROVIDERS__EWS__USER", "x", "ROOSTER_PROVIDERS__EWS__USER is not a known key"),
        ("ROOSTER_INSTANCE__X", "x", "ROOSTER_INSTANCE__X: instance has no keys of its own"),
        ("ROOSTER_DATABASE", "postgresql://x", "ROOSTER_DATABASE names a section"),
        ("ROOSTER_TIMETABLES__MAX_EVENTS", "many", "expected a whole number"),
        ("ROOSTER_SOURCES__ALLOWED_NETWORKS", "[", "expected a list"),
        ("ROOSTER_SYNC__PEOPLE", "keep", "sync.people: expected one of report, respect, restore"),
        ("ROOSTER_CONFIG", "nowhere.toml", "nowhere.toml cannot be read: No such file or directory"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(
    tmp_path: Path, name: str, value: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({name: value}, tmp_path)
    assert message in caught.value.message


def test_other_variables_are_none_of_our_business(tmp_path: Path) -> None:
    environ = {"HOME": "/root", "ROOSTERS": "many", "ROOSTER_TEST_DATABASE_URL": "postgresql://x"}
    assert load_config(environ, tmp_path) == Config()


def test_an_instance_is_asked_for_where_it_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"instance is missing: set it in rooster\.toml"):
        Config().require_instance()
