"""What an instruction costs: cycles of one core, to a factor of two, which is enough to choose a thread count; and the
floating-point operations and bytes that no way of computing it can do without."""

import math

from fastnn._engine.runtime import vector_floats

_LANES = vector_floats()


def gemm_cycles(k, n):
    """Cycles for one row of a product with a k x n matrix: two vector multiply-adds a cycle, 70 % of the time."""
    vectors = -(-n // _LANES)
    return k * vectors / 1.4 + 4


def elementwise_cycles(n, cycles_for_8):
    """Cycles for one row of n values, given the cost of 8 values with 8 lanes."""
    vectors = -(-n // _LANES)
    return vectors * max(1.0, cycles_for_8) + 2


def shares_rows(k, n, rows):
    """Had threads better share the rows of products with a k x n matrix, rather than its panels?

    Then rows of the input and of the output stay with one thread, but all of the matrix is read by every thread, and
    changed by one: whichever is more travels between their caches twice in a step.
    """
    return 2 * k * n <= rows * (k + n)


def halves_rows(k, n, rows):
    """Is the weight gradient of a k x n matrix computed in two halves of the rows? (``dense_weights.c`` has the rule,
    and applies it to the rows that there are; this says whether they may ever be so many.)"""
    return rows >= 128 and shares_rows(k, n, rows)


# Of each operation of the engine: its flops, and the values (4 bytes each) that it reads and writes of each operand.
# Factors are numbers, the instruction's dimensions, m, its rows, and width, the share of 4 bytes that a weight takes.
# What stands behind "name=" counts where there is such an operand; "name+=" counts twice where the instruction adds to
# it. Additions, multiplications, comparisons, divisions and elementary functions are one flop each. What is done in
# passing (a bias, an activation, its derivative) counts as none, so that a dense layer has the 2 m k n that everybody
# counts.
_LOGITS = "z=m*n y=m*n row_loss=m dz=m*n weights=m"
_PROBABILITIES = "p=m*n row_loss=m dp=m*n weights=m"
COUNTS = {
    "activation_forward": ("m*n slope=m*n", "x=m*n y=m*n slope=m*n"),
    "activation_backward": ("2*m*n", "v=m*n dy=m*n dx=m*n"),
    "softmax_forward": ("5*m*n", "x=m*n y=m*n"),
    "softmax_backward": ("4*m*n", "y=m*n dy=m*n dx=m*n"),
    "affine_forward": ("2*m*n", "x=m*n scale=n shift=n y=m*n"),
    "affine_backward": ("m*n", "dy=m*n scale=n dx=m*n"),
    "dense_forward": ("2*m*k*n", "x=m*k w=k*n bias=n y=m*n slope=m*n"),
    "packed_dense": ("2*m*k*n", "x=m*k w=k*n*width bias=n scale=n y=m*n"),
    "dense_backward_weights": ("2*m*k*n", "x=m*k dz=m*n dw+=k*n db+=n half_dw=k*n half_db=n"),
    "dense_backward_input": ("2*m*k*n", "dz=m*n w=k*n v=m*k dx+=m*k"),
    "add": ("m*n", "a=m*n b=m*n y=m*n"),
    "copy_vector": ("", "x=n y=n"),
    "gather": ("", "source=m*n y=m*n"),
    "gather_labels": ("", "source=m labels=m"),
    "scatter": ("", "y=m*n out=m*n"),
    "reshape": ("", "x=m*rows_x*n_x y=m*rows_y*n_y"),
    "softmax_crossentropy_sparse": ("7*m*n dz=2*m*n", f"{_LOGITS} labels=m"),
    "softmax_crossentropy_dense": ("7*m*n dz=2*m*n", f"{_LOGITS} targets=m*n"),
    "sigmoid_crossentropy": ("10*m*n dz=2*m*n", f"{_LOGITS} targets=m*n"),
    "crossentropy_sparse": ("m*n dp=3*m*n", f"{_PROBABILITIES} labels=m"),
    "crossentropy_dense": ("7*m*n dp=5*m*n", f"{_PROBABILITIES} targets=m*n"),
    "binary_crossentropy": ("9*m*n dp=5*m*n", f"{_PROBABILITIES} targets=m*n"),
    "mean_squared_error": ("3*m*n dp=m*n", f"{_PROBABILITIES} targets=m*n"),
    "mean_absolute_error": ("3*m*n dp=2*m*n", f"{_PROBABILITIES} targets=m*n"),
    "huber": ("8*m*n dp=3*m*n", f"{_PROBABILITIES} targets=m*n"),
    "log_cosh": ("12*m*n dp=3*m*n", f"{_PROBABILITIES} targets=m*n"),
    "mean_absolute_percentage_error": ("6*m*n dp=3*m*n", f"{_PROBABILITIES} targets=m*n"),
    "mean_squared_logarithmic_error": ("8*m*n dp=3*m*n", f"{_PROBABILITIES} targets=m*n"),
    "poisson": ("6*m*n dp=3*m*n", f"{_PROBABILITIES} targets=m*n"),
    "hinge": ("6*m*n dp=3*m*n", f"{_PROBABILITIES} targets=m*n"),
    "squared_hinge": ("7*m*n dp=3*m*n", f"{_PROBABILITIES} targets=m*n"),
    "binary_focal_crossentropy": ("20*m*n dp=3*m*n", f"{_PROBABILITIES} targets=m*n"),
    "kl_divergence": ("7*m*n dp=3*m*n", f"{_PROBABILITIES} targets=m*n"),
    "cosine_similarity": ("6*m*n dp=3*m*n", f"{_PROBABILITIES} targets=m*n"),
    "categorical_hinge": ("6*m*n dp=3*m*n", f"{_PROBABILITIES} targets=m*n"),
    "categorical_focal_crossentropy": ("14*m*n dp=3*m*n", f"{_PROBABILITIES} targets=m*n"),
    "tversky": ("4*m*n dp=3*m*n", f"{_PROBABILITIES} targets=m*n"),
    "generalized_crossentropy": ("3*m", "p=m labels=m weights=m row_loss=m dp=m*n"),
    "circle": ("2*m*m*n", "p=m*n labels=m row_loss=m weights=m positive=m negative=m unit=m counted=m"),
    "circle_gradient": ("4*m*m*n", "p=m*n labels=m positive=m negative=m unit=m dp=m*n"),
    "rescale_loss": ("m dp=m*n", "weights=m labels=m row_loss=2*m dp=2*m*n"),
    "ignore_labels": ("m", "labels=m out=m"),
    "accumulate": ("m weights=2*m", "values=m weights=m acc=8"),
    "sparse_accuracy": ("m*n", "p=m*n labels=m values=m"),
    "categorical_accuracy": ("2*m*n", "p=m*n targets=m*n values=m"),
    "binary_accuracy": ("3*m*n", "p=m*n targets=m*n values=m"),
    "equal_values": ("2*m*n", "p=m*n targets=m*n values=m"),
    "sparse_top_k": ("2*m*n", "p=m*n labels=m values=m"),
    "categorical_top_k": ("3*m*n", "p=m*n targets=m*n values=m"),
    "pearson": ("10*m*n", "p=m*n targets=m*n values=m"),
    "concordance": ("10*m*n", "p=m*n targets=m*n values=m"),
    "threshold_histogram": ("5*m*end", "p=m*end targets=m*end weights=m state=4*m*end"),
    "class_counts": ("8*m*n", "p=m*n targets=m*n weights=m state=16*n"),
    "confusion_matrix": ("m*n", "p=m*n targets=m*n labels=m weights=m state=4*m"),
    "regression_moments": ("9*m*n", "p=m*n targets=m*n weights=m state=16*n"),
    "top_k_filter": ("m*n*k", "p=m*n y=m*n"),
    "sgd": ("2*n momentum=3*n", "param=2*n grad=n momentum=2*n"),
    "adam": ("12*n velocity_hat=n", "param=2*n grad=n momentum=2*n velocity=2*n velocity_hat=2*n"),
    "adamax": ("10*n", "param=2*n grad=n momentum=2*n norm=2*n"),
    "nadam": ("14*n", "param=2*n grad=n momentum=2*n velocity=2*n"),
    "lion": ("8*n", "param=2*n grad=n momentum=2*n"),
    "rmsprop": (
        "8*n momentum=2*n average_gradient=4*n",
        "param=2*n grad=n velocity=2*n momentum=2*n average_gradient=2*n",
    ),
    "adagrad": ("6*n", "param=2*n grad=n accumulator=2*n"),
    "adadelta": ("13*n", "param=2*n grad=n accumulated_grad=2*n accumulated_delta_var=2*n"),
    "ftrl": ("16*n", "param=2*n grad=n accumulator=2*n linear=2*n"),
    "lamb_direction": ("16*n", "param=n grad=2*n momentum=2*n velocity=2*n"),
    "lamb_apply": ("2*n", "param=2*n direction=n"),
    "adafactor_moments": ("6*n", "param=n grad=n c=2*batches*columns"),
    "adafactor_rows": ("4*batches*height", "r=2*batches*height root=batches*height"),
    "adafactor_direction": ("4*n", "grad=2*n r=batches*height c=batches*columns"),
    "adafactor_vector": ("11*n", "param=n grad=2*n velocity=2*n"),
    "adafactor_apply": ("2*n", "param=2*n direction=n"),
    "muon_adam": ("12*n", "param=2*n grad=n momentum=2*n velocity=2*n"),
    "muon_momentum": ("6*n", "param=n grad=2*n momentum=2*n"),
    "muon_start": ("height*columns", "grad=height*columns x=height*columns"),
    "muon_product": ("2*height*k*n", "x=height*k w=k*n y=height*n"),
    "muon_blend": ("3*height*n", "x=height*n y=2*height*n"),
    "muon_apply": ("2*height*columns", "param=2*height*columns x=height*columns"),
    "join_halves": ("n", "grad=2*n half=n"),
    "accumulate_gradients": ("n", "grad=n accumulator=2*n"),
    "sum_squares": ("2*n", "x=n"),
    "prepare_update": ("4*n", "param=2*n grad=2*n"),
    "update_numbers": ("", "rate=1 iterations=1 updates=1"),
    "average_weights": ("3*n", "param=n average=2*n"),
    "norm_constraint": ("3*k*n", "w=2*k*n"),
    "masked_weights": ("", "w=2*n mask=n"),
    "non_negative": ("n", "w=2*n"),
    "weight_penalty": ("4*n grad=3*n", "w=n grad+=n"),
    "activity_penalty": ("4*m*n", "y=m*n values=m"),
    "activity_gradient": ("4*m*n", "y=m*n dy=m*n dx=m*n"),
    "unit_rows": ("3*k*n", "w=k*n u=k*n"),
    "orthogonal_penalty": ("4*k*k*n", "u=k*n grad+=k*n"),  # of rows
    "add_penalty": ("count", "sums=2*count acc=4"),
    "batchnorm_train": (
        "8*m*n",
        "x=m*n gamma=n beta=n moving_mean=2*n moving_variance=2*n mean=n inv_std=n y=m*n xhat=m*n",
    ),
    "batchnorm_infer": (
        "3*m*n",
        "x=m*n gamma=n beta=n moving_mean=n moving_variance=n mean=n inv_std=n y=m*n",
    ),
    "batchnorm_backward": ("4*m*n dx=7*m*n", "x=m*n mean=n inv_std=n gamma=n dy=m*n dx=m*n dgamma+=n dbeta+=n"),
    "batchnorm_dense_gradients": ("7*k*n", "w=k*n dw=2*k*n db=n gamma=k beta=k"),
    "batchnorm_dense_sums": ("", "dgamma=k dbeta=k"),
    "dropout_forward": ("m*n", "x=m*n y=m*n mask=0.03125*m*n"),  # a bit for each value
    "callback": ("", ""),  # nobody knows
    "expression": ("m*n", "o0=m*n o1=m*n o2=m*n o3=m*n o4=m*n o5=m*n o6=m*n o7=m*n o8=m*n o9=m*n"),
    "reduce_columns": ("m*per*n", "x=m*per*n y=m*per"),
    "reduce_rows": ("m*n*count", "x=m*n*count y=m*n"),
    "batch_size": ("", "y=1"),
    "arrange": ("", "x=m y=m"),
    "pack_panels": ("", "x=k*n y=k*n"),
    "unpack_panels": ("", "x=k*n y=k*n"),
    "matmul": ("2*m*groups*height*k*n", "a=m*groups*height*k b=m*groups*k*n y=m*groups*height*n"),
    "copy_rows": ("", "x=m*n y=m*n"),
    "dropout_backward": ("m*n", "dy=m*n mask=0.03125*m*n dx=m*n"),
    "masked_forward": ("2*m*n", "x=m*n y=m*n mask=0.03125*m*n"),
    "noise": ("2*m*n", "v=m*n x=m*n y=m*n"),
    "prelu": ("m*n", "v=m*n x=m*n y=m*n"),
    "prelu_gradient": ("2*m*n", "x=m*n dy=m*n dalpha+=alpha_rows*alpha_n"),
    "rownorm_forward": ("8*m*n", "x=m*n gamma=n beta=n y=m*n mean=m inv=m"),
    "rownorm_backward": ("9*m*n", "x=m*n mean=m inv=m gamma=n dy=m*n dx=m*n"),
    "column_gradients": ("4*m*n", "x=m*n mean=m inv=m dy=m*n dgamma+=n dbeta+=n"),
    "embedding": ("", "ids=m table=m*n y=m*n"),
    "embedding_gradient": ("m*n", "ids=m dy=m*n dtable+=vocabulary*n"),
    "category_encode": ("", "ids=m*per y=m*n"),
    "discretize": ("m*n*bins", "x=m*n boundaries=bins y=m*n"),
    "random_warp": ("20*m*h*w*c", "x=m*h*w*c y=m*h*w*c"),
    "random_intensity": ("3*m*pixels*c", "x=2*m*pixels*c y=m*pixels*c"),
    "mixup": ("3*m*n", "x=2*m*n y=m*n"),
    "replace_features": ("2*m*n", "x=2*m*n y=m*n"),
    "montecarlo": ("6*m*n", "y=m*n mean=4*m*n spread=4*m*n"),
}


def flops_and_bytes(op, rows, operands, dims):
    """Floating-point operations of one run of an instruction, and bytes read and written.

    Every value counts once, however often a kernel comes back to it, and the padding of rows does not count: this is
    the least that must move, if nothing is in a cache. Data is taken to be of four bytes.

    Parameters
    ----------
    op : str
        Operation of the engine.
    rows : int
        Rows of its matrices: samples times rows for each sample.
    operands : container of str
        Names of those that it has.
    dims : dict of str to int

    Returns
    -------
    flops, nbytes : int
    """
    flops, values = COUNTS[op]
    width = (1, 0.5, 0.25)[dims.get("precision", 0)]  # of packed weights, in values
    sizes = {**dims, "m": rows, "width": width}
    return _total(flops, operands, sizes), 4 * _total(values, operands, sizes)


def _total(terms, operands, sizes):
    total = 0
    for term in terms.split():
        name, _, product = term.rpartition("=")
        if name and name.rstrip("+") not in operands:
            continue
        times = 2 if name.endswith("+") and sizes["accumulate"] else 1
        total += times * math.prod(sizes[each] if each in sizes else float(each) for each in product.split("*"))
    return round(total)
