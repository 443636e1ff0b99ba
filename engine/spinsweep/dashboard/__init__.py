"""The Sweep page of the Dask dashboard, and the sweep's metrics.

The driver reports (``reports.py``) to a plugin at the scheduler (``plugin.py``), which keeps what it hears
(``monitor.py``) and serves (``serving.py``) the page (``page.py``, its ``maps.py`` and ``widgets.py``, its words in
``html.py``) and the metrics (``metrics.py``). A process of its own reads the values of cubes (``reader.py``). Only
serving, page, maps and widgets import bokeh.
"""
