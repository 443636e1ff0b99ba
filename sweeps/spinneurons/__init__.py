"""Experiments on spin-orbit-torque Hall bars that act as stochastic neurons, one folder an experiment.

``spinneurons.device`` holds what they share: the device card, its physics, the pulse protocol, the fit and the
look of the figures.  The experiments import it, and never each other.

Paper: Islam, Yang, Shukla, Khanal, Zhou, Wang, Sengupta, "Hardware in Loop Learning with Spin Stochastic
Neurons", Advanced Intelligent Systems 6(7), 2024, DOI 10.1002/aisy.202300805 ("the paper" in every
docstring).
"""
