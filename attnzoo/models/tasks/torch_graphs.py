"""Graphs of ATen operations: traced from a function, split, and made cheaper to run from Python."""

import types
from collections.abc import Callable
from typing import Any


def trace(function: Callable, tensors: list):
    """Trace a function of tensors, under `torch.no_grad`.

    Args:
        function: Function of tensors to a tuple of tensors.
        tensors: What it is traced with.

    Returns:
        `torch.fx.GraphModule` without operations that change a tensor.

    Raises:
        Exception: If the function reads a value, or does something else that no trace can hold.
    """
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    # Each is a tensor of its own here: one given twice would be the same input twice.
    tensors = [tensor.clone() for tensor in tensors]
    with torch.no_grad(), _indices_stay_tensors():
        module = make_fx(function)(*tensors)
        if any(_changes_a_tensor(node) for node in module.graph.nodes):
            module = make_fx(torch.func.functionalize(module))(*tensors)
    return module


def split(module, num_fixed: int) -> tuple[Callable, Callable]:
    """Split a graph into what depends on its first inputs alone, and the rest.

    Args:
        module: Result of `trace`.
        num_fixed: Number of inputs that are fixed.

    Returns:
        Function of the fixed inputs to a list of values, and function of these values and the other
        inputs to the graph's outputs, a list.
    """
    graph = module.graph
    known: dict = {}
    for node in graph.nodes:
        _simplify(node)
        if node.op in ("call_function", "get_attr"):  # What is computed twice has one node.
            same = known.setdefault((node.target, str(node.args), str(node.kwargs)), node)
            if same is not node:
                node.replace_all_uses_with(same)
    graph.eliminate_dead_code()
    *nodes, output = graph.nodes
    inputs = [node for node in nodes if node.op == "placeholder"]
    fixed, others = inputs[:num_fixed], inputs[num_fixed:]
    reached = set(others)
    for node in nodes:
        if reached.intersection(node.all_input_nodes):
            reached.add(node)
    read = {*output.all_input_nodes, *(one for node in reached for one in node.all_input_nodes)}
    values = [node for node in nodes if node in read and node not in reached]
    before = _extract(module, fixed, set(nodes) - reached, values)
    return before, _extract(module, [*values, *others], reached, output.args[0])


def _extract(module, inputs, inner, outputs) -> Callable:
    """Return a part of a graph as a function: nodes from `inputs` over `inner` to `outputs`."""
    import torch

    part: Any = torch.fx.Graph()
    copies = {node: part.placeholder(node.name) for node in inputs}
    for node in module.graph.nodes:
        if node in inner and node not in copies:
            copies[node] = part.node_copy(node, copies.__getitem__)
    part.output([copies[node] for node in outputs])
    part.eliminate_dead_code()
    return torch.fx.GraphModule(module, part).forward


def _changes_a_tensor(node) -> bool:
    return getattr(getattr(node.target, "_schema", None), "is_mutable", False)


def _simplify(node):
    """Make a node cheaper: join views of views, and call torch's function for an ATen operation."""
    import torch

    operation = node.target
    if not isinstance(operation, torch._ops.OpOverload):
        return
    is_view = operation.is_view or operation is torch.ops.aten._unsafe_view.default
    if is_view and _are_the_same_numbers(node, node.args[0]):
        rows, shape = node.args[0], list(node.meta["tensor_meta"].shape)
        if rows.target is torch.Tensor.view:
            rows = rows.args[0]
        if shape == list(rows.meta["tensor_meta"].shape):
            node.replace_all_uses_with(rows)
        node.target, node.args, node.kwargs = torch.Tensor.view, (rows, shape), {}
        return
    # Python binds these functions more directly: they take the same arguments, and less time.
    name = operation.name().removeprefix("aten::").split(".")[0]
    quick = getattr(torch, name, None)
    if isinstance(quick, types.BuiltinFunctionType):
        node.target = quick


def _are_the_same_numbers(node, other) -> bool:
    """Return whether a view has all numbers of another tensor, in the same order in memory."""
    import torch

    kept: list[Any] = [one.meta.get("tensor_meta") for one in (node, other)]
    return None not in kept and (
        kept[0].shape.numel() == kept[1].shape.numel()
        and all(one.memory_format is torch.contiguous_format for one in kept)
    )


def _indices_stay_tensors():
    """Return a context where an index that is a tensor is not read as a number of Python.

    `rows[:, index]` with a tensor [] reads its value, which a trace cannot follow.
    """
    import torch

    class IndicesStayTensors(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if function is torch.Tensor.__getitem__ and isinstance(args[1], tuple):
                rows, places = args
                for axis, place in enumerate(places):
                    if isinstance(place, torch.Tensor) and place.dim() == 0:
                        rows = torch.index_select(rows, axis, place.reshape(1))
                        places = (*places[:axis], 0, *places[axis + 1 :])
                args = rows, places
            return function(*args, **(kwargs or {}))

    return IndicesStayTensors()
