"""The login form of the admin, and the one for a second factor's code."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm  # type: ignore[import-untyped]  # it ships no types

from scaleledger_server.people import lockout
from scaleledger_server.people.audit import address_of


class LoginForm(AuthenticationForm):  # type: ignore[misc]
    """Name and password, each try counted."""

    def clean(self) -> dict[str, Any]:
        account, address = self.cleaned_data.get("username", ""), address_of(self.request)
        try:
            lockout.count_try(account, address)
        except lockout.Locked as locked:
            raise ValidationError(str(locked), code="locked") from locked
        cleaned: dict[str, Any] = super().clean()
        lockout.forget(account, address)
        return cleaned


class CodeForm(forms.Form):
    """Six digits of an authenticator, or a recovery code. Blanks and dashes are for the eye only."""

    code = forms.CharField(
        max_length=40,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false", "autocapitalize": "off"}
        ),
    )

    def clean_code(self) -> str:
        return "".join(c for c in self.cleaned_data["code"] if c not in " -").lower()
