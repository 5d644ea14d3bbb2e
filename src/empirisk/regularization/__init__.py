"""Every modification of the learning algorithm meant to lower the expected, not the empirical, risk; and where each lives.

=================  =========================================  ==============================================
regulariser        flag                                       place
=================  =========================================  ==============================================
augmentation       ``--augment``                              ``data/augment.py``: a batch to a batch
dropout            ``--dropout``                              ``models/layers.py``: before the last layer
l1 penalty         ``--l1``                                   ``regularization/penalty.py``: a loss to a loss
l2 penalty         ``--l2``                                   ``regularization/penalty.py``: a loss to a loss
decoupled decay    ``--weight-decay``                         ``optimization.py``: in the optimiser's step
label smoothing    ``--label-smoothing``                      ``tasks/classification.py``: ``training_loss``
averaged weights   ``--ema``                                  ``optimization.py``: ``Average``
early stopping     ``--patience`` (the kept epoch: always)    ``erm/run.py``: ``EarlyStopping``
=================  =========================================  ==============================================
"""

from empirisk.regularization.penalty import regularised

__all__ = ["regularised"]
