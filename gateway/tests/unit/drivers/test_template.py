from decimal import Decimal

from scaleledger.domain.inputs import Problem
from scaleledger.domain.reading import Reading
from scaleledger.drivers import _template


def test_the_template_is_a_working_driver():
    reading = Reading(Decimal("-12.30"), "kg", stable=False)
    facts = _template.driver().receive(0.0, _template.encode(reading) + b"W 1.0 kg\r\n")
    assert [type(fact) for fact in facts] == [Reading, Problem]
    assert (str(facts[0].weight), facts[0].unit, facts[0].stable) == ("-12.30", "kg", False)
