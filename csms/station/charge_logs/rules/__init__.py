"""S6, B7: what registers, times and samples mean: energy, duration, units, keys of repeats, the curve."""

from csms.station.charge_logs.rules.moments import (AHEAD_MAX, BEHIND_MAX, CLOCK_SET, EARLIEST, Flag, LATEST, Moment, OFFLINE_AFTER, REGISTER_MAX_WH, bounded_register, duration_s, moment, repeat_key,)
from csms.station.charge_logs.rules.quantities import (LARGEST_CHARGE_WH, Measures, OUTLET, POWER, Quantity, REGISTER, SLACK_WH, STATE_OF_CHARGE, measures, number, quantity,)
from csms.station.charge_logs.rules.energy import (Energy, LARGEST_POWER_W, ROLLOVER_DIGITS, ROUNDING_STEPS_WH, Register, Tally, energy, is_rounding,)
from csms.station.charge_logs.rules.curves import (Point, curve, thinned,)
from csms.station.charge_logs.rules.stops import (OpenCharge, candidates,)
from csms.station.charge_logs.rules.use import (HOURS, PartOf, SPAN_MAX, Span, Use, WEEKDAYS, consumption, day_of, month_of, parts_between, usage,)

__all__ = ["AHEAD_MAX", "BEHIND_MAX", "CLOCK_SET", "EARLIEST", "Energy", "Flag", "HOURS", "LARGEST_CHARGE_WH", "LARGEST_POWER_W", "LATEST", "Measures", "Moment", "OFFLINE_AFTER", "OUTLET", "OpenCharge", "POWER", "PartOf", "Point", "Quantity", "REGISTER", "REGISTER_MAX_WH", "ROLLOVER_DIGITS", "ROUNDING_STEPS_WH", "Register", "SLACK_WH", "SPAN_MAX", "STATE_OF_CHARGE", "Span", "Tally", "Use", "WEEKDAYS", "bounded_register", "candidates", "consumption", "curve", "day_of", "duration_s", "energy", "is_rounding", "measures", "moment", "month_of", "number", "parts_between", "quantity", "repeat_key", "thinned", "usage",]
