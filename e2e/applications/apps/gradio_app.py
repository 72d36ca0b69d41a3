"""Gradio, mounted below the base path. `python gradio_app.py PORT BASE`."""

import sys
from urllib.parse import unquote

import gradio as gr
import uvicorn
from fastapi import FastAPI

port, base = int(sys.argv[1]), sys.argv[2]


def greet(name: str, request: gr.Request) -> str:
    return f"{unquote(request.headers['x-forwarded-user'])} greets {name}"


demo = gr.Interface(greet, "text", "text", api_name="greet")
app = gr.mount_gradio_app(FastAPI(), demo, path=base or "/")
uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
