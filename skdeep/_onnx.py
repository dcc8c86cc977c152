"""Trained networks as ONNX files, from pictures to probabilities."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from skdeep._validation import TargetKind
from skdeep._wholefile import written_whole
from skdeep.training import RankingThreshold

_NEEDED = ("onnx", "onnxscript")


def check_onnx(caller: str) -> None:
    """Raise ``ImportError`` with the remedy where what exports is not installed."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"{caller} needs {' and '.join(missing)}. Install with: pip install 'skdeep[onnx]'")


def export_onnx(
    module: nn.Module,
    inputs: Mapping[str, torch.Tensor],
    output: str,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, str],
    opset_version: int | None = None,
) -> None:
    """Write a module as an ONNX file, in place of the one that may be there.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode, on the CPU.
    inputs : mapping of str to Tensor
        Examples of what it takes, by name, in the order of its arguments; rows in any number may come later.
    output : str
        Name of what it gives.
    path : str or path
        Its folder must be there.
    metadata : mapping of str to str
        Kept in the file.
    opset_version : int or None, default=None
        None is the exporter's own.

    Raises
    ------
    ValueError
        If the module cannot be exported, or only for a fixed number of rows.
    OSError
        If the file cannot be written; the old one is then as it was.
    """
    rows = torch.export.Dim("n_samples")
    with warnings.catch_warnings():
        # the rows of all inputs are the same ones, and bear one name: as they should
        warnings.filterwarnings("ignore", "# The axis name: n_samples will not be used", UserWarning)
        try:
            program: Any = torch.onnx.export(
                module,
                tuple(inputs.values()),
                input_names=list(inputs),
                output_names=[output],
                dynamic_shapes=tuple({0: rows} for _ in inputs),
                opset_version=opset_version,
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise ValueError(f"The network cannot be exported to ONNX: {error.__cause__ or error}") from error
    document = program.model_proto
    for given in document.graph.input:
        if not given.type.tensor_type.shape.dim[0].dim_param:
            raise ValueError(
                "The network can only be exported to ONNX for a fixed number of pictures at a time, for its forward "
                "turns that number into a constant, as len() of a tensor does: use shape[0]."
            )
    for key, value in metadata.items():
        document.metadata_props.add(key=key, value=value)
    with written_whole(Path(os.path.realpath(path))) as draft:
        draft.write_bytes(document.SerializeToString())


class ProbabilityGraph(nn.Module):
    """From pictures, and the numbers beside them, to what ``predict_proba`` gives.

    Parameters
    ----------
    networks : sequence of nn.Module
        Each takes ``images`` and ``side_features`` to logits; of several, the probabilities are averaged.
    kind : {"binary", "multiclass", "multilabel"}
    threshold : RankingThreshold or None
        Of networks that rank labels.
    """

    def __init__(self, networks: Sequence[nn.Module], kind: TargetKind, threshold: RankingThreshold | None) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.kind = kind
        self.decide = None if threshold is None else _linear(threshold)
        self.eval()

    def forward(self, images: torch.Tensor, side_features: torch.Tensor | None = None) -> torch.Tensor:
        if side_features is None:
            side_features = images.new_zeros(images.shape[0], 0)
        outputs = [network(images=images, side_features=side_features) for network in self.networks]
        if self.decide is not None:
            ranks = torch.stack([output.tanh() for output in outputs]).mean(0)
            return (ranks - self.decide(ranks)).sigmoid()
        if self.kind == "multiclass":
            return torch.stack([output.softmax(1) for output in outputs]).mean(0)
        probabilities = torch.stack([output.sigmoid() for output in outputs]).mean(0)
        return torch.cat([1 - probabilities, probabilities], dim=1) if self.kind == "binary" else probabilities


def _linear(threshold: RankingThreshold) -> nn.Linear:
    """A threshold as a layer."""
    layer = nn.Linear(len(threshold.coef), 1).requires_grad_(False)
    layer.weight.copy_(torch.as_tensor(threshold.coef))
    layer.bias.fill_(threshold.intercept)
    return layer
