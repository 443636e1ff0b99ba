"""Files of measurements: any laboratory's, read into one table and mapped to the quantities of a characterization."""
