"""S25: what charging profiles do.

known.py      what a station has, and what runs there
storing.py    what answers to our calls mean
telling.py    what stations tell by themselves
sending.py    what operators do
in_force.py   what is allowed now, and over the next hours
"""
