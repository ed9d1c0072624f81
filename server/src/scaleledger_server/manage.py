"""The console command `scaleledger-server`: Django's own commands and ours (serve, approve, gateways, records, chain_check)."""

import os
import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    """Run one command. What the server writes is for its own user only."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scaleledger_server.settings")
    os.umask(0o077)
    try:
        settings.DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(
            f"The data folder cannot be made: {error}. Set SCALELEDGER_SERVER_DATA_DIR to a folder you may write to."
        )
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
