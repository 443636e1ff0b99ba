"""MNIST for the experiments that need digits: ``data`` reads and checks it."""
