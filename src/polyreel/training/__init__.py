"""How a student learns: recipes, objectives, batches, teachers, the loop, and grids of runs."""
