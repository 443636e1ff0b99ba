"""Hardware-in-loop training: a small network whose neurons are stochastic devices, trained through their readings.

``images`` which digits; ``streams`` random numbers by key; ``network`` the weights, the Poisson trains, the gradient;
``neurons`` what applies a train of write pulses, and the device model as one; ``curves`` the switching curve of each
device; ``states`` what the readings decide; ``training`` the loop and the test; ``accuracy`` all test images at once
and ``reference`` the same image by image; ``sweep`` and ``replicates`` the experiments, ``analysis`` and ``figures``
what they say.
"""
