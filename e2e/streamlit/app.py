"""What the tests look at: who Streamlit says it is, on two pages, with a state that a lost session would forget."""

import json

import streamlit as st


def account():
    if st.user.is_logged_in:
        st.write(f"Hello, {st.user.name}!")
    else:
        st.write("Hello, whoever you are!")
        for provider in st.secrets["auth"]:
            if "client_id" in st.secrets["auth"][provider] and st.button(f"Log in with {provider}"):
                st.login(provider)
    if st.button("Log in", disabled="client_id" not in st.secrets["auth"]):
        st.login()
    if st.button("Log out"):
        st.logout()
    if st.button("Count"):
        st.session_state["count"] = st.session_state.get("count", 0) + 1
    st.text(f"count={st.session_state.get('count', 0)}")
    st.text(f"query={json.dumps(st.query_params.to_dict())}")
    st.text(f"user={json.dumps(st.user.to_dict(), sort_keys=True)}")


def first():
    st.title("First page")
    account()


def page():
    st.title("Another page")
    account()


st.navigation([st.Page(first, default=True), st.Page(page, url_path="page")]).run()
