from typing import Literal

import pytest

from csms.ocpp.versions import Version, negotiate

V16, V201, V21 = Version.V16, Version.V201, Version.V21

pytestmark = pytest.mark.feature("B1")


@pytest.mark.parametrize(
    ("offered", "enabled", "prefer", "agreed"),
    [
        pytest.param(["ocpp1.6", "ocpp2.0.1"], [V201, V16], "station", V16, id="the station's order"),
        pytest.param(["ocpp1.6", "ocpp2.0.1"], [V201, V16], "csms", V201, id="our order when set so"),
        pytest.param(["ocpp1.5", "ocpp2.1", "ocpp1.6"], [V16], "station", V16, id="unknown and disabled skipped"),
        pytest.param(["ocpp2.0"], [V16, V201, V21], "station", None, id="2.0 is not 2.0.1"),
        pytest.param(["OCPP1.6"], [V16], "station", None, id="names are exact"),
        pytest.param([], [V16], "station", None, id="none offered"),
        pytest.param(["ocpp1.6"], [], "csms", None, id="none enabled"),
        pytest.param(["ocpp1.6", "ocpp1.6"], [V16], "csms", V16, id="offered twice"),
    ],
)
def test_negotiation_picks_the_best_common_version(
    offered: list[str], enabled: list[Version], prefer: Literal["station", "csms"], agreed: Version | None
) -> None:
    assert negotiate(offered, enabled, prefer=prefer) is agreed


def test_a_version_is_its_registered_subprotocol_name() -> None:
    assert [str(version) for version in Version] == ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]
