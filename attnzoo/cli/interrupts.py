"""Ctrl-C in training, which stops it within the current step."""

import contextlib
import signal
import threading


@contextlib.contextmanager
def stopping_within_a_step():
    """Yield a callback for `fit` with which Ctrl-C stops training within the current step.

    An interrupt is raised at once in a step, where it may be lost in a backend's own code: then it
    is raised when the step ends. Between epochs, where weights and the backup are written, it is
    kept until the next step. A second one is always raised at once. Outside of the main thread,
    which alone gets interrupts, the callback does nothing.
    """
    import keras

    received: list[int] = []
    in_step: list[bool] = []

    def handle(number, frame):
        again = bool(received)
        received.append(number)
        if again or in_step:
            raise KeyboardInterrupt

    def begin(*_, **__):
        if received:
            raise KeyboardInterrupt
        in_step.append(True)

    def end(*_, **__):
        in_step.clear()
        if received:
            raise KeyboardInterrupt

    class Stop(keras.callbacks.Callback):
        on_train_batch_begin = on_test_batch_begin = staticmethod(begin)
        on_train_batch_end = on_test_batch_end = staticmethod(end)

    if threading.current_thread() is not threading.main_thread():
        yield Stop()
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield Stop()
        end()
    finally:
        signal.signal(signal.SIGINT, before)
