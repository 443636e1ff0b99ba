"""The MNIST co-design grid: accuracy and energy of a spiking network of spin neurons against width and variation.

``network`` trained weights as a named artifact; ``own_weights`` those of a file; ``chip`` one chip of eq. 3;
``calibrated`` its neurons after some pulses; ``draws`` the random numbers by address; ``reference`` one cell as the
equations read; ``model`` a whole plane of cells at once, with ``tables`` and ``kernels``; ``crossbar`` the mapping to
tiles of conductance pairs; ``sweep``, ``pulses_axis``, ``analysis`` and ``figures`` the experiment; ``energy_ledger``
where the energy of an image goes, ``account`` that of a cube.
"""
