"""The same application in Flask."""
from flask import Flask, request

import metrics

app = Flask(__name__)


@app.post("/")
def root():
    return metrics.count(request.method, request.args["text"])
