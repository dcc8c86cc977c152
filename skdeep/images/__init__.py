"""From what a user hands over to tensors: what X may be, decoding, resizing, loading."""

from skdeep.images.digests import FileDigests
from skdeep.images.inputs import as_images
from skdeep.images.loader import load_batches
from skdeep.images.pictures import PictureCache, picture_keys
from skdeep.images.resize import Geometry
from skdeep.images.sources import ImageFormat, Images

__all__ = [
    "FileDigests",
    "Geometry",
    "ImageFormat",
    "Images",
    "PictureCache",
    "as_images",
    "load_batches",
    "picture_keys",
]
