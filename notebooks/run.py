"""Run the notebooks from a clean kernel, and keep their outputs and pictures.

  python notebooks/run.py                # run all, write outputs and pictures back in place
  python notebooks/run.py --check        # run all, write nothing
  python notebooks/run.py 01 --check     # only those whose name starts with 01

Each notebook runs in a process of its own, from the repository's root, on the backend that
KERAS_BACKEND names. What is kept has no times and nothing of the machine in it.
"""

import argparse
import os
import pathlib
import re
import tempfile
import time

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parent
TIMEOUT = 600  # seconds for one cell; a cell that waits longer is stuck
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# Memory addresses, as in <Figure at 0x7f...>, are new in every run.
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
# Lines that TensorFlow and XLA log from C++, with time and process, whatever the log level.
_NATIVE_LOG = re.compile(
    r"^(WARNING: All log messages before absl::InitializeLog.*|[IWEF]\d{4} .*)\n?", re.MULTILINE
)


def find(prefixes=()):
    """The notebooks whose name starts with one of `prefixes`, or all of them, in order."""
    paths = sorted(FOLDER.glob("*.ipynb"))
    return [path for path in paths if not prefixes or path.name.startswith(tuple(prefixes))]


def execute(path, *, folder=ROOT):
    """Run a notebook from a clean kernel.

    Args:
        path: The notebook. The file is not changed.
        folder: Working directory of the kernel.

    Returns:
        The notebook with the outputs of this run, clean: no times, no paths, no addresses.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell raises.
        ValueError: If an output names a folder of this machine.
    """
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    # The notebooks find the package beside them, installed or not.
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    client.execute(env={**os.environ, "PYTHONPATH": search})
    return clean(notebook)


def clean(notebook):
    """Take out what differs from run to run and from machine to machine."""
    notebook.metadata = METADATA
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            _clean_output(output)
        cell.outputs = [output for output in cell.outputs if output.get("text") != ""]
        text = "".join(map(_text_of, cell.outputs))
        for place in (str(ROOT), str(pathlib.Path.home()), tempfile.gettempdir()):
            if len(place) > 1 and place in text:
                raise ValueError(
                    f"An output must not name a folder of this machine. Received: {text!r}"
                )
    return notebook


def _clean_output(output):
    if "metadata" in output:
        output.metadata = {}
    if "text" in output:
        output.text = _ADDRESS.sub("", output.text)
    if output.get("name") == "stderr":
        output.text = _NATIVE_LOG.sub("", output.text)
    for kind, value in output.get("data", {}).items():
        if kind.startswith("text/"):
            output.data[kind] = _ADDRESS.sub("", value)


def _text_of(output):
    data = output.get("data", {})
    return output.get("text", "") + "".join(v for k, v in data.items() if k.startswith("text/"))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="how the names of the notebooks start")
    parser.add_argument("--check", action="store_true", help="run, and write nothing")
    arguments = parser.parse_args()
    paths = find(arguments.names)
    if not paths:
        parser.error(f"no notebook starts with {arguments.names}")

    import nbformat

    for path in paths:
        start = time.monotonic()
        notebook = execute(path)
        if not arguments.check:
            nbformat.write(notebook, path)
        print(f"{path.name}: {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
