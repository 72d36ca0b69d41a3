"""pgAdmin: the user from the header, read from Vestibule only."""

import os

SERVER_MODE = True
AUTHENTICATION_SOURCES = ["webserver"]
WEBSERVER_REMOTE_USER = "X-Forwarded-Email"
WEBSERVER_REMOTE_USER_FROM_HEADER = True
WEBSERVER_TRUSTED_PROXIES = ["127.0.0.1"]

DEFAULT_SERVER_PORT = int(os.environ["PORT"])
DATA_DIR = os.environ["HOME"]
LOG_FILE = f"{DATA_DIR}/pgadmin4.log"
UPGRADE_CHECK_ENABLED = False
MASTER_PASSWORD_REQUIRED = False
