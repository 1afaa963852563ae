"""The arguments of `compile`: kept ones in later calls, and their form in files."""

import keras

# Arguments that affect training: if one of them is given, no earlier argument is kept.
_TRAINING = {
    "optimizer",
    "loss",
    "loss_weights",
    "metrics",
    "weighted_metrics",
    "label_smoothing",
}
# Entry of a compile config for the part that only attnzoo's tasks read. Keras compiles with the
# rest, also a plain model from `clone_model`, and ignores entries beside an optimizer.
_OWN = "task"


class Compiled:
    """The arguments that a task was compiled with.

    Args:
        arguments: Those of `keras.Model.compile`.
        variables: The trainable variables at that time.
    """

    # Neither a dict nor a list, in which Keras would track layers and metrics, and save them again.
    def __init__(self, arguments: dict, variables):
        self.arguments = arguments
        self.variables = list(variables)


def given_arguments(arguments: dict) -> dict:
    """Return the arguments of `compile` that differ from their defaults."""
    return {name: value for name, value in arguments.items() if not _is_default(name, value)}


def keeps_training(task, arguments: dict, others: bool = False) -> bool:
    """Return whether `compile` keeps training unchanged: the given arguments do not affect it.

    Args:
        task: The task.
        arguments: Arguments of `compile`.
        others: Whether task-specific arguments are given too.
    """
    asked = given_arguments(arguments)
    return bool(task.compiled and (asked or others) and not asked.keys() & _TRAINING)


def with_training_kept(task, arguments: dict) -> dict:
    """Return the arguments, with values of the last `compile` in place of defaults."""
    compiled = task.compiled_with
    arguments = {**compiled.arguments, **given_arguments(arguments)}
    optimizer = task.optimizer
    if [*map(id, compiled.variables)] != [*map(id, task.trainable_variables)]:
        # The trainable variables have changed, and the optimizer's state belongs to the old ones.
        optimizer = type(optimizer).from_config(optimizer.get_config())
    return {**arguments, "optimizer": optimizer}


def num_replicas(task) -> int:
    """Return the number of replicas of the task under a `tf.distribute` strategy."""
    if keras.backend.backend() != "tensorflow":
        return 1
    return task.distribute_strategy.num_replicas_in_sync


def build_optimizer(task):
    """Build the optimizer, if it is not built, in the scope of its strategy."""
    optimizer = getattr(task, "optimizer", None)
    if optimizer is None or optimizer.built:
        return
    if keras.backend.backend() == "tensorflow":
        with task.distribute_strategy.scope():
            optimizer.build(task.trainable_variables)
    else:
        optimizer.build(task.trainable_variables)


def with_task_config(config: dict, own: dict) -> dict:
    """Return a compile config with the part that only attnzoo's tasks read."""
    return {**config, "optimizer": {**config["optimizer"], _OWN: own}}


def without_task_config(config: dict) -> dict:
    """Return a compile config with both parts merged, as in older files."""
    optimizer = dict(config["optimizer"])
    own = optimizer.pop(_OWN, {})
    return {**config, "optimizer": _of_any_backend(optimizer), **own}


def _of_any_backend(optimizer: dict) -> dict:
    """Return an optimizer's config without the name of a backend-specific class.

    On torch Keras 3.15 writes a class that only torch can use, also within another optimizer.
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
