"""From what a user hands over to tensors: what X may be, decoding, resizing, loading, augmenting."""

from skdeep.images.augment import Augmentation, resolve_augmentation
from skdeep.images.digests import FileDigests
from skdeep.images.inputs import OnError, as_images
from skdeep.images.loader import check_images, load_batches
from skdeep.images.pictures import PictureCache
from skdeep.images.resize import Geometry
from skdeep.images.sources import ImageFormat, Images

__all__ = [
    "Augmentation",
    "FileDigests",
    "Geometry",
    "ImageFormat",
    "Images",
    "OnError",
    "PictureCache",
    "as_images",
    "check_images",
    "load_batches",
    "resolve_augmentation",
]
