"""The same application in FastAPI. Its function is not async, so that it runs in a pool of threads."""
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

import metrics

app = FastAPI()


@app.post("/", response_class=PlainTextResponse)
def root(request: Request, text: str):
    return metrics.count(request.method, text)
