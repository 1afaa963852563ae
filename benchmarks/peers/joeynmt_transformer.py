"""A peer of `transformer_decoding.py`: the model in JoeyNMT, which runs the prefix at each step.

JoeyNMT needs an old protobuf, so it needs an environment of its own:

    python3.11 -m venv .venv-joeynmt
    .venv-joeynmt/bin/pip install torch joeynmt importlib_metadata
    python benchmarks/transformer_decoding.py --joeynmt .venv-joeynmt/bin/python

It never makes the padding and start tokens, and here no end token either: no hypothesis ends early.
"""

import types

import harness
import workload

# Where JoeyNMT has its special tokens.
SPECIAL = {"unk_id": 0, "pad_id": 1, "bos_id": 2, "eos_id": 3}


def build(settings):
    """Make the model and a case for each length, for `harness.serve`."""
    import torch
    from joeynmt.batch import Batch
    from joeynmt.model import build_model
    from joeynmt.search import search

    torch.set_num_threads(settings["threads"])
    torch.manual_seed(workload.SEED)
    vocabulary = _vocabulary()
    stack = _stack(settings)
    model = build_model({"encoder": stack, "decoder": stack}, vocabulary, vocabulary).eval()
    source, _ = workload.source_batch(settings["sentences"])
    batch = Batch(
        src=torch.from_numpy(source).long(),
        src_length=torch.full((len(source),), workload.SOURCE_LENGTH),
        src_prompt_mask=None,
        trg=None,
        trg_prompt_mask=None,
        indices=torch.arange(len(source)),
        device=torch.device("cpu"),
        pad_index=SPECIAL["pad_id"],
        eos_index=SPECIAL["eos_id"],
        is_train=False,
    )

    def decode(length):
        def case(repeats):
            for _ in range(repeats):
                tokens, _, _ = search(
                    model,
                    batch,
                    max_output_length=length,
                    min_output_length=length,
                    beam_size=workload.NUM_BEAMS,
                    beam_alpha=-1,
                )
            return {"shape": list(tokens.shape)}

        return case

    facts = {
        "versions": harness.versions("torch", "joeynmt"),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    return facts, {str(length): decode(length) for length in settings["lengths"]}


def _vocabulary():
    from joeynmt.vocabulary import Vocabulary

    names = {name.replace("_id", "_token"): f"<{name}>" for name in SPECIAL}
    special = types.SimpleNamespace(**SPECIAL, **names, sep_token=None, lang_tags=[])
    plain = range(len(SPECIAL), workload.VOCABULARY_SIZE)
    return Vocabulary([str(token) for token in plain], special)


def _stack(settings):
    """JoeyNMT's configuration of the encoder, and of the decoder."""
    model = settings["model"]
    return {
        "type": "transformer",
        "num_layers": settings["layers"],
        "num_heads": model["num_heads"],
        "hidden_size": model["hidden_dim"],
        "ff_size": model["feed_forward_dim"],
        "embeddings": {"embedding_dim": model["hidden_dim"], "scale": True, "dropout": 0.0},
        "dropout": 0.0,
        "layer_norm": "pre",
    }


if __name__ == "__main__":
    harness.serve(build)
