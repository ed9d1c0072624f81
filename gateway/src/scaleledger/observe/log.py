"""Logging: structlog, JSON lines in service, readable on a terminal, one list of event names, never a secret.

`log.info("hw.link_up", station="dock-1", peer="/dev/ttyUSB0")`: the event is one of EVENTS, the rest are fields.
"""

import logging
import logging.handlers
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import structlog

EVENTS = {
    "sys.start": "The gateway starts.",
    "sys.ready": "Stations, uplinks and the store are up.",
    "sys.stop": "The gateway stops.",
    "sys.drained": "All that was accepted is durable.",
    "sys.part_failed": "A part of the gateway failed by our own mistake and is restarted.",
    "sys.store_opened": "The store is open; its pragmas were read back.",
    "sys.store_set_aside": "A damaged database was kept under another name and its rows salvaged.",
    "sys.store_missing": "The signing key is here and the database is not; a new one was begun.",
    "sys.ledger_broken": "A record does not follow from its predecessor; the ledger goes on after it.",
    "sys.store_full": "No room for another weighing; weighings are refused until there is.",
    "sys.store_failed": "The disk refused a commit; nothing of it was kept.",
    "sys.store_slow": "A commit takes long; the operator was asked to wait.",
    "sys.store_taken_away": "The database is not at its place any more; weighings are refused until it is back.",
    "sys.ledger_behind": "The centre holds newer records of this ledger than the ledger itself; numbers go on above them.",
    "sys.rejected_dropped": "There are too many rejected lines; the oldest were dropped.",
    "sys.not_drained": "The gateway could not stop in good order in time and ends as it stands.",
    "sys.dashboard_up": "The dashboard can be opened at this address.",
    "sys.dashboard_blocked": "The dashboard's address cannot be had; it is tried again, and the line runs all the same.",
    "sys.dashboard_certificate": "The dashboard's certificate; a browser that asks about it must show this fingerprint.",
    "sys.setup_code": "Nobody can log in yet; this code makes the first login on the dashboard's setup page, once.",
    "sys.login": "Somebody logged in to the dashboard.",
    "sys.login_refused": "A wrong name or password at the dashboard.",
    "sys.logins_changed": "A login or a token of the dashboard was made, changed or removed.",
    "sys.queried": "An admin asked the database a question of their own.",
    "sys.page_action": "Somebody changed something on the dashboard.",
    "hw.link_up": "A device is connected.",
    "hw.link_down": "A device is gone.",
    "hw.link_failed": "A port cannot be opened; it is tried again.",
    "hw.peer_refused": "A peer was turned away: its address, or too many are in already.",
    "hw.silent": "A link is open, but no bytes come.",
    "hw.no_frame": "Bytes come, but no frame is found in them.",
    "hw.problem": "Bytes that could not be taken as they are.",
    "hw.device_up": "A scale dialled in and named itself.",
    "hw.device_down": "A scale's link ended.",
    "hw.device_refused": "A link named itself as a scale that may not come in.",
    "hw.device_conflict": "Two living links have the same scale's name; the events of both are kept.",
    "hw.device_nameless": "A link was closed: it neither named itself nor weighed.",
    "hw.device_lost": "A scale's link was closed: nothing came on it for too long.",
    "hw.device_state": "A device reports a changed state.",
    "hw.clock_step": "The wall clock was set.",
    "biz.saved": "A weighing is durable.",
    "biz.refused": "A weighing was refused.",
    "biz.repeated": "A scale sent a weighing again; it is the record that it was.",
    "biz.attributed": "A weighing from before its scale had named itself was given to that scale.",
    "biz.rejected": "A line that is no weighing was kept among the rejected ones.",
    "biz.notice": "The operator is told something.",
    "biz.card": "A card was presented.",
    "biz.keys": "Keys were entered.",
    "biz.products": "The scales' product files are those of a new list.",
    "biz.product_left_out": "A product has no place in a scale's file.",
    "sys.file_not_written": "A file for people could not be written; what it holds is in the store too.",
    "biz.session": "The cloud began, changed or ended a work session.",
    "biz.sessions_overlap": "Two sessions are active on one device; the one that began later owns its events.",
    "biz.reattributed": "Events were given to another session by correction records.",
    "biz.reattribution_cut": "More events than one change may move; the newer ones stay as they are.",
    "biz.reattribution_refused": "An event could not be given to another session; its record stays as it is.",
    "net.cloud_up": "The cloud answers.",
    "net.cloud_down": "The cloud cannot be reached; work goes on, and events wait.",
    "net.batch": "An offline batch of a device was closed, or the cloud confirmed it.",
    "net.batch_unsettled": "The cloud has not confirmed an offline batch; it is asked again.",
    "net.state": "The gateway's standing with the centre changed.",
    "net.registered": "The gateway asked the centre to be registered.",
    "net.declined": "The centre declined the registration; a person must look there.",
    "net.pending": "The gateway waits for approval at the centre, where the same fingerprint must be shown.",
    "net.claim_refused": "The centre refused the claim code; it is forgotten.",
    "net.approved": "The centre approved the gateway.",
    "net.token_renewed": "The centre gave a new token before the old one ended.",
    "net.server_key_changed": "The centre signs receipts with another key than the one believed; they are not believed.",
    "net.edge_registered": "The cloud named this gateway as an edge of a site.",
    "net.line_up": "The open line to the centre is there.",
    "net.credentials_cleared": "The centre refused the credentials; they are forgotten, records are kept.",
    "net.heartbeat": "A sign of life was accepted.",
    "net.link_error": "The centre cannot be reached, or does not answer.",
    "net.delivered": "Records are held by the centre.",
    "net.quarantined": "The centre refused a record; it is set aside.",
    "net.receipt_refused": "A receipt of the centre could not be proved; it changes nothing.",
    "net.redelivering": "The centre or the cloud has lost records that it had taken; they are delivered again.",
    "net.stations": "The stations that the centre assigns were taken.",
    "net.station_refused": "A station that the centre assigns cannot be run here.",
    "net.market": "The market data were taken.",
    "net.line_down": "The open line to the centre ended; it is opened again.",
    "net.fetch_failed": "Stations or market data could not be fetched; the last ones stay.",
    "hw.printer": "A printer's standing changed.",
    "biz.slip_refused": "The slip of a weighing could not be printed; the weighing is kept all the same.",
    "biz.printed": "A print job came out.",
    "biz.print_doubtful": "Nobody knows whether a print job came out; it waits for a person and is not sent again.",
    "sys.print_job_not_kept": "The disk refused what became of a print job; it is tried again.",
    "net.print_job_refused": "A print job of the cloud cannot be printed; the cloud is told why.",
    "net.disbelieved": "An answer that is not the contract's was not believed.",
}

SECRETS = ("token", "access_token", "authorization", "password", "secret", "api_key", "private_key")


def hide_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the value of every field whose name is a secret's."""
    for key in event:
        if key.lower() in SECRETS:
            event[key] = "***"
    return event


def configure(*, as_json: bool, file: Path | None = None, level: str = "info") -> None:
    """Set logging up for this process: to standard error, and to a rotated file (5 × 5 MB) if one is given."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file is not None:
        handlers.append(logging.handlers.RotatingFileHandler(file, maxBytes=5_000_000, backupCount=5, encoding="utf-8"))
    logging.basicConfig(format="%(message)s", handlers=handlers, level=level.upper(), force=True)
    for library in ("httpx2", "httpcore2", "websockets"):  # at debug level they would write the token down
        logging.getLogger(library).setLevel(logging.WARNING)
    render: Callable[..., str | bytes] = structlog.processors.JSONRenderer()
    if not as_json:
        render = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            hide_secrets,
            structlog.processors.format_exc_info,
            render,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        cache_logger_on_first_use=True,
    )


def get_logger() -> Any:
    """The logger; fields are keywords."""
    return structlog.get_logger()
