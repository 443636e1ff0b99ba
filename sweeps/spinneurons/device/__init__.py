"""What experiments on devices share beside their numbers: the look of figures, devices behind emulated instruments.

``style`` the look of the figures; ``wilson`` error bars of counts; ``commands`` the verb ``emulate``; ``dut`` Hall
bars and recordings at the terminals of emulated instruments.
"""
