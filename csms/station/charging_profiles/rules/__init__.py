"""S25: charging profiles as values, the same for every OCPP version.

profile.py    what a profile is
wire.py       … as OCPP 1.6, 2.0.1 and 2.1 write it
checks.py     … and what is wrong with it
curve.py      limits over time
composite.py  … of all profiles together, for a charge point or the station
limits.py     the profile behind "limit this to 11 kW"
"""
