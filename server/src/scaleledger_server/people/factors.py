"""Second factors: one authenticator per person and recovery codes for the day it is lost. The only writer of both."""

import secrets
from base64 import b32encode
from typing import Any

import segno
from django.conf import settings
from django.db import transaction
from django_otp import devices_for_user, verify_token
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

RECOVERY_CODES = 10
CODE_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is mistaken for something else
NAME, RECOVERY_NAME = "authenticator", "recovery codes"


def missing(user: Any) -> str:
    """What a logged-in person still has to do before the pages open: "setup", "verify" or "" for nothing."""
    if user.is_verified():
        return ""
    if TOTPDevice.objects.filter(user=user, confirmed=True).exists():
        return "verify"
    return "setup" if settings.SECOND_FACTOR == "required" else ""


def offered(user: Any) -> TOTPDevice:
    """The authenticator that is being set up; the same one until a code of it was shown."""
    device = TOTPDevice.objects.filter(user=user, confirmed=False).first()
    return device or TOTPDevice.objects.create(user=user, name=NAME, confirmed=False)


def picture(device: TOTPDevice) -> str:
    """The QR code to scan, as an SVG element."""
    code = segno.make(device.config_url, error="m", micro=False)
    return code.svg_inline(scale=4, border=4, dark="#000", light="#fff", svgclass="qr", lineclass=None)


def secret_text(device: TOTPDevice) -> str:
    """The key to type where nothing can be scanned, in groups of four."""
    text = b32encode(device.bin_key).decode().rstrip("=")
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def confirm(user: Any, code: str) -> tuple[TOTPDevice, list[str]] | None:
    """The offered authenticator, from now on the only one, and fresh recovery codes; None for a wrong code."""
    offer = offered(user)
    if not code.isascii() or not code.isdigit() or not verify_token(user, offer.persistent_id, code):
        return None
    with transaction.atomic():
        TOTPDevice.objects.filter(user=user).exclude(pk=offer.pk).delete()
        offer.refresh_from_db()
        offer.confirmed = True
        offer.save(update_fields=["confirmed"])
        return offer, _fresh_codes(user)


def _fresh_codes(user: Any) -> list[str]:
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name=RECOVERY_NAME)
    codes = ["".join(secrets.choice(CODE_ALPHABET) for _ in range(16)) for _ in range(RECOVERY_CODES)]
    device.token_set.bulk_create([device.token_set.model(device=device, token=code) for code in codes])
    return ["-".join(code[i : i + 4] for i in range(0, 16, 4)) for code in codes]


def verified(user: Any, code: str) -> Device | None:
    """The person's factor that this code proves. A code is good once."""
    wanted = TOTPDevice if code.isascii() and code.isdigit() and len(code) == 6 else StaticDevice
    for device in devices_for_user(user):
        if isinstance(device, wanted) and verify_token(user, device.persistent_id, code):
            return device
    return None


def forget(user: Any) -> None:
    """The person sets up a new authenticator at the next login."""
    with transaction.atomic():
        TOTPDevice.objects.filter(user=user).delete()
        StaticDevice.objects.filter(user=user).delete()
