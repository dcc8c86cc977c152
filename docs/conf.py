"""Sphinx: the guides and the reference as pages, by ``sphinx-build docs docs/_build`` with the extra ``docs``."""

from typing import Any

from sphinx.application import Sphinx

import skdeep

project = "skdeep"
author = copyright = "The skdeep developers"
version = release = skdeep.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax", "numpydoc", "myst_parser"]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "examples", "pictures"]

# methods are described on the page of their class, not on one each
numpydoc_show_class_members = False
autodoc_typehints = "none"
myst_heading_anchors = 3

html_title = "skdeep"
html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_toc_level": 2, "show_prev_next": False}
html_show_sourcelink = False


def _skip_inherited(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what every estimator has from scikit-learn."""
    return True if (getattr(obj, "__module__", None) or "").startswith("sklearn.") else None


def setup(app: Sphinx) -> None:
    """Connect."""
    app.connect("autodoc-skip-member", _skip_inherited)
