"""Characterization: switching curves of devices, their bias current, window and gain against the width.

``sweep`` the experiment on simulated devices, ``log`` a laboratory's readings from CSV, ``analysis`` what
both do with the readings of one device, ``figures`` Fig. 2(c-k), 3(a, b), S3(b) and S6 of the paper.
"""
