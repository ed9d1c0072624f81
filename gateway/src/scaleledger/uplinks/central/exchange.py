"""One exchange with the centre as values: what is asked, what came back, and how far it is believed.

Theory: an answer counts only as far as the contract's own form carries it. Between the gateway and its centre stand
portals, proxies and half-started servers, and each of them can say 200, 401 or 404. A refusal of the credentials is
believed only with one of the contract's codes; a page of HTML is never believed. What is not believed changes nothing and
is tried again.

Source: contracts/README.md, "Errors"; servers of the first product description have no `code`.
"""

from typing import Any

from scaleledger.domain.errors import CredentialsRefused, Disbelieved, LinkError
from scaleledger.domain.ledger import SEQ_MAX
from scaleledger.uplinks.exchange import LATER, WORDS_MAX, Answer, object_in, plain, retry_after_s

CREDENTIAL_CODES = frozenset({"gateway_unknown", "token_missing", "token_unknown", "token_expired", "gateway_inactive"})


def refuse_credentials(answer: Answer) -> None:
    """Raise CredentialsRefused when the answer says so with one of the contract's codes."""
    if answer.status in {401, 403, 404}:
        code = code_of(answer)
        if code in CREDENTIAL_CODES and (answer.status != 404 or code == "gateway_unknown"):
            raise CredentialsRefused(code, detail_of(answer))


def no_answer(answer: Answer, what: str) -> LinkError:
    """The error for an answer that says nothing of what was asked."""
    message = f"{what} was answered {answer.status}"
    if answer.status in LATER or answer.status >= 500:
        return LinkError(message, retry_after_s(answer))
    found = object_in(answer)
    if found is not None and "detail" in found:
        return Disbelieved(f"{message} ({words(answer)})")
    return Disbelieved(f"{message}, which is not the contract's")


def code_of(answer: Answer) -> str:
    """The contract's word for a refusal; empty when there is none."""
    code = (object_in(answer) or {}).get("code")
    return code if isinstance(code, str) else ""


def detail_of(answer: Answer) -> str:
    """The words of a refusal whose code is told beside them, bounded, on one line."""
    detail = (object_in(answer) or {}).get("detail")
    return plain(detail) if isinstance(detail, str) else words(answer)


def words(answer: Answer) -> str:
    """The centre's own words, bounded, on one line."""
    found = object_in(answer)
    if found is not None and isinstance(found.get("detail"), str):
        return plain(f"{found['code']}: {found['detail']}" if "code" in found else found["detail"])
    return plain(answer.body[: 4 * WORDS_MAX].decode("utf-8", "replace"))


def is_hex(text: Any, digits: int) -> bool:
    """Whether this is so many hex digits in lower case."""
    return isinstance(text, str) and len(text) == digits and not text.strip("0123456789abcdef")


def is_seq(number: Any) -> bool:
    """Whether this can be a record's number."""
    return type(number) is int and 0 < number <= SEQ_MAX
