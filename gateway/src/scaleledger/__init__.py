"""ScaleLedger: an edge gateway that turns any industrial scale into a ledger."""

__version__ = "0.1.0"
