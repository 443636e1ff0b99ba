"""What one asks of the cube of any sweep: intervals, figures, tables, sensitivity, crossings, comparisons.

``intervals`` means, differences and shares with their intervals; ``cells`` the Dataset with unfinished cells blank;
``design`` which axes a figure or a table has, and which are replicates; ``estimates`` the mean of an output over the
replicates; ``curves`` the curves of a view, also block by block; ``figures`` one figure for each output, ``drawing``
its panels, ``scales`` its axes and ``look`` its look; ``tables`` means and half widths; ``sensitivity`` main effects
and Sobol indices; ``crossings`` of a threshold; ``comparison`` of two cubes; ``resampling`` the bootstrap over
replicates.  Nothing here runs a sweep or opens a cube: it takes Datasets and DataArrays.
"""
