"""Train the page's model of languages, and export it.

    python docs/playground/train_language.py FOLDER

FOLDER has `train.en.gz`, `train.de.gz`, `dev.en.gz` and `dev.de.gz`, one text a line. The model in
the repository is from package descriptions of Debian (bookworm, main, Translation-en and -de).
"""

import argparse
import gzip
import pathlib
import random
import re

import keras

import attnzoo

LANGUAGES = {"en": "English", "de": "German"}
PATH = pathlib.Path(__file__).parent / "models" / "language"


def read_parts(folder: pathlib.Path, split: str, draw: random.Random) -> tuple[list, list]:
    """Return parts of texts, 3 to 15 words in lower case, and their languages."""
    parts = []
    for code, language in LANGUAGES.items():
        with gzip.open(folder / f"{split}.{code}.gz", "rt", encoding="utf-8") as file:
            for line in file:
                words = re.findall(r"\w+|[^\w\s]", line.lower())
                if len(words) < 3:
                    continue
                length = draw.randrange(3, 16)
                start = draw.randrange(max(1, len(words) - length))
                parts.append((" ".join(words[start : start + length]), language))
    draw.shuffle(parts)
    texts, languages = zip(*parts, strict=True)
    return list(texts), list(languages)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    keras.utils.set_random_seed(0)
    draw = random.Random(0)
    texts, languages = read_parts(folder, "train", draw)
    tokenizer = attnzoo.data.SymbolTokenizer.from_texts(texts, max_size=6000, lowercase=True)
    task = attnzoo.models.RNNTextClassifier(
        attnzoo.models.RNNEncoderBackbone(
            tokenizer.vocabulary_size(), embedding_dim=32, hidden_dim=32
        ),
        attnzoo.models.RNNTextClassifierPreprocessor(
            tokenizer, sequence_length=48, truncate="silent"
        ),
        class_names=list(LANGUAGES.values()),
    )
    task.compile(optimizer=keras.optimizers.Adam(3e-3))
    task.fit(texts, languages, epochs=2, batch_size=64, verbose=2)
    texts, languages = read_parts(folder, "dev", draw)
    right = sum(map(str.__eq__, task.classify(texts), languages))
    print(f"dev: {right / len(texts):.4f} of {len(texts)}")
    attnzoo.export.onnx(task, PATH, overwrite=True)


if __name__ == "__main__":
    main()
