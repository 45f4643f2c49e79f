"""How good a system is, in each language: ranks, intervals, reports, comparisons, tables and pages."""
