"""Training on skorch: the net, its batches and its losses."""

from skdeep.training.bp_mll import RankingThreshold
from skdeep.training.inputs import ImageRows, Rows, TableRows
from skdeep.training.losses import CRITERIA, make_criterion
from skdeep.training.net import fit_net, net_outputs

__all__ = [
    "CRITERIA",
    "ImageRows",
    "RankingThreshold",
    "Rows",
    "TableRows",
    "fit_net",
    "make_criterion",
    "net_outputs",
]
