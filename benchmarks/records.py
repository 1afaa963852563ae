"""Move the records of finished runs between their folders and a file with one record a line.

    python benchmarks/records.py add benchmarks/runs/finnish.jsonl runs/luong runs/exact
    python benchmarks/records.py extract benchmarks/runs/finnish.jsonl /tmp/finnish

`add` appends the record of each folder to the file, or replaces the one of the same name. `extract`
writes each record as the files that `attnzoo train` and `attnzoo evaluate` left, in a folder for
each run.
"""

import argparse
import pathlib

from attnzoo.cli.run_records import read_folder, read_runs, to_line, write_folder


def main(arguments=None):
    """Run the command.

    Args:
        arguments: List of command-line arguments. `None` takes the process's own.
    """
    options = _parse(arguments)
    if options.command == "add":
        add(options.file, options.runs)
    else:
        for record in read_runs(options.file):
            write_folder(record, options.folder)


def add(file, folders):
    """Write the records of runs to a file, in the order of their names.

    Args:
        file: The `.jsonl` file. It may exist.
        folders: Folders that `attnzoo train` made.
    """
    file = pathlib.Path(file)
    records = {record.name: record for record in (read_runs(file) if file.exists() else ())}
    records.update({record.name: record for record in map(read_folder, folders)})
    lines = [to_line(records[name]) + "\n" for name in sorted(records)]
    file.write_text("".join(lines), encoding="utf-8")


def _parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("add", help="from folders of runs into a file")
    command.add_argument("file", metavar="FILE.jsonl")
    command.add_argument("runs", nargs="+", metavar="RUN")
    command = commands.add_parser("extract", help="from a file into folders of runs")
    command.add_argument("file", metavar="FILE.jsonl")
    command.add_argument("folder", metavar="FOLDER")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
