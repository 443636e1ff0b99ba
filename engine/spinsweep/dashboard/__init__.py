"""The Sweep page of the Dask dashboard and the sweep's metrics. bokeh is imported by ``page.py`` only.

The driver reports (``reports.py``), a plugin at the scheduler keeps what it was told (``watch.py``), and the page
(``page.py``) and the metrics (``metrics.py``) show it. Values of a cube are read by a process of their own
(``reader.py``).
"""
