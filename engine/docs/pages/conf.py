"""Sphinx's settings; ``pages.__main__`` says where it reads and writes."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Any

from pages.docstrings import processed

project = "spinsweep"
author = "the spinsweep developers"
copyright = "2026, the spinsweep developers"
release = version = version_of("spinsweep")
html_title = f"spinsweep {release}"
root_doc = "engine/docs/index"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
html_theme = "furo"
html_theme_options = {"navigation_with_keys": True}
html_show_sourcelink = False
html_show_search_summary = False  # it fetches the pages, which a browser refuses for files
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["site.css"]
smartquotes = False  # would make a dash of --store
language = "en"

myst_heading_anchors = 6  # as a code-hosting page gives them
myst_enable_extensions = ["deflist", "dollarmath"]
myst_links_external_new_tab = False

toc_object_entries_show_parents = "hide"
autodoc_default_options = {"exclude-members": "model_config, __new__"}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_class_signature = "separated"
napoleon_google_docstring = False
python_maximum_signature_line_length = 100
copybutton_only_copy_prompt_lines = False
suppress_warnings = ["ref.python"]  # a type is named as its module names it, and another module has one of this name


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", processed, priority=400)
