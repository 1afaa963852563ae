"""Ctrl-C in training: it stops after the step that it is at."""

import contextlib
import signal
import threading


@contextlib.contextmanager
def stopping_after_a_step():
    """Give a callback for `fit` with which Ctrl-C stops training after the step that it is at.

    An interrupt that comes while a backend runs code of its own may be lost there. So it is noted
    when it comes, and raised between two steps; a second one is raised at once. Outside of the main
    thread, which alone gets interrupts, the callback does nothing.
    """
    import keras

    came = []

    def note(number, frame):
        if came:
            raise KeyboardInterrupt
        came.append(number)

    def stop(*_):
        if came:
            raise KeyboardInterrupt

    class Stop(keras.callbacks.Callback):
        on_epoch_begin = on_train_batch_end = on_test_batch_end = staticmethod(stop)

    if threading.current_thread() is not threading.main_thread():
        yield Stop()
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield Stop()
        stop()
    finally:
        signal.signal(signal.SIGINT, before)
