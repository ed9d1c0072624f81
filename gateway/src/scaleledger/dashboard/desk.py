"""What every group of pages is given."""

from dataclasses import dataclass

from scaleledger.app.overview import Overview
from scaleledger.app.viewers import Viewers
from scaleledger.dashboard.show import Show
from scaleledger.store.browse import Browser
from scaleledger.web.doorkeeper import Doorkeeper


@dataclass(frozen=True, slots=True)
class Desk:
    """`cookie` is the name of the session's cookie; with `is_secure` it is sent over TLS only."""

    overview: Overview
    door: Doorkeeper
    viewers: Viewers
    browser: Browser
    show: Show
    cookie: str
    is_secure: bool
