"""Methods of a task, compiled by Keras on every backend, and kept."""

import keras


class CompiledMethods:
    """Calls methods of a task on batches; each is compiled once.

    This is no object of Keras's, and what it makes is known to nobody else. A model that is made of
    a task, and holds it, must not be found in the task: Keras would count its weights twice where
    the task trains, and go round in circles where it loads weights.

    Args:
        task: The task.
    """

    def __init__(self, task):
        self._task = task
        self._made = {}  # A method and its arguments: the weights it was compiled with, and a model

    def __call__(self, method: str, inputs: dict, **arguments) -> dict:
        """What the method makes of `inputs`, arrays with the batch first: NumPy arrays."""
        key = (method, *arguments.items())
        known, model = self._made.get(key, ((), None))
        # With LoRA or after quantization there are other weights, and what was compiled is old.
        weights = self._task.weights
        if model is None or [*map(id, known)] != [*map(id, weights)]:
            model = _Method(self._task, method, arguments)
            self._made[key] = (weights, model)
        return model.predict_on_batch(inputs)


class _Method(keras.Model):
    """A method as a model."""

    def __init__(self, task, method, arguments):
        super().__init__(name=method, dtype=task.dtype_policy)
        self.task = task
        self.method = method
        self.arguments = arguments

    def call(self, inputs):
        return getattr(self.task, self.method)(inputs, **self.arguments)
