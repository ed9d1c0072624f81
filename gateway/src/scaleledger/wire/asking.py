"""When to ask a device that answers by order only, and has no numbers that would tell which question an answer is to.

After one late answer a naive poller reads every later answer one question behind, for ever. So questions without an answer
are counted. One may be overtaken: after its time is out the next is asked. When more are open, or an answer comes that
nobody asked for, nothing is asked until the line has been quiet; then all that is open is lost, and counting starts anew.
An answer may be later still than a quiet line lasts. So some answers after any trouble, the line is listened to once more:
an answer too many shows then.
"""

QUIET_REPLIES = 2.5  # reply times without an answer that make a line quiet
UNANSWERED_REPLIES = 2  # reply times from the second open question to the next one; shorter than a quiet line
CHECK_AFTER_REPLIES = 10  # answers in step, after trouble, until the line is listened to once more
ARRIVING_S = 0.1  # an answer whose first bytes are here is whole by then: 53 bytes at 9600 baud, and an adapter's delay
QUIET_WAIT_MAX_S = 10.0  # a line that is never quiet is asked again after this time


class Pacing:
    """Tells when the next request may be sent: at most one per `interval_s`. Times are monotonic seconds."""

    def __init__(self, interval_s: float, reply_timeout_s: float) -> None:
        self._interval_s = interval_s
        self._reply_timeout_s = reply_timeout_s
        self._next_at = 0.0
        self._sent_at = 0.0
        self._due_at = 0.0
        self._open = 0
        self._settling = False
        self._answered = True
        self._check_in = 0

    @property
    def next_at(self) -> float:
        """When a request may be sent; until then, wait for the answer."""
        return self._next_at

    @property
    def timed_out(self) -> bool:
        """At `next_at`: whether the newest request got no answer."""
        return not self._answered

    def sent(self, now: float, extra_s: float = 0.0) -> None:
        """A request goes out. Its answer is due after the reply time and `extra_s`."""
        if self._open:
            self._check_in = CHECK_AFTER_REPLIES
        if self._answered:
            self._open, self._settling = 0, False
        elif self._open >= 2:
            self._open, self._settling = 0, True
        self._open += 1
        self._answered = False
        self._sent_at = now
        replies = 1 if self._open == 1 and not self._settling else UNANSWERED_REPLIES
        self._next_at = self._due_at = now + max(self._interval_s, replies * self._reply_timeout_s + extra_s)

    def arriving(self, now: float) -> None:
        """Bytes came that are no whole answer yet: let them, for a moment, before the next question."""
        if not self._answered:
            self._next_at = max(self._next_at, min(now, self._due_at) + ARRIVING_S)

    def replied(self, now: float) -> None:
        """An answer came."""
        in_step, check_now = self._open == 1 and not self._settling, self._check_in == 1
        if self._open == 0:
            self._settling, self._check_in = True, CHECK_AFTER_REPLIES
        self._answered = True
        self._open = max(0, self._open - 1)
        if in_step:
            self._check_in = max(0, self._check_in - 1)
        if in_step and not check_now:
            self._next_at = max(now, self._sent_at + self._interval_s)
        else:
            quiet_at = now + max(self._interval_s, QUIET_REPLIES * self._reply_timeout_s)
            self._next_at = min(quiet_at, max(now, self._sent_at + QUIET_WAIT_MAX_S))
