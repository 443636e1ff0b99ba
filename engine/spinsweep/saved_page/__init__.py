"""A cube's page: one HTML file that needs nothing beside it, with a picture of the cube as it is now.

``contents`` reads the cube, ``curves`` and ``maps`` draw, ``html`` has the words, and ``file`` says where the page
goes and what it may replace.
"""
