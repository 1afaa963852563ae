"""Compiled methods of a task, on every backend, with a cache."""

import threading

import keras
from keras import ops

from attnzoo.models.tasks.batch_sizes import check_distribution, data_layout, fill_rows
from attnzoo.models.tasks.traced_search import TracedSearch, is_traceable

# Largest number of compiled methods in the cache, for methods, arguments, and batch sizes.
_MOST = 256
# On TensorFlow, XLA is worth its compilation only for methods with many small steps.
_LOOPS = ("generate_step",)


class CompiledMethods:
    """Calls methods of a task on batches; each is compiled once for each of a few batch sizes.

    Several threads may call. The first call of each size, which traces, holds a lock; later calls
    need no lock. Calls of a random sampler run one after the other, because each continues from the
    random state that the previous call left.

    This is no Keras object, and hides the objects that it makes, so that Keras tracks no second
    model in the task.

    Args:
        task: The task.
    """

    def __init__(self, task):
        self.lock = threading.RLock()
        self._task = task
        # The task's variables, and the methods compiled with them.
        self._kept: tuple[tuple, dict] = ((), {})

    def __call__(self, method: str, inputs: dict, /, **arguments) -> dict:
        """Call a method on `inputs`, arrays with the batch first, and return NumPy arrays.

        The batch is padded to one of a few sizes, and the padding is removed from the outputs.
        """
        check_distribution()
        inputs = {name: ops.convert_to_numpy(value) for name, value in inputs.items()}
        count = len(next(iter(inputs.values())))
        inputs = fill_rows(inputs)
        compiled = self._find(method, inputs, arguments)
        if compiled.is_warm and not compiled.sampled:
            outputs = compiled(inputs)
        else:
            with self.lock:
                outputs = compiled(inputs)
                compiled.is_warm = True
        return {name: ops.convert_to_numpy(value)[:count] for name, value in outputs.items()}

    def _find(self, method, inputs, arguments):
        """Return the compiled method for inputs of these shapes."""
        task = self._task
        sampler = task.sampler if method in _LOOPS else None
        compiles = not task.run_eagerly
        if keras.backend.backend() == "torch":
            compiles = compiles and sampler is not None and is_traceable(sampler)
        jit_compile = compiles and method in _LOOPS and task.jit_compile
        shapes = [(name, x.shape, x.dtype.str) for name, x in sorted(inputs.items())]
        key = (method, *arguments.items(), compiles, jit_compile, sampler, *compiles * shapes)
        variables = task.variables
        compiled = self._kept_for(variables).get(key)
        if compiled is None:
            with self.lock:
                kept = self._kept_for(variables)
                if key not in kept:
                    if len(kept) >= _MOST:
                        del kept[next(iter(kept))]
                    kept[key] = _CompiledMethod(task, method, arguments, sampler)
                    kept[key].compile(compiles, jit_compile)
                compiled = kept[key]
        return compiled

    def _kept_for(self, variables):
        """Return the methods compiled with these variables, which LoRA and quantization replace."""
        known, kept = self._kept
        if [*map(id, known)] == [*map(id, variables)]:
            return kept
        with self.lock:
            self._kept = (variables, {})
            return self._kept[1]


class _CompiledMethod:
    """A method with its arguments, compiled for inputs of one size."""

    def __init__(self, task, method, arguments, sampler):
        self.is_warm = False
        self.sampled = getattr(sampler, "variables", [])
        self.variables = [*task.variables, *self.sampled]
        # Looked up while tracing, and not stored.
        self.method = lambda inputs, **more: getattr(task, method)(inputs, **arguments, **more)
        self.call = self.method

    def compile(self, compiles: bool, jit_compile: bool):
        """Compile the method for the backend; otherwise each call runs in Python."""
        backend = keras.backend.backend()
        if compiles and backend == "jax":
            self.call = self._compile_with_jax()
        elif compiles and backend == "tensorflow":
            import tensorflow as tf

            self.call = tf.function(self.method, jit_compile=jit_compile, autograph=False)
        elif backend == "torch":
            import torch

            self.call = torch.no_grad()(self._trace_on_torch() if compiles else self.method)

    def __call__(self, inputs):
        return self.call({name: _as_tensor(value) for name, value in inputs.items()})

    def _trace_on_torch(self):
        traced = TracedSearch()

        def call(inputs):
            # A trace takes longer than a call: it is for shapes that come again.
            return self.method(inputs, **({"search_with": traced} if self.is_warm else {}))

        return call

    def _compile_with_jax(self):
        import jax

        variables = self.variables

        @jax.jit
        def pure(values, inputs):
            mapping = zip(variables, values, strict=True)
            with keras.StatelessScope(state_mapping=mapping) as scope:
                before = [scope.get_current_value(one) for one in variables]
                outputs = self.method(inputs)
                after = [scope.get_current_value(one) for one in variables]
            pairs = enumerate(zip(before, after, strict=True))
            return outputs, {place: new for place, (old, new) in pairs if new is not old}

        def call(inputs):
            outputs, changed = pure([one.value for one in variables], inputs)
            for place, value in changed.items():  # Only random states change.
                variables[place].assign(value)
            return outputs

        return call


def _as_tensor(value):
    """Return an array as a tensor, laid out over devices by `keras.distribution`."""
    layout = data_layout(value.shape)
    if layout is None:
        return ops.convert_to_tensor(value)
    return keras.distribution.distribute_tensor(ops.convert_to_tensor(value), layout)
