"""Devices behind emulated instruments.

``commands`` the verb ``emulate``; ``dut`` Hall bars and recordings at the terminals of emulated instruments.
"""
