"""Builds the documentation: what the repository says in Markdown, and a reference made from the code.

``python -m pages`` copies the Markdown files to ``build/docs-source`` and keeps their folders, so that their links
work. It writes the reference beside them, and has Sphinx make the pages of this version in ``build/docs/VERSION``.
"""
