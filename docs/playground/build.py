"""Make the page complete: `make playground`.

It copies ONNX Runtime from `node_modules`, and exports the pronunciation preset with a beam search
that returns five hypotheses. The model of languages is in the repository.
"""

import pathlib
import shutil

import attnzoo

PAGE = pathlib.Path(__file__).parent
# Without WebGPU: half of the size.
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
PRESET = "rnn_seq2seq_small_cmudict"


def main():
    vendor = PAGE / "vendor"
    vendor.mkdir(exist_ok=True)
    for name in FILES:
        shutil.copy(PAGE / "node_modules" / "onnxruntime-web" / "dist" / name, vendor)
    task = attnzoo.models.RNNSeq2SeqLM.from_preset(PRESET)
    beam = attnzoo.samplers.BeamSampler(5, num_hypotheses=5)
    path = PAGE / "models" / "pronunciation"
    attnzoo.export.onnx(task, path, sampler=beam, overwrite=True)
    print(f"{PAGE / 'index.html'}: serve this folder, as `python -m http.server` does.")


if __name__ == "__main__":
    main()
