"""B1, B2, B7, B8: the pure OCPP protocol: text in, values out; no socket, clock, database or task.

Read the modules in this order:

``versions``      the protocol versions, their subprotocol names, and which one a handshake agrees on
``errors``        the kinds of protocol error, each version's word for them, and ``OcppError``
``frames``        one OCPP-J text to one value and back: CALL, CALLRESULT, CALLERROR, CALLRESULTERROR, SEND
``timestamps``    reads the times that stations write and writes the times that stations can read
``actions``       every action of every version with its direction and profile, as data
``schema``        compiled schemas: where a payload breaks its schema and what the standard calls that
``repairs``       named repairs of the breaches that real stations are known for
``confidential``  takes passwords and keys out of payloads and texts before they are stored or logged
``conversation``  the state of one connection: direction, duplicates, the one outstanding call, late answers

Nothing is re-exported here: import from the module that owns the name.
"""
