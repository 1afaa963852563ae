"""The base of the formats."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Format:
    """How a graph is written, and run in its own runtime.

    A subclass is a dataclass whose fields are its options, in a form that JSON can hold.
    """

    product = "graph"  # What messages call the result.
    marker = ""  # A file that every result holds.

    def takes(self, spec, given) -> bool:
        """Return whether the graph takes an input of the comparison, which may be too long."""
        return True

    def write(self, spec, directory: str):
        """Write the graph of a `ServingSpec` under TensorFlow.

        Raises:
            ValueError: If the graph cannot be written in this format.
        """
        raise NotImplementedError

    def run(self, spec, directory: str, feeds: dict) -> tuple[dict, dict]:
        """Load the result and run it: on the whole batch, and on its first row alone.

        Args:
            spec: The `ServingSpec`.
            directory: Where `write` wrote.
            feeds: Inputs by their names in `ServingSpec.signature`: lists or arrays, batch first.

        Returns:
            Two dicts of NumPy arrays, by the names of `ServingSpec.compute`.
        """
        raise NotImplementedError
