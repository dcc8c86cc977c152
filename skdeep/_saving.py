"""Fitted estimators in one file each, which loads without running code."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import sklearn
import torch
from sklearn.utils._metadata_requests import SIMPLE_METHODS
from sklearn.utils.validation import check_is_fitted
from torch import nn

import skdeep
from skdeep._codec import Json, Record, UnknownValueError, dataclass_record, decode, describe, encode
from skdeep._tensorfile import read_tensors, write_tensors
from skdeep.backbones import Backbone, build_backbone, resolve_backbone, seeded
from skdeep.backbones.weights import Weights, check_fit, pack, unpack
from skdeep.images import Augmentation, Geometry
from skdeep.images.sources import ImageFormat
from skdeep.training import Phase, RankingThreshold
from skdeep.training.checkpoints import pack_optimizer, unpack_optimizer

Tensors = dict[str, torch.Tensor]

_OPTIMIZERS: dict[str, Any] = {"AdamW": torch.optim.AdamW, "SGD": torch.optim.SGD}
_APART = {"net_", "snapshots_", "_metadata_request"}  # attributes that are written in ways of their own


def save_estimator(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator to a file.

    Parameters
    ----------
    estimator : estimator
        Its ``net_`` is a skorch net and its ``snapshots_`` a list of modules, the last of them that of ``net_``; all
        other attributes are plain values, arrays, tables, or descriptions of this library.
    path : str or path

    Raises
    ------
    NotFittedError
        If there is nothing to save yet.
    ValueError
        If an attribute that a fit set cannot be written.
    OSError
        If the file cannot be written; the one that may be there is then as it was.
    """
    check_is_fitted(estimator)
    tensors: Tensors = {}
    parameters = estimator.get_params(deep=False)
    attributes = {name: value for name, value in vars(estimator).items() if name not in {*parameters, *_APART}}
    document = {
        "estimator": type(estimator).__name__,
        "versions": {"skdeep": skdeep.__version__, "torch": torch.__version__, "scikit-learn": sklearn.__version__},
        "parameters": {name: _parameter(name, parameters[name], tensors) for name in sorted(parameters)},
        "attributes": {name: _attribute(name, attributes[name], tensors) for name in sorted(attributes)},
        "requests": _requests(estimator),
        "net": _take_net_apart(estimator.net_, tensors),
        "n_snapshots": len(estimator.snapshots_),
    }
    for k, module in enumerate(estimator.snapshots_[:-1]):
        tensors |= _named(f"snapshot{k}", module.state_dict())
    write_tensors(path, tensors, document)


def load_estimator(cls: type, path: str | os.PathLike[str], **given: Any) -> Any:
    """Make the estimator that was saved.

    Parameters
    ----------
    cls : type
        Its class. It has a method ``_empty_net``, which takes the shapes of the weights by name and gives a net like
        ``net_`` on the CPU, with any weights; all other attributes are there by then.
    path : str or path
    **given
        Parameters that no file can hold, which are the user's own modules, classes and callables.

    Returns
    -------
    estimator : cls
        On the CPU.

    Raises
    ------
    ValueError
        If the file is damaged, of another class or of a newer version, or other parameters are given than were left
        out.
    WeightsError
        If a module that is given does not fit the weights.
    """
    tensors, document = read_tensors(path)
    if document.get("estimator") != cls.__name__:
        held = document.get("estimator", "no estimator")
        raise ValueError(f"{str(path)!r} holds {held}, and not {cls.__name__}.")
    try:
        # modules draw the weights that those of the file replace
        with torch.inference_mode(False), seeded(0):
            _check_given(cls, document["parameters"], given)
            estimator = cls(**_parameters(document["parameters"], tensors, given))
            for name, encoded in document["attributes"].items():
                value = decode(encoded, tensors, KNOWN)
                setattr(estimator, name, _with_own_module(value, estimator) if isinstance(value, Backbone) else value)
            _set_requests(estimator, document["requests"])
            _put_nets_together(estimator, document, tensors, str(path))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{str(path)!r} is damaged: {type(error).__name__}: {error}") from error
    return estimator


def empty_network(
    described: Backbone, backbone: str | nn.Module | type[nn.Module], params: Mapping[str, Any] | None
) -> nn.Module:
    """A network without head as it was described, its weights yet to be loaded.

    Parameters
    ----------
    described : Backbone
    backbone : str, nn.Module or class of nn.Module
        The estimator's parameter; the user's own module is copied.
    params : mapping or None
        The estimator's ``backbone_params``.
    """
    if isinstance(backbone, str):
        unlearnt = replace(described, weights=Weights("random", "seed=0", ""), module=None, state=None)
        return copy.deepcopy(build_backbone(unlearnt, "cpu"))
    made = resolve_backbone(
        backbone,
        weights=None,
        params=params,
        image_size=described.geometry.size,
        resize=described.geometry.policy,
        layer=described.layers or None,
        pool=described.pool,
        n_channels=described.n_channels,
        seed=0,
    )
    if made.module is None:
        raise ValueError(f"backbone must be a module or its class, got {backbone!r}.")
    return made.module


def _backbone_parts(backbone: Backbone) -> dict[str, Any]:
    """What a description says, and its weights unless a public name recovers them; the user's own code stays away."""
    parts = {field.name: getattr(backbone, field.name) for field in fields(backbone) if field.name != "module"}
    if backbone.module is not None:
        return {**parts, "state": dict(backbone.module.state_dict())}
    packed = backbone.__getstate__()["state"]
    # unpacked in any order, which must not decide the bytes of a file
    return {**parts, "state": None if packed is None else dict(sorted(unpack(packed).items()))}


def _backbone_of(parts: dict[str, Any]) -> Backbone:
    state = parts["state"]
    return Backbone(**{**parts, "state": None if state is None else pack(state)})


def _threshold_of(parts: dict[str, Any]) -> RankingThreshold:
    threshold = object.__new__(RankingThreshold)
    vars(threshold).update({**parts, "intercept": float(parts["intercept"])})
    return threshold


#: the classes of objects that a file may hold; there are no others
KNOWN = {
    record.cls.__name__: record
    for record in (
        *map(dataclass_record, (Augmentation, Geometry, ImageFormat, Phase, Weights)),
        Record(Backbone, _backbone_parts, _backbone_of),
        Record(RankingThreshold, lambda value: dict(sorted(vars(value).items())), _threshold_of),
    )
}


def _encoded(place: str, value: Any, tensors: Tensors) -> Json:
    """The JSON of a value, whose tensors go beside it under names that begin with its place."""
    found: Tensors = {}

    def put(tensor: torch.Tensor) -> str:
        name = f"{place}/{len(found)}"
        found[name] = tensor
        return name

    encoded = encode(value, put, KNOWN)
    tensors |= found
    return encoded


def _parameter(name: str, value: Any, tensors: Tensors) -> Json:
    try:
        return {"value": _encoded(f"parameters/{name}", value, tensors)}
    except UnknownValueError:
        return {"given": describe(value)}


def _attribute(name: str, value: Any, tensors: Tensors) -> Json:
    try:
        return _encoded(f"attributes/{name}", value, tensors)
    except UnknownValueError as error:
        raise UnknownValueError(f"The attribute {name!r} cannot be saved: {error}") from error


def _check_given(cls: type, parameters: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise an error unless those parameters are given that the file does not hold."""
    wanted = {name: entry["given"] for name, entry in parameters.items() if "given" in entry}
    for name, described in wanted.items():
        if name not in given:
            raise ValueError(
                f"{cls.__name__} was saved with {name}= given by the user ({described}), which no file can hold: pass "
                f"it as {cls.__name__}.load(path, {name}=...)."
            )
    for name in given:
        if name not in wanted:
            raise ValueError(
                f"{name}= must not be given: the file holds it, or {cls.__name__} has no such parameter. Given must be "
                f"{sorted(wanted) or 'nothing'}."
            )


def _parameters(entries: Mapping[str, Any], tensors: Tensors, given: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: decode(entry["value"], tensors, KNOWN) for name, entry in entries.items() if "given" not in entry}
    return {**kept, **given}


def _with_own_module(backbone: Backbone, estimator: Any) -> Backbone:
    """A description whose weights are those of the user's own module, with that module."""
    if backbone.weights.source != "own" or backbone.state is None:
        return backbone
    module = empty_network(backbone, estimator.backbone, estimator.backbone_params)
    _load(module, unpack(backbone.state), "which was saved")
    if isinstance(estimator.backbone, nn.Module):
        estimator.backbone = module  # what learns later goes on with these weights
    return replace(backbone, module=module, state=None)


def _requests(estimator: Any) -> dict[str, dict[str, bool | str | None]]:
    """What was asked of scikit-learn's metadata routing, by method."""
    if not hasattr(estimator, "_metadata_request"):
        return {}
    requests = estimator._metadata_request
    return {method: dict(getattr(requests, method).requests) for method in SIMPLE_METHODS}


def _set_requests(estimator: Any, wanted: Mapping[str, Mapping[str, bool | str | None]]) -> None:
    if not wanted:
        return
    requests = estimator._get_metadata_request()
    for method in SIMPLE_METHODS:
        for name, alias in wanted.get(method, {}).items():
            getattr(requests, method).add_request(param=name, alias=alias)
    estimator._metadata_request = requests


def _take_net_apart(net: Any, tensors: Tensors) -> dict[str, Any]:
    """What a net has learnt, and how it would go on."""
    module = net.module_
    tensors |= _named("net", module.state_dict())
    resting = {id(layer) for layer in getattr(net, "resting", [])}
    document: dict[str, Any] = {
        "learning": [name for name, weight in module.named_parameters() if weight.requires_grad],
        "resting": [name for name, layer in module.named_modules() if id(layer) in resting],
        "optimizer": None,
    }
    if not net.optimizer_.state:
        return document
    # it remembers something only where learning may go on
    packed, about = pack_optimizer(net.optimizer_, {weight: name for name, weight in module.named_parameters()})
    tensors |= _named("optimizer", packed)
    of_scaler = net.scaler.state_dict() if hasattr(net, "scaler") else {}
    return {**document, "optimizer": {"kind": type(net.optimizer_).__name__, "scaler": of_scaler, **about}}


def _put_nets_together(estimator: Any, document: Mapping[str, Any], tensors: Tensors, path: str) -> None:
    about, state = document["net"], _part(tensors, "net")
    net = estimator._empty_net({name: tensor.shape for name, tensor in state.items()})
    net.module = type(net.module_)
    _load(net.module_, state, path)
    net.module_.eval()
    learning, resting = set(about["learning"]), set(about["resting"])
    for name, weight in net.module_.named_parameters():
        weight.requires_grad_(name in learning)
    net.resting = [layer for name, layer in net.module_.named_modules() if name in resting]
    if about["optimizer"] is not None:
        _set_optimizer(net, about["optimizer"], _part(tensors, "optimizer"))
    estimator.net_ = net
    snapshots = [copy.deepcopy(net.module_) for _ in range(document["n_snapshots"] - 1)]
    for k, module in enumerate(snapshots):
        _load(module, _part(tensors, f"snapshot{k}"), path)
    estimator.snapshots_ = [*snapshots, net.module_] if document["n_snapshots"] else []


def _set_optimizer(net: Any, about: Mapping[str, Any], tensors: Tensors) -> None:
    weights = dict(net.module_.named_parameters())
    groups = [{"params": [weights[name] for name in group["params"]]} for group in about["groups"]]
    net.optimizer_ = _OPTIMIZERS[about["kind"]](groups)
    unpack_optimizer(net.optimizer_, {weight: name for name, weight in weights.items()}, tensors, about)
    if about["scaler"]:
        net.scaler.load_state_dict(about["scaler"])


def _load(module: nn.Module, state: Tensors, path: str) -> None:
    check_fit(type(module).__name__, module.state_dict(), state, (), path)
    module.load_state_dict(state)


def _named(part: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    return {f"{part}/{name}": tensor for name, tensor in tensors.items()}


def _part(tensors: Tensors, part: str) -> Tensors:
    return {name.removeprefix(f"{part}/"): tensor for name, tensor in tensors.items() if name.startswith(f"{part}/")}
