"""What one asks of the cube of any sweep: intervals, figures, tables, sensitivity, crossings, comparisons.

``intervals`` means, differences and shares with their intervals; ``design`` which axes a figure or a table has, and
which are replicates; ``estimates`` the mean of an output over the replicates; ``figures`` one figure for each output;
``look`` the look of figures.  Nothing here runs a sweep or opens a cube: it takes Datasets and DataArrays.
"""
