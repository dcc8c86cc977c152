"""Running the units of a study, in this process or in others, whatever becomes of those."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from joblib.parallel import get_active_backend
from sklearn import get_config
from sklearn.utils.parallel import Parallel, delayed  # which take filters and settings along

from skdeep.study._folder import Answers, Record
from skdeep.study._units import Work, failed_record, run_unit

Result = tuple[Record, Answers | None]


def run_all(works: Iterable[Work], n_jobs: int | None) -> Iterator[Result]:
    """Run units, and give what comes of each as soon as it is there; none is kept here.

    A unit that fails is a record like others. If a worker process dies, the units that it may have been at are run one
    by one, each in a process of its own, so that one which kills its process is known and told as failed; all others
    go on as before. Dask does that by itself.

    Parameters
    ----------
    works : iterable of Work
    n_jobs : int or None
        As joblib takes it.
    """
    left = {work.unit.digest: work for work in works}
    backend, _ = get_active_backend()
    if hasattr(backend, "client"):
        yield from _run_on_dask(backend.client, list(left.values()))
        return
    while left:
        sent: list[Work] = []
        try:
            for record, answers in _next_results(left, sent, n_jobs):
                del left[record["digest"]]
                yield record, answers
        except _BrokenError as error:
            suspects = [work for work in sent if work.unit.digest in left]
            if not suspects:
                # it is not the work that is wrong
                raise error.error from None
            for work in suspects:
                yield _run_alone(left.pop(work.unit.digest))


def _run_on_dask(client: Any, works: Sequence[Work]) -> Iterator[Result]:
    """The same by Dask's own hand, for joblib waits forever for a task that Dask has given up.

    A few units more than can run at once are on their way, so that the memory of the scheduler does not grow with all.
    """
    from distributed import as_completed

    waiting = iter(works)
    sent = {}
    config, filters = get_config(), warnings.filters

    def submit(work: Work) -> Any:
        call, arguments, _ = delayed(run_unit)(work)
        future = client.submit(call.with_config_and_warning_filters(config, filters), *arguments, pure=False)
        sent[future.key] = work
        return future

    n_at_once = 2 * max(1, sum(client.ncores().values()))
    futures = as_completed([submit(work) for work in islice(waiting, n_at_once)], with_results=True, raise_errors=False)
    try:
        for future, result in futures:
            work = sent.pop(future.key)
            # of a unit that failed in Dask's eyes, the result is what an except clause sees
            yield result if future.status == "finished" else (failed_record(work.unit, result[1]), None)
            for following in islice(waiting, 1):
                futures.add(submit(following))
    finally:
        client.cancel(list(futures.futures))


class _BrokenError(Exception):
    """What came from a worker was no result: it died, or the work could not be sent to it."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _next_results(left: dict[str, Work], sent: list[Work], n_jobs: int | None) -> Iterator[Result]:
    def calls() -> Iterator[Callable[[], Result]]:
        for work in list(left.values()):
            sent.append(work)
            yield delayed(run_unit)(work)

    # one at a time: a batch would be lost as a whole
    results = Parallel(n_jobs=n_jobs, batch_size=1, return_as="generator_unordered")(calls())
    while True:
        try:
            result = next(results)
        except StopIteration:
            return
        except Exception as error:
            raise _BrokenError(error) from error
        yield result


def _run_alone(work: Work) -> Result:
    try:
        # two, as one would mean this very process
        return Parallel(n_jobs=2, batch_size=1)([delayed(run_unit)(work)])[0]
    except Exception as error:
        return failed_record(work.unit, error), None
