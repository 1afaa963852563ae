"""Formulas as MathML, which browsers draw themselves: no script, no font, no picture."""

import latex2mathml.converter

# What the converter calls otherwise.
_ENVIRONMENTS = {"aligned": "align"}


def to_mathml(formula: str, display: str) -> str:
    """Return MathML for a formula in LaTeX.

    Args:
        formula: The formula, without dollar signs.
        display: "inline" or "block".
    """
    for name, other in _ENVIRONMENTS.items():
        for side in ("begin", "end"):
            formula = formula.replace(f"\\{side}{{{name}}}", f"\\{side}{{{other}}}")
    return latex2mathml.converter.convert(formula, display=display)


def _visit_inline(writer, node):
    from docutils import nodes

    writer.body.append(to_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _visit_block(writer, node):
    from docutils import nodes

    writer.body.append(f'<div class="math">{to_mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
