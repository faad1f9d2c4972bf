"""Break a rule on purpose and see a named test turn red: proof that the rule is held by a test, kept as a test.

`rules_*.py` are the tables, `runner.py` plants and runs, `test_mutants.py` is what pytest collects; `redteam.py`
plays attacks on servers that run a mutant. Every mutant is planted in a copy; the working tree is never touched.
"""
