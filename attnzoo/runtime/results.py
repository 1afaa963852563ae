"""From the outputs of a graph to the results of each task, one dict for each input.

Each function takes what `attnzoo.json` says, the maker of rows (None for a model of ids), the row,
the graph's outputs for it, and the input.
"""

import numpy as np


def generated(about, maker, row, outputs, given) -> dict:
    """Return text, score and tokens of each hypothesis (of one, alone), and alignments."""
    special = about["decoding"]
    hidden = {special["start"], special["end"], special["padding"]}
    hypotheses = []
    for ids in outputs["ids"].tolist():
        ids = ids[: ids.index(special["end"]) + 1] if special["end"] in ids else ids
        while ids and ids[-1] == special["padding"]:
            ids.pop()
        hypotheses.append(ids)
    results = {"tokens": hypotheses}
    if maker is not None:
        shown = [[id for id in ids if id not in hidden] for ids in hypotheses]
        results["text"] = [maker.output_tokenizer.detokenize(ids) for ids in shown]
        results["tokens"] = [maker.names(ids, of_output=True) for ids in hypotheses]
    if "scores" in outputs:
        results["scores"] = [float(score) for score in outputs["scores"]]
    if len(hypotheses) == 1:
        results = {name: value[0] for name, value in results.items()}
    if "alignments" in outputs:
        best = outputs["alignments"]
        best = best if best.ndim == 2 else best[0]
        results["alignments"] = best[: len(hypotheses[0]), : len(row["ids"])]
    return {**results, **_names("source_tokens", maker, row)}


def classified(about, maker, row, outputs, given) -> dict:
    """Return the most probable class, and all probabilities."""
    probabilities = outputs["probabilities"]
    results = {"labels": _label(about, probabilities), "probabilities": probabilities}
    if "alignments" in outputs:
        cut = slice(len(row["ids"]))
        sequences = 2 if outputs["alignments"].ndim == 4 else 1  # Heads look from each token.
        results["alignments"] = outputs["alignments"][(..., *[cut] * sequences)]
    return {**results, **_names("tokens", maker, row)}


def tagged(about, maker, row, outputs, given) -> dict:
    """Return the tag of each word that was not cut off, and the probabilities of all tags."""
    starts = np.flatnonzero(row.get("starts", np.ones(len(row["ids"]))))
    probabilities = outputs["probabilities"][starts]
    results = {"labels": [_label(about, one) for one in probabilities]}
    if maker is not None:
        spans = row["words"][: len(starts)]
        results["words"] = [given[start:end] for start, end in spans]
    return {**results, "probabilities": probabilities}


def filled(about, maker, row, outputs, given) -> dict:
    """Return the candidates for each mask."""
    masks = outputs["mask_positions"] >= 0
    return {
        "candidates": [maker.names(ids) for ids in outputs["candidate_ids"][masks]],
        "probabilities": outputs["probabilities"][masks],
    }


def embedded(about, maker, row, outputs, given) -> dict:
    """Return the vector of a text."""
    return {"vectors": outputs["vectors"]}


def answered(about, maker, row, outputs, given) -> dict:
    """Return the answer, where it stands in the context, and how probable it is."""
    results = {"probabilities": float(outputs["probabilities"])}
    if maker is None:
        return {"spans": tuple(map(int, outputs["spans"])), **results}
    first, last = (int(np.sum(row["starts"][: place + 1])) - 1 for place in outputs["spans"])
    start, end = row["words"][first][0], row["words"][last][1]
    return {"answers": given[1][start:end], "spans": (start, end), **results}


def _label(about, probabilities):
    best = int(probabilities.argmax())
    return best if about["labels"] is None else about["labels"][best]


def _names(name, maker, row):
    return {} if maker is None else {name: maker.names(row["ids"])}


TASKS = {
    "seq2seq": generated,
    "text_classifier": classified,
    "token_tagger": tagged,
    "masked_lm": filled,
    "sentence_embedder": embedded,
    "span_qa": answered,
}
