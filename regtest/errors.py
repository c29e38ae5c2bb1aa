"""Errors that end the demonstration."""


class DemoError(Exception):
    """A step or a check failed; the message is the reason and is all that is shown."""


class DeadlineError(DemoError):
    """Something did not happen in time."""
