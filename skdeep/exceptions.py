"""Exceptions and warnings of skdeep; each is also a builtin error, so ``except ValueError`` works."""

__all__ = [
    "CheckpointWarning",
    "DatasetError",
    "FeatureStoreWarning",
    "FlatRowsWarning",
    "ImageError",
    "ImageWarning",
    "SmallerBatchWarning",
    "WeightsError",
    "WeightsUnavailableError",
]


class DatasetError(ValueError):
    """A data set on disk does not have the layout or the content that its loader documents."""


class ImageError(ValueError):
    """An image is missing, broken, or of a kind that cannot be used."""


class WeightsError(ValueError):
    """A weights file does not fit the network that it is loaded into."""


class WeightsUnavailableError(WeightsError, OSError):
    """Published weights could not be downloaded, or a weights file is not there."""


class CheckpointWarning(UserWarning):
    """A checkpoint cannot be read or written; training goes on without it."""


class FeatureStoreWarning(UserWarning):
    """The feature store cannot be used; features are computed again instead."""


class FlatRowsWarning(UserWarning):
    """Images came as flat rows so large that another form of X would save much memory."""


class ImageWarning(UserWarning):
    """Some images cannot be used; what is said of them is NaN instead."""


class SmallerBatchWarning(UserWarning):
    """Memory ran out in training, which goes on with fewer rows at once."""
