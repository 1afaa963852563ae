"""Draw where a model looked.

attnzoo plot runs/demo/preset attention phoneme --output alignments.png
attnzoo plot runs/demo/preset cough --target "K AO F" --output cough.png
"""

from attnzoo.cli.evaluate import add_decoding_arguments, load_task


def add_arguments(parser):
    parser.add_argument("preset", help="a preset's directory or name")
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="one or more sources")
    parser.add_argument(
        "--target", action="append", metavar="TEXT", help="look along this output, one a source"
    )
    parser.add_argument("--output", required=True, metavar="FILE", help=".png, .pdf or .svg")
    add_decoding_arguments(parser)


def run(arguments):
    targets = arguments.target
    if targets and len(targets) != len(arguments.sources):
        raise ValueError(
            "There must be one --target for each source, or none. "
            f"Received: {len(arguments.sources)} sources, {len(targets)} targets"
        )
    task = load_task(arguments)
    figure = plot_task(task, arguments.sources, targets or task.generate(arguments.sources))
    figure.savefig(arguments.output)
    print(arguments.output)


def plot_task(task, sources, targets):
    """A figure with the alignments of each pair."""
    from attnzoo.plotting import plot_alignment_page, plot_alignments

    alignments = task.alignments({"encoder_text": sources, "decoder_text": targets})
    items = [
        (
            one,
            task.preprocessor.tokens(source, "source"),
            task.preprocessor.tokens(target, "target"),
        )
        for one, source, target in zip(alignments, sources, targets, strict=True)
    ]
    return plot_alignments(*items[0]) if len(items) == 1 else plot_alignment_page(items)
