"""The arguments of `compile`: those that stay when it is called again, and those in files."""

import keras

# What a model learns by: who asks for one of these asks for training anew.
_TRAINING = {
    "optimizer",
    "loss",
    "loss_weights",
    "metrics",
    "weighted_metrics",
    "label_smoothing",
}
# Where a compile config has what only our tasks know: Keras compiles with all the rest, also a
# plain model, as `clone_model` makes one, and looks at nothing else that is beside an optimizer.
_OWN = "task"


class Compiled:
    """The arguments that a task was compiled with.

    Args:
        arguments: Those of `keras.Model.compile`.
        variables: The trainable variables then.
    """

    # No dict, and no list: Keras would look for layers and metrics in it, and save them again.
    def __init__(self, arguments: dict, variables):
        self.arguments = arguments
        self.variables = list(variables)


def given_arguments(arguments: dict) -> dict:
    """Return the arguments of `compile` that differ from their defaults."""
    return {name: value for name, value in arguments.items() if not _is_default(name, value)}


def keeps_training(task, arguments: dict, others: bool = False) -> bool:
    """Whether `compile` leaves training as it is: something is asked for, but not of training.

    Args:
        task: The task.
        arguments: Those of `compile`.
        others: Whether something beside them is asked for.
    """
    asked = given_arguments(arguments)
    return bool(task.compiled and (asked or others) and not asked.keys() & _TRAINING)


def with_training_kept(task, arguments: dict) -> dict:
    """Return the arguments, with those of the last `compile` in place of defaults."""
    compiled = task.compiled_with
    arguments = {**compiled.arguments, **given_arguments(arguments)}
    optimizer = task.optimizer
    if [*map(id, compiled.variables)] != [*map(id, task.trainable_variables)]:
        # Layers were frozen, or others are trained: its state is of the ones before.
        optimizer = type(optimizer).from_config(optimizer.get_config())
    return {**arguments, "optimizer": optimizer}


def num_replicas(task) -> int:
    """How many devices each have a copy of the task, under a `tf.distribute` strategy."""
    if keras.backend.backend() != "tensorflow":
        return 1
    return task.distribute_strategy.num_replicas_in_sync


def build_optimizer(task):
    """Build the optimizer if it is not yet, where its variables belong."""
    optimizer = getattr(task, "optimizer", None)
    if optimizer is None or optimizer.built:
        return
    if keras.backend.backend() == "tensorflow":
        with task.distribute_strategy.scope():
            optimizer.build(task.trainable_variables)
    else:
        optimizer.build(task.trainable_variables)


def with_task_config(config: dict, own: dict) -> dict:
    """Return a compile config with the part that only our tasks understand."""
    return {**config, "optimizer": {**config["optimizer"], _OWN: own}}


def without_task_config(config: dict) -> dict:
    """Return a compile config with both parts side by side, as older files have them."""
    optimizer = dict(config["optimizer"])
    own = optimizer.pop(_OWN, {})
    return {**config, "optimizer": _of_any_backend(optimizer), **own}


def _of_any_backend(optimizer: dict) -> dict:
    """An optimizer's config that no longer names a class of one backend.

    On torch Keras 3.15 writes the class that only torch can use, also within another optimizer.
    """
    inner = {
        name: _of_any_backend(value) if isinstance(value, dict) and "module" in value else value
        for name, value in optimizer["config"].items()
    }
    module = optimizer["module"]
    if module and module.startswith("keras.src.backend."):
        module = "keras.optimizers"
    return {**optimizer, "module": module, "config": inner}


def _is_default(name, value) -> bool:
    if name == "label_smoothing":
        return not value
    if name == "metrics" and value is None:
        return True
    return isinstance(value, str) and value == "auto"
