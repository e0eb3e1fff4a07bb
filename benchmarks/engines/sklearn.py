"""scikit-learn's MLP: ReLU networks without batch normalisation."""

import warnings

from benchmarks.engines import beyond, installed, versions

NAME = "scikit-learn"


def available():
    return installed("sklearn")


def version():
    return versions("scikit-learn")


def unsupported(workload):
    if workload.batch_norm:
        return "no batch normalisation"
    return beyond(workload, activations=("relu",))


def train(workload, x, y, threads):
    return _trainer(_estimator(workload), workload, x, y, threads)


def _estimator(workload):
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    rule = workload.optimizer
    return (MLPRegressor if workload.loss == "mse" else MLPClassifier)(
        hidden_layer_sizes=workload.sizes[1:-1],
        activation=workload.activation,
        solver=rule.kind,
        alpha=0.0,  # no L2 penalty, as everywhere else
        batch_size=workload.batch,
        learning_rate_init=rule.learning_rate,
        momentum=rule.momentum,
        nesterovs_momentum=rule.nesterov,
        epsilon=rule.epsilon,
        n_iter_no_change=float("inf"),  # all epochs that are asked for
        tol=0.0,
        warm_start=True,  # fit() trains on
        random_state=0,
    )


def _trainer(estimator, workload, x, y, threads):
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    targets = y.ravel() if workload.sizes[-1] == 1 else y
    scale = 2.0 if workload.loss == "mse" else 1.0  # it minimises half of the mean squared error

    def run(epochs):
        with warnings.catch_warnings(), threadpool_limits(threads):
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.set_params(max_iter=epochs).fit(x, targets)
        return scale * estimator.loss_

    return run
