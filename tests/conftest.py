"""Common ground of all tests."""

import os

import pytest
from hypothesis import HealthCheck, settings

from conformance import ConformanceRecorder

settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "long", deadline=None, max_examples=5000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what our runs can be asked for."""
    parser.addoption(
        "--conformance",
        action="store_true",
        help="write docs/conformance.md and conformance.json from the outcome",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Watch the run where its outcome is to be written down."""
    if config.getoption("--conformance"):
        config.pluginmanager.register(ConformanceRecorder(), "mcoa-conformance")
