"""Code of one's own at the stages of training, evaluation and prediction.

Training is one call of compiled code for many steps. Only where a callback overrides a batch hook
does it come back to Python after each step, so nobody else pays for that.
"""

from fastnn.callbacks.backup import BackupAndRestore
from fastnn.callbacks.base import Callback
from fastnn.callbacks.callback_list import CallbackList
from fastnn.callbacks.checkpoint import ModelCheckpoint
from fastnn.callbacks.early_stopping import EarlyStopping
from fastnn.callbacks.learning_rate import (
    LearningRateFinder,
    LearningRateScheduler,
    ReduceLROnPlateau,
    SwapEMAWeights,
)
from fastnn.callbacks.loggers import CSVLogger, ProgbarLogger, TensorBoard
from fastnn.callbacks.monitor import MonitorCallback
from fastnn.callbacks.remote import RemoteMonitor
from fastnn.callbacks.simple import History, LambdaCallback, TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateFinder",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]
