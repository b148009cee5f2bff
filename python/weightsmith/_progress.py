"""Progress bars, where tqdm is installed."""

from __future__ import annotations

from typing import Any


class Bar:
    """A bar of tqdm that appears when work with steps begins."""

    def __init__(self, tqdm: Any) -> None:
        self._tqdm = tqdm
        self._bar: Any = None

    def begin(self, steps: int) -> None:
        """Work of so many steps begins."""
        self._bar = self._tqdm(total=steps, desc="weightsmith", leave=False)

    def advance(self, steps: int) -> None:
        """Further steps are done."""
        if self._bar is not None:
            self._bar.update(steps)

    def end(self) -> None:
        """The work is over."""
        if self._bar is not None:
            self._bar.close()


def bar(wanted: bool) -> Bar | None:
    """A bar, if it is wanted and there is tqdm."""
    if not wanted:
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return Bar(tqdm)
