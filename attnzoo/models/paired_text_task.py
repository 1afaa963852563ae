"""What the tasks share that learn from texts, or pairs of them, and a target for each."""

from attnzoo.models.text_task import TextTaskMixin, make_dataset, need_targets, split_samples


class PairedTextMixin(TextTaskMixin):
    """Base of the sentence embedder and of question answering.

    It stands before a task of KerasHub in the bases of a class. A subclass names its targets in
    `targets_name`, says in `make_samples` what is to be batched, and in `preprocess_samples` what
    becomes of a batch.
    """

    targets_name: str  # In the plural, as a sentence begins with it.

    def make_samples(self, x, y, sample_weight=None) -> tuple:
        """Arrays, or dicts of them, with a row for each text; raises on what does not fit."""
        raise NotImplementedError

    def fit(self, x=None, y=None, *, shuffle: bool = True, validation_split=None, **kwargs):
        """Train, as `keras.Model.fit` does; a task says what `x` and `y` are."""
        if self.preprocessor is not None:
            need_targets(self.targets_name, x, y)
        if self.preprocessor is None or y is None:
            more = {} if validation_split is None else {"validation_split": validation_split}
            return super().fit(x, y, shuffle=shuffle, **more, **kwargs)
        samples = self.make_samples(x, y, kwargs.pop("sample_weight", None))
        batch_size = kwargs.pop("batch_size", None) or 32
        validation_data = kwargs.pop("validation_data", None)
        validating = None
        if isinstance(validation_data, (tuple, list)):
            validating = self.make_samples(*validation_data)
        elif validation_split and validation_data is None:
            samples, validating = split_samples(samples, validation_split)
        if validating is not None:
            validation_data = make_dataset(validating, batch_size, shuffle=False)
        x = make_dataset(samples, batch_size, shuffle)
        return super().fit(x, validation_data=validation_data, shuffle=False, **kwargs)

    def evaluate(self, x=None, y=None, **kwargs):
        """Loss and metrics. `x` and `y` as in `fit`."""
        if kwargs.get("_use_cached_eval_dataset") or self.preprocessor is None:
            return super().evaluate(x, y, **kwargs)
        need_targets(self.targets_name, x, y)
        if y is None:
            return super().evaluate(x, **kwargs)
        batch_size = kwargs.pop("batch_size", None) or 32
        samples = self.make_samples(x, y, kwargs.pop("sample_weight", None))
        return super().evaluate(make_dataset(samples, batch_size, shuffle=False), **kwargs)
