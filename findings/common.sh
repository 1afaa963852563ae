# What the findings share. A script sources this file, then calls `install`, `run` and `seen`.
#
#   install PACKAGE==VERSION ...   into a new environment in a temporary folder, removed at exit
#   run < PROGRAM                  run a Python program there, show what it prints, and keep it
#   seen < EXPECTED                fail unless exactly this was printed
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # Nothing of ours can be imported from here.
unset PYTHONPATH PYTHONHOME
export CUDA_VISIBLE_DEVICES= JAX_PLATFORMS=cpu OMP_NUM_THREADS=1 KERAS_HOME="$folder/keras"

install() {
    test -d venv || python3 -m venv --without-pip venv
    python3 -m pip --python venv/bin/python install \
        --quiet --disable-pip-version-check --no-compile "$@" || {
        echo "Not installed: $*" >&2
        exit 2
    }
}

run() {
    cat > program.py
    venv/bin/python -W ignore program.py > output.txt 2> errors.txt || {
        cat output.txt errors.txt
        echo "The program failed." >&2
        exit 1
    }
    cat output.txt
}

seen() {
    cat > expected.txt
    if ! diff expected.txt output.txt > difference.txt; then
        echo "The behaviour has changed (< as stated, > as seen now):"
        cat difference.txt
        exit 1
    fi
    echo "As stated."
}
