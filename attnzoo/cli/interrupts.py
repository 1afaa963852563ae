"""Handling of Ctrl-C in training: it stops within the current step."""

import contextlib
import signal
import threading


@contextlib.contextmanager
def stopping_within_a_step():
    """Yield a callback for `fit` with which Ctrl-C stops training within the current step.

    During a step an interrupt is raised at once; if it is lost in a backend's own code, it is
    raised again when the step ends. Between epochs, while weights and the backup are written, it is
    delayed until the next step. A second interrupt is always raised at once. Only the main thread
    receives interrupts; in other threads the callback does nothing.
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
