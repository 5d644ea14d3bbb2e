"""Sphinx reads this. Built pages ask no host for anything: formulas are MathML, fonts and scripts are local."""

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

project, author, copyright = "empirisk", "the empirisk authors", "the empirisk authors"
extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_theme_options = {"light_css_variables": {"code-font-size": ".8rem"}}
html_static_path = ["_static"]
html_css_files = ["docs.css"]
html_title = "empirisk"
html_show_sphinx = False
html_copy_source = False
html_math_renderer = "mathml"


def inline(self: Any, node: nodes.math) -> None:
    """$f$ in a line."""
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block(self: Any, node: nodes.math_block) -> None:
    """$$f$$ on its own."""
    self.body.append(f'<div style="padding: .5em 0; overflow-x: auto">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Formulas as MathML, which every current browser shows by itself."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
