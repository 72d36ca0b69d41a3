import marimo

app = marimo.App()


@app.cell
def _():
    from urllib.parse import unquote

    import marimo as mo

    return mo, unquote


@app.cell
def _(mo, unquote):
    headers = mo.app_meta().request.headers
    mo.md(f"Hello {unquote(headers['x-forwarded-user'])}")
    return


if __name__ == "__main__":
    app.run()
