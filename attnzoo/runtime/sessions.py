"""A graph in its runtime: ONNX Runtime or LiteRT. Arrays by name go in and come out."""

import os

import numpy as np


def open_graph(path: str, threads: int):
    """Return a function from arrays by name to arrays by name.

    Args:
        path: A file, `.onnx` or `.tflite`.
        threads: Number of threads. At least 1.

    Raises:
        ImportError: If the runtime is not installed.
    """
    try:
        return (
            _open_litert(path, threads) if path.endswith(".tflite") else _open_onnx(path, threads)
        )
    except ModuleNotFoundError as error:
        package = "ai-edge-litert" if path.endswith(".tflite") else "onnxruntime"
        raise ImportError(
            f"A {os.path.splitext(path)[1]} graph needs {package}: pip install {package}. "
            f"Received: path={path!r}"
        ) from error


def _open_onnx(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    wanted = {one.name for one in session.get_inputs()}

    def run(given):
        feeds = {name: value for name, value in given.items() if name in wanted}
        return dict(zip(names, session.run(names, feeds), strict=True))

    return run


def _open_litert(path, threads):
    from ai_edge_litert.interpreter import Interpreter

    signature = Interpreter(model_path=path, num_threads=threads).get_signature_runner()
    wanted = signature.get_input_details()

    def run(given):
        feeds = {name: np.asarray(given[name], one["dtype"]) for name, one in wanted.items()}
        return signature(**feeds)

    return run
