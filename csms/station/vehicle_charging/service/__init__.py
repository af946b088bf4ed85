"""S25: vehicles.

hearing.py   what they tell through stations
planning.py  the limits that are calculated for them
"""
