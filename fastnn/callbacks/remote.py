"""What is known of each epoch, sent to a server."""

import warnings

import numpy as np

from fastnn.callbacks.base import Callback


class RemoteMonitor(Callback):
    """Sends the logs of each epoch to a server, by HTTP POST. A server that does not answer is warned of.

    Parameters
    ----------
    root : str, default "http://localhost:9000"
    path : str, default "/publish/epoch/end/"
    field : str, default "data"
        Of the form that holds the JSON.
    headers : dict, optional
        Further ones of HTTP.
    send_as_json : bool, default False
        Send JSON as such rather than in a form.
    """

    def __init__(
        self, root="http://localhost:9000", path="/publish/epoch/end/", field="data", headers=None, send_as_json=False
    ):
        super().__init__()
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch, logs=None):
        import json
        import urllib.error
        import urllib.parse
        import urllib.request

        logs = logs or {}
        plain = {key: each.item() if isinstance(each, (np.ndarray, np.generic)) else each for key, each in logs.items()}
        text = json.dumps({"epoch": epoch, **plain})
        kind = "application/json" if self.send_as_json else "application/x-www-form-urlencoded"
        body = text if self.send_as_json else urllib.parse.urlencode({self.field: text})
        headers = {"Content-Type": kind, **(self.headers or {})}
        try:
            urllib.request.urlopen(urllib.request.Request(self.root + self.path, body.encode(), headers)).close()
        except (urllib.error.URLError, OSError):
            warnings.warn(f"Could not reach RemoteMonitor root server at {self.root}", stacklevel=2)
