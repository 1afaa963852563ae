"""Variables as torch parameters, and one order of variables on all backends."""

from typing import Any

import keras


def in_order_of_attributes(model):
    """Sort a model's layers by the order in which they were set, as on other backends.

    On torch KerasHub hides the attributes of a model from Keras until the model is made. The
    variables would have the order of the functional graph, not that of the attributes, and an
    optimizer in a file depends on the order.
    """
    if keras.backend.backend() == "torch":
        places = {id(layer): place for place, layer in enumerate(_layers_of(vars(model)))}
        model._layers.sort(key=lambda layer: places[id(layer)])


def known_to_torch(cls):
    """Let the models of a class register their variables as parameters before torch needs them.

    A class decorator for the bases of backbones and tasks. On torch KerasHub's models have no
    parameters.
    """
    cls._known_to_torch = ()
    if keras.backend.backend() == "torch":
        for name in ("named_parameters", "state_dict", "load_state_dict"):
            setattr(cls, name, _after_registration(cls, name))
    return cls


def functional_variables(model) -> list:
    """Return variables in the order of the functional graph, which older files from torch have."""
    found: dict[int, Any] = {}
    for layer in model.layers:
        nested = hasattr(layer, "_known_to_torch")
        variables = functional_variables(layer) if nested else layer.variables
        found.update((id(variable), variable) for variable in variables)
    return [*found.values()]


def _after_registration(cls, name: str):
    """Return a method of torch's modules that registers the parameters first."""

    def method(self, *args, **kwargs):
        _register_parameters(self)
        return getattr(super(cls, self), name)(*args, **kwargs)

    method.__name__ = name
    return method


def _register_parameters(model):
    """Register all variables with torch; again if LoRA or quantization changed them."""
    import torch

    parameters = [variable.value for variable in model.variables]
    if [*map(id, model._known_to_torch)] == [*map(id, parameters)]:
        return
    names = _unique_names(model.variables)
    # Not a list, which torch would save to files, and Keras would treat as a container of layers.
    object.__setattr__(model, "_known_to_torch", tuple(parameters))
    model.add_module(
        "weights_by_path", torch.nn.ParameterDict(dict(zip(names, parameters, strict=True)))
    )


def _layers_of(attributes: dict) -> list:
    """Return the layers in a model's attributes and lists, in the order they were set."""
    found: dict[int, Any] = {}
    for value in attributes.values():
        value = [*value.values()] if isinstance(value, dict) else value
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, keras.layers.Layer):
                found.setdefault(id(one), one)
    return [*found.values()]


def _unique_names(variables) -> list[str]:
    """Return names for torch from the variables' paths, equal for models built alike."""
    names, seeds = [], 0
    for variable in variables:
        path = variable.path.replace(".", "_")
        if path.startswith("seed_generator"):  # Keras numbers these across models.
            path, seeds = f"seed_generator_{seeds}/state", seeds + 1
        while path in names:
            path += "_"
        names.append(path)
    return names
