"""The only writer of weighings and of what is said about them later. Other apps call it by these names."""

from scaleledger_server.weighing.amendments import correct, void
from scaleledger_server.weighing.ingest import Ingested, Outcome, Verdict, ingest

__all__ = ["Ingested", "Outcome", "Verdict", "correct", "ingest", "void"]
