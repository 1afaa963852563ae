"""Train small classifiers of Fashion-MNIST, with attention and without, and test each once.

The network is the same but for its attention: three stages of bottleneck blocks. It trains on all
60,000 pictures for a fixed number of epochs, and no choice is made by the 10,000 of the test.

    python benchmarks/fashion.py --data /usr/share/datasets/fashion-mnist --model botnet \\
        --output runs/botnet
"""

import argparse
import json
import pathlib
import time

NAMES = ["T-shirt", "trouser", "pullover", "dress", "coat"]
NAMES += ["sandal", "shirt", "sneaker", "bag", "ankle boot"]
SIZES = {"filters": (16, 32, 64), "num_blocks": (1, 1, 2), "strides": (2, 2, 1), "stem": "small"}
ATTENTIONS = {
    "plain": {},
    "botnet": {"transformer_blocks": (0, 0, 2)},
    "polarized": {"attention": "polarized"},
    "polarized_sequential": {
        "attention": "polarized",
        "attention_options": {"layout": "sequential"},
    },
    "squeeze_excitation": {"attention": "squeeze_excitation"},
    "efficient_channel": {"attention": "efficient_channel"},
    "cbam": {"attention": "cbam", "attention_options": {"kernel_size": 3}},
    "non_local": {"attention": "non_local"},
    "external": {"attention": "external"},
    "global_context": {"attention": "global_context"},
}


def read(folder, part: str):
    """Return the pictures uint8 [N, 28, 28] and the labels [N] of "train" or "t10k"."""
    from attnzoo.data import read_idx

    folder = pathlib.Path(folder)
    return (
        read_idx(folder / f"{part}-images-idx3-ubyte.gz"),
        read_idx(folder / f"{part}-labels-idx1-ubyte.gz"),
    )


def make_task(model: str):
    """Return an untrained classifier by the name of its attention."""
    from attnzoo import models

    prefix = "BoTNet" if model == "botnet" else "AttentionResNet"
    cls = getattr(models, f"{prefix}ImageClassifier")
    backbone = cls.backbone_cls((28, 28, 1), **SIZES, **ATTENTIONS[model])
    # The mean and the deviation of the 60,000 pictures.
    preprocessor = cls.preprocessor_cls((28, 28, 1), mean=0.286, std=0.353)
    return cls(backbone, preprocessor, class_names=NAMES)


def train(model: str, data, *, epochs: int, seed: int, rate: float, output: pathlib.Path) -> dict:
    """Train a classifier, write its preset and its record, and return the record."""
    import keras

    from attnzoo.data import ImageBatches

    keras.utils.set_random_seed(seed)
    task = make_task(model)
    images, labels = read(data, "train")
    batches = ImageBatches(
        images, labels, task.preprocessor, batch_size=128, flip=True, shift=1, seed=seed
    )
    steps = epochs * len(batches)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=rate, warmup_steps=steps // 10
    )
    task.compile(optimizer=keras.optimizers.AdamW(schedule, weight_decay=0.01))
    wall, cpu = time.monotonic(), time.process_time()
    history = task.fit(batches, epochs=epochs, shuffle=False, verbose=2).history
    seconds = {"seconds": time.monotonic() - wall, "cpu_seconds": time.process_time() - cpu}
    images, labels = read(data, "t10k")
    _, accuracy = task.evaluate(images, labels, batch_size=128, verbose=0)
    record = {
        "model": model,
        "backend": keras.backend.backend(),
        "seed": seed,
        "epochs": epochs,
        "learning_rate": rate,
        "parameters": task.count_params(),
        "test_accuracy": round(float(accuracy), 4),
        **{name: round(value) for name, value in seconds.items()},
        "history": {name: [round(one, 4) for one in values] for name, values in history.items()},
    }
    output.mkdir(parents=True, exist_ok=True)
    task.save_to_preset(str(output / "preset"))
    (output / "record.json").write_text(json.dumps(record, indent=1) + "\n")
    return record


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="the folder of the four IDX files")
    parser.add_argument("--model", choices=ATTENTIONS, default="botnet")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=3e-3, help="the highest learning rate")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="a folder of the run")
    given = vars(parser.parse_args())
    record = train(given.pop("model"), given.pop("data"), **given)
    print(json.dumps({name: value for name, value in record.items() if name != "history"}))


if __name__ == "__main__":
    main()
