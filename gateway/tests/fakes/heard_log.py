"""A logger that only remembers."""


class HeardLog:
    """Put in the place of a module's `log`. `lines` holds (event, fields)."""

    def __init__(self):
        self.lines = []

    def info(self, event, **fields):
        self.lines.append((event, fields))

    debug = warning = error = exception = info

    @property
    def events(self):
        return [event for event, _ in self.lines]

    def of(self, event):
        return [fields for heard, fields in self.lines if heard == event]
