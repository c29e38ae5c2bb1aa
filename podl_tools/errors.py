"""Every exception the tools raise on purpose.

::

    PodlError                     has a reason, the reject string that nodes and users see
    ├── ProgramError              podl-model-range     a layer program is malformed or leaves a proven bound
    ├── ModelSizeError            podl-model-size      model or weight bytes of the wrong length
    ├── ModelRangeError           podl-model-range     a weight outside its range
    ├── CheckpointRangeError      podl-ckpt-range      checkpoint bytes of the wrong length or range
    ├── HyperparameterError       podl-recipe-bounds   a recipe value outside the arithmetic's bounds
    ├── ExamplesError             podl-shard-*         samples or labels that cannot be read (reason per case)
    ├── EvaluatorUnavailableError podl-eval-unavailable  this machine cannot compute: unknown, not wrong
    └── RejectError               a rule of the protocol refuses an object; has a failure class
"""

from __future__ import annotations

from enum import Enum


class PodlError(Exception):
    """
    Base of all errors.

    Parameters
    ----------
    message
        What was expected and what was received.
    reason
        Reject string; the class's own one when left out.

    """

    reason: str = "podl-error"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class ProgramError(PodlError):
    """
    A layer program is malformed, or a layer leaves the bounds within which the arithmetic is proven exact.

    Parameters
    ----------
    message
        Names the bound.
    layer
        Index of the layer at fault, None when it is the program as a whole.

    """

    reason = "podl-model-range"

    def __init__(self, message: str, *, layer: int | None = None) -> None:
        super().__init__(message)
        self.layer = layer


class ModelSizeError(PodlError):
    """Model or weight bytes do not have the length that the layer program demands."""

    reason = "podl-model-size"


class ModelRangeError(PodlError):
    """A weight lies outside its range (a weight byte of -128, or abs(M) > 127 * 2**16)."""

    reason = "podl-model-range"


class CheckpointRangeError(PodlError):
    """Velocity bytes of a checkpoint have the wrong length or a value no training can reach."""

    reason = "podl-ckpt-range"


class HyperparameterError(PodlError):
    """Batch size, epochs or rate lie outside what the arithmetic or the data allow."""

    reason = "podl-recipe-bounds"


class ExamplesError(PodlError):
    """Samples or labels have the wrong type, size or range; `reason` says which."""

    reason = "podl-shard-size"


class EvaluatorUnavailableError(PodlError):
    """No backend passed its self-test, the one asked for does not exist, or the machine ran out of memory."""

    reason = "podl-eval-unavailable"


class FailureClass(Enum):
    """Who is to blame for a refusal (protocol section 6, "Failure classes")."""

    PERM = "perm"  # follows from bytes under a hash or signature: the object is invalid for good
    DATA = "data"  # the sender could have known: drop the bytes, blame the sender
    LATER = "later"  # depends on what the receiver has seen: keep or retry, blame nobody
    EVIDENCE = "evidence"  # signed nonsense of the requester: refuse and raise an alarm


class RejectError(PodlError):
    """
    A rule of the protocol refuses an object.

    Parameters
    ----------
    reason
        Reject string of protocol section 8.
    message
        What was expected and what was received.
    failure
        Failure class.
    detail
        The rule's own reason when `reason` names a whole family (`podl-final-invalid`).

    """

    def __init__(
        self, reason: str, message: str, *, failure: FailureClass = FailureClass.DATA, detail: str = ""
    ) -> None:
        super().__init__(message, reason=reason)
        self.failure = failure
        self.detail = detail

    def __str__(self) -> str:
        """Reason, detail and message in one line."""
        names = f"{self.reason} ({self.detail})" if self.detail else self.reason
        return f"{names}: {super().__str__()}"
