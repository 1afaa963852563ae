// The page: what is typed goes to the models, and what they answer is drawn.

import * as ort from "onnxruntime-web/wasm";

import { loadModel } from "./model.js";

ort.env.wasm.wasmPaths = new URL("vendor/", document.baseURI).href;
ort.env.wasm.numThreads = 1; // More threads need headers of the server, and gain nothing here.
ort.env.wasm.proxy = true; // In a worker: the page stays alive.

const element = (id) => document.getElementById(id);
const make = (name, text = "", attributes = {}) =>
  Object.assign(document.createElement(name), { textContent: text }, attributes);

/** Run `answer` on what is typed, and again when it changes; of several answers the last counts. */
function answer(input, output, run) {
  let latest = 0;
  const update = async () => {
    const number = (latest += 1);
    const text = input.value.trim();
    if (!text) return output.replaceChildren();
    try {
      const shown = await run(text);
      if (number === latest) output.replaceChildren(...shown);
    } catch (error) {
      output.replaceChildren(make("p", String(error), { className: "error" }));
    }
    input.dataset.answered = text;
  };
  input.addEventListener("input", update);
  return update();
}

function drawPronunciation({ sourceTokens, hypotheses, alignments }) {
  const best = make("p", hypotheses[0].text, { className: "best" });
  const list = make("table", "", { className: "hypotheses" });
  for (const { text, score } of hypotheses) {
    const row = list.insertRow();
    row.append(make("td", text), make("td", `${(100 * Math.exp(score)).toFixed(1)} %`));
  }
  const map = make("table", "", { className: "alignments" });
  const head = map.insertRow();
  head.append(make("th"), ...sourceTokens.map((token) => make("th", nameOf(token))));
  alignments.forEach((weights, n) => {
    const row = map.insertRow();
    row.append(make("th", nameOf(hypotheses[0].tokens[n])));
    for (const weight of weights) {
      const cell = make("td", "", { title: weight.toFixed(3) });
      cell.style.setProperty("--weight", weight);
      row.append(cell);
    }
  });
  return [best, list, map];
}

function drawClass({ label, probabilities, tokens, unknown, weights }, labels) {
  const chance = Math.max(...probabilities);
  const best = make("p", `${label}, ${(100 * chance).toFixed(1)} %`, { className: "best" });
  const text = make("p", "", { className: `words class-${labels.indexOf(label)}` });
  const highest = Math.max(...weights);
  tokens.forEach((token, n) => {
    const word = make("span", nameOf(token), { title: weights[n].toFixed(3) });
    word.style.setProperty("--weight", weights[n] / highest);
    if (unknown[n]) word.classList.add("unknown");
    text.append(word, " ");
  });
  return [best, text];
}

const nameOf = (token) => (token === "[END]" ? "∎" : token);

async function start(name, draw, method) {
  const [input, output] = [element(`${name}-input`), element(`${name}-output`)];
  try {
    const model = await loadModel(new URL(`models/${name}/`, document.baseURI).href);
    // For tests, and for the console.
    window.models = { ...window.models, [name]: model };
    await answer(input, output, async (text) => draw(await model[method](text), model.about.labels));
  } catch (error) {
    output.replaceChildren(make("p", String(error), { className: "error" }));
  }
}

await start("pronunciation", drawPronunciation, "generate");
await start("language", drawClass, "classify");
document.body.dataset.ready = "true";
