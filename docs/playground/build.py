"""Make a copy of the page complete: `make playground`.

It copies ONNX Runtime from the copy's `node_modules`, and exports the pronunciation preset with a
beam search that returns five hypotheses. The model of languages is in the repository.
"""

import argparse
import pathlib
import shutil

import attnzoo

# Without WebGPU: half of the size.
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
PRESET = "rnn_seq2seq_small_cmudict"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=pathlib.Path, help="the copy of docs/playground")
    page = parser.parse_args().page
    (page / "vendor").mkdir(exist_ok=True)
    for name in FILES:
        shutil.copy(page / "node_modules" / "onnxruntime-web" / "dist" / name, page / "vendor")
    task = attnzoo.models.RNNSeq2SeqLM.from_preset(PRESET)
    beam = attnzoo.samplers.BeamSampler(5, num_hypotheses=5)
    path = page / "models" / "pronunciation"
    attnzoo.export.onnx(task, path, sampler=beam, overwrite=True)
    print(f"Serve the page with: python3 -m http.server --directory {page}")


if __name__ == "__main__":
    main()
