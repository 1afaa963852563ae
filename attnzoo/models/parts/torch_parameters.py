"""Parameters that torch knows, and variables in one order on all backends."""

from typing import Any

import keras


def in_order_of_attributes(model):
    """Sort a model's layers as they were set, as they are on other backends already.

    On torch KerasHub keeps the attributes of a model from Keras until the model is made. Its
    variables would come in the order of the functional graph, not in that of the attributes; an
    optimizer in a file goes by the order.
    """
    if keras.backend.backend() == "torch":
        places = {id(layer): place for place, layer in enumerate(_layers_of(vars(model)))}
        model._layers.sort(key=lambda layer: places[id(layer)])


def known_to_torch(cls):
    """Let the models of a class register their variables as parameters, before torch asks for them.

    A class decorator, for the base of our backbones and that of our tasks. On torch KerasHub's
    models have no parameters of their own.
    """
    cls._known_to_torch = ()
    if keras.backend.backend() == "torch":
        for name in ("named_parameters", "state_dict", "load_state_dict"):
            setattr(cls, name, _after_registration(cls, name))
    return cls


def functional_variables(model) -> list:
    """Return variables in the order of the functional graph, as torch once had those of models."""
    found: dict[int, Any] = {}
    for layer in model.layers:
        nested = hasattr(layer, "_known_to_torch")
        variables = functional_variables(layer) if nested else layer.variables
        found.update((id(variable), variable) for variable in variables)
    return [*found.values()]


def _after_registration(cls, name: str):
    """A method of torch's modules that registers the parameters first."""

    def method(self, *args, **kwargs):
        _register_parameters(self)
        return getattr(super(cls, self), name)(*args, **kwargs)

    method.__name__ = name
    return method


def _register_parameters(model):
    """Register all variables with torch; anew where LoRA or quantization changed them."""
    import torch

    parameters = [variable.value for variable in model.variables]
    if [*map(id, model._known_to_torch)] == [*map(id, parameters)]:
        return
    names = _unique_names(model.variables)
    # Torch would take a list for what belongs to a file, and Keras for a container of layers.
    object.__setattr__(model, "_known_to_torch", tuple(parameters))
    model.add_module(
        "weights_by_path", torch.nn.ParameterDict(dict(zip(names, parameters, strict=True)))
    )


def _layers_of(attributes: dict) -> list:
    """The layers among a model's attributes, and in their lists, in the order they were set in."""
    found: dict[int, Any] = {}
    for value in attributes.values():
        value = [*value.values()] if isinstance(value, dict) else value
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, keras.layers.Layer):
                found.setdefault(id(one), one)
    return [*found.values()]


def _unique_names(variables) -> list[str]:
    """Paths as torch takes them, the same for each model that is made alike."""
    names, seeds = [], 0
    for variable in variables:
        path = variable.path.replace(".", "_")
        if path.startswith("seed_generator"):  # Keras counts these up from model to model.
            path, seeds = f"seed_generator_{seeds}/state", seeds + 1
        while path in names:
            path += "_"
        names.append(path)
    return names
