// An exported model in the browser: `attnzoo.runtime` for tokenizers of characters and symbols.

import * as ort from "onnxruntime-web/wasm";

/** Open the model in a folder of the site.
 *
 *  @param {string} folder  Address of the folder, with a slash at its end.
 *  @returns {Promise<Model>}
 */
export async function loadModel(folder) {
  const about = await (await fetch(`${folder}attnzoo.json`)).json();
  if (about.format !== 1 || about.parts === "step" || about.text === null) {
    throw new Error(`A page runs whole graphs of texts, of format 1. Received: ${folder}`);
  }
  const graph = await (await fetch(`${folder}${about.files.model}`)).arrayBuffer();
  return new Model(about, await ort.InferenceSession.create(new Uint8Array(graph)));
}

class Model {
  constructor(about, session) {
    this.about = about;
    this.session = session;
    this.input = about.inputs[0].name;
    const { source, target } = about.text;
    this.source = { ...source, tokenizer: new Tokenizer(source.tokenizer) };
    const other = target?.tokenizer ?? "source";
    this.target = other === "source" ? this.source.tokenizer : new Tokenizer(other);
  }

  /** The row of a text, its tokens, and which of them are unknown. */
  read(text) {
    const { tokenizer, start, end, length } = this.source;
    const [before, after] = [start, end].map((id) => (id === null ? [] : [id]));
    const room = length - before.length - after.length;
    const ids = [...before, ...tokenizer.tokenize(text).slice(0, room), ...after];
    return { ids, tokens: tokenizer.names(ids), unknown: ids.map((id) => id === tokenizer.unknown) };
  }

  async run(ids) {
    const row = new ort.Tensor("int32", Int32Array.from(ids), [1, ids.length]);
    return this.session.run({ [this.input]: row });
  }

  /** Outputs of a text, best first: texts, tokens and scores; alignments of the best, [T, S]. */
  async generate(text) {
    const { ids, tokens } = this.read(text);
    const found = await this.run(ids);
    const { start, end, padding } = this.about.decoding;
    const [, count, length] = found.ids.dims;
    const hypotheses = [];
    for (let k = 0; k < count; k += 1) {
      let row = Array.from(found.ids.data.slice(k * length, (k + 1) * length));
      if (row.includes(end)) row = row.slice(0, row.indexOf(end) + 1);
      const shown = row.filter((id) => ![start, end, padding].includes(id));
      hypotheses.push({
        text: this.target.detokenize(shown),
        tokens: this.target.names(row),
        score: found.scores.data[k],
      });
    }
    const rows = hypotheses[0].tokens.length;
    const alignments = rowsOf(found.alignments, ids.length).slice(0, rows);
    return { sourceTokens: tokens, hypotheses, alignments };
  }

  /** The classes of a text with their probabilities, and how much each token counts, from 0 to 1. */
  async classify(text) {
    const { ids, tokens, unknown } = this.read(text);
    const found = await this.run(ids);
    const probabilities = Array.from(found.probabilities.data);
    const best = probabilities.indexOf(Math.max(...probabilities));
    const weights = rowsOf(found.alignments, ids.length)[0];
    return { label: this.about.labels[best], probabilities, tokens, unknown, weights };
  }
}

/** The last two axes of the first matrix in a tensor, as lists of at most `width` numbers. */
function rowsOf(tensor, width) {
  const [height, places] = tensor.dims.slice(-2);
  return Array.from({ length: height }, (_, row) =>
    Array.from(tensor.data.slice(row * places, row * places + width)),
  );
}

class Tokenizer {
  constructor(description) {
    if (description.segments !== "whole") {
      throw new Error(
        `A page reads characters and symbols, not subwords. Received: ${description.kind}`,
      );
    }
    this.description = description;
    this.unknown = description.unknown;
    this.words = new RegExp(description.words, "gu");
    const known = description.vocabulary.map((token, id) => [token, id]);
    this.ids = new Map(known.filter(([, id]) => !description.reserved.includes(id)));
  }

  tokenize(text) {
    const rules = this.description.text;
    const given = rules.includes("lower") ? text.toLowerCase() : text;
    return (given.match(this.words) ?? []).map((word) => this.ids.get(word) ?? this.unknown);
  }

  names(ids) {
    return ids.map((id) => this.description.vocabulary[id]);
  }

  detokenize(ids) {
    return this.names(ids).join(this.description.separator);
  }
}
