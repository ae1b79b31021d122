"""How many threads linear algebra takes for the many small problems of a plate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute products of matrices with one thread, in a block or in the function it decorates.

    A curve's matrices are so small that threads wait for each other longer than they compute: two
    took twice the time of one, and up to four times its processor time beside other work.

    Examples
    --------
    >>> from phenotypes.statistics.threads import one_thread
    >>> with one_thread():
    ...     pass
    """
    with threadpool_limits(limits=1, user_api="blas"):
        yield
