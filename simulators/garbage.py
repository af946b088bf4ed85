"""F5: texts that are no OCPP, for stations that send rubbish on demand."""

GARBAGE = (
    "this is no JSON",
    "[]",
    '{"2":"not an array"}',
    '[2,"garbage-1"]',
    '[2,"garbage-2",{},{}]',
    '[2,"garbage-3","Heartbeat",[]]',
    '[3,"nobody-asked",{}]',
    '[4,"nobody-asked","GenericError","",{}]',
    '[9,"unknown-type",{}]',
    "[" * 2_000,
)
