"""TabularClassifier: a multi-layer perceptron for tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data
from torch import nn

from skdeep._base import DeepClassifier, draw_seed
from skdeep._validation import check_targets
from skdeep.backbones import resolve_device, seeded
from skdeep.training import CRITERIA, Phase, RankingThreshold, Stage, TableRows, module_outputs

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU}


class TabularClassifier(DeepClassifier):
    """Multi-layer perceptron for tables, trained with AdamW.

    The type of ``y`` decides what is learnt: two classes, several classes, or one decision for each label.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(256,)
        Units of each hidden layer; an empty tuple makes a linear model.
    activation : {"relu", "tanh", "silu"}, default="relu"
        What follows each hidden layer.
    dropout : float, default=0.0
        Share of hidden units that is dropped at each training step.
    criterion : str, callable, nn.Module or class of nn.Module, default="auto"
        The loss of logits and targets. ``"auto"`` is ``"cross_entropy"`` for several classes and ``"bce"`` (binary
        cross-entropy) otherwise; ``"focal"`` suits all, ``"asymmetric"`` two classes and labels; ``"bp_mll"`` ranks
        each row's relevant labels above its others (labels only) [1]_. The user's own gives a loss for each row, for
        each row and label, or one for all.
    class_weight, pos_weight, label_smoothing
        As in :class:`CNNClassifier`.
    lr : float, default=1e-3
        Learning rate.
    weight_decay : float, default=1e-4
        Decoupled weight decay of AdamW.
    max_epochs : int, default=50
        Passes over the training data.
    batch_size : int, default=32
        Rows in one step.
    early_stopping, scoring, validation_fraction, n_iter_no_change, tol
        As in :class:`CNNClassifier`.
    device : str, default="auto"
        A device of torch; ``"auto"`` is the fastest that is there.
    random_state : int, RandomState instance or None, default=None
        Decides the first weights, the order of rows and dropout.
    verbose : int, default=0
        1 shows a progress bar, more prints a line for each epoch.

    Attributes
    ----------
    classes_ : ndarray
        The classes, of shape (n_classes,); for multilabel targets, a row ``[0, 1]`` a label, of shape (n_labels, 2).
    label_names_ : ndarray of shape (n_labels,)
        Names of the labels; only for multilabel targets.
    net_ : skorch.NeuralNet
        The trained net.
    history_ : DataFrame
        A row for each epoch, as in :class:`CNNClassifier`.
    n_iter_ : int
        Epochs.
    threshold_ : object or None
        The learnt threshold after ``criterion="bp_mll"``.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during ``fit``, where X has string names.

    See Also
    --------
    CNNClassifier : The same for images.

    References
    ----------
    .. [1] Zhang and Zhou, "Multilabel neural networks with applications to functional genomics and text
       categorization", IEEE TKDE 18(10), 2006.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skdeep import TabularClassifier
    >>> X, Y = make_multilabel_classification(n_samples=100, n_classes=3, random_state=0)
    >>> clf = TabularClassifier(max_epochs=5, random_state=0).fit(X, Y)
    >>> clf.predict_proba(X).shape
    (100, 3)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(_ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        **DeepClassifier._parameter_constraints,
    }

    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] = (256,),
        *,
        activation: str = "relu",
        dropout: float = 0.0,
        criterion: Any = "auto",
        class_weight: str | dict[Any, float] | list[dict[int, float]] | None = None,
        pos_weight: str | float | ArrayLike | None = None,
        label_smoothing: float = 0.0,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        max_epochs: int = 50,
        batch_size: int = 32,
        early_stopping: bool = False,
        scoring: str | Callable[..., float] = "loss",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        device: str = "auto",
        random_state: int | RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.criterion = criterion
        self.class_weight = class_weight
        self.pos_weight = pos_weight
        self.label_smoothing = label_smoothing
        self.lr = lr
        self.weight_decay = weight_decay
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            A table of numbers; scale it, say with ``StandardScaler``.
        y : array-like of shape (n_samples,), or indicator of shape (n_samples, n_labels)
            Classes, or a label indicator (dense, sparse or DataFrame). An array of one column is one target of two
            classes, as in scikit-learn; one label is a sparse matrix or a DataFrame of one column, of numbers or
            booleans. :class:`~skdeep.multilabel.BinaryRelevance` takes each of them as one label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row in the loss.
        X_val, y_val : default=None
            A validation set, in the form of X and y: for the history, and for ``early_stopping``.

        Returns
        -------
        self : TabularClassifier

        Raises
        ------
        ValueError
            If X, y or the parameters do not fit each other, or the loss stops being finite.
        """
        self._validate_params()
        wrong = [size for size in self.hidden_layer_sizes if not isinstance(size, Integral) or size < 1]
        if wrong:
            raise ValueError(f"hidden_layer_sizes must hold positive integers, got {self.hidden_layer_sizes!r}.")
        # an estimator that was fitted stays as it is until a fit has succeeded
        seen = clone(self)
        X = seen._checked(X, is_new=True)
        targets = check_targets(X, y)
        criterion, weights = self._check_fit(X, targets, sample_weight)
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together.")
        validation = None if X_val is None else (seen._checked(X_val), y_val)
        seed, device = draw_seed(self.random_state), resolve_device(self.device)
        # as fitted, whatever the parameters say later
        seen._layers = tuple(int(size) for size in self.hidden_layer_sizes), self.activation
        learnt, held = self._samples(X, targets, weights, validation, seed if self.early_stopping else None)
        score = self._scorer(held, targets)
        phase = Phase(max_epochs=int(self.max_epochs), lr=float(self.lr), policy="constant")
        with torch.inference_mode(False), torch.enable_grad(), seeded(seed, device):
            module = seen._module(targets.n_outputs)
            stage = Stage(
                lesson=learnt.lesson(TableRows(learnt.X)),
                held_out=held.lesson(TableRows(held.X)) if held else None,
                groups=[(1.0, [name for name, _ in module.named_parameters()])],
            )
            course = self._run_course(
                self._net(module, criterion, "float32", device),
                [phase],
                lambda *_: stage,
                seed,
                score=score,
            )
        course.net.optimizer_.state.clear()  # nothing learns any more
        self._remember(targets)
        self._take_columns(seen)
        self._layers = seen._layers
        self._keep(course.net, course.phases, course.records, course.snapshots)
        if isinstance(criterion, CRITERIA["bp_mll"]):
            (outputs,) = self._table_outputs(learnt.X)
            self.threshold_ = RankingThreshold(np.tanh(outputs), learnt.targets, learnt.weights)
        return self

    @staticmethod
    def _some(X: Any, rows: NDArray[np.int64]) -> Any:
        return X[rows]

    def _empty_module(self, shapes: Mapping[str, torch.Size]) -> nn.Module:
        return self._module(1 if self._kind == "binary" else len(self.classes_))

    def _checked(self, X: Any, *, is_new: bool = False) -> Any:
        return validate_data(self, X, accept_sparse="csr", dtype=np.float32, reset=is_new)

    def _take_columns(self, seen: Self) -> None:
        """Set what another estimator has seen of the columns of X."""
        self.n_features_in_ = seen.n_features_in_
        if hasattr(seen, "feature_names_in_"):
            self.feature_names_in_ = seen.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _outputs(self, X: Any) -> list[NDArray[np.float64]]:
        return self._table_outputs(self._checked(X))

    def _table_outputs(self, table: Any) -> list[NDArray[np.float64]]:
        device, module = resolve_device(self.device), self.net_.module_
        return [module_outputs(module.to(device), TableRows(table), batch_size=self.batch_size, device=device)]

    def _module(self, n_outputs: int) -> nn.Module:
        sizes, activation = self._layers
        return _Perceptron(self.n_features_in_, sizes, n_outputs, _ACTIVATIONS[activation], self.dropout)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class _Perceptron(nn.Module):
    def __init__(
        self, n_inputs: int, hidden: tuple[int, ...], n_outputs: int, activation: type[nn.Module], dropout: float
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for size in hidden:
            layers += [nn.Linear(n_inputs, size), activation(), nn.Dropout(dropout)]
            n_inputs = size
        self.layers = nn.Sequential(*layers, nn.Linear(n_inputs, n_outputs))

    def forward(self, table: Any) -> Any:
        return self.layers(table)
