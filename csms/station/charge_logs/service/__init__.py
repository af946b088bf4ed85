"""S6, B7: what charge logs do.

memory.py     what handlers know of a connected station's charges
samples.py    meter samples, each stored once
starting.py   a charge begins
measuring.py  … is measured
ending.py     … ends, by its stop or by an estimate
records.py    what operators read, correct and complete
"""
