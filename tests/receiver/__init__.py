from __future__ import annotations

import pytest

# So that a failed assertion in the shared helpers shows its values, as in a test file.
pytest.register_assert_rewrite("tests.receiver.peer")
