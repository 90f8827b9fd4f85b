"""The end of a daemon: somebody asks for it, or it cannot go on."""

import asyncio

from mcoa.runtime.errors import ExitCode


class End:
    """Awaited by the daemon; set by a signal or by whoever finds that nothing works."""

    def __init__(self) -> None:
        self.exit_code: int = ExitCode.OK
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """End in good order."""
        self._asked.set()

    def fail(self) -> None:
        """End in good order as far as possible, and tell whoever started us to try again."""
        self.exit_code = ExitCode.FAILED
        self._asked.set()

    async def wait(self) -> None:
        """Wait for either."""
        await self._asked.wait()
