"""FastAPI: the user as a dependency, and a WebSocket. `python fastapi_app.py PORT BASE`."""

import sys
from typing import Annotated
from urllib.parse import unquote

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Header, WebSocket

port, base = int(sys.argv[1]), sys.argv[2]


def logged_in(x_forwarded_user: Annotated[str, Header()]) -> str:
    return unquote(x_forwarded_user)


routes = APIRouter(prefix=base)


@routes.get("/")
def first(user: Annotated[str, Depends(logged_in)]) -> str:
    return f"Hello {user}"


@routes.websocket("/echo")
async def echo(socket: WebSocket, user: Annotated[str, Depends(logged_in)]):
    await socket.accept()
    await socket.send_text(f"{user}: {await socket.receive_text()}")
    await socket.close()


app = FastAPI(docs_url=f"{base}/docs", openapi_url=f"{base}/openapi.json")
app.include_router(routes)
uvicorn.run(app, host="127.0.0.1", port=port, proxy_headers=True, forwarded_allow_ips="127.0.0.1", log_level="warning")
