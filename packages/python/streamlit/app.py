"""Streamlit behind the login, in one process."""

import os

import streamlit as st
from starlette.middleware import Middleware
from vestibule import Vestibule

app = st.App("script.py", middleware=[Middleware(Vestibule, config=".streamlit/secrets.toml", port=int(os.environ["PORT"]))])
