"""The domain's errors.

ScaleLedgerError            something a person can be told about
├── LedgerError             the ledger does not hold what it must
│   └── ChainBroken         a record does not follow from the one before it; names the first bad one
├── StoreError              the disk side failed; nothing of the refused work was kept
│   ├── StoreFull           no room for another weighing
│   ├── StoreLocked         another gateway process has this data folder
│   ├── StoreUnusable       the database cannot be opened as the promise needs it
│   └── StoreDamaged        it was damaged while in use, and must be opened anew
├── LinkError               the other end cannot be reached, or did not answer; try again
│   ├── Disbelieved         it answered, but not as the contract says
│   └── NotOffered          it has no such resource
├── CentreRefusal           the centre refused the gateway itself
│   ├── CredentialsRefused  its token
│   ├── RegistrationRefused its registration; a person must look there
│   └── ClaimRefused        its claim code
├── ClaimMistyped           a text that can be no claim code; says what is wrong with it
└── PrintRefused            a print job or a printer that cannot be taken; says what is wrong with it
"""


class ScaleLedgerError(Exception):
    """Root of everything the product raises on purpose. The message says what happened, where, and what to do."""


class LedgerError(ScaleLedgerError):
    """The ledger does not hold what it must."""


class ChainBroken(LedgerError):
    """Record `seq` does not follow from its predecessor."""

    def __init__(self, seq: int, why: str) -> None:
        super().__init__(f"record {seq}: {why}")
        self.seq = seq
        self.why = why


class StoreError(ScaleLedgerError):
    """The disk side failed; nothing of the refused work was kept."""


class StoreFull(StoreError):
    """No room for another weighing."""


class StoreLocked(StoreError):
    """Another gateway process has this data folder."""


class StoreUnusable(StoreError):
    """The database cannot be opened as the promise needs it."""


class StoreDamaged(StoreError):
    """The database was damaged while in use. Opening it anew sets it aside and salvages what can be read."""


class LinkError(ScaleLedgerError):
    """The other end cannot be reached or did not answer in time. `retry_after_s` is the peer's own wish, if it said one."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Disbelieved(LinkError):
    """An answer came that is not the contract's (a portal's page, a proxy's refusal); it is as good as none."""


class NotOffered(LinkError):
    """The centre has no such resource, or not yet; it may have one day."""


class CentreRefusal(ScaleLedgerError):
    """The centre refused the gateway itself, in the contract's own form. `code` is the contract's word for why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"the centre says {code}: {detail}")
        self.code = code


class CredentialsRefused(CentreRefusal):
    """The token is not valid (any more). Records are untouched."""


class RegistrationRefused(CentreRefusal):
    """The gateway may not register as it asked to; a person must look at the centre."""


class ClaimRefused(CentreRefusal):
    """The claim code is wrong, used, too old, or was tried too often; it will not become good again."""


class ClaimMistyped(ScaleLedgerError):
    """The text can be no claim code. The message says what is wrong with it."""


class PrintRefused(ScaleLedgerError):
    """A print job, a printer or an action on them that cannot be taken. The message says what is wrong with it."""
