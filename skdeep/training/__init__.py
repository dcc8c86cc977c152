"""Training on skorch: phases and their schedules, the net, its batches, its losses and its checkpoints."""

from skdeep.training.batch_norm import learning_batch_norms, settle_batch_norm
from skdeep.training.batches import Batches, Lesson
from skdeep.training.bp_mll import RankingThreshold
from skdeep.training.change import ImageChange
from skdeep.training.checkpoints import Checkpoint
from skdeep.training.course import (
    AVERAGES,
    OPTIMIZERS,
    Course,
    Options,
    Record,
    Stage,
    Stopping,
    find_rate,
    learn_once,
    prepare,
)
from skdeep.training.inputs import ImageRows, Rows, TableRows
from skdeep.training.losses import CRITERIA, Criterion, make_criterion
from skdeep.training.net import WeightedNet, is_on_cpu, module_outputs, move_net, on_cpu
from skdeep.training.phases import Phase, resolve_phases
from skdeep.training.progress import report
from skdeep.training.rate_finder import RateCurve

__all__ = [
    "AVERAGES",
    "CRITERIA",
    "OPTIMIZERS",
    "Batches",
    "Checkpoint",
    "Course",
    "Criterion",
    "ImageChange",
    "ImageRows",
    "Lesson",
    "Options",
    "Phase",
    "RankingThreshold",
    "RateCurve",
    "Record",
    "Rows",
    "Stage",
    "Stopping",
    "TableRows",
    "WeightedNet",
    "find_rate",
    "is_on_cpu",
    "learn_once",
    "learning_batch_norms",
    "make_criterion",
    "module_outputs",
    "move_net",
    "on_cpu",
    "prepare",
    "report",
    "resolve_phases",
    "settle_batch_norm",
]
