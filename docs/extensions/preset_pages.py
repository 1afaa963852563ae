"""Pages of the built-in presets: a table of them, and a page for each card.

They are made of the cards in `attnzoo/presets/`. In a page stands

    ```{preset-list}
    ```

and the cards are written into `docs/cards/` before Sphinx looks for pages.
"""

import pathlib
import re
import shutil

DOCS = pathlib.Path(__file__).resolve().parents[1]


def preset_list() -> str:
    """Return the table of all presets, each with a link to its card, in Markdown."""
    from attnzoo.presets import list_presets
    from attnzoo.presets.markdown import render_list

    cards = list_presets()
    return re.sub(
        r"`(\w+)`",
        lambda found: f"[{found[0]}](cards/{found[1]}.md)" if found[1] in cards else found[0],
        render_list(cards),
    )


def write_cards(folder) -> None:
    """Write a page for each card.

    Args:
        folder: Folder for the pages. What it holds is replaced.
    """
    from attnzoo.presets import list_presets

    folder = pathlib.Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, card in list_presets().items():
        (folder / f"{name}.md").write_text(card.to_markdown(), encoding="utf-8")


def setup(app):
    from sphinx.util.docutils import SphinxDirective

    class PresetList(SphinxDirective):
        def run(self):
            return self.parse_text_to_nodes(preset_list())

    write_cards(DOCS / "cards")
    app.add_directive("preset-list", PresetList)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
