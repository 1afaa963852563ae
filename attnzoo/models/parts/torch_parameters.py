"""What KerasHub's models lack on torch: parameters, and the order of variables."""

import keras


class HubModelMixin:
    """Torch's parameters, and variables in one order on all backends.

    On torch KerasHub keeps the attributes of a model from Keras until the model is made. Torch then
    knows no parameters of it, and its variables come in the order of the functional graph, not in
    that of the attributes, as on the other backends; an optimizer in a file goes by that order.

    It stands before a backbone or a task of KerasHub in the bases of a class.
    """

    _known_to_torch = ()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if keras.backend.backend() == "torch":
            places = {id(layer): place for place, layer in enumerate(_layers_of(vars(self)))}
            self._layers.sort(key=lambda layer: places[id(layer)])

    # === Torch calls these ===

    def named_parameters(self, *args, **kwargs):
        self._register_parameters()
        return super().named_parameters(*args, **kwargs)

    def state_dict(self, *args, **kwargs):
        self._register_parameters()
        return super().state_dict(*args, **kwargs)

    def load_state_dict(self, *args, **kwargs):
        self._register_parameters()
        return super().load_state_dict(*args, **kwargs)

    def _register_parameters(self):
        """Let torch know all variables; anew where LoRA or quantization changed them."""
        import torch

        parameters = [variable.value for variable in self.variables]
        if [*map(id, self._known_to_torch)] == [*map(id, parameters)]:
            return
        names = _unique_names(self.variables)
        # Torch would take a list for what belongs to a file, and Keras for a container of layers.
        object.__setattr__(self, "_known_to_torch", tuple(parameters))
        self.add_module(
            "weights_by_path", torch.nn.ParameterDict(dict(zip(names, parameters, strict=True)))
        )


def functional_variables(model) -> list:
    """Variables in the order of the functional graph, as torch once had those of our models."""
    found = {}
    for layer in model.layers:
        nested = isinstance(layer, HubModelMixin)
        variables = functional_variables(layer) if nested else layer.variables
        found.update((id(variable), variable) for variable in variables)
    return [*found.values()]


def _layers_of(attributes: dict) -> list:
    """The layers among a model's attributes, and in their lists, in the order they were set in."""
    found = {}
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
