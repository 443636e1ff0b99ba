"""Builds the documentation: what the repository says in Markdown, and a reference made from the code.

``python -m pages`` copies the Markdown files to ``build/docs/source`` in the folders where they lie, so that their
links hold there as they do in the repository; writes the reference beside them; and has Sphinx make the pages of this
version, ``build/docs/VERSION``.
"""
