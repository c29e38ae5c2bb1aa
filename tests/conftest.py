"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# Machines that build and test at the same time are slow at random: a deadline would only measure that.
settings.register_profile("podl", deadline=None, max_examples=60, print_blob=True)
settings.load_profile("podl")
