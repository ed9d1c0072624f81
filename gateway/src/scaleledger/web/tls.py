"""A certificate of our own making, for a gateway that is watched from the network and was given none.

Browsers warn of it once; its fingerprint stands in the log, so that a person can compare it there. The key is kept 0600.
"""

import datetime as dt
import ipaddress
import os
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CERTIFICATE = "dashboard-cert.pem"
KEY = "dashboard-key.pem"
LIFE = dt.timedelta(days=3650)
RENEW = dt.timedelta(days=30)


def own_certificate(folder: Path, names: Iterable[str], now: dt.datetime) -> tuple[Path, Path]:
    """Certificate and key for these names and addresses, from `folder` or made there; made anew near its end (`now` is aware).

    Raises OSError when the folder cannot be written.
    """
    certificate, key = folder / CERTIFICATE, folder / KEY
    wanted = sorted({name.lower() for name in names})
    try:
        kept = x509.load_pem_x509_certificate(certificate.read_bytes())
        if key.is_file() and kept.not_valid_after_utc - now > RENEW and _names(kept) >= set(wanted):
            return certificate, key
    except (OSError, ValueError):
        pass
    private = ec.generate_private_key(ec.SECP256R1())
    made = _certificate(private, wanted, now)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key, pem)
    _write(certificate, made.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def fingerprint(certificate: Path) -> str:
    """The certificate's SHA-256, as browsers show it: upper case, a colon between bytes. Raises OSError, ValueError."""
    digest = x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256())
    return ":".join(f"{byte:02X}" for byte in digest)


def _certificate(private: ec.EllipticCurvePrivateKey, names: list[str], now: dt.datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ScaleLedger gateway")])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode())


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value).lower() for name in found}


def _write(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    part.replace(path)
