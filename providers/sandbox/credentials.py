"""The secrets that the sandbox's clients have to show, made anew for every sandbox."""

from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from uuid import uuid4

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

__all__ = ["Credentials"]

LIFETIME = timedelta(days=3650)


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What ``rooster.toml`` of the sandbox holds, and what the protocols check against.

    ``private_key`` (PEM, PKCS #8, RSA 2048) is that of Google's service account and of the Entra
    application's ``certificate`` (PEM): one key for both, because making one takes long.
    """

    tenant_id: str
    client_id: str
    client_secret: str
    ews_username: str
    ews_password: str
    google_project: str
    google_email: str
    google_client_id: str
    private_key_id: str
    private_key: str
    public_key: str
    certificate: str
    signing_key: str
    """Signs the access tokens that the sandbox gives out (HMAC)."""

    @classmethod
    def generate(cls) -> "Credentials":
        """New credentials for the accounts of ``uni.example``."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return cls(
            tenant_id=str(uuid4()),
            client_id=str(uuid4()),
            client_secret=token_urlsafe(24),
            ews_username="svc-rooster@uni.example",
            ews_password=token_urlsafe(24),
            google_project="rooster-sandbox",
            google_email="rooster@rooster-sandbox.iam.gserviceaccount.com",
            google_client_id=str(uuid4().int)[:21],
            private_key_id=uuid4().hex,
            private_key=key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode(),
            public_key=key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode(),
            certificate=_self_signed(key),
            signing_key=token_urlsafe(32),
        )


def _self_signed(key: rsa.RSAPrivateKey) -> str:
    """The certificate that an administrator would have uploaded to the Entra application."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rooster sandbox application")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
