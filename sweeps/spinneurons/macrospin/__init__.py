"""The single-domain nanomagnet under a current pulse at a temperature (equation S3 and Fig. S7 of the paper).

``material`` parameters and the fields they give; ``reference`` the stochastic LLG equation as it is written;
``noise`` and ``model`` the same for thousands of trajectories, fast; ``equilibrium`` thermal start;
``fokker_planck`` exact probabilities where the problem has an axis of symmetry; ``barrier`` thermal activation, for
pulses that are too long to integrate; ``sweep``, ``analysis``, ``figures`` the experiment; ``bench`` how fast it is.
"""
