"""The network of MNIST whose neurons are the devices of a characterization; see README.md of codesign."""
