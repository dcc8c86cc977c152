"""Data sets: loaders for the files of the field, and a generator of aerial scenes."""

from skdeep.datasets.aerial import make_aerial_scenes
from skdeep.datasets.label_files import load_image_csv, load_image_folder, write_submission
from skdeep.datasets.mulan import load_mulan
from skdeep.datasets.openml import fetch_yeast
from skdeep.datasets.planet import load_planet, load_planet_labels

__all__ = [
    "fetch_yeast",
    "load_image_csv",
    "load_image_folder",
    "load_mulan",
    "load_planet",
    "load_planet_labels",
    "make_aerial_scenes",
    "write_submission",
]
