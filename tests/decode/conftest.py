"""Assertions of the shared helper tell as much as those of the tests."""

import pytest

pytest.register_assert_rewrite("decode.agreement")
