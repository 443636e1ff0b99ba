"""Families of stochastic neurons: what an experiment may ask of a device, whatever device it is.

``family`` what a family is (protocols); ``registry`` finds the family of a card by entry point; ``base`` what most
families have in common; ``laws`` probability of firing against drive; ``card`` the file of parameters and its schema;
``levels`` two levels among readings, and what switched; ``fit`` a law to counts; ``parameters`` axes and parameters
of sweeps; ``hall_bar`` the first family, ``measured_card`` its card from measured bars, and ``hall_bar_reference``
its pulses one at a time; ``tunnel_junction`` the second family, with its own reference.
"""
