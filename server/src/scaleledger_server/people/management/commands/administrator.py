"""`scaleledger-server administrator --name X`: a person who may do everything, without a password on any command line."""

import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from scaleledger_server.people import factors
from scaleledger_server.tables import bring_up_to_date


class Command(BaseCommand):
    """Makes an administrator, or lets one set up a new second factor."""

    help = "Make an administrator. Prints the generated password once, unless a file gives one."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument("--password-file", type=Path, help="take the password from the first line of this file")
        parser.add_argument(
            "--forget-second-factor",
            action="store_true",
            help="for one who is there already: set up anew at next login",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        bring_up_to_date()
        name = User.normalize_username(options["name"])
        known = User.objects.filter(username=name).first()
        if options["forget_second_factor"]:
            if known is None:
                raise CommandError(f"There is no {name}.")
            factors.forget(known)
            self.stdout.write(f"{name} sets up a new second factor at the next login.")
            return
        if known is not None:
            raise CommandError(f"{name} is there already. For a new password: scaleledger-server changepassword {name}")
        self._make(name, options["password_file"])

    def _make(self, name: str, file: Path | None) -> None:
        password = _password_of(file) if file else secrets.token_urlsafe(18)
        user = User(username=name, is_staff=True, is_superuser=True)
        try:
            validate_password(password, user)
            user.set_password(password)
            user.full_clean()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        user.save()
        self.stdout.write(f"made the administrator {name}")
        if file is None:
            self.stdout.write(f"password, shown only now: {password}")


def _password_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The password cannot be read from {file}: {error}.") from error
