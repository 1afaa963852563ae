"""Files of weights: of torch, of safetensors and of NumPy."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

# Keys under which training frameworks keep a model's weights; averaged ones come first.
_INNER = ("params_ema", "params", "state_dict_ema", "state_dict", "model")
_TORCH = (".pth", ".pt", ".bin", ".ckpt", ".tar")


def read_weights(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read the weights of a model from a file, without running code from it.

    Args:
        path: A file `.pth`, `.pt`, `.bin`, `.ckpt` or `.tar` of torch (which must be installed),
            `.safetensors` (likewise), or `.npz`. Where a file holds several sets of weights,
            averaged ones are taken.

    Returns:
        The weights by name; floats as float32.

    Raises:
        ValueError: If the file's name has another end, or it holds no weights by name.
    """
    path = pathlib.Path(path)
    weights: Mapping[str, Any]
    if path.suffix in _TORCH:
        weights = _read_torch(path)
    elif path.suffix == ".safetensors":
        weights = _read_safetensors(path)
    elif path.suffix == ".npz":
        with np.load(path) as file:
            weights = {name: file[name] for name in file}
    else:
        raise ValueError(
            f"A file of weights must end in {', '.join(_TORCH)}, .safetensors or .npz. "
            f"Received: {path}"
        )
    return {name: _as_array(value) for name, value in weights.items()}


def _read_torch(path) -> Mapping[str, Any]:
    try:
        import torch
    except ImportError as error:
        raise ImportError("Files of torch need torch: pip install 'attnzoo[torch]'") from error
    held = torch.load(path, map_location="cpu", weights_only=True)
    for name in _INNER:
        if isinstance(held, Mapping) and isinstance(held.get(name), Mapping):
            held = held[name]
            break
    if not isinstance(held, Mapping) or not all(torch.is_tensor(one) for one in held.values()):
        kind = sorted(map(str, held))[:5] if isinstance(held, Mapping) else type(held).__name__
        raise ValueError(
            "A file of torch must hold tensors by name: what `torch.save(model.state_dict(), ...)` "
            f"writes. Received: {path}, which holds {kind}"
        )
    prefix = "module."  # Of torch's wrapper for several devices.
    if all(name.startswith(prefix) for name in held):
        held = {name.removeprefix(prefix): value for name, value in held.items()}
    return held


def _read_safetensors(path) -> Mapping[str, Any]:
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise ImportError(
            "Files of safetensors need the package: pip install 'attnzoo[weights]'"
        ) from error
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def _as_array(value) -> np.ndarray:
    if hasattr(value, "numpy"):  # A tensor of torch; NumPy has no bfloat16.
        value = (value.float() if value.is_floating_point() else value).numpy()
    return value.astype("float32") if value.dtype.kind == "f" else value
