"""One laboratory for the tests of a module."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("decode.agreement", "netns.daemon")

from netns.daemon.laboratory import Laboratory, laboratory  # noqa: E402


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    """Figure 1 with both daemons, which have registered three care-of addresses."""
    with laboratory() as built:
        yield built
