"""Classes by name or by number: checks of labels, and their ids."""

import numpy as np

from attnzoo.checks import check_positive
from attnzoo.models.preprocessing.forms import form
from attnzoo.whitespace import split_words


class ClassLabels:
    """The classes of a task, with ids from 0 in their order.

    Args:
        class_names: Different strings, at least one; or None for classes that are numbers.
        num_classes: Number of classes, at least 1; None counts the names.
        separated: Whether one string may hold several labels, separated by white space; names must
            then have none.

    Raises:
        ValueError: If neither names nor number are given, they disagree, a name is repeated or not
            a string, or with `separated` a name has white space.

    Example:
        >>> labels = ClassLabels(["negative", "positive"])
        >>> labels.ids(["positive", 0]), labels.names([1, 0])
        ([1, 0], ['positive', 'negative'])
    """

    def __init__(self, class_names=None, num_classes: int | None = None, separated: bool = False):
        self.separated = separated
        if class_names is None:
            if num_classes is None:
                raise ValueError(
                    "A classifier needs `class_names`, or `num_classes` for labels that are "
                    "numbers. Received: class_names=None, num_classes=None"
                )
            check_positive(num_classes=num_classes)
            self.class_names, self.num_classes, self._places = None, num_classes, {}
            return
        if isinstance(class_names, (str, bytes)):
            raise ValueError(
                f"`class_names` must be several strings. Received: class_names={class_names!r}"
            )
        class_names = list(class_names)
        for name in class_names:
            if not isinstance(name, str) or (separated and split_words(name) != [name]):
                rule = "strings without white space" if separated else "strings"
                raise ValueError(f"`class_names` must hold {rule}. Received: {name!r}")
        if not class_names or len(set(class_names)) < len(class_names):
            raise ValueError(
                "`class_names` must be different from each other, and at least one. "
                f"Received: class_names={class_names}"
            )
        if num_classes not in (None, len(class_names)):
            raise ValueError(
                "`num_classes` must be the number of `class_names`, or None. "
                f"Received: num_classes={num_classes} with {len(class_names)} names"
            )
        self.class_names, self.num_classes = class_names, len(class_names)
        self._places = {name: place for place, name in enumerate(class_names)}

    def ids(self, labels):
        """Return the ids of labels.

        Args:
            labels: (Nested) lists or an array of names or ids; inside a `tf.function` a tensor,
                dense or ragged.

        Returns:
            Ids, nested like `labels`.

        Raises:
            ValueError: If a label is outside the classes, or is a name and classes have no names.
        """
        used = form()
        return used.label_ids(used.split_words(labels) if self.separated else labels, self)

    def id(self, label, place: str = "") -> int:
        """Return the id of one label; `place` is its position for the message."""
        if isinstance(label, bytes):
            label = label.decode("utf-8")
        if isinstance(label, str):
            self.need_names(label)
            if label in self._places:
                return self._places[label]
        elif isinstance(label, (int, np.integer)) and 0 <= label < self.num_classes:
            return int(label)
        raise ValueError(f"A label must be {self.rule()}. Received: {label!r}{place}")

    def names(self, ids) -> list:
        """Return the names of ids int [B], or the ids if classes have no names."""
        ids = [int(i) for i in ids]
        return ids if self.class_names is None else [self.class_names[i] for i in ids]

    def get_config(self) -> dict:
        """Return the arguments of a task with these classes."""
        return {"num_classes": self.num_classes, "class_names": self.class_names}

    def need_names(self, label):
        """Raise if a label is a string and classes have no names."""
        if self.class_names is None:
            raise ValueError(
                "Labels that are strings need `class_names`. "
                f"Received: {label!r} with class_names=None"
            )

    def rule(self) -> str:
        """Return the rule for a label, in words."""
        numbers = f"a whole number in [0, {self.num_classes})"
        return numbers if self.class_names is None else f"one of {self.class_names}, or {numbers}"
