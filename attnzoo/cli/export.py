"""Write a SavedModel that TensorFlow runs alone: strings in, results out.

  attnzoo export runs/demo/preset exported --beam 5
  saved_model_cli run --dir exported --tag_set serve --signature_def serving_default \\
      --input_exprs 'text=["attention"]'
"""

from attnzoo.cli.evaluate import add_decoding_arguments, load_any_task


def add_arguments(parser):
    parser.add_argument("preset", help="a preset's directory or name")
    parser.add_argument("path", help="the SavedModel's directory")
    parser.add_argument("--inputs", choices=("text", "ids"), default="text")
    parser.add_argument("--max-length", type=int, metavar="T", help="longest output, in tokens")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    add_decoding_arguments(parser)


def run(arguments):
    from attnzoo.export import saved_model

    task = load_any_task(arguments)
    options = {} if arguments.max_length is None else {"max_length": arguments.max_length}
    saved_model(
        task,
        arguments.path,
        inputs=arguments.inputs,
        overwrite=arguments.overwrite,
        **options,
    )
    print(arguments.path)
