"""Lines of files: one way to read them, for every reader and every command."""

import gzip
import io
import os
import threading

import pytest

from attnzoo.data import read_inflections, read_labelled, read_lines, read_parallel, read_texts
from attnzoo.data import read_tsv as read_pairs

pytestmark = pytest.mark.backend_free

# A line that each reader can read.
READERS = {
    read_lines: b"a b\n",
    read_texts: b"a b\n",
    read_labelled: b"a b\n",
    read_pairs: b"a\tb\n",
    read_inflections: b"a\tb\tN;SG\n",
}
both = pytest.mark.parametrize(("read", "line"), READERS.items())


def test_lines_end_at_a_line_feed_alone(tmp_path):
    path = tmp_path / "texts"
    path.write_bytes("a\rb\r\n\n \u2028c\x85\x0b\n\rd".encode())
    assert list(read_lines(path)) == ["a\rb", "", " \u2028c\x85\x0b", "\rd"]


@both
def test_a_mark_a_carriage_return_and_compression_make_no_difference(read, line, tmp_path):
    plain, marked, packed = (tmp_path / name for name in ("a", "b", "c.GZ"))
    plain.write_bytes(2 * line)
    marked.write_bytes(b"\xef\xbb\xbf" + 2 * line.replace(b"\n", b"\r\n"))
    packed.write_bytes(gzip.compress(line) + gzip.compress(line))  # In two members.
    assert len(list(read(plain))) == 2
    assert list(read(plain)) == list(read(marked)) == list(read(str(packed)))


@both
def test_standard_input_is_read_by_its_sign(read, line, tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(line)
    for stream in (io.TextIOWrapper(io.BytesIO(line)), io.StringIO(line.decode())):
        monkeypatch.setattr("sys.stdin", stream)
        assert list(read("-")) == list(read(tmp_path / "a"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(line + b"\xff\n")))
    with pytest.raises(ValueError, match=r"standard input, line 2. Received: b'\\xff"):
        list(read("-"))


@both
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_an_empty_file_is_an_error(read, line, name, tmp_path):
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"") if path.suffix == ".gz" else b"")
    with pytest.raises(ValueError, match=f"{name}, line 1. Received: an empty file"):
        list(read(path))


@pytest.mark.parametrize("read", list(READERS)[1:])
def test_a_file_of_blank_lines_is_an_error_where_blank_lines_are_skipped(read, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\n \n\n")
    with pytest.raises(ValueError, match="a.txt, line 4. Received: 3 blank lines"):
        list(read(path))
    assert list(read_lines(path)) == ["", " ", ""]


def test_two_empty_files_are_an_error(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(ValueError, match="a and .*a, line 1. Received: empty files"):
        list(read_parallel(tmp_path / "a", tmp_path / "a"))


def test_standard_input_is_read_once():
    with pytest.raises(ValueError, match="can be read once.* Received: source_path='-', target_"):
        read_parallel("-", "-")


@both
def test_a_broken_compressed_file_is_an_error_with_file_and_line(read, line, tmp_path):
    path = tmp_path / "a.gz"
    whole = gzip.compress(b"".join(os.urandom(9).hex().encode() + line for _ in range(2000)))
    for data in (whole[:20_000], whole[:-4], whole[:-8] + bytes(8), b"plain text"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"must be whole: .*a.gz, line \d+. Received: "):
            list(read(path))


def test_a_file_that_was_cut_gives_its_lines_first(tmp_path):
    path = tmp_path / "a.gz"
    lines = [os.urandom(20).hex() for _ in range(5000)]
    path.write_bytes(gzip.compress("\n".join(lines).encode())[:-2000])
    read, found = read_lines(path), []
    with pytest.raises(ValueError, match="must be whole: .*a.gz, line ") as error:
        found.extend(iter(lambda: next(read), None))
    assert len(found) > 1000 and found == lines[: len(found)]
    assert f"line {len(found) + 1}." in str(error.value)


@both
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be", "latin-1"])
def test_another_encoding_is_an_error_with_file_and_line(read, line, encoding, tmp_path):
    path = tmp_path / "a.txt"
    text = line.decode()
    path.write_bytes((text + text.replace("b", "bé")).encode(encoding))
    number = 2 if encoding == "latin-1" else 1
    with pytest.raises(ValueError, match=f"a.txt, line {number}. Received: b'"):
        list(read(path))


def test_a_folder_is_no_file_and_a_pipe_is_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="must be a file that exists. Received: path="):
        read_lines(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"a\nb\n",))
    writer.start()
    assert list(read_lines(pipe)) == ["a", "b"]
    writer.join()
