"""The report of a study: one HTML page that needs nothing beside itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib import resources
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn.utils._param_validation import Interval, validate_params

from skdeep._text import listed
from skdeep._wholefile import written_whole
from skdeep.study._report._contents import Page

if TYPE_CHECKING:
    from skdeep.study._results import StudyResults


@validate_params(
    {
        "path": [str, os.PathLike],
        "title": [str, None],
        "images": [Mapping, None],
        "n_images": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def write_report(
    results: StudyResults,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    images: Mapping[str, Any] | None = None,
    n_images: int = 12,
) -> Path:
    """Write what a study has found as one HTML page.

    The page needs no network and no other file. It holds what there is: a study that still runs, or of which models
    failed, has a report too. The same results give the same page.

    Parameters
    ----------
    results : StudyResults
    path : str or path
        Of the page; a file that is there is replaced.
    title : str, default=None
        None names the models and data sets, or counts them.
    images : mapping of str to images, default=None
        By data set: an image for each of its rows, in their order, as :func:`skdeep.images.as_images` takes them. Of
        these data sets the page shows the images that the best model is most wrong about.
    n_images : int, default=12
        How many of each data set.

    Returns
    -------
    path : Path

    Raises
    ------
    ImportError
        If Jinja2 is not there.
    ValueError
        If ``images`` names a data set that is not in the study, or holds fewer images than it has rows.
    """
    _check_images(images, results.manifest["datasets"])
    template = _template()
    page = Page(results, title, images or {}, n_images)
    html = template.render(page=page, css=_read("report.css"), js=_read("report.js"))
    path = Path(path)
    with written_whole(path) as draft:
        draft.write_text(html, encoding="utf-8")
    return path


def _check_images(images: Mapping[str, Any] | None, datasets: Mapping[str, Any]) -> None:
    if unknown := [name for name in images or {} if name not in datasets]:
        raise ValueError(
            f"The 'images' parameter must be None, or a dict with names of data sets: {listed(datasets)}. Got "
            f"{listed(map(repr, unknown))} instead."
        )


@cache
def _template() -> Any:
    """The page as Jinja2 compiled it; whatever is not of the package's own is escaped."""
    try:
        import jinja2
    except ImportError as error:
        raise ImportError('The report of a study needs Jinja2. Install it with: pip install "skdeep[study]"') from error
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html.j2")


def _read(name: str) -> str:
    """A file of the package's own."""
    return (resources.files(__name__) / name).read_text(encoding="utf-8")
