"""Running the units of a study, in this process or in others, whatever becomes of those."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from joblib import Parallel, delayed

from skdeep.study._folder import Answers, Record
from skdeep.study._units import Work, failed_record, run_unit

Result = tuple[Record, Answers | None]


def run_all(works: Iterable[Work], n_jobs: int | None) -> Iterator[Result]:
    """Run units, and give what comes of each as soon as it is there; none is kept here.

    A unit that fails is a record like others. If a worker process dies, the units that it may have been at are run one
    by one, each in a process of its own, so that one which kills its process is known and told as failed; all others
    go on as before.

    Parameters
    ----------
    works : iterable of Work
    n_jobs : int or None
        As joblib takes it.
    """
    left = {work.unit.digest: work for work in works}
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
