"""The visible list of all learning algorithms, by name. The first is the one that nights and allocators rely on."""

from ml_models.algorithm import Algorithm
from ml_models.algorithms import elastic_net, ensemble, lightgbm_trees, xgboost_trees

_SINGLE = (xgboost_trees.XGBOOST, lightgbm_trees.LIGHTGBM, elastic_net.ELASTIC_NET)
ALGORITHMS: dict[str, Algorithm] = {
    algorithm.name: algorithm for algorithm in (*_SINGLE, ensemble.ensemble_of(_SINGLE))
}
