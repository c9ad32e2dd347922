"""The regime detectors."""

from quant.regime import Detector
from quant.regimes.hidden_markov import HIDDEN_MARKOV
from quant.regimes.rules import RULES

DETECTORS: dict[str, Detector] = {detector.name: detector for detector in (RULES, HIDDEN_MARKOV)}
