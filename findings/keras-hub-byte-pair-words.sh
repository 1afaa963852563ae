#!/bin/sh
# KerasHub 0.32.0: `BytePairTokenizer` does not split a text into words before it merges.
#
# Guess: as its documentation says, ids are those of GPT-2's tokenizer, which merges inside of words
# alone: "a b" is "a" and " b".
# Seen: the pattern that splits a text is passed to `tokenizers` as a string, which is looked for
# literally, and is never found. Pairs are merged across words: "a b" is "a " and "b". (In the graph
# of a `tf.data` pipeline, which splits, the ids are others: 0 and 4.)
. "$(dirname "$0")/common.sh"
install keras==3.15.1 jax==0.10.2 numpy==2.4.6 regex==2026.11.19 tokenizers==0.23.3 sentencepiece==0.2.3
install --no-deps keras-hub==0.32.0  # Eagerly it needs no TensorFlow.
export KERAS_BACKEND=jax
run <<'PYTHON'
import keras_hub

SPACE = "\u0120"  # As byte pairs write it.
tokenizer = keras_hub.tokenizers.BytePairTokenizer(
    vocabulary={"a": 0, "b": 1, SPACE: 2, f"a{SPACE}": 3, f"{SPACE}b": 4},
    merges=[f"a {SPACE}", f"{SPACE} b"],
)
print("a b:", tokenizer.tokenize(["a b"])[0])
PYTHON
seen <<'OUTPUT'
a b: [3, 1]
OUTPUT
