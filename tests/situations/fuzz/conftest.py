"""So that a promise that is broken shows its values, as a failed assertion in a test does."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.situations.fuzz.promises")
