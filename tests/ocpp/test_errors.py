import pytest
from ocpp import exceptions

from csms.ocpp.errors import ErrorKind, OcppError, word
from csms.ocpp.versions import Version

pytestmark = pytest.mark.feature("B1")

WORDS_OF_16 = {
    "NotImplemented",
    "NotSupported",
    "InternalError",
    "ProtocolError",
    "SecurityError",
    "FormationViolation",
    "PropertyConstraintViolation",
    "OccurenceConstraintViolation",
    "TypeConstraintViolation",
    "GenericError",
}
WORDS_OF_2 = {
    "FormatViolation",
    "GenericError",
    "InternalError",
    "MessageTypeNotSupported",
    "NotImplemented",
    "NotSupported",
    "OccurrenceConstraintViolation",
    "PropertyConstraintViolation",
    "ProtocolError",
    "RpcFrameworkError",
    "SecurityError",
    "TypeConstraintViolation",
}


@pytest.mark.parametrize(
    ("version", "words"), [(Version.V16, WORDS_OF_16), (Version.V201, WORDS_OF_2), (Version.V21, WORDS_OF_2)]
)
def test_each_version_has_exactly_its_own_words(version: Version, words: set[str]) -> None:
    assert {word(kind, version) for kind in ErrorKind} == words


def test_the_words_of_16_are_known_to_the_ocpp_package() -> None:
    codes = {error.code for error in exceptions.OCPPError.__subclasses__()}
    assert codes >= WORDS_OF_16


def test_a_description_is_one_line_of_at_most_255_characters() -> None:
    error = OcppError(ErrorKind.GENERIC, "two\nlines " + "x" * 300)
    assert error.description.startswith("two lines x")
    assert len(error.description) == 255
    assert error.details == {}
